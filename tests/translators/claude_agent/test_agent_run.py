"""An agent's run, whose several messages become one answer."""

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.translators.claude_agent.test_agent_streams import (
    CALL,
    CONTEXT,
    START,
    TEXT,
    Json,
    block,
    end,
)
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.run import LIMITS, ends_run, run_limit
from translators.claude_agent.stream import ClaudeAgentStream
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.errors import StreamTruncated, TranslationError
from translators.protocol import Translated
from translators.wire.request import ChatCompletionRequest

THOUGHT = block(
    0,
    {"type": "thinking", "thinking": ""},
    {"type": "thinking_delta", "thinking": "Hm."},
    {"type": "signature_delta", "signature": "c2ln"},
)
HIDDEN = block(1, {"type": "redacted_thinking", "data": "c2VjcmV0"})


def start(**usage: Any) -> Json:
    counts = {"input_tokens": 3, "output_tokens": 1, **usage}
    message = {**START["message"], "id": "msg_2", "usage": counts}
    return {"type": "message_start", "message": message}


def text(words: str, index: int = 0) -> list[Json]:
    return block(index, {"type": "text", "text": ""}, {"type": "text_delta", "text": words})


def folded(events: list[Json]) -> ChatCompletion:
    """Return what the OpenAI SDK makes of the chunks; the whole answer must be the same."""
    stream, state = ClaudeAgentStream(CONTEXT, runs=True), ChatCompletionStreamState[None]()
    chunks = [chunk for event in events for chunk in stream.feed(event)] + stream.end()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk.data))
    streamed = ChatCompletion.model_validate(state.current_completion_snapshot.model_dump())
    completion = ClaudeAgentTranslator(runs=True).response(events, CONTEXT)
    whole = ChatCompletion.model_validate_json(completion.data)
    assert whole.choices[0].message.content == streamed.choices[0].message.content
    assert whole.choices[0].finish_reason == streamed.choices[0].finish_reason
    assert whole.usage == streamed.usage
    return streamed


def test_what_was_said_is_one_answer_in_paragraphs_and_calls_are_not_told():
    answer = folded(
        [
            start(),
            *text("First."),
            *CALL,
            end("tool_use"),
            {"type": "message_stop"},
            start(),
            *CALL,
            end("tool_use"),
            {"type": "message_stop"},
            start(),
            *text("Second."),
            *text(" And more.", 1),
            end("end_turn"),
        ]
    )
    message = answer.choices[0].message
    assert message.content == "First.\n\nSecond. And more."
    assert message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id == "chatcmpl-msg_2"


def test_tokens_are_added_up_over_the_calls():
    details: Json = {"output_tokens_details": {"thinking_tokens": 1}}
    first = end("tool_use")
    first["usage"] = {"output_tokens": 10, "input_tokens": None, **details}
    last = end("end_turn")
    last["usage"] = {"output_tokens": 5, **details}
    answer = folded(
        [
            start(input_tokens=100, cache_read_input_tokens=7, service_tier="standard"),
            *CALL,
            first,
            start(input_tokens=200, cache_read_input_tokens=70, cache_creation_input_tokens=9),
            *text("Done."),
            last,
        ]
    )
    usage = answer.usage
    assert usage is not None and usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens == 100 + 7 + 200 + 70 + 9
    assert usage.completion_tokens == 15
    assert usage.prompt_tokens_details.cached_tokens == 77
    assert usage.completion_tokens_details.reasoning_tokens == 2


def test_tokens_are_known_while_the_run_goes_on():
    stream = ClaudeAgentStream(CONTEXT, runs=True)
    for event in [start(input_tokens=100), *CALL, end("tool_use"), start(input_tokens=50)]:
        stream.feed(event)
    assert stream.outcome.usage is not None
    assert stream.outcome.usage.prompt_tokens == 150
    assert not stream.complete


def test_thoughts_are_told_without_what_no_client_can_send_back():
    events = [start(), *THOUGHT, *HIDDEN, *CALL[:0], end("tool_use"), start(), *THOUGHT]
    answer = folded([*events, *text("So.", 1), end("end_turn")])
    message: Any = answer.choices[0].message
    assert message.reasoning_content == "Hm.\n\nHm."
    assert message.content == "So."
    told = json.dumps(answer.model_dump())
    assert "c2ln" not in told and "c2VjcmV0" not in told


@pytest.mark.parametrize("limit", sorted(LIMITS))
def test_a_run_that_its_policy_ended_is_not_finished(limit: str):
    """The CLI closes the last message with a reason of null, or with `tool_use`."""
    for reason in ("tool_use", None):
        events = [start(), *text("On."), *CALL, end(reason), run_limit(limit)]
        stream = ClaudeAgentStream(CONTEXT, runs=True)
        for event in events:
            stream.feed(event)
        stream.end()
        assert stream.outcome.finish_reason == "length"
        assert stream.outcome.native_finish_reason == limit
    answer = folded([start(), *text("On."), *CALL, end("tool_use"), dict(run_limit(limit))])
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_run_that_breaks_off_is_never_finished(cut: int):
    events = [start(), *text("A"), *CALL, end("tool_use"), start(), *text("B"), end("end_turn")]
    stream = ClaudeAgentStream(CONTEXT, runs=True)
    chunks = [chunk for event in events[:cut] for chunk in stream.feed(event)]
    with pytest.raises(StreamTruncated):
        stream.end()
    reasons = [json.loads(chunk.data)["choices"][0]["finish_reason"] for chunk in chunks]
    assert set(reasons) <= {None}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (end("end_turn"), True),
        (end("max_tokens"), True),
        (end("refusal"), True),
        (end("brand_new"), True),
        (end("tool_use"), False),
        (end(None), False),
        (run_limit("error_max_turns"), True),
        (START, False),
        ({"type": "message_stop"}, False),
        ({}, False),
    ],
)
def test_any_end_but_a_tool_is_the_end(event: Json, expected: bool):
    assert ends_run(event) is expected


def test_an_answer_of_no_agent_keeps_its_calls():
    stream = ClaudeAgentStream(CONTEXT)
    for event in [START, *TEXT, *CALL, end("tool_use")]:
        stream.feed(event)
    assert stream.complete and stream.outcome.finish_reason == "tool_calls"


def request(**fields: Any) -> Translated[AgentRequest]:
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    translator = ClaudeAgentTranslator(runs=True)
    return translator.request(ChatCompletionRequest.model_validate(chat), model="claude-sonnet-5")


def test_an_agent_is_told_of_no_tools_of_the_clients():
    translated = request(tools=[], max_completion_tokens=9)
    assert translated.request.tools == ()
    assert not {"tools", "tool_choice"} & translated.request.extra.keys()
    assert translated.request.extra["max_tokens"] == 9
    assert translated.report.emulated == ("max_completion_tokens",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"n": 3}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
    ],
)
def test_what_an_agent_cannot_honour_is_refused(fields: Json, param: str):
    with pytest.raises(TranslationError) as caught:
        request(**fields)
    assert caught.value.param == param


def test_a_choice_of_its_own_is_no_news():
    assert request(tool_choice="auto", parallel_tool_calls=True).report.ignored == ()
    assert request(parallel_tool_calls=False).report.ignored == ("parallel_tool_calls",)


def test_the_tokens_of_a_message_that_the_cli_closed_count():
    last = end(None)
    last["usage"] = {"output_tokens": 12}
    answer = folded([start(), *text("On."), *CALL, last, dict(run_limit("error_max_budget_usd"))])
    assert answer.usage is not None and answer.usage.completion_tokens == 12


def test_a_schema_that_the_api_sees_to_is_asked_for():
    schema: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    schema["additionalProperties"] = False
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    translated = request(response_format=form)
    assert translated.contract is None
    assert translated.request.extra["output_config"]["format"]["type"] == "json_schema"

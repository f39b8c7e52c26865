"""Properties: of answers made of any blocks, and of requests made of any messages."""

import contextlib
import json
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from messages_api import STREAMS, TRANSLATOR, run, sse_of
from native_events import finished, server_tool, start, text, thinking, tool
from native_schema import problems_of

from tests.translators.chat_requests import chat_of
from tests.translators.strategies import (
    OBJECTS,
    WORDS,
    changed_request,
    conversations,
    cuts,
    grown_bodies,
    requests,
)
from tests.translators.streams import CONTEXT, Json, accumulate, events_of
from translators.anthropic_messages.calls import CallIds
from translators.errors import TranslationError
from translators.fold import fold
from translators.json import encode
from translators.wire.request import InvalidRequest

MODELS = st.sampled_from(["claude-haiku-4-5", "claude-opus-4-6", "claude-opus-5-5", "other"])

# --- answers -----------------------------------------------------------------------------------

PARTS = st.lists(WORDS, max_size=4)


@st.composite
def blocks(draw: st.DrawFn) -> list[tuple[str, Any]]:
    kind = st.sampled_from(["text", "thinking", "tool", "server"])
    made: list[tuple[str, Any]] = []
    for index in range(draw(st.integers(0, 5))):
        match draw(kind):
            case "tool":
                made.append(("tool", (f"toolu_{index}", draw(OBJECTS), draw(st.integers(0, 9)))))
            case other:
                made.append((other, draw(PARTS)))
    return made


def events_for(made: list[tuple[str, Any]]) -> list[Json]:
    events = [start()]
    for index, (kind, value) in enumerate(made):
        if kind == "tool":
            id, arguments, cut = value
            written = json.dumps(arguments)
            events += tool(index, id, "f", written[:cut], written[cut:])
        else:
            make = {"text": text, "thinking": thinking, "server": server_tool}[kind]
            events += make(index, *value)
    return [*events, *finished()]


@given(blocks())
@settings(max_examples=60, deadline=None)
def test_openai_accumulator_gets_the_blocks_back(made: list[tuple[str, Any]]):
    chunks, _ = run(events_of(sse_of(events_for(made))))
    choice = accumulate(chunks).choices[0]
    message = json.loads(choice.message.to_json(warnings=False))
    tools = [value for kind, value in made if kind == "tool"]
    assert message["content"] == "".join("".join(v) for kind, v in made if kind == "text")
    thoughts = "".join("".join(value) for kind, value in made if kind == "thinking")
    assert message.get("reasoning_content", "") == thoughts
    calls = [
        (call["id"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]
    assert calls == [(id, arguments) for id, arguments, _ in tools]
    assert choice.finish_reason == ("tool_calls" if tools else "stop")


@given(blocks())
@settings(max_examples=60, deadline=None)
def test_whole_answer_says_what_the_stream_says(made: list[tuple[str, Any]]):
    content: list[Json] = []
    for kind, value in made:
        block: Json
        match kind:
            case "tool":
                block = {"type": "tool_use", "id": value[0], "name": "f", "input": value[1]}
            case "text":
                block = {"type": "text", "text": "".join(value)}
            case "thinking":
                block = {"type": "thinking", "thinking": "".join(value), "signature": "c2ln"}
            case _:
                block = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
        content.append(block)
    message = start()["message"]
    usage = {**message["usage"], "output_tokens": 20}
    body = {**message, "content": content, "stop_reason": "end_turn", "usage": usage}
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    chunks, _ = run(events_of(sse_of(events_for(made))))
    streamed = json.loads(fold(chunk.data for chunk in chunks))
    for answer in (whole, streamed):
        for call in answer["choices"][0]["message"].get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    assert whole == streamed


@given(blocks(), st.data())
@settings(max_examples=60, deadline=None)
def test_cutting_the_bytes_anywhere_changes_nothing(made: list[tuple[str, Any]], data: Any):
    body = sse_of(events_for(made))
    STREAMS.check_cuts(body, data.draw(cuts(body)))


# --- requests ----------------------------------------------------------------------------------

CALLS: st.SearchStrategy[Json] = st.sampled_from(["", '{"a":1}']).map(
    lambda arguments: {"function": {"name": "f", "arguments": arguments}}
)
REQUESTS = requests(
    CALLS,
    prompt_cache_options=st.just({"mode": "implicit"}),
    web_search_options=st.sampled_from([{}, {"search_context_size": "high"}]),
    response_format=st.sampled_from(
        [
            {"type": "json_object"},
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
                },
            },
        ]
    ),
    thinking=st.sampled_from(
        [{"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}, {"type": "disabled"}]
    ),
)


@given(REQUESTS, MODELS)
@settings(max_examples=150, deadline=None)
def test_body_is_what_the_sdk_allows(request: Json, model: str):
    assume(request["messages"])
    try:
        body = TRANSLATOR.request(chat_of(request), model=model).request.body
    except TranslationError as error:
        # A prefill the model does not take, or one with a form; a server that cannot search.
        assert error.param in ("messages", "response_format", "web_search_options")
        return
    assert problems_of(body) == []
    check_turns(body)


_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "format": "date", "description": "D"},
        "b": {"oneOf": [{"const": 1}, {"$ref": "#/$defs/B"}]},
    },
    "required": ["a", "b"],
    "allOf": [{"properties": {"a": {"enum": ["x", "y"]}}}],
    "$defs": {"B": {"type": ["integer", "null"], "minimum": 3}},
}
_THOUGHT: Json = {"type": "thinking", "thinking": "t", "signature": "s"}
_CALL: Json = {
    "id": "c",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
    "extra_content": {"anthropic": {"thinking_blocks": [_THOUGHT], "text_after": 0}},
}
RICH: Json = {
    "model": "persona",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {
            "role": "assistant",
            "content": "y",
            "thinking_blocks": [_THOUGHT, {"type": "redacted_thinking", "data": "d"}],
            "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": "s", "format": "x"}
            ],
            "tool_calls": [_CALL],
        },
        {"role": "tool", "tool_call_id": "c", "content": "z"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "strict": True, "parameters": _SCHEMA}},
        {"type": "function", "function": {"name": "g", "parameters": {"anyOf": [_SCHEMA]}}},
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": _SCHEMA}},
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
    },
    "thinking": {"type": "adaptive"},
    "reasoning_effort": "low",
}


@given(st.data(), MODELS)
@settings(max_examples=400, deadline=None)
def test_odd_request_is_refused_or_taken_never_a_bug(data: Any, model: str):
    request = changed_request(data, RICH)
    with contextlib.suppress(TranslationError, InvalidRequest):
        chat = chat_of(request)
        TRANSLATOR.media_to_fetch(chat)
        TRANSLATOR.request(chat, model=model)


def check_turns(body: Json) -> None:
    """Check what the types do not say: https://platform.claude.com/docs/en/api/messages/create."""
    turns = body["messages"]
    assert turns[0]["role"] == "user"
    waiting: list[str] = []
    used: set[str] = set()
    for before, turn in zip([None, *turns], turns, strict=False):
        assert turn["content"]
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        assert before is None or before["role"] != turn["role"]
        if turn["role"] == "system":
            assert before is not None and before["role"] == "user"
        elif turn["role"] == "user":
            results = [block for block in turn["content"] if block["type"] == "tool_result"]
            assert turn["content"][: len(results)] == results
            assert sorted(block["tool_use_id"] for block in results) == sorted(waiting)
            assert before is None or before["role"] == "assistant"
        else:
            waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
            assert not used & set(waiting) and len(set(waiting)) == len(waiting)
            used.update(waiting)


@given(conversations(CALLS), st.data(), MODELS)
@settings(max_examples=150, deadline=None)
def test_longer_conversation_keeps_the_turns_it_had(messages: list[Json], data: Any, model: str):
    """Known-failure 47, and 0.5 of the wire mapping: caches and thoughts hang on the prefix."""
    old, new = grown_bodies(STREAMS, messages, data, model)
    assume(old["messages"][-1]["role"] != "assistant")
    # Bytes, for the order of keys matters too.
    assert encode(new.get("system")) == encode(old.get("system"))
    assert encode(new["tools"]) == encode(old["tools"])
    assert encode(new["messages"][: len(old["messages"])]) == encode(old["messages"])


@given(st.lists(st.text(min_size=1, max_size=4), max_size=8))
@settings(deadline=None)
@example(["a.b", "a:b", "a_b", "a_b_2"])
def test_native_ids_are_legal_unique_and_paired(keys: list[str]):
    ids = CallIds()
    native = [ids.open(key, key) for key in keys]
    assert len(set(native)) == len(native)
    for key, id in zip(keys, native, strict=True):
        assert ids.close(key) == id
        assert id and set(id) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
        )
    assert ids.unanswered() is None

"""Answers: what becomes of each kind of item and event."""

import json
from dataclasses import replace
from typing import Any

import pytest
from responses_api import STREAMS, TRANSLATOR, run, sse_of, whole
from responses_events import (
    FULL,
    SEARCH,
    USAGE,
    answer,
    call,
    custom,
    events_for,
    incomplete,
    item_events,
    opening,
    refusal,
    text,
    thought,
)

from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.errors import ProviderError
from translators.protocol import Outcome, ResponseContext

CUSTOM = replace(CONTEXT, custom_tools=frozenset({"c"}))
LEGACY = replace(CONTEXT, legacy_functions=True)
ANSWERS = [
    FULL,
    answer(),
    answer(text("")),
    answer(text("Hi")),
    answer(text("One ", "two ")),
    answer(text("One ", id="a"), SEARCH, text("two", id="b")),
    answer(refusal("No.")),
    answer(text("Well. "), refusal("No.")),
    answer(call(arguments="")),
    answer(call(arguments='{"a":"é"}'), call(id="call_2")),
    answer(custom(), call()),
    answer(custom(input="")),
    answer(thought("Hm.")),
    answer(thought("One", "", "Two"), thought("Three", id="rs_2"), text("Hi")),
    answer({**thought(encrypted=None), "content": [{"type": "reasoning_text", "text": "Raw"}]}),
    incomplete(text("Cut")),
    incomplete(thought("Hm.")),
    incomplete(call(arguments='{"a":')),
    incomplete(text("Bad"), reason="content_filter"),
]


def message_of(native: Json, context: ResponseContext = CONTEXT) -> Json:
    """Return the message of a streamed answer."""
    return folded(run(events_of(sse_of(events_for(native))), context)[0])["choices"][0]["message"]


def streamed(native: Json, context: ResponseContext = CONTEXT) -> tuple[list[Json], Outcome]:
    chunks, outcome = run(events_of(sse_of(events_for(native))), context)
    return [json.loads(chunk.data) for chunk in chunks], outcome


def deltas_of(native: Json, context: ResponseContext = CONTEXT) -> list[Json]:
    return [c["choices"][0]["delta"] for c in streamed(native, context)[0] if c["choices"]]


@pytest.mark.parametrize("native", ANSWERS)
@pytest.mark.parametrize("context", [CONTEXT, CUSTOM, LEGACY], ids=["", "custom", "legacy"])
def test_row_34_stream_says_what_the_whole_answer_says(native: Json, context: ResponseContext):
    events = events_for(native)
    chunks, outcome = run(events_of(sse_of(events)), context)
    completion = TRANSLATOR.response(json.dumps(native).encode(), context)
    assert folded(chunks) == json.loads(completion.data)
    assert outcome == completion.outcome


@pytest.mark.parametrize("native", ANSWERS)
@pytest.mark.parametrize("left_out", [".delta", "_text.done", "content_part", "part.", "output_"])
def test_answer_is_told_once_whatever_events_there_are(native: Json, left_out: str):
    """Servers like it leave out pieces, the ends of parts, or all that the last event repeats."""
    events = events_for(native)
    expected = folded(run(events_of(sse_of(events)))[0])
    kept = [event for event in events if left_out not in event["type"]]
    if left_out == "output_":
        kept = [*events[:2], events[-1]]
    assert folded(run(events_of(sse_of(kept)))[0]) == expected
    assert folded(run(events_of(sse_of(events[-1:])))[0]) == expected


def test_row_91_role_comes_first_and_usage_last():
    chunks, outcome = streamed(answer())
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, "stop"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 17)
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-resp_1"}
    assert {chunk["model"] for chunk in chunks} == {"gpt-x"}
    assert {chunk["created"] for chunk in chunks} == {CONTEXT.created}
    assert (outcome.id, outcome.model) == ("resp_1", "gpt-x")
    assert (outcome.finish_reason, outcome.native_finish_reason) == ("stop", "completed")


def test_row_58_row_59_usage_is_told_once_if_asked_for():
    asked, _ = streamed(answer(text("Hi")))
    assert [chunk.get("usage") for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    assert asked[-1]["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    quiet, outcome = streamed(answer(text("Hi")), replace(CONTEXT, include_usage=False))
    assert all("usage" not in chunk for chunk in quiet)
    assert outcome.usage is not None
    one_of_many, _ = streamed(answer(text("Hi")), replace(CONTEXT, choice=2))
    assert {c["choices"][0]["index"] for c in one_of_many} == {2}


@pytest.mark.parametrize("usage", [None, 7, {"input_tokens": "x"}])
def test_answer_does_not_depend_on_its_usage(usage: Any):
    body = whole(answer(text("Hi"), usage=usage))
    assert "usage" not in body
    assert body["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize("include_usage", [True, False])
def test_row_35_usage_of_an_answer_that_reasoned_is_known_to_the_trace(include_usage: bool):
    context = replace(CONTEXT, include_usage=include_usage)
    _, outcome = streamed(answer(thought("Hm."), text("Hi")), context)
    assert outcome.usage is not None
    assert (outcome.usage.completion_tokens, outcome.usage.total_tokens) == (5, 17)
    details = outcome.usage.completion_tokens_details
    assert details is not None
    assert details.reasoning_tokens == 2


def test_row_61_usage_with_gaps():
    usage = {"input_tokens": 3, "output_tokens": 4}
    assert whole(answer(usage=usage))["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
    }


def test_service_tier_is_the_one_that_served():
    chunks, _ = streamed(answer(text("Hi")))
    assert [chunk.get("service_tier") for chunk in chunks[-2:]] == ["default", "default"]
    assert {chunk.get("service_tier") for chunk in chunks[:-2]} == {None}
    assert whole(answer())["service_tier"] == "default"


@pytest.mark.parametrize("native", ANSWERS)
def test_openai_sdk_accepts_the_stream(native: Json):
    if any(item["type"] == "custom_tool_call" for item in native["output"]):
        pytest.skip("openai 3.54 cannot read calls of custom tools in streams")
    STREAMS.check_openai_sdk(events_of(sse_of(events_for(native))))


# --- text and refusals -------------------------------------------------------------------------


def test_row_90_refusal_is_told():
    assert message_of(answer(refusal("I cannot."))) == {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot.",
    }
    assert [delta.get("refusal") for delta in deltas_of(answer(refusal("I cannot.")))] == [
        *(None, "I ca", "nnot.", None)
    ]


def test_sources_are_where_the_whole_text_has_them():
    def source(start: int, end: int, **more: Any) -> Json:
        place = {"start_index": start, "end_index": end, "title": "t", "url": f"u{start}"}
        return {"type": "url_citation", **place, **more}

    foreign = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 3}
    native = answer(
        text("Før. ", annotations=[source(0, 3)]),
        text(
            "See a.", annotations=[foreign, source(0, 1, type="aurora"), source(4, 5)], id="msg_2"
        ),
    )
    message = message_of(native)
    spans = [entry["url_citation"] for entry in message["annotations"]]
    assert [message["content"][s["start_index"] : s["end_index"]] for s in spans] == ["Før", "a"]
    numbers = [e["index"] for delta in deltas_of(native) for e in delta.get("annotations", ())]
    assert numbers == [0, 1]


def test_sources_are_known_from_their_own_events_too():
    source = {"type": "url_citation", "start_index": 0, "end_index": 2, "title": "t", "url": "u"}
    events = events_for(answer(text("Hi", annotations=[source])))
    for event in events:
        if event["type"] == "response.content_part.done":
            event["part"] = {**event["part"], "annotations": []}
    message = folded(run(events_of(sse_of(events)))[0])["choices"][0]["message"]
    assert [entry["url_citation"]["url"] for entry in message["annotations"]] == ["u"]


def test_logprobs():
    tokens = [
        {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []},
        {"token": "b", "logprob": -1.5, "top_logprobs": [{"token": "c"}, {"logprob": -2.0}]},
    ]
    (choice,) = whole(answer(text("éb", logprobs=tokens)))["choices"]
    assert choice["logprobs"]["content"] == [
        {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []},
        {
            "token": "b",
            "logprob": -1.5,
            "bytes": [98],
            "top_logprobs": [
                {"token": "c", "logprob": -9999.0, "bytes": [99]},
                {"token": "", "logprob": -2.0, "bytes": []},
            ],
        },
    ]
    native = answer(text("éb", logprobs=tokens))
    assert folded(run(events_of(sse_of(events_for(native))))[0])["choices"][0] == choice


# --- calls -------------------------------------------------------------------------------------


def test_row_1_row_7_row_8_calls_have_indexes_from_0():
    native = answer(thought("Hm."), call(id="a", arguments='{"x":1}'), SEARCH, call(id="b"))
    calls = [entry for delta in deltas_of(native) for entry in delta.get("tool_calls", ())]
    assert [entry["index"] for entry in calls] == [0, 0, 0, 1, 1, 1]
    assert [entry.get("id") for entry in calls] == ["a", None, None, "b", None, None]
    chunks, outcome = streamed(native)
    assert outcome.finish_reason == chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_row_12_call_without_arguments_has_an_empty_object():
    (found,) = message_of(answer(call(arguments="")))["tool_calls"]
    assert found["function"] == {"name": "f", "arguments": "{}"}


def test_row_28_call_that_was_cut_off_ends_for_length():
    (choice,) = whole(incomplete(call(arguments='{"a":')))["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":'


def test_custom_call_comes_whole():
    (found,) = message_of(answer(custom()))["tool_calls"]
    assert found == {"id": "call_c", "type": "custom", "custom": {"name": "c", "input": "4 + 4"}}


def test_custom_call_that_was_cut_off_has_what_came_of_it():
    events = events_for(answer(custom()))
    last = {"type": "response.incomplete", "response": incomplete()}
    events = [e for e in events if "done" not in e["type"]][:-1] + [last]
    (choice,) = folded(run(events_of(sse_of(events)))[0])["choices"]
    assert choice["message"]["tool_calls"][0]["custom"]["input"] == "4 + 4"
    assert choice["finish_reason"] == "length"


def test_legacy_form_has_room_for_one_call():
    (choice,) = json.loads(
        TRANSLATOR.response(json.dumps(answer(call(), call(id="b"))).encode(), LEGACY).data
    )["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]


# --- the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", "length"),
        ("content_filter", "content_filter"),
        ("max_messages", "length"),
        ("steered", "length"),
    ],
)
def test_answer_that_is_not_whole_says_why(reason: str, expected: str):
    chunks, outcome = streamed(incomplete(text("Cut"), reason=reason))
    assert outcome.finish_reason == chunks[-2]["choices"][0]["finish_reason"] == expected
    assert outcome.native_finish_reason == reason


def test_moderation_is_told_in_the_chat_apis_form():
    result = {"type": "moderation_result", "model": "omni", "flagged": False}
    error = {"type": "error", "code": "timeout", "message": "Too slow."}
    native = answer(text("Hi"), moderation={"input": result, "output": error})
    expected = {
        "input": {"type": "moderation_results", "model": "omni", "results": [result]},
        "output": error,
    }
    chunks, _ = streamed(native)
    assert chunks[-2]["moderation"] == expected
    assert whole(native)["moderation"] == expected
    assert "moderation" not in whole(answer(moderation=None))


def test_nothing_behind_the_end_belongs_to_the_answer():
    stream = TRANSLATOR.stream(CONTEXT)
    for event in events_of(sse_of(events_for(answer(text("Hi"))))):
        stream.feed(event)
    assert stream.complete
    late = events_of(sse_of([*opening(), *item_events(5, text("More"))]) + b"data: [DONE]\n\n")
    assert [stream.feed(event) for event in late] == [[]] * len(late)
    assert stream.follow_up is None
    assert stream.outcome.usage is not None


def test_done_of_other_servers_is_no_event():
    body = sse_of(events_for(answer(text("Hi"))))
    assert run(events_of(body + b"data: [DONE]\n\n")) == run(events_of(body))
    stream = TRANSLATOR.stream(CONTEXT)
    with pytest.raises(ProviderError):
        for event in events_of(b"data: [DONE]\n\n"):
            stream.feed(event)
        stream.end()


def test_type_may_stand_in_the_events_name_alone():
    events = events_for(answer(text("Hi")))
    named = b"".join(
        b"event: " + e.pop("type").encode() + b"\ndata: " + json.dumps(e).encode() + b"\n\n"
        for e in events
    )
    assert run(events_of(named)) == run(events_of(sse_of(events_for(answer(text("Hi"))))))


def test_usage_of_the_example_is_what_the_api_has():
    assert USAGE["total_tokens"] == USAGE["input_tokens"] + USAGE["output_tokens"]

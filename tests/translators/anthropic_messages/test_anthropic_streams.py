"""Answers: the rows of the regression list about streams, usage and names, and the edges."""

import json
from dataclasses import replace
from typing import Any

import pytest
from messages_api import CONTEXT, TRANSLATOR, Json, chunks_of, deltas_of, events_of, run, sse_of
from native_events import (
    closed,
    finished,
    grown,
    opened,
    server_tool,
    start,
    text,
    thinking,
    tool,
)

from translators.anthropic_messages.events import Event
from translators.errors import ProviderError, StreamTruncated
from translators.protocol import Outcome
from translators.sse import ServerSentEvent


def calls_in(events: list[Json]) -> list[Json]:
    return [call for delta in deltas_of(events) for call in delta.get("tool_calls", ())]


def outcome_of(events: list[Json]) -> Outcome:
    return run(events_of(sse_of(events)))[1]


def finish_reason_of(events: list[Json]) -> Any:
    reasons = [c["choices"][0]["finish_reason"] for c in chunks_of(events) if c["choices"]]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    return reasons[-1]


def broken(events: list[Json]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        run(events_of(sse_of(events)))
    assert caught.value.kind == "protocol"
    return caught.value


TWO_CALLS = [
    start(),
    *text(0, "Look."),
    *tool(1, "toolu_a", "f", '{"x"', ":1}"),
    *server_tool(2, "{}"),
    *tool(3, "toolu_b", "f", '{"x":2}'),
    *finished("tool_use"),
]


def test_rows_1_2_3_7_8_calls_are_numbered_from_zero_without_gaps():
    found = calls_in(TWO_CALLS)
    assert [call["index"] for call in found] == [0, 0, 0, 1, 1]
    assert [call["id"] for call in found if "id" in call] == ["toolu_a", "toolu_b"]
    assert "".join(c["function"]["arguments"] for c in found if c["index"] == 0) == '{"x":1}'
    assert "".join(c["function"]["arguments"] for c in found if c["index"] == 1) == '{"x":2}'


def test_row_10_finish_reason_is_null_until_the_last_chunk():
    assert finish_reason_of(TWO_CALLS) == "tool_calls"


@pytest.mark.parametrize("reason", ["end_turn", "tool_use", "stop_sequence", "quantum_stop"])
def test_row_11_answer_with_calls_ends_as_tool_calls(reason: str):
    events = [start(), *text(0, "x"), *tool(1, "toolu_a", "f", "{}"), *finished(reason)]
    assert finish_reason_of(events) == "tool_calls"


@pytest.mark.parametrize("parts", [(), ("",)], ids=["none", "empty"])
def test_row_12_call_without_arguments_has_an_empty_object(parts: tuple[str, ...]):
    found = calls_in([start(), *tool(0, "toolu_a", "f", *parts), *finished("tool_use")])
    assert "".join(call["function"]["arguments"] for call in found) == "{}"


def test_row_13_the_empty_input_at_the_start_is_not_part_of_the_arguments():
    found = calls_in([start(), *tool(0, "toolu_a", "f", "", '{"a":', "1}"), *finished("tool_use")])
    assert "".join(call["function"]["arguments"] for call in found) == '{"a":1}'


def test_arguments_given_whole_at_the_start_count_where_no_deltas_come():
    block = opened(0, type="tool_use", id="toolu_a", name="f", input={"b": 1, "a": "ø"})
    found = calls_in([start(), block, closed(0), *finished("tool_use")])
    assert found[-1]["function"]["arguments"] == '{"b":1,"a":"ø"}'


@pytest.mark.parametrize("missing", ["id", "name"])
def test_row_15_call_without_id_or_name_is_a_broken_answer(missing: str):
    block: Json = {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}}
    del block[missing]
    broken([start(), opened(0, **block)])


def test_row_20_bad_json_is_an_error_not_an_end():
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of([start()]))[0])
    with pytest.raises(ProviderError) as caught:
        stream.feed(ServerSentEvent(b"content_block_delta", b'{"type":"content_block_delta",'))
    assert caught.value.kind == "protocol"


def test_row_28_arguments_cut_off_by_the_limit_finish_with_length():
    events = [start(), *tool(0, "toolu_a", "f", '{"a": "b'), *finished("max_tokens")]
    assert finish_reason_of(events) == "length"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("compaction", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        ("quantum_stop", "stop"),
    ],
)
def test_stop_reason(reason: str, expected: str):
    events = [start(), *text(0, "x"), *finished(reason)]
    assert finish_reason_of(events) == expected
    assert outcome_of(events).native_finish_reason == reason
    assert outcome_of(events).finish_reason == expected


def test_row_34_thinking_is_reasoning_content():
    events = [start(), *thinking(0, "I ", "think"), *text(1, "so"), *finished()]
    deltas = deltas_of(events)
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["I ", "think"]
    assert "".join(d.get("content") or "" for d in deltas) == "so"


@pytest.mark.parametrize("explanation", ["Because.", None])
def test_refusal_says_something(explanation: str | None):
    details = {"type": "refusal", "explanation": explanation}
    events = [start(), *finished("refusal", stop_details=details)]
    refusals = [delta["refusal"] for delta in deltas_of(events) if delta.get("refusal")]
    assert refusals == [explanation or "The model declined to answer."]


def test_row_58_and_59_usage_is_in_one_chunk_the_last_and_only_if_asked_for():
    events = [start(), *text(0, "x"), *finished()]
    *others, last = chunks_of(events)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 32
    assert all(chunk["usage"] is None for chunk in others)
    silent = chunks_of(events, replace(CONTEXT, include_usage=False))
    assert all("usage" not in chunk and chunk["choices"] for chunk in silent)


def test_row_61_cache_tokens_are_part_of_the_prompt():
    counts = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    usage = chunks_of([start(), *finished(usage=counts)])[-1]["usage"]
    assert usage == {
        "prompt_tokens": 123,
        "completion_tokens": 7,
        "total_tokens": 130,
        "prompt_tokens_details": {"cache_write_tokens": 20, "cached_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


def test_usage_of_the_start_survives_what_the_end_leaves_out():
    begin = start(cache_read_input_tokens=5, cache_creation_input_tokens=2)
    end = finished(usage={"output_tokens": 9, "input_tokens": None, "cache_read_input_tokens": 6})
    usage = outcome_of([begin, *end]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (12 + 6 + 2, 9)


def test_usage_of_iterations_is_summed():
    parts = [
        {"type": "compaction", "input_tokens": 100, "output_tokens": 10},
        {"type": "message", "input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 2},
    ]
    counts = {"input_tokens": 5, "output_tokens": 1, "iterations": parts}
    usage = outcome_of([start(), *finished(usage=counts)]).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (107, 11)


def test_row_62_model_and_id_are_the_same_everywhere():
    events = [start(), *text(0, "x"), *finished()]
    assert {(c["id"], c["model"]) for c in chunks_of(events)} == {("chatcmpl-msg_1", "claude-x")}
    body = {**start()["message"], "stop_reason": "end_turn"}
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    assert (whole["id"], whole["model"]) == ("chatcmpl-msg_1", "claude-x")


def test_answer_without_id_and_model_has_those_of_the_context():
    events: list[Json] = [{"type": "message_start", "message": {}}, *text(0, "x"), *finished()]
    assert {(c["id"], c["model"]) for c in chunks_of(events)} == {(CONTEXT.id, CONTEXT.model)}


def test_row_91_role_comes_first_even_in_an_empty_answer():
    first, finish, _ = chunks_of([start(), *finished()])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert finish["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"service_tier": "standard"}, "default"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "standard", "speed": "fast"}, "priority"),
        ({"service_tier": "batch"}, None),
        ({}, None),
    ],
)
def test_service_tier(usage: Json, tier: str | None):
    tiers = {chunk.get("service_tier") for chunk in chunks_of([start(**usage), *finished()])}
    assert tiers == {tier}


def test_outcome_of_a_cancelled_stream_knows_what_was_spent():
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of([start(cache_read_input_tokens=8)]))[0])
    outcome = stream.outcome
    assert (outcome.id, outcome.model, outcome.finish_reason) == ("msg_1", "claude-x", None)
    assert outcome.usage is not None
    assert outcome.usage.prompt_tokens == 20


def test_role_and_usage_are_no_payload():
    chunks, _ = run(events_of(sse_of([start(), *text(0, "x"), *finished()])))
    assert [chunk.payload for chunk in chunks] == [False, True, True, False]


def test_row_57_answer_without_content_keeps_its_message():
    body = {**start()["message"], "stop_reason": "end_turn"}
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "", "refusal": None}


def test_answer_of_calls_alone_has_no_content():
    block: Json = {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}}
    body = {**start()["message"], "content": [block], "stop_reason": "tool_use"}
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    assert whole["choices"][0]["message"]["content"] is None


# --- what the client said it expects -----------------------------------------------------------

CUSTOM = replace(CONTEXT, custom_tools=frozenset({"shell"}))
LEGACY = replace(CONTEXT, legacy_functions=True)


@pytest.mark.parametrize(
    ("parts", "input"),
    [(['{"inp', 'ut": "l', 's"}'], "ls"), (['{"input": '], '{"input": '), (["{}"], "{}")],
    ids=["whole", "cut", "wrong"],
)
def test_custom_call_is_unwrapped(parts: list[str], input: str):
    events = [start(), *tool(0, "toolu_a", "shell", *parts), *finished("tool_use")]
    (call,) = [call for delta in deltas_of(events, CUSTOM) for call in delta.get("tool_calls", ())]
    assert call == {
        "index": 0,
        "id": "toolu_a",
        "type": "custom",
        "custom": {"name": "shell", "input": input},
    }


def test_legacy_answer_holds_one_function_call():
    events = [*TWO_CALLS]
    found = [d["function_call"] for d in deltas_of(events, LEGACY) if "function_call" in d]
    assert "".join(call["arguments"] for call in found) == '{"x":1}'
    assert [call.get("name") for call in found] == ["f", None, None]
    assert chunks_of(events, LEGACY)[-2]["choices"][0]["finish_reason"] == "function_call"


# --- errors and broken streams -----------------------------------------------------------------


@pytest.mark.parametrize("length", range(len(TWO_CALLS)))
def test_row_66_truncated_stream_is_never_finished(length: int):
    stream = TRANSLATOR.stream(CONTEXT)
    for event in events_of(sse_of(TWO_CALLS[:length])):
        assert all(b'"finish_reason":null' in chunk.data for chunk in stream.feed(event))
    with pytest.raises(StreamTruncated) as caught:
        stream.end()
    assert caught.value.code == "upstream_incomplete"


@pytest.mark.parametrize(
    ("type", "kind", "status"),
    [
        ("overloaded_error", "overloaded", 503),
        ("rate_limit_error", "rate_limit", 429),
        ("api_error", "server", 502),
        ("timeout_error", "timeout", 504),
        ("invalid_request_error", "invalid", 400),
        ("authentication_error", "auth", 502),
        ("new_error", "server", 502),
    ],
)
def test_row_71_error_in_the_stream_is_told_by_its_type(type: str, kind: str, status: int):
    stream = TRANSLATOR.stream(CONTEXT)
    data = {"type": "error", "error": {"type": type, "message": "No."}, "request_id": "req_1"}
    with pytest.raises(ProviderError) as caught:
        stream.feed(ServerSentEvent(b"error", json.dumps(data).encode()))
    error = caught.value
    assert (error.kind, error.status_hint, error.status) == (kind, status, None)
    assert (error.message, error.request_id) == ("No.", "req_1")


@pytest.mark.parametrize(
    "events",
    [
        text(0, "x"),
        [closed(0)],
        finished()[:1],
        finished()[1:],
        [start(), start()],
        [start(), grown(3, type="text_delta", text="x")],
        [start(), closed(3)],
        [start(), opened(0, type="text"), opened(0, type="text")],
        [start(), {"type": "message_stop"}],
        [start(), {"type": "content_block_delta", "index": 0, "delta": 7}],
        [start(), opened(0, type="text"), grown(0, type="text_delta", text=7)],
        [start(), {"type": "content_block_start", "index": 0}],
        [{"type": "message_start"}],
    ],
)
def test_answer_that_breaks_the_protocol_is_an_error(events: list[Json]):
    broken(events)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"content":[],"stop_reason":null}',
        b'{"content":7,"stop_reason":"end_turn"}',
        b'{"content":[{"type":"text","text":7}],"stop_reason":"end_turn"}',
        b'{"content":[{"text":7}],"stop_reason":"end_turn"}',
    ],
)
def test_whole_answer_that_is_none_is_an_error(body: bytes):
    with pytest.raises(ProviderError) as caught:
        TRANSLATOR.response(body, CONTEXT)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping"},
        {"type": "aurora", "index": "one", "message": 3},
        grown(0, type="aurora_delta", text=[1]),
        grown(0, type="input_json_delta", partial_json="{"),
        grown(0, type="thinking_delta", thinking="x"),
        opened(9, type="aurora", text=[1], id=4),
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": None},
    ],
)
def test_what_is_not_known_or_does_not_fit_is_ignored(event: Json):
    before, after = [start(), *text(0, "x", "y")[:2]], [*text(0, "x", "y")[2:], *finished()]
    assert chunks_of([*before, event, *after]) == chunks_of([*before, *after])


def test_what_comes_after_the_end_is_not_read():
    events = events_of(sse_of([start(), *text(0, "x"), *finished()]))
    assert run([*events, ServerSentEvent(b"", b"[DONE]")]) == run(events)


def test_event_without_a_type_has_the_name_of_its_event():
    events = events_of(sse_of([start(), *text(0, "x"), *finished()]))
    named = [
        ServerSentEvent(event.event, json.dumps({**json.loads(event.data), "type": None}).encode())
        for event in events
    ]
    assert run(named) == run(events)


def test_block_that_was_not_closed_is_closed_by_the_end():
    events = [start(), *tool(0, "toolu_a", "f")[:1], *finished("tool_use")]
    assert calls_in(events)[-1]["function"]["arguments"] == "{}"


def test_decoded_events_are_taken_too():
    stream = TRANSLATOR.stream(CONTEXT)
    assert stream.handle(Event(type="ping")) == []

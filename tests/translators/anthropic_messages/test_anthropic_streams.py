"""Answers: the rows of the regression list about streams, usage and names, and the edges."""

import json
from dataclasses import replace
from typing import Any

import pytest
from messages_api import TRANSLATOR, chunks_of, deltas_of, run, sse_of
from native_events import (
    TWO_CALLS,
    closed,
    finished,
    opened,
    start,
    text,
    thinking,
    tool,
)

from tests.translators.streams import CONTEXT, Json, events_of
from translators.protocol import Outcome


def calls_in(events: list[Json]) -> list[Json]:
    return [call for delta in deltas_of(events) for call in delta.get("tool_calls", ())]


def outcome_of(events: list[Json]) -> Outcome:
    return run(events_of(sse_of(events)))[1]


def finish_reason_of(events: list[Json]) -> Any:
    reasons = [c["choices"][0]["finish_reason"] for c in chunks_of(events) if c["choices"]]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    return reasons[-1]


def test_row_07_calls_are_numbered_from_zero_without_gaps():
    """Rows 1, 2, 3, 7 and 8."""
    found = calls_in(TWO_CALLS)
    assert [call["index"] for call in found] == [0, 0, 0, 1, 1]
    assert [call["id"] for call in found if "id" in call] == ["toolu_a", "toolu_b"]
    assert "".join(c["function"]["arguments"] for c in found if c["index"] == 0) == '{"x":1}'
    assert "".join(c["function"]["arguments"] for c in found if c["index"] == 1) == '{"x":2}'


def test_row_03_parallel_calls_stay_apart_in_whole_answers_too():
    content: list[Json] = [
        {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_b", "name": "f", "input": {"x": 2}},
    ]
    body = {**start()["message"], "content": content, "stop_reason": "tool_use"}
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    found = whole["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in found] == [
        ("toolu_a", '{"x":1}'),
        ("toolu_b", '{"x":2}'),
    ]


def test_row_06_blocks_that_share_an_index_are_different_calls():
    """A compatible server may count every block as its first."""
    events = [
        start(),
        *text(0, "Look."),
        *tool(0, "toolu_a", "f", '{"x":1}'),
        *tool(0, "toolu_b", "g", '{"x"', ":2}"),
        *finished("tool_use"),
    ]
    found = calls_in(events)
    told = [(c["index"], c["id"], c["function"]["name"]) for c in found if "id" in c]
    assert told == [(0, "toolu_a", "f"), (1, "toolu_b", "g")]
    for index, arguments in enumerate(['{"x":1}', '{"x":2}']):
        parts = [c["function"]["arguments"] for c in found if c["index"] == index]
        assert "".join(parts) == arguments
    custom = replace(CONTEXT, custom_tools=frozenset({"f", "g"}))
    calls = [call for delta in deltas_of(events, custom) for call in delta.get("tool_calls", ())]
    assert [(call["index"], call["id"]) for call in calls] == [(0, "toolu_a"), (1, "toolu_b")]


def test_row_14_arguments_are_passed_on_delta_by_delta():
    found = calls_in([start(), *tool(0, "toolu_a", "f", '{"a"', ":", "1}"), *finished("tool_use")])
    assert [call["function"]["arguments"] for call in found] == ["", '{"a"', ":", "1}"]


def test_row_35_usage_is_there_where_the_model_thought():
    usage = {"output_tokens": 20, "output_tokens_details": {"thinking_tokens": 15}}
    events = [start(), *thinking(0, "Hm"), *text(1, "x"), *finished(usage=usage)]
    told = outcome_of(events).usage
    assert told is not None
    assert (told.prompt_tokens, told.completion_tokens) == (12, 20)
    assert chunks_of(events)[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 15


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


def test_row_70_thoughts_are_passed_on_as_they_come():
    stream = TRANSLATOR.stream(CONTEXT)
    said: list[list[bool]] = []
    for event in events_of(sse_of([start(), *thinking(0, "a", "b")])):
        said.append([chunk.payload for chunk in stream.feed(event)])
    # The role at once, each thought with its own event, nothing kept for later.
    assert said[0] == [False]
    assert [chunks for chunks in said if chunks] == [[False], [True], [True], [True]]
    assert said[-1] == [True]  # The signature, with its end.

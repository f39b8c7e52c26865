"""Answers that break off, break the protocol, or hold what we do not know."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from responses_api import STREAMS, TRANSLATOR, run, sse_of
from responses_events import FULL, answer, call, custom, events_for, opening, text

from tests.translators.error_answers import FOREIGN_BODIES, FOREIGN_STATUSES
from tests.translators.strategies import changed_events
from tests.translators.streams import CONTEXT, Json, events_of
from translators.errors import ProviderError
from translators.openai_responses.errors import error_from_response
from translators.openai_responses.events import Event
from translators.sse import ServerSentEvent

EVENTS = events_for(FULL)


def error_of(*events: Json) -> ProviderError:
    return STREAMS.broken([*opening(), *events])


def failed(**error: Any) -> Json:
    response = answer(status="failed", error={"message": "No.", **error})
    return {"type": "response.failed", "response": response}


@pytest.mark.parametrize("data", [b"{", b"", b"<html>", b"7", b"[]", b"\xff", b"[" * 9999])
def test_row_20_bad_json_is_an_error_not_an_end(data: bytes):
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of(opening()))[0])
    with pytest.raises(ProviderError) as caught:
        stream.feed(ServerSentEvent(b"response.output_text.delta", data))
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("length", range(len(EVENTS)))
def test_row_65_row_66_truncated_stream_is_never_finished(length: int):
    STREAMS.check_unfinished(events_of(sse_of(EVENTS[:length])))


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        ("server_error", "server", 502),
        ("rate_limit_exceeded", "rate_limit", 429),
        ("insufficient_quota", "quota", 429),
        ("server_is_overloaded", "overloaded", 503),
        ("slow_down", "rate_limit", 429),
        ("vector_store_timeout", "timeout", 504),
        ("context_length_exceeded", "invalid", 400),
        ("invalid_prompt", "invalid", 400),
        ("image_content_policy_violation", "invalid", 400),
        ("a_code_to_come", "server", 502),
    ],
)
@pytest.mark.parametrize("form", ["failed", "flat", "nested", "whole"])
def test_row_71_failure_is_told_by_its_code(form: str, code: str, kind: str, hint: int):
    told: Json = {"code": code, "message": "No.", "param": None}
    if form == "whole":
        body = json.dumps(answer(status="failed", error=told)).encode()
        with pytest.raises(ProviderError) as caught:
            TRANSLATOR.response(body, CONTEXT)
        error = caught.value
    else:
        events: dict[str, Json] = {
            "failed": failed(**told),
            "flat": {"type": "error", **told},
            "nested": {"type": "error", "error": {"type": "x", **told}},
        }
        error = error_of(events[form])
    assert (error.kind, error.status_hint, error.message, error.status) == (
        *(kind, hint, "No."),
        None,
    )
    assert error.code == code


def test_failure_without_words_is_one_too():
    event = {"type": "response.failed", "response": {"id": "resp_1"}}
    assert error_of(event).kind == "server"
    assert error_of({"type": "error"}).kind == "server"


def test_row_72_retry_after_is_kept():
    body = json.dumps({"error": {"message": "Slow.", "code": "rate_limit_exceeded"}}).encode()
    error = error_from_response(429, {"retry-after": "7", "x-request-id": "req_1"}, body)
    assert (error.kind, error.retry_after, error.request_id) == ("rate_limit", 7.0, "req_1")


@pytest.mark.parametrize("body", FOREIGN_BODIES)
@pytest.mark.parametrize(("status", "kind"), FOREIGN_STATUSES)
def test_foreign_error_answer_is_told_by_its_status(body: bytes, status: int, kind: str):
    error = error_from_response(status, {}, body)
    assert (error.status, "<" in error.message) == (status, False)
    if status != 404 or body != b'{"error":"x"}':  # Compatible servers say so of a model.
        assert error.kind == kind


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "delta": 7},
        {"type": "response.output_text.delta", "delta": "x", "logprobs": {"a": 7}},
        {"type": "response.output_item.added", "item": call(id="")},
        {"type": "response.output_item.added", "item": call(name="")},
        {"type": "response.output_item.added", "item": custom(id="")},
        {"type": "response.output_item.added", "item": {**call(), "name": 7}},
        {"type": "response.function_call_arguments.delta", "output_index": 9, "delta": "x"},
        {"type": "response.custom_tool_call_input.delta", "output_index": 9, "delta": "x"},
        {"type": "response.output_text.annotation.added", "annotation": [1, 2]},
        {"type": "response.content_part.done", "part": {"type": "output_text", "text": 7}},
        {"type": "response.completed", "response": 7},
        {"type": "response.completed"},
        {"type": "response.completed", "response": {"output": 7}},
        {
            "type": "response.completed",
            "response": answer({"type": "message", "content": 7}),
        },
        {"type": "response.completed", "response": answer({"type": "reasoning", "summary": 7})},
    ],
)
def test_event_that_breaks_the_protocol_is_an_error(event: Json):
    assert error_of(event).kind == "protocol"


@pytest.mark.parametrize(
    "kind",
    [
        *("output_text.delta", "refusal.delta", "reasoning_summary_text.delta"),
        *("reasoning_text.delta", "function_call_arguments.delta", "output_item.added"),
        *("output_item.done", "content_part.done", "output_text.annotation.added"),
        "custom_tool_call_input.delta",
    ],
)
def test_part_of_an_answer_before_its_start_is_an_error(kind: str):
    event = {"type": f"response.{kind}", "delta": "x", "item": text("x"), "part": {}}
    assert STREAMS.broken([event]).kind == "protocol"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"output":7}',
        b'{"object":"chat.completion","choices":[]}',
        json.dumps(answer(status="in_progress")).encode(),
        json.dumps(answer(status="queued")).encode(),
        b"[" * 9999,
    ],
)
def test_whole_answer_that_is_none_is_an_error(body: bytes):
    with pytest.raises(ProviderError) as caught:
        TRANSLATOR.response(body, CONTEXT)
    assert caught.value.kind == "protocol"
    assert caught.value.code != "upstream_incomplete"


def test_whole_answer_that_failed_is_an_error():
    for native in (
        answer(status="cancelled"),
        answer(status="failed"),
        answer(error={"code": "server_error", "message": "No."}),
        {"error": {"code": "server_error", "message": "No."}},
    ):
        with pytest.raises(ProviderError) as caught:
            TRANSLATOR.response(json.dumps(native).encode(), CONTEXT)
        assert caught.value.kind == "server"


SILENT: list[Json] = [
    {"type": "response.aurora", "delta": [1], "output_index": "x"},
    {"type": "response.in_progress", "response": 7},
    {"type": "response.queued"},
    {"type": "keepalive", "sequence_number": 7},
    {"type": "response.mcp_call_arguments.delta", "delta": {"a": 1}, "output_index": 0},
    {"type": "response.audio.delta", "delta": "AAAA"},
    {"type": "response.output_text.delta", "delta": "", "output_index": 0},
    {"type": "response.output_item.added", "output_index": 7, "item": {"type": "aurora"}},
    {
        "type": "response.output_item.done",
        "output_index": 8,
        "item": {"type": "tool_search_call", "arguments": {"q": 1}, "content": 7},
    },
    {"type": "response.content_part.done", "output_index": 9, "part": {"type": "aurora"}},
    {"type": "response.output_text.annotation.added", "output_index": 9, "annotation": None},
]


@pytest.mark.parametrize("event", SILENT)
def test_what_is_not_known_or_says_nothing_is_ignored(event: Json):
    events = events_of(sse_of(events_for(answer(text("Hi")))))
    (unknown,) = events_of(sse_of([event]))
    expected, _ = run(events)
    for place in range(2, len(events) + 1):
        assert run([*events[:place], unknown, *events[place:]])[0] == expected


def test_event_of_an_unknown_type_may_come_anywhere():
    (unknown,) = events_of(sse_of([SILENT[0]]))
    STREAMS.check_ignored(unknown, events_of(sse_of(EVENTS)))


def test_decoded_events_are_taken_too():
    assert TRANSLATOR.stream(CONTEXT).handle(Event()) == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_event_is_refused_or_taken_never_a_bug(data: Any):
    """Rule 3 of `translators.protocol`: `feed` raises `ProviderError` and nothing else."""
    native = [*EVENTS[:-1], *events_for(answer(text("Hi"), custom()))[2:]]
    names = ["type", "delta", "item", "part", "response", "output", "content", "call_id", "name"]
    words = ["message", "function_call", "reasoning", "completed", "output_text"]
    events = changed_events(data, native, words=words, names=names)
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    with contextlib.suppress(ProviderError):
        run(events_of(b"".join(lines)))
    whole = changed_events(data, [FULL], words=words, names=names)[0]
    with contextlib.suppress(ProviderError):
        TRANSLATOR.response(json.dumps(whole).encode(), CONTEXT)

"""Answers that break off, break the protocol, or hold what we do not know."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_api import STREAMS, TRANSLATOR, chunks_of, run, sse_of
from native_events import TWO_CALLS, closed, finished, grown, opened, server_tool, start, text, tool

from tests.translators.strategies import changed_events
from tests.translators.streams import CONTEXT, Json, events_of
from translators.anthropic_messages.events import Event
from translators.errors import ProviderError
from translators.sse import ServerSentEvent


def broken(events: list[Json]) -> None:
    assert STREAMS.broken(events).kind == "protocol"


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


@pytest.mark.parametrize("length", range(len(TWO_CALLS)))
def test_row_66_truncated_stream_is_never_finished(length: int):
    STREAMS.check_unfinished(events_of(sse_of(TWO_CALLS[:length])))


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
    # What is said of a key may repeat it: only those words are ours.
    assert (error.message == "No.") == (kind != "auth")
    assert error.request_id == "req_1"


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
        [start(), {**opened(0, type="aurora", text=7), "index": {}}],
        [start(), {**grown(0, type="aurora_delta", text=7), "index": []}],
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


def test_text_inside_a_servers_tool_is_not_the_answers():
    first, *rest = server_tool(0, "{}")
    events = [start(), first, grown(0, type="text_delta", text="x"), *rest, *finished()]
    assert chunks_of(events) == chunks_of([start(), *finished()])


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
    assert STREAMS.calls_in(events)[-1]["function"]["arguments"] == "{}"


def test_decoded_events_are_taken_too():
    stream = TRANSLATOR.stream(CONTEXT)
    assert stream.handle(Event(type="ping")) == []


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_event_is_refused_or_taken_never_a_bug(data: Any):
    """Rule 3 of `translators.protocol`: `feed` raises `ProviderError` and nothing else."""
    events = changed_events(
        data,
        TWO_CALLS,
        words=["text", "tool_use"],
        names=["type", "text", "id", "usage", "input"],
    )
    with contextlib.suppress(ProviderError):
        run(events_of(sse_of(events)))


def test_a_block_of_an_unknown_type_takes_nothing_from_the_call_beside_it():
    body: Json = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [
            {"type": "hologram", "text": 7, "input": [], "name": {}},
            {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {"a": [1, {"b": None}]}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    whole = json.loads(TRANSLATOR.response(json.dumps(body).encode(), CONTEXT).data)
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"a": [1, {"b": None}]}

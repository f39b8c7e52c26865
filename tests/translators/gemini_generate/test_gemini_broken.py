"""Answers that break off, break the protocol, or hold what we do not know."""

import contextlib
import json
from typing import Any

import pytest
from gemini_api import STREAMS, TRANSLATOR, broken, chunks_of, run, sse_of
from gemini_events import TWO_CALLS, blocked, call, event, finished, text, thought
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translators.strategies import changed_events
from tests.translators.streams import CONTEXT, Json, events_of
from translators.errors import ProviderError
from translators.gemini_generate.events import Answer
from translators.sse import ServerSentEvent


@pytest.mark.parametrize("data", [b"{", b"", b"<html>", b"7", b"[]", b"[{},{}]", b'["x"]', b"\xff"])
def test_row_20_bad_json_is_an_error_not_an_end(data: bytes):
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of([event(text("x"))]))[0])
    with pytest.raises(ProviderError) as caught:
        stream.feed(ServerSentEvent(b"", data))
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("length", range(len(TWO_CALLS)))
def test_row_66_truncated_stream_is_never_finished(length: int):
    STREAMS.check_unfinished(events_of(sse_of(TWO_CALLS[:length])))


@pytest.mark.parametrize(
    ("status", "code", "kind", "hint"),
    [
        ("UNAVAILABLE", 503, "overloaded", 503),
        ("RESOURCE_EXHAUSTED", 429, "rate_limit", 429),
        ("INTERNAL", 500, "server", 502),
        ("DEADLINE_EXCEEDED", 504, "timeout", 504),
        ("INVALID_ARGUMENT", 400, "invalid", 400),
        (None, 503, "overloaded", 503),
        ("NEW_STATUS", None, "server", 502),
    ],
)
@pytest.mark.parametrize("wrap", [False, True], ids=["bare", "array"])
def test_row_71_error_in_the_stream_is_told_by_its_status(
    status: str | None, code: int | None, kind: str, hint: int, wrap: bool
):
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of([event(text("x"))]))[0])
    error: Any = {"error": {"code": code, "message": "No.", "status": status}}
    with pytest.raises(ProviderError) as caught:
        stream.feed(ServerSentEvent(b"", json.dumps([error] if wrap else error).encode()))
    found = caught.value
    assert (found.kind, found.status_hint, found.status, found.message) == (kind, hint, None, "No.")


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("MALFORMED_FUNCTION_CALL", "server"),
        ("MALFORMED_RESPONSE", "server"),
        ("UNEXPECTED_TOOL_CALL", "server"),
        ("OTHER", "server"),
        ("IMAGE_OTHER", "server"),
        ("NO_IMAGE", "server"),
        ("MISSING_THOUGHT_SIGNATURE", "invalid"),
    ],
)
def test_answer_that_failed_with_nothing_to_show_is_an_error(reason: str, kind: str):
    error = broken([event(thought("Hm")), finished(reason, finishMessage="Broken call: f(")])
    assert (error.kind, error.native_type) == (kind, reason)
    assert "Broken call: f(" in error.message
    assert reason in broken([finished(reason)]).message
    with pytest.raises(ProviderError):
        TRANSLATOR.response(json.dumps(finished(reason)).encode(), CONTEXT)


@pytest.mark.parametrize(
    "native",
    [
        event(text("x"), finishReason=[]),
        {"candidates": 7},
        {"candidates": [7]},
        event({"text": 7}),
        event({"functionCall": {"args": {}}}),
        event({"functionCall": {}}),
        event({"functionCall": {"name": "f", "args": [1]}}),
        event({"functionCall": {"partialArgs": [{"jsonPath": "$.a"}]}}),
        {"error": "no"},
    ],
)
def test_answer_that_breaks_the_protocol_is_an_error(native: Json):
    assert broken([event(text("x")), native, finished()]).kind == "protocol"


@pytest.mark.parametrize("path", ["", "a", "$", "$.a.b", "$[0]", "$..a", "$[x]", "$" + ".a" * 65])
def test_piece_of_a_call_that_fits_nowhere_is_an_error(path: str):
    pieces = [{"jsonPath": "$.a", "stringValue": "x"}, {"jsonPath": path, "stringValue": "x"}]
    native = {"functionCall": {"name": "f", "partialArgs": pieces, "willContinue": True}}
    assert broken([event(native), finished()]).kind == "protocol"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"candidates":[]}',
        b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}',
        b'{"candidates":[{"content":7,"finishReason":"STOP"}]}',
        b'{"promptFeedback":{}}',
        b"[" * 9999,
    ],
)
def test_whole_answer_that_is_none_is_an_error(body: bytes):
    with pytest.raises(ProviderError) as caught:
        TRANSLATOR.response(body, CONTEXT)
    assert caught.value.kind == "protocol"
    assert caught.value.code != "upstream_incomplete"


def test_error_in_place_of_a_whole_answer_is_one():
    body = {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}
    with pytest.raises(ProviderError) as caught:
        TRANSLATOR.response(json.dumps(body).encode(), CONTEXT)
    assert caught.value.kind == "overloaded"


SILENT: list[Json] = [
    {},
    {"aurora": [1]},
    {"usageMetadata": None, "modelVersion": None},
    {"candidates": []},
    {"candidates": None},
    {"candidates": [{}]},
    {"candidates": [{"content": {}}]},
    {"candidates": [{"content": {"parts": None}}]},
    {"candidates": [{"content": None, "finishReason": None, "urlContextMetadata": {}}]},
    event({"aurora": {"text": 7}, "thoughtSignature": "x"}),
]


@pytest.mark.parametrize("native", SILENT)
def test_what_is_not_known_or_says_nothing_is_ignored(native: Json):
    before, after = [event(text("x"))], [event(text("y")), finished()]
    assert chunks_of([*before, native, *after]) == chunks_of([*before, *after])


def test_decoded_events_are_taken_too():
    assert TRANSLATOR.stream(CONTEXT).handle(Answer()) == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_changed_event_is_refused_or_taken_never_a_bug(data: Any):
    """Rule 3 of `translators.protocol`: `feed` raises `ProviderError` and nothing else."""
    segment = {"endIndex": 1, "text": "x"}
    grounding = {
        "groundingChunks": [{"web": {"uri": "u", "title": "t"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    tokens = {"chosenCandidates": [{"token": "x", "logProbability": 0.5}]}
    last = finished(groundingMetadata=grounding, logprobsResult=tokens)
    pieces = [{"jsonPath": "$.a", "stringValue": "x"}]
    partial = event({"functionCall": {"name": "f", "partialArgs": pieces, "willContinue": True}})
    native = [*TWO_CALLS, partial, last, blocked(blockReason="SAFETY"), event(call("f"))]
    events = changed_events(
        data,
        native,
        words=["STOP", "SAFETY"],
        names=["text", "name", "args", "parts", "finishReason"],
    )
    with contextlib.suppress(ProviderError):
        run(events_of(sse_of(events)))

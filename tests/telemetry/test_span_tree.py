"""One SERVER span a request, one CLIENT span an attempt, and the status each deserves."""

import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tests.telemetry.traced_app import (
    HANG,
    USAGE,
    Answer,
    ScriptedProvider,
    TracedApp,
    chunk,
    error_body,
    span_id,
    trace_id,
)
from translators.errors import ProviderError, TimeoutError

OVERLOADED = Answer(529, error_body("Overloaded", type="overloaded_error"))


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def status(span: ReadableSpan) -> StatusCode:
    assert span.status.description is None
    return span.status.status_code


def under(app: TracedApp) -> bool:
    """Whether every attempt is a child of the SERVER span and lies within it."""
    root = app.server
    return all(
        span.parent is not None
        and format(span.parent.span_id, "016x") == span_id(root)
        and trace_id(span) == trace_id(root)
        and (root.start_time or 0) <= (span.start_time or 0)
        and (span.end_time or 0) <= (root.end_time or 0)
        for span in app.attempts
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_row_84_a_simple_request_is_a_server_and_a_client_span(stream: bool):
    app = TracedApp(ScriptedProvider(Answer(usage=USAGE, headers={"x-request-id": "up_1"})))
    reply = await app.ask(stream=stream, headers={"x-request-id": "mine"}, temperature=0.5)
    assert reply.status == 200
    assert len(app.spans) == 2
    assert under(app)
    root, (attempt,) = app.server, app.attempts
    assert root.name == "POST /v1/chat/completions"
    assert root.parent is None
    assert status(root) == status(attempt) == StatusCode.UNSET
    shown = attributes(root)
    assert shown.pop("ep.overhead_ms", 0) >= 0
    assert shown == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "10.1.2.3",
        "server.address": "proxy.test",
        "server.port": 8080,
        "ep.request.id": "mine",
        "ep.model.requested": "one",
        "ep.model.served": "gpt-served",
        "ep.provider.served": "first",
        "ep.persona": "one",
        "ep.stream": stream,
        "ep.stream.end_reason": "completed",
        "ep.attempts": 1,
        "ep.key.name": "anonymous",
        "ep.policy.generation": 1,
    }
    assert attempt.name == "chat gpt-first"
    assert attempt.kind is SpanKind.CLIENT
    shown = attributes(attempt)
    streamed = {"gen_ai.request.stream": True, "ep.stream.chunks": 3} if stream else {}
    assert (shown.pop("gen_ai.response.time_to_first_chunk", None) is not None) == stream
    assert shown == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-first",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.id": "chatcmpl-up",
        "gen_ai.response.model": "gpt-served",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 3,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "first.test",
        "server.port": 8441,
        "http.response.status_code": 200,
        "ep.attempt.number": 1,
        "ep.attempt.reason": "initial",
        "ep.upstream.name": "first",
        "ep.upstream.request_id": "up_1",
        "ep.stream.end_reason": "completed",
        **streamed,
    }
    assert [event.name for event in attempt.events] == ["gen_ai.first_chunk"] * stream


@pytest.mark.parametrize("stream", [False, True])
async def test_row_87_a_handled_fallback_is_visible_and_leaves_the_root_unset(stream: bool):
    app = TracedApp(ScriptedProvider(OVERLOADED), ScriptedProvider(Answer()))
    reply = await app.ask("both", stream=stream)
    assert reply.status == 200
    root, (failed, served) = app.server, app.attempts
    assert under(app)
    assert status(root) == StatusCode.UNSET
    assert "error.type" not in attributes(root)
    assert attributes(root)["ep.provider.served"] == "second"
    assert attributes(root)["ep.attempts"] == 2
    assert status(failed) == StatusCode.ERROR
    assert attributes(failed)["error.type"] == "overloaded_error"
    assert attributes(failed)["http.response.status_code"] == 529
    assert attributes(failed)["ep.stream.end_reason"] == "upstream_error"
    assert status(served) == StatusCode.UNSET
    assert attributes(served)["ep.attempt.number"] == 2
    assert attributes(served)["ep.attempt.reason"] == "fallback"
    assert "http.request.resend_count" not in attributes(served)
    assert (failed.end_time or 0) <= (served.start_time or 0)


async def test_a_stream_that_breaks_before_the_commit_point_falls_back():
    broken = Answer(events=[chunk("")], then=ProviderError("cut", kind="network"))
    app = TracedApp(ScriptedProvider(broken), ScriptedProvider(Answer()))
    reply = await app.ask("both", stream=True)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert status(app.server) == StatusCode.UNSET
    failed, served = app.attempts
    assert (status(failed), attributes(failed)["error.type"]) == (StatusCode.ERROR, "network")
    assert attributes(failed)["gen_ai.response.finish_reasons"] == ("error",)
    assert failed.events == ()
    assert attributes(served)["ep.attempt.reason"] == "fallback"


@pytest.mark.parametrize("stream", [False, True])
async def test_when_all_failed_the_root_is_an_error_of_the_last(stream: bool):
    app = TracedApp(ScriptedProvider(Answer(500)), ScriptedProvider(OVERLOADED))
    reply = await app.ask("both", stream=stream)
    assert reply.status == 503
    root = app.server
    assert status(root) == StatusCode.ERROR
    assert attributes(root)["error.type"] == "overloaded_error"
    assert attributes(root)["http.response.status_code"] == 503
    reasons = [attributes(span)["ep.attempt.reason"] for span in app.attempts]
    assert reasons[:2] == ["initial", "fallback"]
    assert [status(span) for span in app.attempts] == [StatusCode.ERROR] * len(app.attempts)


async def test_a_retry_of_the_same_target_counts_its_resends():
    again = Answer(429, error_body(code="rate_limit_exceeded"), headers={"retry-after": "0"})
    app = TracedApp(ScriptedProvider(again, Answer()))
    reply = await app.ask()
    assert reply.status == 200
    first, second = app.attempts
    assert "http.request.resend_count" not in attributes(first)
    assert attributes(second)["http.request.resend_count"] == 1
    assert attributes(second)["ep.attempt.reason"] == "retry"
    assert [attributes(s)["ep.attempt.number"] for s in (first, second)] == [1, 2]
    assert status(app.server) == StatusCode.UNSET


async def test_a_refusal_by_the_provider_leaves_the_server_span_unset():
    refused = Answer(400, error_body(type="invalid_request_error", code="context_length_exceeded"))
    app = TracedApp(ScriptedProvider(refused))
    reply = await app.ask()
    assert reply.status == 400
    assert status(app.server) == StatusCode.UNSET
    assert attributes(app.server)["http.response.status_code"] == 400
    assert status(app.attempts[0]) == StatusCode.ERROR
    assert attributes(app.attempts[0])["error.type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "failure", [None, ProviderError("cut", kind="network"), TimeoutError("idle", 1)]
)
async def test_row_85_an_answer_cut_after_the_commit_is_an_error_though_200_was_sent(
    failure: Exception | None,
):
    cut = Answer(events=[chunk("Hel"), chunk("lo")], then=failure)
    app = TracedApp(ScriptedProvider(cut), ScriptedProvider(Answer()))
    reply = await app.ask("both", stream=True)
    assert reply.status == 200
    assert b'"error"' in reply.body
    assert b"[DONE]" not in reply.body
    root, (attempt,) = app.server, app.attempts
    kind = failure.kind if isinstance(failure, ProviderError) else "protocol"
    for span in (root, attempt):
        assert status(span) == StatusCode.ERROR
        assert attributes(span)["error.type"] == kind
        assert attributes(span)["http.response.status_code"] == 200
        assert attributes(span)["ep.stream.end_reason"] == "upstream_error"
    assert attributes(attempt)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(attempt)["ep.stream.chunks"] == 2
    assert under(app)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_before_the_answer_is_nobodys_error(stream: bool):
    provider = ScriptedProvider(Answer(events=[], then=HANG))
    app = TracedApp(provider)
    reply = await app.ask(stream=stream, leave_after=0)
    assert reply.status is None
    for span in (app.server, *app.attempts):
        assert status(span) == StatusCode.UNSET
        assert "error.type" not in attributes(span)
        assert attributes(span)["ep.stream.end_reason"] == "client_disconnect"
    assert len(app.attempts) == 1
    assert all(events.closed for events in provider.opened)
    assert under(app)


async def test_row_63_row_64_a_client_that_leaves_in_the_middle_is_nobodys_error():
    provider = ScriptedProvider(Answer(events=[chunk("Hel"), chunk("lo")], then=HANG, usage=USAGE))
    app = TracedApp(provider)
    reply = await app.ask(stream=True, leave_after=1)
    assert reply.status == 200
    root, (attempt,) = app.server, app.attempts
    for span in (root, attempt):
        assert status(span) == StatusCode.UNSET
        assert "error.type" not in attributes(span)
        assert attributes(span)["ep.stream.end_reason"] == "client_disconnect"
        assert attributes(span)["http.response.status_code"] == 200
    assert attributes(attempt)["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes(attempt)["gen_ai.response.model"] == "gpt-served"
    assert provider.opened[0].closed
    assert under(app)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"raw": b"{"}, 400),
        ({"raw": b"{}"}, 400),
        ({"persona": "nobody"}, 404),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {
            "data": "", "format": "wav"}}]}]}, 400),
        ({"headers": {"authorization": "Bearer wrong"}}, 401),
    ],
)  # fmt: skip
async def test_what_is_refused_before_a_provider_is_asked_has_no_client_span(
    request_: dict[str, Any], expected: int
):
    app = TracedApp(ScriptedProvider(Answer()), keys=["right"])
    request_.setdefault("headers", {}).setdefault("authorization", "Bearer right")
    reply = await app.ask(**request_)
    assert reply.status == expected
    assert app.attempts == []
    assert status(app.server) == StatusCode.UNSET
    shown = attributes(app.server)
    assert shown["http.response.status_code"] == expected
    assert shown["ep.request.id"] == reply.headers["x-request-id"]
    assert not [name for name in shown if name.startswith("gen_ai.")]


async def test_a_route_names_the_span_and_an_unknown_path_does_not():
    app = TracedApp(ScriptedProvider(Answer()))
    await app.ask(method="GET", path="/v1/models/one")
    await app.ask(method="GET", path="/made/up/4711")
    known, unknown = app.spans
    assert known.name == "GET /v1/models/{id:path}"
    assert attributes(known)["http.route"] == "/v1/models/{id:path}"
    assert unknown.name == "GET"
    assert "http.route" not in attributes(unknown)
    assert attributes(unknown)["url.path"] == "/made/up/4711"
    assert [status(span) for span in app.spans] == [StatusCode.UNSET] * 2


async def test_a_bug_of_ours_is_an_error_of_the_server_span():
    app = TracedApp(ScriptedProvider(Answer(events=[], then=RuntimeError("canary-3b1e"))))
    reply = await app.ask(stream=True)
    assert reply.status == 500
    assert b"canary" not in reply.body
    assert status(app.server) == StatusCode.ERROR
    assert attributes(app.server)["error.type"] == "internal_error"
    assert "canary" not in json.dumps([span.to_json() for span in app.spans])
    assert attributes(app.attempts[0])["ep.stream.end_reason"] == "internal_error"
    assert status(app.attempts[0]) == StatusCode.ERROR

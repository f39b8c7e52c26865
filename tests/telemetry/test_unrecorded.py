"""What is not recorded: providers and clients are told of the trace all the same."""

from typing import Any

import msgspec
import pytest

from proxy.call import Call
from proxy.exchange import Exchange
from proxy.telemetry.spans import AttemptEnd, AttemptStart, RequestSpan, RouteStart
from proxy.telemetry.tracing.limits import SpanLimits
from proxy.telemetry.tracing.otel import OtelTelemetry
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.tracer import RecordProvider
from translators.fidelity import Report
from translators.wire.request import ChatCompletionRequest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
START = AttemptStart(
    provider="up", dialect="openai_chat", model="gpt", base_url="http://up.test", number=1,
    reason="initial", stream=False, parameters={}, report=Report(), trace_context="traceparent",
)  # fmt: skip


def request_of(spans: list[SpanRecord], flags: str) -> RequestSpan:
    scope: dict[str, Any] = {
        "method": "POST", "path": "/v1/chat/completions", "scheme": "http", "http_version": "1.1",
        "headers": [
            (b"traceparent", f"00-{TRACE}-{CALLER}-{flags}".encode()), (b"tracestate", b"vendor=a"),
        ],
    }  # fmt: skip
    return OtelTelemetry(RecordProvider(spans.append), "0").request(scope)


@pytest.mark.parametrize("flags", ["00", "01"])
def test_each_attempt_has_its_own_place_in_the_callers_trace(flags: str) -> None:
    spans: list[SpanRecord] = []
    request = request_of(spans, flags)
    attempts = [request.attempt(START) for _ in range(2)]
    agent = request.attempt(msgspec.structs.replace(START, dialect="claude_agent"))
    places = [attempt.carrier["traceparent"] for attempt in attempts]
    places += [agent.traceparent or "", (request.traceresponse or b"").decode()]
    for place in places:
        version, trace, span, sampled = place.split("-")
        assert (version, trace, sampled) == ("00", TRACE, flags) and span != CALLER
    assert len(set(places)) == 4
    assert request.trace_id == TRACE
    assert request.is_recording == (flags == "01")


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ("none", set[str]()),
        ("traceparent", {"traceparent"}),
        ("full", {"traceparent", "tracestate"}),
    ],
)
@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_provider_sees_what_the_policy_lets_it_see(
    flags: str, policy: str, names: set[str]
) -> None:
    request = request_of([], flags)
    attempt = request.attempt(msgspec.structs.replace(START, trace_context=policy))
    assert set(attempt.carrier) == names


def test_nothing_of_it_is_recorded() -> None:
    spans: list[SpanRecord] = []
    request = request_of(spans, "00")
    route = request.route(RouteStart("p", 2, (), "why", 1))
    route.event("x", {})
    route.selected("up", "gpt")
    attempt = request.attempt(START)
    assert (attempt.watch, attempt.content) == (None, None)
    attempt.first_chunk(0.1)
    attempt.end(AttemptEnd(Call(), None, "completed"))
    route.end()
    request.event("x", {})
    request.end(status=200, attributes=(), error_type=None)
    assert spans == []


def test_where_few_attributes_are_kept_the_requests_id_is_among_them() -> None:
    chat = ChatCompletionRequest.model_validate(
        {"model": "p", "messages": [{"role": "user", "content": "Hi"}]}
    )
    spans: list[SpanRecord] = []
    limits = SpanLimits.from_environment({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4"})
    telemetry = OtelTelemetry(RecordProvider(spans.append, limits=limits), "0")
    told = Exchange(chat=chat, request_id="req_1").attributes()
    telemetry.call([]).end(status=200, attributes=told, error_type=None)
    (span,) = spans
    assert span.attributes["ep.request.id"] == "req_1"
    assert len(span.attributes) == 4 and span.dropped_attributes >= 2

"""Attributes are made where somebody looks at them; a provider is told its place in the trace."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from proxy.telemetry.recurring import Recurring
from proxy.telemetry.tracing.propagation import outbound, traceparent
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.sampling import HeadSampler
from proxy.telemetry.tracing.starting import Place, start_span
from proxy.telemetry.tracing.tracer import RecordProvider


class Asking(Sampler):
    """A sampler of somebody else's, which decides by an attribute."""

    def should_sample(self, *arguments: Any, **named: Any) -> SamplingResult:
        given: Mapping[str, Any] = named.get("attributes") or arguments[4]
        wanted = given["url.path"] == "/wanted"
        decision = Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP
        return SamplingResult(decision, given)

    def get_description(self) -> str:
        return "asking"


def started(tracer: Tracer, path: str) -> tuple[bool, int]:
    """Return whether a span is recorded, and how often its attributes were made."""
    made: list[str] = []

    def attributes() -> list[Mapping[str, str]]:
        made.append(path)
        return [Recurring({"a": "b"}), {"url.path": path}]

    span = start_span(tracer, "name", Place(Context()), attributes)
    if isinstance(span, SpanRecord):
        assert span.attributes == {"a": "b", "url.path": path}
    return span.is_recording(), len(made)


@pytest.mark.parametrize(("rate", "found"), [(1, (True, 1)), (0, (False, 0))])
def test_our_samplers_need_none(rate: float, found: tuple[bool, int]) -> None:
    sampler = HeadSampler.of(rate, parent_based=True)
    provider = RecordProvider(lambda span: None, sampler=sampler)
    assert started(provider.get_tracer("test"), "/any") == found


@pytest.mark.parametrize("path", ["/wanted", "/other"])
def test_other_samplers_and_tracers_are_given_them(path: str) -> None:
    ours = RecordProvider(lambda span: None, sampler=Asking()).get_tracer("test")
    sdks = TracerProvider(sampler=Asking(), shutdown_on_exit=False).get_tracer("test")
    for tracer in (ours, sdks):
        assert started(tracer, path) == (path == "/wanted", 1)


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_a_providers_context_is_what_the_propagator_would_write(flags: int) -> None:
    state = TraceState([("vendor", "a")])
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, False, TraceFlags(flags), state))
    written: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(written, set_span_in_context(span, Context()))
    assert traceparent(span) == written["traceparent"]
    assert outbound(span, Context(), "traceparent") == {"traceparent": written["traceparent"]}
    assert outbound(span, Context(), "full") == written
    nowhere = NonRecordingSpan(INVALID_SPAN_CONTEXT)
    assert outbound(nowhere, Context(), "traceparent") == {}
    assert traceparent(nowhere) is None

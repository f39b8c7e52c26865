"""Starts spans whose attributes are made only where somebody looks at them."""

from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Tracer

from proxy.telemetry.tracing.limits import Attributes
from proxy.telemetry.tracing.records import RecordTracer

__all__ = ["start_span"]


def start_span(  # noqa: PLR0913  what OpenTelemetry's takes
    tracer: Tracer,
    name: str,
    context: Context,
    attributes: Callable[[], Attributes],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
    start_time: int | None = None,
) -> Span:
    """Start a span.

    Args:
        tracer: Makes it.
        context: With its parent.
        name: Its name.
        attributes: Makes its attributes. One of our samplers decides without them; then it is
            called for a span that is recorded alone. Any other is to see them.
        kind: Its kind.
        links: Other spans.
        start_time: Nanoseconds since 1970; None: now.
    """
    if not (isinstance(tracer, RecordTracer) and tracer.decides_by_trace):
        return tracer.start_span(name, context, kind, attributes(), links, start_time)
    span = tracer.start_span(name, context, kind, None, links, start_time)
    if span.is_recording():
        span.set_attributes(attributes())
    return span

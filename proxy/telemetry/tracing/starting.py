"""Starts spans: in their place, and with attributes that are made only where somebody looks."""

from collections.abc import Callable, Sequence
from typing import Self, TypeGuard

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from proxy.telemetry.tracing.limits import Attributes
from proxy.telemetry.tracing.tracer import RecordTracer

__all__ = ["Place", "decides_by_trace", "start_span"]


class Place:
    """Where spans are started: below a span of this process, or where a context has it.

    To make a context for each span, and to look up in it what was just put there, took a third of
    the time that starting it does: one is made where somebody asks for it.

    Attributes:
        outer: The context that the span above was started in.
        parent: The ids of the span above; None: there is none.

    Args:
        outer: A context.
        span: Started in it; None: what is above is the one that the context holds.
    """

    __slots__ = ("_span", "outer", "parent")

    def __init__(self, outer: Context, span: Span | None = None) -> None:
        above = get_current_span(outer) if span is None else span
        parent = above.get_span_context()
        self.outer = outer
        self.parent: SpanContext | None = parent if parent.is_valid else None
        self._span = span

    def below(self, span: Span) -> Self:
        """Return the place below a span that was started here."""
        return type(self)(self.outer, span)

    @property
    def context(self) -> Context:
        """The same, for whoever takes a context."""
        return self.outer if self._span is None else set_span_in_context(self._span, self.outer)


def decides_by_trace(tracer: Tracer) -> TypeGuard[RecordTracer]:
    """Whether all spans of a trace are recorded or none, whatever is said of them."""
    return isinstance(tracer, RecordTracer) and tracer.decides_by_trace


def start_span(  # noqa: PLR0913  what OpenTelemetry's takes
    tracer: Tracer,
    name: str,
    place: Place,
    attributes: Callable[[], Sequence[Attributes]],
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] = (),
    start_time: int | None = None,
) -> Span:
    """Start a span.

    Args:
        tracer: Makes it.
        name: Its name.
        place: What is above it.
        attributes: Makes its attributes, in parts. One of our samplers decides without them; then
            it is called for a span that is recorded alone. Any other is to see them.
        kind: Its kind.
        links: Other spans.
        start_time: Nanoseconds since 1970; None: now.
    """
    if not decides_by_trace(tracer):
        told = {name: value for part in attributes() for name, value in part.items()}
        return tracer.start_span(name, place.context, kind, told, links, start_time)
    span = tracer.begin(name, place.parent, kind, start_time)
    for link in links:
        span.add_link(link.context, link.attributes)
    if span.is_recording():
        for part in attributes():
            span.set_attributes(part)
    return span

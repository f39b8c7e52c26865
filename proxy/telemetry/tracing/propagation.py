"""Trace context over process boundaries: what is taken from callers, and what providers see.

The headers are those of the propagators in `OTEL_PROPAGATORS`; without it, W3C's trace context and
baggage. What a caller sent is never forwarded: a provider sees the attempt's own place.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    get_current_span,
    set_span_in_context,
)

from policy.tracing import Inbound

__all__ = ["inbound", "outbound", "traceparent"]

_TRACE_CONTEXT: Final = frozenset({b"traceparent", b"tracestate"})
_LISTS = ("baggage", "tracestate")
"""Headers whose value is a list, which may come in several lines (W3C Trace Context 3.3.1.1)."""


def inbound(
    headers: Sequence[tuple[bytes, bytes]], policy: Inbound
) -> tuple[Context, Sequence[Link]]:
    """Return the context that a request's span starts in, and what it links to.

    Args:
        headers: Of the request, their names in lower case.
        policy: What a caller's context does.
    """
    known = _fields(propagate.get_global_textmap()).read
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name in known:
            key = name.decode("latin-1")
            text = value.decode("latin-1")
            carrier[key] = f"{carrier[key]},{text}" if key in _LISTS and key in carrier else text
    # An empty one, not None: that would be whatever this process holds for current.
    nothing = Context()
    if not carrier or policy == "ignore":
        return nothing, ()
    context = propagate.extract(carrier, nothing)
    if policy == "join":
        return context, ()
    caller = get_current_span(context).get_span_context()
    return nothing, (Link(caller),) if caller.is_valid else ()


def outbound(span: Span, parent: Context, policy: str) -> Mapping[str, str]:
    """Return an attempt's context for its provider, as much as the policy lets that see.

    Args:
        span: Of the attempt.
        parent: The context it was started in, with the caller's state and baggage.
        policy: `none`, `traceparent` or `full`.
    """
    carrier: dict[str, str] = {}
    if policy == "none":
        return carrier
    if policy == "full":
        propagate.inject(carrier, set_span_in_context(span, parent))
        return carrier
    if _fields(propagate.get_global_textmap()).w3c_alone:
        # What they would come to, in a quarter of the 3 µs that asking them takes.
        context = span.get_span_context()
        if context.is_valid:
            carrier["traceparent"] = _traceparent(context)
        return carrier
    # Without the caller's baggage, whatever a propagator calls it.
    propagate.inject(carrier, set_span_in_context(span, Context()))
    carrier.pop("tracestate", None)
    return carrier


def traceparent(span: Span) -> str | None:
    """Return a span's place as W3C's header has it, for a process of ours; None: it has none."""
    context = span.get_span_context()
    return _traceparent(context) if context.is_valid else None


def _traceparent(context: SpanContext) -> str:
    """Return the value of the header (W3C Trace Context 3.2)."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


class _Fields(NamedTuple):
    """Which headers propagators read and write.

    Attributes:
        read: Their names in lower case.
        w3c_alone: Whether they are W3C's for the trace's context, perhaps with baggage.
    """

    read: frozenset[bytes]
    w3c_alone: bool


@lru_cache(maxsize=4)
def _fields(propagator: TextMapPropagator) -> _Fields:
    """Return the headers of propagators: asking for them makes a set each time."""
    fields = propagator.fields
    named = frozenset(name.encode("latin-1") for name in fields)
    return _Fields(named, named - {b"baggage"} == _TRACE_CONTEXT)

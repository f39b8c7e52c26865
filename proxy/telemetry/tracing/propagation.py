"""Trace context over process boundaries: what is taken from callers, and what providers see.

The headers are those of the propagators in `OTEL_PROPAGATORS`; without it, W3C's trace context and
baggage. What a caller sent is never forwarded: a provider sees the attempt's own place.
"""

from collections.abc import Mapping, Sequence

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from policy.tracing import Inbound

__all__ = ["inbound", "outbound", "traceparent"]

_TRACE_CONTEXT = TraceContextTextMapPropagator()
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
    known = propagate.get_global_textmap().fields
    carrier: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        if key in known:
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
    # Without the caller's baggage, whatever a propagator calls it.
    propagate.inject(carrier, set_span_in_context(span, Context()))
    carrier.pop("tracestate", None)
    return carrier


def traceparent(span: Span) -> str | None:
    """Return a span's place as W3C's header has it, for a process of ours; None: it has none."""
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier, set_span_in_context(span, Context()))
    return carrier.get("traceparent")

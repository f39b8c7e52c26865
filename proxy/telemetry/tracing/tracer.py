"""Starts spans as `records`: the tracer and the provider of OpenTelemetry's API."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from random import getrandbits
from typing import TYPE_CHECKING, Final, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind
from opentelemetry.trace.span import TraceFlags

from proxy.telemetry.tracing.limits import Attributes, SpanLimits
from proxy.telemetry.tracing.records import Scope, SpanRecord
from proxy.telemetry.tracing.sampling import HeadSampler

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = ["RecordProvider", "RecordTracer", "SpanProvider"]

_SAMPLED: Final = TraceFlags.SAMPLED
_RANDOM: Final = TraceFlags.RANDOM_TRACE_ID
_FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))


class SpanProvider(Protocol):
    """What `OtelTelemetry` needs of a provider; the SDK's is one, too."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        /,
    ) -> trace.Tracer:
        """Return what starts spans."""
        ...

    def shutdown(self) -> None:
        """Deliver what is left."""
        ...


class RecordTracer(trace.Tracer):
    """Starts spans.

    Args:
        scope: Whose they are.
        sampler: Says which of them are recorded.
        limits: How much of one is kept.
        ended: Takes those that have ended, on the thread that ends them.
    """

    __slots__ = ("_sampler", "ended", "limits", "scope")

    def __init__(
        self,
        scope: Scope,
        sampler: "HeadSampler | Sampler",
        limits: SpanLimits,
        ended: Callable[[SpanRecord], None],
    ) -> None:
        self.scope = scope
        self.limits = limits
        self.ended = ended
        self._sampler = sampler

    @property
    def decides_by_trace(self) -> bool:
        """Whether the sampler looks at the trace alone, not at what is said of a span."""
        return isinstance(self._sampler, HeadSampler)

    def begin(
        self,
        name: str,
        parent: SpanContext | None,
        kind: SpanKind = SpanKind.INTERNAL,
        start_time: int | None = None,
    ) -> trace.Span:
        """Start a span below `parent`, or a trace; for samplers that decide by the trace alone."""
        sampler = cast("HeadSampler", self._sampler)
        trace_id, random = _trace_of(parent)
        state = None if parent is None else parent.trace_state
        if not sampler.samples(parent, trace_id):
            return NonRecordingSpan(
                SpanContext(trace_id, _random_id(64), False, _FLAGS[random], state)
            )
        own = SpanContext(trace_id, _random_id(64), False, _FLAGS[random | _SAMPLED], state)
        return SpanRecord(self, name, own, parent, kind, start_time)

    def start_span(  # noqa: PLR0913  the API's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Start a span below the one of `context`, or that is current; else a trace of its own."""
        found = trace.get_current_span(context).get_span_context()
        parent = found if found.is_valid else None
        sampler = self._sampler
        if isinstance(sampler, HeadSampler):
            span = self.begin(name, parent, kind, start_time)
        else:
            trace_id, random = _trace_of(parent)
            result = sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            decision, state = result.decision, result.trace_state
            flags = _FLAGS[random | _SAMPLED if decision.is_sampled() else random]
            own = SpanContext(trace_id, _random_id(64), False, flags, state)
            span = (
                SpanRecord(self, name, own, parent, kind, start_time)
                if decision.is_recording()
                else NonRecordingSpan(own)
            )
            attributes = cast("Attributes", result.attributes)
        if not isinstance(span, SpanRecord):
            return span
        if attributes:
            span.set_attributes(attributes)
        for link in links or ():
            span.add_link(link.context, link.attributes)
        span.on_exception = (record_exception, set_status_on_exception)
        return span

    @contextmanager
    def start_as_current_span(  # noqa: PLR0913  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Generator[trace.Span]:
        """Start a span that is current inside; not for what awaits or yields inside."""
        # The API's own kind of context manager, which also wraps coroutines, is private.
        flags = (record_exception, set_status_on_exception)
        span = self.start_span(name, context, kind, attributes, links, start_time, *flags)
        with trace.use_span(span, end_on_exit, *flags):
            yield span


class RecordProvider(trace.TracerProvider):
    """Makes tracers whose spans go to one or more places.

    Args:
        ended: Takes spans that are sampled and have ended.
        shut: Delivers what is left; blocks for a few seconds at most.
        sampler: Says which spans are recorded.
        limits: How much of one is kept.
    """

    def __init__(
        self,
        ended: Callable[[SpanRecord], None],
        shut: Callable[[], None] = lambda: None,
        *,
        sampler: "HeadSampler | Sampler | None" = None,
        limits: SpanLimits | None = None,
    ) -> None:
        self._ended = ended
        self._shut = shut
        self._sampler = HeadSampler() if sampler is None else sampler
        self._limits = SpanLimits() if limits is None else limits

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes | None = None,
    ) -> RecordTracer:
        """Return what starts the spans of an instrumentation."""
        listed = tuple((attributes or {}).items())
        scope = Scope(instrumenting_module_name, instrumenting_library_version, schema_url, listed)
        return RecordTracer(scope, self._sampler, self._limits, self._ended)

    def shutdown(self) -> None:
        """Deliver what is left; blocks for a few seconds at most."""
        self._shut()


def _trace_of(parent: SpanContext | None) -> tuple[int, int]:
    """Return the trace that a span below `parent` is of, and whether its id is random: a flag."""
    if parent is None:
        return _random_id(128), _RANDOM
    return parent.trace_id, parent.trace_flags & _RANDOM


def _random_id(bits: int) -> int:
    """Return a number that is not 0, which stands for none."""
    while not (drawn := getrandbits(bits)):
        pass
    return drawn

"""Spans as plain records, behind OpenTelemetry's API.

The SDK's spans with a lock each, a queue that is locked, and messages of protobuf made for every
attribute cost 0.5 ms of CPU for five spans. What is here costs a twentieth: a span is a record that
one thread writes, and that another encodes (`encoding`) once it has ended.

Where the SDK differs from the specification, this follows the latter: what is past a limit is the
new attribute, event or link. An attribute that is None counts as one that is not there.
"""

import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import getrandbits
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.span import TraceFlags

from proxy.telemetry.tracing.limits import Attributes, SpanLimits, keep, kept
from proxy.telemetry.tracing.sampling import HeadSampler

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler

__all__ = [
    "RecordProvider",
    "RecordTracer",
    "Scope",
    "SpanEvent",
    "SpanLink",
    "SpanProvider",
    "SpanRecord",
]

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


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose spans they are: the instrumentation's name and version, for instance."""

    name: str
    version: str | None = None
    schema_url: str | None = None
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened, at a time in nanoseconds since 1970."""

    name: str
    time: int
    attributes: Attributes
    dropped_attributes: int


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A span that has to do with this one."""

    context: SpanContext
    attributes: Attributes
    dropped_attributes: int


class SpanRecord(trace.Span):
    """A span that is recorded, on one thread at a time; nothing changes it once it has ended.

    Attributes:
        context: Its ids and flags.
        parent: Those of its parent; None for a root.
        kind: Its kind.
        name: Its name.
        start_time: Nanoseconds since 1970.
        end_time: The same; None while it is open.
        attributes: By name: texts, numbers, truth values, bytes, and tuples and mappings of them.
        events: What happened, in order.
        links: Other spans.
        status_code: The end as far as it was said.
        status_text: What was said of an error.
        dropped_attributes: How many are past the limit; so for events and links.
        on_exception: Whether one that leaves a `with` block is noted, and whether it is an error.
    """

    __slots__ = (
        "on_exception",
        "_tracer",
        "attributes",
        "context",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end_time",
        "events",
        "kind",
        "links",
        "name",
        "parent",
        "start_time",
        "status_code",
        "status_text",
    )

    def __init__(
        self,
        tracer: "RecordTracer",
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
    ) -> None:
        self._tracer = tracer
        self.on_exception: tuple[bool, bool] = (True, True)
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.start_time = time_ns()
        self.end_time: int | None = None
        self.attributes: dict[str, Any] = {}
        self.events: list[SpanEvent] = []
        self.links: list[SpanLink] = []
        self.status_code = StatusCode.UNSET
        self.status_text: str | None = None
        self.dropped_attributes = self.dropped_events = self.dropped_links = 0

    @property
    def scope(self) -> Scope:
        """Whose it is."""
        return self._tracer.scope

    def get_span_context(self) -> SpanContext:
        """Return its ids and flags."""
        return self.context

    def is_recording(self) -> bool:
        """Return whether it is still open."""
        return self.end_time is None

    def set_attributes(self, attributes: Attributes) -> None:
        """Set attributes; of those past the limit only the number is kept."""
        if self.end_time is None:
            self.dropped_attributes += keep(self.attributes, attributes, self._tracer.limits.span)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.set_attributes({key: value})

    def add_event(
        self, name: str, attributes: Attributes | None = None, timestamp: int | None = None
    ) -> None:
        """Note something that happened, now or at `timestamp`."""
        if self.end_time is not None:
            return
        if len(self.events) >= self._tracer.limits.events:
            self.dropped_events += 1
            return
        time = time_ns() if timestamp is None else timestamp
        self.events.append(SpanEvent(name, time, *kept(attributes, self._tracer.limits.event)))

    def add_link(self, context: SpanContext, attributes: Attributes | None = None) -> None:
        """Note a span that has to do with this one; one without ids says nothing."""
        if self.end_time is not None:
            return
        if not (context.is_valid or attributes or context.trace_state):
            return
        if len(self.links) >= self._tracer.limits.links:
            self.dropped_links += 1
            return
        self.links.append(SpanLink(context, *kept(attributes, self._tracer.limits.link)))

    def update_name(self, name: str) -> None:
        """Give it another name."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went: `OK` is the last word, `UNSET` says nothing."""
        if isinstance(status, Status):
            status, description = status.status_code, status.description
        closed = self.end_time is not None or self.status_code is StatusCode.OK
        if closed or status is StatusCode.UNSET:
            return
        self.status_code = status
        self.status_text = description if status is StatusCode.ERROR else None

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Note an exception with its text and its stack, by the names of the conventions."""
        kind = type(exception)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        said = {
            "exception.type": f"{module}{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**said, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """End it, once, and hand it over."""
        if self.end_time is None:
            self.end_time = time_ns() if end_time is None else end_time
            # A sampler may have a span recorded that nobody is to get.
            if self.context.trace_flags & _SAMPLED:
                self._tracer.ended(self)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None:
            record, set_status = self.on_exception
            if record:
                self.record_exception(exc_val, escaped=True)
            if set_status:
                self.set_status(StatusCode.ERROR, f"{type(exc_val).__name__}: {exc_val}")
        self.end()


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
        parent = trace.get_current_span(context).get_span_context()
        if parent.is_valid:
            trace_id, random = parent.trace_id, parent.trace_flags & _RANDOM
        else:
            parent, trace_id, random = None, _random_id(128), _RANDOM
        sampler = self._sampler
        if isinstance(sampler, HeadSampler):
            recorded = sampled = sampler.samples(parent, trace_id)
            state = None if parent is None else parent.trace_state
        else:
            result = sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            recorded, sampled = result.decision.is_recording(), result.decision.is_sampled()
            attributes, state = cast("Attributes", result.attributes), result.trace_state
        flags = _FLAGS[random | _SAMPLED if sampled else random]
        own = SpanContext(trace_id, _random_id(64), False, flags, state)
        if not recorded:
            return NonRecordingSpan(own)
        span = SpanRecord(self, name, own, parent, kind)
        if start_time is not None:
            span.start_time = start_time
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


def _random_id(bits: int) -> int:
    """Return a number that is not 0, which stands for none."""
    while not (drawn := getrandbits(bits)):
        pass
    return drawn

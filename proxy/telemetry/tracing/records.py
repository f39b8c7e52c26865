"""Spans as plain records, behind OpenTelemetry's API; `tracer` makes them.

The SDK's spans with a lock each, a queue that is locked, and messages of protobuf made for every
attribute cost 0.5 ms of CPU for five spans. What is here costs a twentieth: a span is a record that
one thread writes, and that is encoded (`encoding`) once it has ended.

Where the SDK differs from the specification, this follows the latter: what is past a limit is the
new attribute, event or link. An attribute that is None counts as one that is not there.
"""

import traceback
from dataclasses import dataclass
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.span import TraceFlags

from proxy.telemetry.recurring import Recurring
from proxy.telemetry.tracing.limits import Attributes, keep, kept

if TYPE_CHECKING:
    from proxy.telemetry.tracing.tracer import RecordTracer

__all__ = ["Scope", "SpanEvent", "SpanLink", "SpanRecord"]

_SAMPLED: Final = TraceFlags.SAMPLED


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
        own: Attributes by name: texts, numbers, truth values, bytes, tuples and mappings of them.
        recurring: More of them; no name is in two of these, or in `own`, too.
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
        "context",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
        "end_time",
        "events",
        "kind",
        "links",
        "name",
        "own",
        "parent",
        "recurring",
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
        start_time: int | None = None,
    ) -> None:
        self._tracer = tracer
        self.on_exception: tuple[bool, bool] = (True, True)
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.start_time = time_ns() if start_time is None else start_time
        self.end_time: int | None = None
        self.own: dict[str, Any] = {}
        self.recurring: list[Recurring] = []
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

    @property
    def attributes(self) -> dict[str, Any]:
        """All attributes, in a mapping of their own."""
        found: dict[str, Any] = {}
        for part in self.recurring:
            found.update(part)
        found.update(self.own)
        return found

    def set_attributes(self, attributes: Attributes) -> None:
        """Set attributes; of those past the limit only the number is kept."""
        if self.end_time is not None:
            return
        bounds, recurring = self._tracer.limits.span, self.recurring
        if recurring or attributes.__class__ is Recurring:
            fit = self._fit(attributes, bounds.most)
            if fit and bounds.longest is None and attributes.__class__ is Recurring:
                recurring.append(cast("Recurring", attributes))
                return
            if not fit:
                # One by one, then: some replace others, or are too many.
                self.own = self.attributes
                recurring.clear()
        self.dropped_attributes += keep(self.own, attributes, bounds)

    def _fit(self, attributes: Attributes, most: int) -> bool:
        """Whether more attributes can stand beside those that are there, as they are."""
        parts = (self.own, *self.recurring)
        for part in parts:
            most -= len(part)
            if not part.keys().isdisjoint(attributes):
                return False
        return len(attributes) <= most

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

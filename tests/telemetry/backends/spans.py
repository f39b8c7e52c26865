"""Spans as Jaeger's query service tells them (OTLP's JSON), taken apart; and trees of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["SpanEvent", "TracedSpan", "assert_nested", "children_of", "render", "spans_of"]

_KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
_STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


@dataclass(frozen=True)
class SpanEvent:
    """Something that happened on the way; `time` in nanoseconds since 1970."""

    name: str
    attributes: dict[str, Any]
    time: int


@dataclass(frozen=True)
class TracedSpan:
    """One span.

    Attributes:
        kind: `INTERNAL`, `SERVER`, `CLIENT`, …
        parent: The parent's id, or an empty text.
        status: `UNSET`, `OK` or `ERROR`.
        status_message: What the status says besides.
        resource: Attributes of the process.
        start: Nanoseconds since 1970.
        end: The same.
        links: Trace and span id of each.
        state: `tracestate`.
    """

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    status: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    start: int
    end: int
    events: tuple[SpanEvent, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    status_message: str = ""
    state: str = ""


def spans_of(answer: Mapping[str, Any] | None) -> list[TracedSpan]:
    """Return the spans in an answer of `GET /api/v3/traces/{id}`, by start; none for None."""
    return sorted(_read(answer), key=lambda span: (span.start, -span.end)) if answer else []


def _read(answer: Mapping[str, Any]) -> Iterator[TracedSpan]:
    for group in answer["result"].get("resourceSpans", ()):
        resource = _plain(group.get("resource", {}).get("attributes", ()))
        for scope in group.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield _span(span, resource)


def _span(span: Mapping[str, Any], resource: dict[str, Any]) -> TracedSpan:
    status = span.get("status", {})
    return TracedSpan(
        name=span.get("name", ""),
        kind=_KINDS.get(span.get("kind", 0), "UNSPECIFIED"),
        trace=span["traceId"],
        id=span["spanId"],
        parent=span.get("parentSpanId", ""),
        status=_STATUSES[status.get("code", 0)],
        status_message=status.get("message", ""),
        attributes=_plain(span.get("attributes", ())),
        resource=resource,
        start=int(span.get("startTimeUnixNano", 0)),
        end=int(span.get("endTimeUnixNano", 0)),
        events=tuple(
            SpanEvent(e["name"], _plain(e.get("attributes", ())), int(e["timeUnixNano"]))
            for e in span.get("events", ())
        ),
        links=tuple((link["traceId"], link["spanId"]) for link in span.get("links", ())),
        state=span.get("traceState", ""),
    )


def _plain(attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found = {entry["key"]: _value(entry["value"]) for entry in attributes}
    assert len(found) == len(attributes), f"an attribute stands there twice: {attributes}"
    return found


def _value(value: Mapping[str, Any]) -> Any:
    ((kind, held),) = value.items()
    match kind:
        # 64 bits are texts in protobuf's JSON.
        case "intValue":
            return int(held)
        case "doubleValue":
            return float(held)
        case "arrayValue":
            return [_value(item) for item in held.get("values", ())]
        case "kvlistValue":
            return _plain(held.get("values", ()))
        case _:
            return held


def children_of(span: TracedSpan, spans: Sequence[TracedSpan]) -> list[TracedSpan]:
    """Return the children of a span, by start."""
    return [other for other in spans if other.parent == span.id]


def render(spans: Sequence[TracedSpan], *, parent: str, tell: Callable[[TracedSpan], str]) -> str:
    """Return the tree below a span of somebody else, a line for each span, indented by depth.

    Args:
        spans: All of one trace, by start.
        parent: Id of the span that is not among them; an empty text for a root.
        tell: What the line says of a span.
    """
    lines: list[str] = []

    def add(parent: str, depth: int) -> None:
        for span in spans:
            if span.parent == parent:
                lines.append("  " * depth + tell(span))
                add(span.id, depth + 1)

    add(parent, 0)
    assert len(lines) == len(spans), f"spans that hang in the air: {_loose(spans, parent)}"
    return "\n".join(lines)


def _loose(spans: Sequence[TracedSpan], parent: str) -> list[str]:
    known = {span.id for span in spans} | {parent}
    return [span.name for span in spans if span.parent not in known]


def assert_nested(spans: Sequence[TracedSpan]) -> None:
    """Check that ids are unique, and that each span lies within its parent, as do its events."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans), "an id was given, or a span exported, twice"
    for span in spans:
        assert 0 < span.start <= span.end, span.name
        for event in span.events:
            assert span.start <= event.time <= span.end, (span.name, event.name)
        outer = by_id.get(span.parent)
        if outer is not None:
            assert outer.start <= span.start, (outer.name, span.name)
            assert span.end <= outer.end, (outer.name, span.name)
    assert len({span.trace for span in spans}) == 1

"""Spans on standard output, one line of JSON each: to look at, without a collector."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

from proxy.telemetry.export.answers import Answer
from proxy.telemetry.export.encoding import EncodedSpan
from proxy.telemetry.tracing.records import SpanRecord

__all__ = ["Console", "Lines", "as_line", "span_as_json"]

_NANOSECONDS: Final = 1_000_000_000


def as_line(resource: Mapping[str, Any], span: SpanRecord) -> EncodedSpan:
    """Return a span as a line, for `Lines`.

    Args:
        resource: Whose it is.
        span: One that has ended.
    """
    line = json.dumps({**span_as_json(span), "resource": dict(resource)}, default=str)
    return span.scope, line.encode() + b"\n"


class Lines:
    """Some spans, as lines.

    Attributes:
        size: Their bytes.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self.size = 0

    def add(self, span: EncodedSpan, most: int) -> bool:
        """Add a span, unless it would be more than `most` bytes with those before."""
        _, line = span
        if self.size and self.size + len(line) > most:
            return False
        self._lines.append(line)
        self.size += len(line)
        return True

    def finish(self) -> bytes:
        """Return all lines."""
        return b"".join(self._lines)


class Console:
    """Writes lines.

    Args:
        stream: Where to; None: standard output, as it is when something is written.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def send(self, body: bytes, seconds: float) -> Answer:
        """Write lines; whoever reads them may take more than `seconds`."""
        stream = self._stream or sys.stdout
        try:
            stream.write(body.decode())
            stream.flush()
        except (OSError, ValueError) as error:
            return Answer(taken=False, words=f"the console is closed ({type(error).__name__})")
        return Answer(taken=True)

    def close(self) -> None:
        """Leave it open: it is not ours."""


def span_as_json(span: SpanRecord) -> dict[str, Any]:
    """Return a span for people: ids in hexadecimal, times in ISO 8601, its length in ms."""
    end = span.end_time or span.start_time
    return {
        "name": span.name,
        "kind": span.kind.name,
        **_ids(span.context),
        "parent_id": None if span.parent is None else format_span_id(span.parent.span_id),
        "start": _time(span.start_time),
        "end": _time(end),
        "duration_ms": (end - span.start_time) / 1e6,
        "status": span.status_code.name,
        "status_text": span.status_text,
        "attributes": span.attributes,
        "events": [
            {"name": event.name, "time": _time(event.time), "attributes": event.attributes}
            for event in span.events
        ],
        "links": [{**_ids(link.context), "attributes": link.attributes} for link in span.links],
        "scope": span.scope.name,
    }


def _ids(context: SpanContext) -> dict[str, str]:
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


def _time(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest // 1000:06}Z"

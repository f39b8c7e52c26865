"""A collector for tests: takes OTLP over HTTP on loopback and keeps the spans."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.serving import wait_until

__all__ = ["OtlpSink", "SinkSpan"]

_KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}


@dataclass(frozen=True)
class SinkSpan:
    """One span as it arrived.

    Attributes:
        parent: The parent's id, or an empty text.
        status: `UNSET`, `OK` or `ERROR`.
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


class OtlpSink:
    """A context manager; while it is open it listens on a free port.

    Args:
        status: What every export is answered with.
    """

    def __init__(self, status: int = 200) -> None:
        self.spans: list[SinkSpan] = []
        self.exports = 0
        self._status = status
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._take))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that is to export to this sink, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}

    def of_trace(self, trace: str) -> list[SinkSpan]:
        """Return the spans of one trace that came so far, by start."""
        found = [span for span in list(self.spans) if span.trace == trace]
        return sorted(found, key=lambda span: span.start)

    def wait_for(self, trace: str, count: int, seconds: float = 10.0) -> list[SinkSpan]:
        """Return the spans of one trace, once there are as many."""
        wait_until(lambda: len(self.of_trace(trace)) >= count, seconds)
        return self.of_trace(trace)

    def _take(self, path: str, body: bytes) -> int:
        self.exports += 1
        if path != "/v1/traces":
            return 404
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(span, resource) for span in scope.spans]
        return self._status

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(take: Callable[[str, bytes], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(take(self.path, body))
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _span(span: Any, resource: dict[str, Any]) -> SinkSpan:
    return SinkSpan(
        name=span.name,
        kind=_KINDS.get(span.kind, "OTHER"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        status={0: "UNSET", 1: "OK", 2: "ERROR"}[int(span.status.code)],
        attributes=_plain(span.attributes),
        resource=resource,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {entry.key: _value(entry.value) for entry in attributes}


def _value(value: Any) -> Any:
    kind = cast("str", value.WhichOneof("value"))
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)

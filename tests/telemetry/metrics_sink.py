"""A collector for tests that takes metrics: OTLP over HTTP on loopback, decoded."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

__all__ = ["MetricsSink", "Point"]

Point = dict[str, Any]
"""Attributes, and under `value` what a gauge, a counter or the number of observations is."""


class MetricsSink:
    """A context manager; while it is open it listens on a free port.

    Args:
        status: What every export is answered with.
    """

    def __init__(self, status: int = 200) -> None:
        self.exports: list[Any] = []
        self.paths: set[str] = set()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.paths.add(self.path)
                sink.exports.append(ExportMetricsServiceRequest.FromString(body))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that is to export to this sink, soon."""
        endpoint = f"{self.url}/v1/metrics"
        return {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        }

    def metrics(self) -> dict[str, Any]:
        """Return the latest state of each metric, by name."""
        found: dict[str, Any] = {}
        for export in list(self.exports):
            for group in export.resource_metrics:
                for scope in group.scope_metrics:
                    found.update({metric.name: metric for metric in scope.metrics})
        return found

    def resource(self) -> dict[str, Any]:
        """Return the attributes of whoever reported last."""
        return _plain(self.exports[-1].resource_metrics[0].resource.attributes)

    def points(self, name: str) -> list[Point]:
        """Return the latest points of a metric."""
        metric = self.metrics().get(name)
        if metric is None:
            return []
        kind = cast("str", metric.WhichOneof("data"))
        return [
            {**_plain(point.attributes), "value": _value_of(point, kind)}
            for point in getattr(metric, kind).data_points
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _value_of(point: Any, kind: str) -> float:
    if kind == "histogram":
        return point.count
    return getattr(point, cast("str", point.WhichOneof("value")))


def _plain(attributes: Any) -> dict[str, Any]:
    return {
        entry.key: getattr(entry.value, cast("str", entry.value.WhichOneof("value")))
        for entry in attributes
    }

"""A collector for tests that takes OTLP over gRPC on loopback, and answers as it is told."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from proxy.telemetry.export.otlp_grpc import METHOD

__all__ = ["GrpcSink", "Refusal"]

Refusal = Callable[[Any], None]
"""Is given the call's context, and aborts it."""


class GrpcSink:
    """A context manager; while it is open it listens on a free port.

    Args:
        refusals: What the first calls are answered with.
        credentials: Of a server with TLS.

    Attributes:
        requests: What came, refused or not.
        metadata: Of each call.
        answer: To a call that is not refused.
    """

    def __init__(self, *refusals: Refusal, credentials: Any = None) -> None:
        self._grpc: Any = import_module("grpc")
        self._refusals = list(refusals)
        self.requests: list[ExportTraceServiceRequest] = []
        self.metadata: list[Mapping[str, str]] = []
        self.answer = ExportTraceServiceResponse()
        self._server = self._grpc.server(ThreadPoolExecutor(2))
        service, _, method = METHOD.removeprefix("/").partition("/")
        handler = self._grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            [self._grpc.method_handlers_generic_handler(service, {method: handler})]
        )
        place = "127.0.0.1:0"
        self.port: int = (
            self._server.add_insecure_port(place)
            if credentials is None
            else self._server.add_secure_port(place, credentials)
        )
        self.url = f"http{'' if credentials is None else 's'}://127.0.0.1:{self.port}"

    @property
    def spans(self) -> list[Span]:
        """All spans that came."""
        return [
            span
            for request in list(self.requests)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def names(self, trace: str) -> list[str]:
        """Return the names of the spans of a trace."""
        return [span.name for span in self.spans if span.trace_id.hex() == trace]

    def _export(self, body: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        if self._refusals:
            self._refusals.pop(0)(context)
        return self.answer.SerializeToString()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()

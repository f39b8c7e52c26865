"""The sockets of a collector: OTLP over HTTP and over gRPC, and Jaeger's questions over HTTP.

What is refused, and with which status, is what the OpenTelemetry Collector's OTLP receiver
refuses (0.140, which Jaeger 2 is made of), but for JSON: it takes that, and no exporter of ours is
to speak it.
"""

import gzip
import importlib
import json
import socket
import threading
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.telemetry.backends.inbox import SIGNALS, Export, Inbox, Refused

__all__ = ["GrpcReceiver", "HttpServer", "otlp_over_http", "questions_over_http"]

PROTOBUF = "application/x-protobuf"

Answer = tuple[int, Mapping[str, str], bytes]


class HttpServer:
    """An HTTP/1.1 server on a free port; stopping it ends its connections, too.

    Args:
        answer: Gets method, path, headers (small letters) and body.
    """

    def __init__(self, answer: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> None:
        self._server = _Server(("127.0.0.1", 0), _handler(answer))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Listen no more, and let nobody go on over a connection that is open."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.end_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave: the tests make them do so."""

    def end_connections(self) -> None:
        for connection in list(self._connections):
            # It may just have ended by itself.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _handler(
    answer: Callable[[str, str, Mapping[str, str], bytes], Answer],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            status, given, content = answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def otlp_over_http(inbox: Inbox) -> Callable[[str, str, Mapping[str, str], bytes], Answer]:
    """Return what answers exports over HTTP."""

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            export = _export(inbox, method, path, headers, body)
            return 200, {"content-type": PROTOBUF}, inbox.take(export)
        except Refused as refused:
            given = {"content-type": PROTOBUF, **inbox.answers.headers}
            return refused.status, given, _rpc_status(refused.why)

    return answer


def _export(
    inbox: Inbox, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Export:
    signal = path.removeprefix("/v1/")
    if signal not in SIGNALS:
        raise inbox.refuse(404, f"nothing is at {path}")
    if method != "POST":
        raise inbox.refuse(405, f"{method} is not allowed")
    content_type = headers.get("content-type", "").partition(";")[0].strip()
    if content_type != PROTOBUF:
        raise inbox.refuse(415, f"the content type is `{content_type}`")
    encoding = headers.get("content-encoding", "")
    if encoding not in ("", "gzip"):
        raise inbox.refuse(400, f"unsupported Content-Encoding: {encoding}")
    if encoding == "gzip":
        try:
            body = gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise inbox.refuse(400, f"not gzip: {error}") from None
    return Export(signal, "http/protobuf", headers, body)


def _rpc_status(message: str) -> bytes:
    """Return a `google.rpc.Status` of a code (3: invalid argument) and a message."""
    text = message.encode()[:100]
    return b"\x08\x03\x12" + bytes([len(text)]) + text


def questions_over_http(inbox: Inbox) -> Callable[[str, str, Mapping[str, str], bytes], Answer]:
    """Return what answers Jaeger's `GET /api/v3/services` and `/api/v3/traces/{trace_id}`."""

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        path, _, rest = path.partition("?")[0].removeprefix("/api/v3/").partition("/")
        if path == "services" and not rest:
            return _json(200, {"services": sorted(_services(inbox))})
        if path == "traces" and rest:
            found = _trace(inbox, rest)
            if found:
                return _json(200, {"result": {"resourceSpans": found}})
            return _json(404, {"error": {"httpCode": 404, "message": "No traces found"}})
        return _json(404, {"error": {"httpCode": 404, "message": "no such path"}})

    return answer


def _json(status: int, content: Any) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(content).encode()


def _services(inbox: Inbox) -> set[str]:
    return {
        entry["value"]["stringValue"]
        for group in inbox.groups()
        for entry in group.get("resource", {}).get("attributes", ())
        if entry["key"] == "service.name"
    }


def _trace(inbox: Inbox, trace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for group in inbox.groups():
        scopes = [
            {**scope, "spans": spans}
            for scope in group.get("scopeSpans", ())
            if (spans := [span for span in scope.get("spans", ()) if span["traceId"] == trace])
        ]
        if scopes:
            found.append({**group, "scopeSpans": scopes})
    return found


_GRPC_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP's statuses in gRPC's words."""


class GrpcReceiver:
    """Takes exports of traces over gRPC on a free port."""

    def __init__(self, inbox: Inbox) -> None:
        # By name: the package has no types, and most tests can do without its 0.2 s.
        grpc: Any = importlib.import_module("grpc")

        def take(body: bytes, context: Any) -> bytes:
            metadata = {name: str(value) for name, value in context.invocation_metadata()}
            try:
                return inbox.take(Export("traces", "grpc", metadata, body))
            except Refused as refused:
                context.set_trailing_metadata(tuple(inbox.answers.headers.items()))
                code = _GRPC_CODES.get(refused.status, "UNKNOWN")
                context.abort(getattr(grpc.StatusCode, code), refused.why)
                raise AssertionError("abort raises") from None

        # Bytes in and out: what was exported is kept as it came.
        method = grpc.unary_unary_rpc_method_handler(take)
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        handler = grpc.method_handlers_generic_handler(service, {"Export": method})
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="otlp-grpc")
        self._server = grpc.server(self._threads)
        self._server.add_generic_rpc_handlers((handler,))
        self.port = int(self._server.add_insecure_port("127.0.0.1:0"))
        self._server.start()

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`: the scheme says that there is no TLS."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Listen no more."""
        self._server.stop(grace=None).wait()
        self._threads.shutdown()

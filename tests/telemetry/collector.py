"""A collector for tests that answers each export as a list says, over HTTP and with TLS."""

import gzip
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

__all__ = ["Collector", "Export", "Said", "certificate", "partial"]


@dataclass(frozen=True)
class Said:
    """One answer; `wait` is for how many seconds there is none."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    wait: float = 0


@dataclass(frozen=True)
class Export:
    """What came, and when."""

    path: str
    headers: Mapping[str, str]
    raw: bytes
    time: float

    @property
    def body(self) -> bytes:
        """Not compressed."""
        zipped = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.raw) if zipped else self.raw

    @property
    def names(self) -> list[str]:
        """The names of its spans."""
        request = ExportTraceServiceRequest.FromString(self.body)
        scopes = [scope for group in request.resource_spans for scope in group.scope_spans]
        return [span.name for scope in scopes for span in scope.spans]


class Collector:
    """A context manager; while it is open it listens.

    Args:
        said: The first answers; all others are empty ones of status 200.
        port: Where; 0: on a free one.
        tls: What it proves itself with.
    """

    def __init__(self, *said: Said, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.exports: list[Export] = []
        self._said = list(said)
        self._end = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self._take))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.port: int = self._server.server_address[1]
        self.url = f"http{'' if tls is None else 's'}://127.0.0.1:{self.port}"

    @property
    def names(self) -> list[str]:
        """The names of all spans, in the order in which they came."""
        return [name for export in list(self.exports) for name in export.names]

    def _take(self, export: Export) -> Said:
        said = self._said.pop(0) if self._said else Said()
        self.exports.append(export)
        self._end.wait(said.wait)
        return said

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(take: Callable[[Export], Said]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = take(Export(self.path, headers, raw, time.monotonic()))
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)
            except OSError:
                # Whoever asked has left.
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def partial(rejected: int, message: str) -> bytes:
    """Return a collector's answer that it did not take all of an export."""
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return answer.SerializeToString()


@cache
def certificate() -> Path:
    """Return a file with a self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = datetime.now(UTC)
    place = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([place]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = signed.public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(serialization.Encoding.PEM, *form)
    path = Path(mkdtemp()) / "collector.pem"
    path.write_bytes(pem)
    return path

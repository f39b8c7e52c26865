"""OTLP over gRPC: a generic call with the encoded bytes, so no generated code is needed.

grpcio is an extra (`otlp-grpc`) of 19 MB, and has no types: it is loaded here, by name.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from proxy import __version__
from proxy.telemetry.export.answers import Answer, accepted
from proxy.telemetry.export.otlp import OtlpSettings
from proxy.telemetry.variables import TelemetryError

__all__ = ["METHOD", "OtlpGrpc"]

METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

_BUSY: Final = frozenset(
    {"ABORTED", "CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED", "OUT_OF_RANGE", "UNAVAILABLE"}
)
"""The codes that OTLP lets a client repeat; RESOURCE_EXHAUSTED where the server says when."""

_DETAILS: Final = "grpc-status-details-bin"
_ADVICE: Final = {
    "UNAUTHENTICATED": "; is OTEL_EXPORTER_OTLP_HEADERS right?",
    "PERMISSION_DENIED": "; is OTEL_EXPORTER_OTLP_HEADERS right?",
    "UNIMPLEMENTED": "; does it take OTLP over gRPC on this port?",
}


class OtlpGrpc:
    """Calls a collector.

    Args:
        settings: Where to, and how.

    Raises:
        TelemetryError: A certificate cannot be read.
    """

    def __init__(self, settings: OtlpSettings) -> None:
        grpc: Any = import_module("grpc")
        self._error: type[Exception] = grpc.RpcError
        self._headers = settings.headers
        self._compression = grpc.Compression.Gzip if settings.gzip else None
        parts = urlsplit(settings.endpoint)
        options = [
            ("grpc.primary_user_agent", f"execution-platform/{__version__}"),
            # The delivery repeats, and says so.
            ("grpc.enable_retries", 0),
            # Their sum is what a collector that comes back is missed for.
            ("grpc.initial_reconnect_backoff_ms", 500),
            ("grpc.max_reconnect_backoff_ms", 5000),
        ]
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials(
                root_certificates=_content(settings.certificate),
                private_key=_content(settings.client_key or settings.client_certificate),
                certificate_chain=_content(settings.client_certificate),
            )
            self._channel = grpc.secure_channel(parts.netloc, credentials, options)
        else:
            self._channel = grpc.insecure_channel(parts.netloc, options)
        # Without functions that serialize, bytes are what goes out and comes in.
        self._export = self._channel.unary_unary(METHOD)

    def send(self, body: bytes, seconds: float) -> Answer:
        """Send an export; give up after `seconds`."""
        try:
            said = self._export(
                body,
                timeout=seconds,
                metadata=tuple(self._headers.items()),
                compression=self._compression,
            )
        except self._error as error:
            return _refusal(error)
        return accepted(said, self._headers)

    def close(self) -> None:
        """Close the connection; a call that is on its way ends."""
        self._channel.close()


def _refusal(error: Any) -> Answer:
    # What it says in words may repeat our credential.
    code: str = error.code().name
    after = _retry_after(error.trailing_metadata() or ())
    words = f"it answered with {code}{_ADVICE.get(code, '')}"
    again = code in _BUSY or (code == "RESOURCE_EXHAUSTED" and after is not None)
    return Answer(taken=False, again=again, after=after, words=words)


def _retry_after(trailing: Any) -> float | None:
    """Return the seconds of a `google.rpc.RetryInfo`, where there is one."""
    details: Mapping[str, bytes] = {key: value for key, value in trailing if key == _DETAILS}
    if _DETAILS not in details:
        return None
    message: Any = import_module("google.protobuf.message")
    status: Any = import_module("google.rpc.status_pb2")
    errors: Any = import_module("google.rpc.error_details_pb2")
    try:
        for detail in status.Status.FromString(details[_DETAILS]).details:
            if detail.Is(errors.RetryInfo.DESCRIPTOR):
                info = errors.RetryInfo()
                detail.Unpack(info)
                return max(info.retry_delay.ToTimedelta().total_seconds(), 0)
    except message.DecodeError:
        # Somebody else's notion of details: it does not say when.
        return None
    return None


def _content(path: str | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise TelemetryError(
            f"The certificate or key {path} cannot be read: {error.strerror}."
        ) from None

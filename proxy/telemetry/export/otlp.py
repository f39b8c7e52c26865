"""Where OTLP goes to, and how: the `OTEL_EXPORTER_OTLP_*` variables for traces.

Each has a variant for traces alone, `OTEL_EXPORTER_OTLP_TRACES_*`, which wins.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from proxy.telemetry.variables import TelemetryError, number, switch, text

__all__ = ["GRPC", "HTTP", "OtlpSettings", "otlp_settings"]

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"

_DEFAULTS: Final = {HTTP: "http://localhost:4318", GRPC: "http://localhost:4317"}
_PATH: Final = "/v1/traces"
_SECONDS: Final = 10.0
# RFC 9110, 5.6.2 and 5.5, without what is obsolete.
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """How the collector is reached.

    Attributes:
        protocol: `HTTP` or `GRPC`.
        endpoint: The URL that is posted to; for gRPC scheme, host and port.
        headers: Of each request, in lower case; they may hold a credential.
        seconds: How long one try may take. As in OpenTelemetry's Python SDK these are seconds.
        gzip: Whether requests are compressed.
        certificate: A file with the authorities to trust, instead of the system's.
        client_certificate: A file with our own certificate; None: we show none.
        client_key: A file with its key; None: it is in the same file.
    """

    protocol: str
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    seconds: float = _SECONDS
    gzip: bool = False
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


def otlp_settings(environment: Mapping[str, str]) -> OtlpSettings:
    """Read and check the variables.

    Raises:
        TelemetryError: One of them is wrong, a file is not there, or gRPC is not installed.
    """
    protocol = _protocol(environment)
    client_certificate, client_key = (
        _file(environment, name) for name in ("CLIENT_CERTIFICATE", "CLIENT_KEY")
    )
    if client_key and not client_certificate:
        raise TelemetryError(
            "OTEL_EXPORTER_OTLP_CLIENT_KEY is of no use without "
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: set both, or neither."
        )
    return OtlpSettings(
        protocol=protocol,
        endpoint=_endpoint(environment, protocol),
        headers=_headers(environment),
        seconds=number(environment, *_names("TIMEOUT"), default=_SECONDS, least=0.001),
        gzip=_gzip(environment),
        certificate=_file(environment, "CERTIFICATE"),
        client_certificate=client_certificate,
        client_key=client_key,
    )


def _names(name: str) -> tuple[str, str]:
    return f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"


def _protocol(environment: Mapping[str, str]) -> str:
    if (found := text(environment, *_names("PROTOCOL"))) is None:
        return HTTP
    name, protocol = found
    if protocol not in _DEFAULTS:
        raise TelemetryError(
            f"{name} is `{protocol}`, which is not built in. Jaeger and the collector take "
            f"`{HTTP}` on port 4318 and `{GRPC}` on port 4317."
        )
    if protocol == GRPC and find_spec("grpc") is None:
        raise TelemetryError(
            f"{name} is `{GRPC}`, but the package `grpcio` is not installed: "
            f"pip install 'execution-platform[otlp-grpc]', or use `{HTTP}` (port 4318)."
        )
    return protocol


def _endpoint(environment: Mapping[str, str], protocol: str) -> str:
    whole, base = _names("ENDPOINT")
    name, endpoint = text(environment, whole, base) or (base, _DEFAULTS[protocol])
    if protocol == GRPC and "://" not in endpoint:
        # Only here the specification leaves open whether TLS is used.
        insecure = switch(environment, *_names("INSECURE"))
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    try:
        parts = urlsplit(endpoint)
        port, host = parts.port, parts.hostname
    except ValueError:
        parts, port, host = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        # It is not repeated: there may be a password in it.
        raise TelemetryError(
            f"{name} is not the URL of a server; write for instance {name}={_DEFAULTS[protocol]}."
        )
    if protocol == GRPC:
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}:{port or (443 if parts.scheme == 'https' else 80)}"
    return endpoint if name == whole else f"{endpoint.removesuffix('/')}{_PATH}"


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a list as in W3C Baggage; values that are not percent-encoded pass as they are."""
    name, listed = text(environment, *_names("HEADERS")) or ("", "")
    headers: dict[str, str] = {}
    for place, entry in enumerate(listed.split(","), 1):
        if not entry.strip():
            continue
        key, joint, value = entry.partition("=")
        key, value = unquote(key).strip().lower(), unquote(value).strip()
        if not (joint and _NAME.fullmatch(key) and _VALUE.fullmatch(value)):
            # None of it is repeated: it may be a credential.
            raise TelemetryError(
                f"{name}: entry {place} is not `name=value` with a name and a value that a header "
                "can have. In a value, write a comma as %2C and a space as %20."
            )
        headers[key] = value
    return headers


def _gzip(environment: Mapping[str, str]) -> bool:
    name, compression = text(environment, *_names("COMPRESSION")) or ("", "none")
    if compression.lower() not in ("none", "gzip"):
        raise TelemetryError(f"{name} is `{compression}`; known are `gzip` and `none`.")
    return compression.lower() == "gzip"


def _file(environment: Mapping[str, str], what: str) -> str | None:
    if (found := text(environment, *_names(what))) is None:
        return None
    name, path = found
    if not Path(path).is_file():
        raise TelemetryError(f"{name} is `{path}`, where there is no file.")
    return path

"""Telemetry from the standard `OTEL_*` variables.

A tracer provider made by hand reads most of them itself, but not `OTEL_TRACES_EXPORTER` nor the
protocol: those are read here. Telemetry is on when one of the variables asks for it, and off at
no cost otherwise; the SDK is not even imported then.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from proxy import __version__
from proxy.telemetry.content_setup import check_content, create_capture
from proxy.telemetry.spans import NO_TELEMETRY, Telemetry

__all__ = [
    "TelemetryError",
    "check_telemetry",
    "create_telemetry",
    "otlp_endpoint",
    "traces_url",
    "wants_telemetry",
]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class TelemetryError(ValueError):
    """An `OTEL_*` variable asks for something that is not there."""


def wants_telemetry(environment: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if exporter:
        return exporter != "none"
    return any(environment.get(name) for name in _ENDPOINTS)


def check_telemetry(environment: Mapping[str, str]) -> None:
    """Check the variables before anything is started, where an error can still be said in a line.

    Raises:
        TelemetryError: The exporter or protocol is not known, or how much is to be captured.
    """
    traced = wants_telemetry(environment)
    try:
        check_content(environment, traced=traced)
    except ValueError as error:
        raise TelemetryError(str(error)) from None
    if not traced:
        return
    exporter, protocol = _asked_for(environment)
    if exporter not in ("otlp", "console"):
        raise TelemetryError(
            f"OTEL_TRACES_EXPORTER is `{exporter}`; known are `otlp`, `console` and `none`."
        )
    if exporter == "otlp" and protocol != "http/protobuf":
        raise TelemetryError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`, but only `http/protobuf` is built "
            "in. Jaeger and the collector take it on port 4318."
        )


def otlp_endpoint(environment: Mapping[str, str]) -> str | None:
    """Return where the exporter sends traces to; None: to nobody."""
    if not wants_telemetry(environment) or _asked_for(environment)[0] != "otlp":
        return None
    return traces_url(environment)


def traces_url(environment: Mapping[str, str]) -> str:
    """Return the address that traces are posted to, over HTTP."""
    base, whole = (environment.get(name) for name in _ENDPOINTS)
    return whole or f"{(base or 'http://localhost:4318').removesuffix('/')}/v1/traces"


def create_telemetry(environment: Mapping[str, str], *, content_bytes: int) -> Telemetry:
    """Return telemetry as the variables have it; call it once per process, when serving starts.

    A provider made at import time loses its spans: a worker process exits without running what
    would flush them.

    Args:
        environment: The process's variables.
        content_bytes: Of each attribute with content, where that is captured.

    Raises:
        TelemetryError: The exporter or protocol is not known, or not installed.
    """
    check_telemetry(environment)
    if not wants_telemetry(environment):
        return NO_TELEMETRY
    exporter, _ = _asked_for(environment)
    return importlib.import_module("proxy.telemetry.export").connect(
        exporter=exporter,
        version=__version__,
        capture=partial(create_capture, environment, limit=content_bytes, version=__version__),
    )


def _asked_for(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the exporter and the protocol of OTLP."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    return exporter, _first(environment, _PROTOCOLS) or "http/protobuf"


def _first(environment: Mapping[str, str], variables: tuple[str, ...]) -> Any:
    return next((environment[name] for name in variables if environment.get(name)), None)

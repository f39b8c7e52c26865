"""Telemetry from the standard `OTEL_*` variables.

Telemetry is on when one of the variables asks for it, and off at no cost otherwise: nothing of
OpenTelemetry, and of what makes, captures and sends spans, is even imported then. All variables are
read and checked before anything is started.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from importlib.metadata import entry_points
from typing import Final

from proxy import __version__
from proxy.telemetry.content.mode import check_content
from proxy.telemetry.spans import NO_TELEMETRY, Telemetry
from proxy.telemetry.variables import TelemetryError, text

__all__ = [
    "TelemetryError",
    "check_telemetry",
    "create_telemetry",
    "exporters",
    "otlp_endpoint",
    "wants_telemetry",
]

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_EXPORTERS: Final = "OTEL_TRACES_EXPORTER"


def wants_telemetry(environment: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    listed = exporters(environment)
    if listed:
        return listed != ("none",)
    return text(environment, *_ENDPOINTS) is not None


def exporters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where `OTEL_TRACES_EXPORTER`, a list, sends traces; nothing where it says nothing."""
    _, listed = text(environment, _EXPORTERS) or ("", "")
    found = (name.strip().lower() for name in listed.split(","))
    return tuple(dict.fromkeys(name for name in found if name))


def check_telemetry(environment: Mapping[str, str]) -> None:
    """Check the variables before anything is started, where an error can still be said in a line.

    Raises:
        TelemetryError: One asks for something that is not there.
    """
    traced = wants_telemetry(environment)
    try:
        check_content(environment, traced=traced)
    except ValueError as error:
        raise TelemetryError(str(error)) from None
    if not traced:
        return
    # Imported here, as below: where nothing is traced none of it is needed.
    from proxy.telemetry.export.otlp import otlp_settings  # noqa: PLC0415
    from proxy.telemetry.export.schedule import Schedule  # noqa: PLC0415
    from proxy.telemetry.tracing.limits import SpanLimits  # noqa: PLC0415
    from proxy.telemetry.tracing.sampling import check_sampler  # noqa: PLC0415

    _check_propagators(environment.get("OTEL_PROPAGATORS", ""))
    asked_for = _asked_for(environment)
    for name in asked_for:
        if name not in ("otlp", "console"):
            also = " (alone)" if name == "none" else ""
            raise TelemetryError(
                f"{_EXPORTERS} has `{name}`; known are `otlp`, `console` and `none`{also}."
            )
    if "otlp" in asked_for:
        otlp_settings(environment)
    check_sampler(environment)
    SpanLimits.from_environment(environment)
    Schedule.from_environment(environment)


def _check_propagators(names: str) -> None:
    for name in filter(None, (name.strip() for name in names.split(","))):
        if name not in ("tracecontext", "baggage", "none") and not entry_points(
            group="opentelemetry_propagator", name=name
        ):
            raise TelemetryError(
                f"OTEL_PROPAGATORS names `{name}`, which is not installed; `tracecontext`, "
                "`baggage` and `none` are built in, others come with packages such as "
                "opentelemetry-propagator-b3."
            )


def otlp_endpoint(environment: Mapping[str, str]) -> str | None:
    """Return where the exporter sends traces to; None: to nobody.

    Raises:
        TelemetryError: A variable is wrong.
    """
    if not wants_telemetry(environment) or "otlp" not in _asked_for(environment):
        return None
    from proxy.telemetry.export.otlp import otlp_settings  # noqa: PLC0415

    return otlp_settings(environment).endpoint


def create_telemetry(
    environment: Mapping[str, str], *, content_bytes: int = 64 * 1024
) -> Telemetry:
    """Return telemetry as the variables have it; call it once per process, when serving starts.

    What is made at import time loses its spans: a worker process exits without running what would
    deliver the last of them.

    Args:
        environment: The process's variables.
        content_bytes: Of each attribute with content, where that is captured.

    Raises:
        TelemetryError: One asks for something that is not there.
    """
    check_telemetry(environment)
    if not wants_telemetry(environment):
        return NO_TELEMETRY
    from proxy.telemetry.content.setup import create_capture  # noqa: PLC0415

    return importlib.import_module("proxy.telemetry.export.connect").connect(
        environment,
        exporters=_asked_for(environment),
        version=__version__,
        capture=partial(create_capture, environment, limit=content_bytes, version=__version__),
    )


def _asked_for(environment: Mapping[str, str]) -> tuple[str, ...]:
    return exporters(environment) or ("otlp",)

"""Which metrics are exported, and by whom.

`OTEL_METRICS_EXPORTER` (`otlp`, `console`, both with a comma, or `none`) asks for an exporter, and
so does `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` by itself. `OTEL_EXPORTER_OTLP_ENDPOINT` does not:
most who set it have Jaeger there, which takes traces and answers metrics with an error each minute.
"""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from proxy import __version__
from proxy.telemetry.metrics.instruments import selected
from proxy.telemetry.metrics.meters import Backend, Meters
from proxy.telemetry.setup import TelemetryError

__all__ = ["Metering", "Page", "check_metering", "open_metering", "otlp_exporters"]

_KNOWN = ("otlp", "console")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TIMES = ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT")


class Page(Protocol):
    """Makes the page for Prometheus."""

    def __call__(self, *, as_openmetrics: bool) -> tuple[bytes, str]:
        """Return it and its content type; blocks for as long as that takes."""
        ...


@dataclass(frozen=True, slots=True)
class Metering:
    """The metrics that are on.

    Attributes:
        meters: Take observations.
        page: For Prometheus; None: there is none.
    """

    meters: Meters
    page: Page | None

    @property
    def on(self) -> bool:
        """Whether there are any."""
        return bool(self.meters.backends)


def otlp_exporters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return which exporters the variables ask for; known or not."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    asked = environment.get("OTEL_METRICS_EXPORTER", "").strip().lower()
    if not asked:
        return ("otlp",) if environment.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") else ()
    words = [word.strip() for word in asked.split(",")]
    return tuple(dict.fromkeys(word for word in words if word not in ("", "none")))


def check_metering(environment: Mapping[str, str]) -> None:
    """Check the variables before anything is started, where an error can still be said in a line.

    Raises:
        TelemetryError: An exporter or protocol is not known, or a time is none.
    """
    exporters = otlp_exporters(environment)
    for exporter in exporters:
        if exporter == "prometheus":
            raise TelemetryError(
                "OTEL_METRICS_EXPORTER is `prometheus`, which needs no exporter: a server has "
                "`GET /metrics` by itself. Unset it."
            )
        if exporter not in _KNOWN:
            raise TelemetryError(
                f"OTEL_METRICS_EXPORTER is `{exporter}`; known are `otlp`, `console` and `none`."
            )
    if "otlp" in exporters:
        name = next((name for name in _PROTOCOLS if environment.get(name)), _PROTOCOLS[0])
        protocol = environment.get(name) or "http/protobuf"
        if protocol != "http/protobuf":
            raise TelemetryError(
                f"{name} is `{protocol}`, but metrics are sent by `http/protobuf` alone. Set "
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf, and with it "
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://…:4318/v1/metrics."
            )
    for name in _TIMES if exporters else ():
        value = environment.get(name)
        if value and not _is_time(value):
            raise TelemetryError(f"{name} is not right: it must be milliseconds, such as 60000.")


def open_metering(environment: Mapping[str, str], *, page: bool) -> Metering:
    """Return the metrics that are asked for; call it once per process, when serving starts.

    Args:
        environment: With the `OTEL_*` variables, which are in the process's own, too.
        page: Whether there is one for Prometheus.

    Raises:
        TelemetryError: See `check_metering`.
    """
    check_metering(environment)
    backends: list[Backend] = []
    made: Page | None = None
    if page:
        prometheus = importlib.import_module(
            "proxy.telemetry.metrics.prometheus"
        ).PrometheusBackend()
        backends.append(prometheus)
        made = prometheus.page
    if exporters := otlp_exporters(environment):
        open_otlp: Callable[..., Backend]
        open_otlp = importlib.import_module("proxy.telemetry.metrics.otlp").open_otlp
        backends.append(open_otlp(exporters, __version__))
    instruments = selected(environment.get("OTEL_SEMCONV_STABILITY_OPT_IN", ""))
    return Metering(Meters(instruments, backends), made)


def _is_time(value: str) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return math.isfinite(number) and number > 0

"""Metrics through the OpenTelemetry SDK, to a collector or the console. Imported when it is used.

The SDK reads most of its variables itself: the interval (`OTEL_METRIC_EXPORT_INTERVAL`), the
temporality, the endpoint and its headers. An observation costs it ten times what it costs
Prometheus's client.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)

from proxy.telemetry.metrics.instruments import Instrument
from proxy.telemetry.metrics.meters import MOST_SERIES, Labels, Meter
from proxy.telemetry.resource import resource

__all__ = ["OtlpBackend", "open_otlp"]

log = logging.getLogger("execution_platform.telemetry")

SHUTDOWN_MILLISECONDS: Final = 5000.0
"""How long the last numbers may take."""

_Attributes = dict[str, str | int | bool]


def open_otlp(exporters: Sequence[str], version: str) -> "OtlpBackend":
    """Return what exports.

    Args:
        exporters: `otlp`, `console`, or both.
        version: Of this program.
    """
    made = {"otlp": OTLPMetricExporter, "console": ConsoleMetricExporter}
    readers = [PeriodicExportingMetricReader(made[name]()) for name in exporters]
    return OtlpBackend(readers, version)


class OtlpBackend:
    """The SDK's instruments.

    Args:
        readers: Who collects, and exports.
        version: Of this program.
    """

    def __init__(self, readers: Sequence[MetricReader], version: str) -> None:
        self._provider = MeterProvider(readers, resource=resource(version), shutdown_on_exit=False)
        self._meter = self._provider.get_meter("execution-platform", version)

    def meter(self, instrument: Instrument) -> Meter:
        """Return what takes the observations of a metric."""
        name, unit, about = instrument.name, instrument.unit, instrument.description
        if instrument.kind == "histogram":
            bounds = instrument.buckets
            histogram = self._meter.create_histogram(
                name, unit, about, explicit_bucket_boundaries_advisory=bounds
            )
            return _Meter(instrument, histogram.record)
        if instrument.kind == "counter":
            return _Meter(instrument, self._meter.create_counter(name, unit, about).add)
        states = _States(instrument)
        self._meter.create_observable_gauge(name, [states.observe], unit, about)
        return states

    async def aclose(self) -> None:
        """Deliver what is left, within a few seconds."""
        try:
            await asyncio.to_thread(self._provider.shutdown, SHUTDOWN_MILLISECONDS)
        except Exception as error:  # noqa: BLE001  whatever an exporter raises: others have to end, too
            log.warning("the last metrics were not all delivered: %s", type(error).__name__)


class _Meter:
    """A counter or a histogram, with the attributes of each series."""

    __slots__ = ("_instrument", "_known", "_record")

    def __init__(
        self, instrument: Instrument, record: Callable[[float, _Attributes], None]
    ) -> None:
        self._instrument = instrument
        self._known: dict[Labels, _Attributes] = {}
        self._record = record

    def record(self, value: float, labels: Labels, /) -> None:
        attributes = self._known.get(labels)
        if attributes is None:
            # The SDK itself counts what is too much together.
            attributes = _attributes(self._instrument, labels)
            if len(self._known) < MOST_SERIES:
                self._known[labels] = attributes
        self._record(value, attributes)


class _States:
    """A gauge: the latest value of each series, for whoever collects, in a thread of its own."""

    __slots__ = ("_instrument", "_values")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._values: dict[Labels, float] = {}

    def record(self, value: float, labels: Labels, /) -> None:
        self._values[labels] = value

    def observe(self, _: CallbackOptions) -> Iterable[Observation]:
        for labels, value in self._values.copy().items():
            yield Observation(value, _attributes(self._instrument, labels))


def _attributes(instrument: Instrument, labels: Labels) -> _Attributes:
    named = zip(instrument.attributes, labels, strict=True)
    return {name: value for name, value in named if value is not None}

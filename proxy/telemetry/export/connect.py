"""Records to where the variables send them. Imported only when telemetry is on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Final

from opentelemetry.sdk.resources import Resource

from proxy.telemetry.content.capture import Capture
from proxy.telemetry.export.answers import Exporter
from proxy.telemetry.export.console import Console, Lines, as_line
from proxy.telemetry.export.delivery import Delivery
from proxy.telemetry.export.encoding import Export, encode_resource, encode_scope
from proxy.telemetry.export.otlp import GRPC, OtlpSettings, otlp_settings
from proxy.telemetry.export.otlp_http import OtlpHttp
from proxy.telemetry.export.schedule import Schedule
from proxy.telemetry.resource import resource
from proxy.telemetry.tracing.limits import SpanLimits
from proxy.telemetry.tracing.otel import OtelTelemetry
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.sampling import sampler_from
from proxy.telemetry.tracing.tracer import RecordProvider

__all__ = ["connect", "exporter_for"]

_CONSOLE_DELAY: Final = 0.2


def connect(
    environment: Mapping[str, str],
    *,
    exporters: tuple[str, ...],
    version: str,
    capture: Callable[..., Capture | None],
) -> OtelTelemetry:
    """Return telemetry that exports.

    Args:
        environment: The `OTEL_*` variables.
        exporters: `otlp`, `console`, or both.
        version: Of this program, for the resource.
        capture: Makes what captures content, from the `resource`.

    Raises:
        TelemetryError: A variable is wrong.
    """
    whose = resource(version)
    sampler, limits = sampler_from(environment), SpanLimits.from_environment(environment)
    deliveries = _deliveries(environment, exporters, whose)

    def ended(span: SpanRecord) -> None:
        for delivery in deliveries:
            delivery.put(span)

    def shut() -> None:
        # One that is slow is not to take the others' time.
        for delivery in deliveries:
            delivery.stop()
        for delivery in deliveries:
            delivery.shutdown()

    first = deliveries[0]
    provider = RecordProvider(
        first.put if len(deliveries) == 1 else ended, shut, sampler=sampler, limits=limits
    )
    return OtelTelemetry(provider, version, capture(resource=whose), first.counts)


def _deliveries(
    environment: Mapping[str, str], exporters: tuple[str, ...], whose: Resource
) -> list[Delivery]:
    """Return who takes the spans, one for each exporter; OTLP's is the first."""
    schedule = Schedule.from_environment(environment)
    deliveries: list[Delivery] = []
    if "otlp" in exporters:
        settings = otlp_settings(environment)
        deliveries.append(
            Delivery(
                exporter_for(settings),
                partial(Export, encode_resource(whose), cache(encode_scope)),
                schedule,
                seconds=settings.seconds,
            )
        )
    if "console" in exporters:
        soon = replace(schedule, delay=min(schedule.delay, _CONSOLE_DELAY))
        line = partial(as_line, whose.attributes)
        patience = schedule.patience
        deliveries.append(Delivery(Console(), Lines, soon, seconds=patience, encode=line))
    return deliveries


def exporter_for(settings: OtlpSettings) -> Exporter:
    """Return what sends exports as the settings have it.

    Raises:
        TelemetryError: A certificate cannot be read.
    """
    if settings.protocol == GRPC:
        # Imported here: grpcio takes 0.1 s, and is an extra.
        from proxy.telemetry.export.otlp_grpc import OtlpGrpc  # noqa: PLC0415

        return OtlpGrpc(settings)
    return OtlpHttp(settings)

"""The SDK's provider and exporter. Imported only when telemetry is on."""

import os
import uuid
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from proxy.telemetry.capture import Capture
from proxy.telemetry.otel import OtelTelemetry

__all__ = ["connect"]


def connect(
    *, exporter: str, version: str, capture: Callable[..., Capture | None]
) -> OtelTelemetry:
    """Return telemetry that exports.

    Args:
        exporter: `console`, or `otlp` over HTTP.
        version: Of this program, for the resource.
        capture: Makes what captures content, from the `resource`.
    """
    resource = _resource(version)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if exporter == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    else:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTelemetry(provider, version, capture(resource=resource))


def _resource(version: str) -> Resource:
    attributes: dict[str, str | int] = {
        "service.version": version,
        "service.instance.id": uuid.uuid4().hex,
        "process.pid": os.getpid(),
    }
    # What is given here wins over the variables, so the name is given only where they are silent.
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        attributes["service.name"] = "execution-platform"
    return Resource.create(attributes)

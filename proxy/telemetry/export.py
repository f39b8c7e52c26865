"""The SDK's provider and exporter. Imported only when telemetry is on."""

import os
import uuid
from functools import cache

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from proxy.telemetry.otel import OtelTelemetry

__all__ = ["connect", "resource"]


def connect(*, exporter: str, version: str) -> OtelTelemetry:
    """Return telemetry that exports.

    Args:
        exporter: `console`, or `otlp` over HTTP.
        version: Of this program, for the resource.
    """
    provider = TracerProvider(resource=resource(version), shutdown_on_exit=False)
    if exporter == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    else:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTelemetry(provider, version)


def resource(version: str) -> Resource:
    """Return who reports, the same for spans and metrics of one process.

    Args:
        version: Of this program.
    """
    attributes: dict[str, str | int] = {
        "service.version": version,
        "service.instance.id": _instance(os.getpid()),
        "process.pid": os.getpid(),
    }
    # What is given here wins over the variables, so the name is given only where they are silent.
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        attributes["service.name"] = "execution-platform"
    return Resource.create(attributes)


@cache
def _instance(_process: int) -> str:
    return uuid.uuid4().hex

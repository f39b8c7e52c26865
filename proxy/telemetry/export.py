"""The SDK's provider and exporter. Imported only when telemetry is on."""

import os
import uuid

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)

from proxy.telemetry.otel import OtelTelemetry

__all__ = ["connect"]


def connect(
    *, exporter: str, protocol: str, version: str, unknown: type[Exception]
) -> OtelTelemetry:
    """Return telemetry that exports.

    Args:
        exporter: `otlp` or `console`.
        protocol: Of OTLP; only `http/protobuf` is built in.
        version: Of this program, for the resource.
        unknown: Raised where one of the two is neither.
    """
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "execution-platform"),
            "service.version": version,
            "service.instance.id": uuid.uuid4().hex,
            "process.pid": os.getpid(),
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if exporter == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    elif exporter == "otlp":
        if protocol != "http/protobuf":
            raise unknown(
                f"OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`, but only `http/protobuf` is built "
                "in. Jaeger and the collector take it on port 4318."
            )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    else:
        raise unknown(
            f"OTEL_TRACES_EXPORTER is `{exporter}`; known are `otlp`, `console` and `none`."
        )
    return OtelTelemetry(provider, version)

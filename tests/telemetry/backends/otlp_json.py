"""OTLP's own JSON, which differs from protobuf's in ids and enumerations.

Source: the OTLP specification, "JSON Protobuf Encoding"; Jaeger's query service answers in it.
"""

import base64
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["resource_spans"]

_IDS = ("traceId", "spanId", "parentSpanId")


def resource_spans(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """Return the `resourceSpans` of an export, ids in hexadecimal and enumerations as numbers."""
    groups: list[dict[str, Any]] = MessageToDict(request, use_integers_for_enums=True).get(
        "resourceSpans", []
    )
    for group in groups:
        for span in _spans(group):
            for holder in (span, *span.get("links", ())):
                for name in _IDS:
                    if name in holder:
                        holder[name] = base64.b64decode(holder[name]).hex()
    return groups


def _spans(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for scope in group.get("scopeSpans", ()):
        yield from scope.get("spans", ())

"""What a test wants of whatever keeps the traces, and how it waits for a whole one."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, Protocol

from tests.serving import wait_until
from tests.telemetry.backends.spans import TracedSpan, spans_of

__all__ = [
    "EXPORT_SOON",
    "HTTP_PROTOBUF",
    "Json",
    "OtlpProtocol",
    "TraceBackend",
    "exporter_variables",
    "whole_trace",
]

Json = dict[str, Any]

OtlpProtocol = Literal["http/protobuf", "grpc"]
"""A value of `OTEL_EXPORTER_OTLP_PROTOCOL`."""

HTTP_PROTOBUF: Final = "http/protobuf"

EXPORT_SOON: Final = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
"""Milliseconds; the default of five seconds would be waited for in every test."""


class TraceBackend(Protocol):
    """Takes spans by OTLP and answers questions about traces as Jaeger's query service does."""

    @property
    def name(self) -> str:
        """For the ids of tests."""
        ...

    def environment_for(self, protocol: OtlpProtocol) -> dict[str, str]:
        """Return the variables of a process that is to export here, soon."""
        ...

    def services(self) -> list[str]:
        """Return the names of the services that have sent spans."""
        ...

    def trace(self, id: str) -> Json | None:
        """Return `{"result": {"resourceSpans": […]}}` in OTLP's JSON; None: nothing came yet."""
        ...

    def told(self, trace: str) -> bytes:
        """Return what is known of a trace, byte by byte, to look for what must not be there."""
        ...


def exporter_variables(protocol: OtlpProtocol, endpoint: str) -> dict[str, str]:
    """Return the variables of a process that exports to an address by a protocol, soon."""
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        **EXPORT_SOON,
    }


def whole_trace(
    backend: TraceBackend,
    trace: str,
    *,
    also: Callable[[Sequence[TracedSpan]], bool] = lambda _: True,
    seconds: float = 15.0,
) -> list[TracedSpan]:
    """Return the spans of a trace once they are all there: the last to end is our SERVER span.

    Args:
        backend: Where they are looked up.
        trace: The trace's id.
        also: What must hold of the spans besides: those of other processes come when they like.
        seconds: How long to wait; generous.
    """
    found: list[TracedSpan] = []

    def complete() -> bool:
        found[:] = spans_of(backend.trace(trace))
        return any(span.kind == "SERVER" for span in found) and also(found)

    wait_until(complete, seconds)
    return found

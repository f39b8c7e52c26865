"""A collector for tests that keeps log records, too, and all bytes that came."""

from dataclasses import dataclass
from typing import Any, cast

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.serving import wait_until
from tests.telemetry.otlp_sink import OtlpSink

__all__ = ["ContentSink", "SinkEvent"]


@dataclass(frozen=True)
class SinkEvent:
    """One log record as it arrived; `attributes` are JSON again."""

    name: str
    trace: str
    span: str
    severity: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class ContentSink(OtlpSink):
    """An `OtlpSink` that reads the logs, too."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "OTEL_BLRP_SCHEDULE_DELAY": "200"}

    @property
    def events(self) -> list[SinkEvent]:
        """All that came so far."""
        found: list[SinkEvent] = []
        for body in self.exported("logs"):
            for group in ExportLogsServiceRequest.FromString(body).resource_logs:
                resource = _plain(group.resource.attributes)
                for scope in group.scope_logs:
                    found += [_event(record, resource) for record in scope.log_records]
        return found

    def events_of(self, trace: str, count: int, seconds: float = 10.0) -> list[SinkEvent]:
        """Return the events of one trace, once there are as many."""
        wait_until(lambda: len(self._events_of(trace)) >= count, seconds)
        return self._events_of(trace)

    def _events_of(self, trace: str) -> list[SinkEvent]:
        return [event for event in self.events if event.trace == trace]


def _event(record: Any, resource: dict[str, Any]) -> SinkEvent:
    return SinkEvent(
        name=record.event_name,
        trace=record.trace_id.hex(),
        span=record.span_id.hex(),
        severity=record.severity_number,
        attributes=_plain(record.attributes),
        resource=resource,
    )


def _plain(entries: Any) -> dict[str, Any]:
    return {entry.key: _value(entry.value) for entry in entries}


def _value(value: Any) -> Any:
    kind = cast("str | None", value.WhichOneof("value"))
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _plain(value.kvlist_value.values)
    return getattr(value, kind)

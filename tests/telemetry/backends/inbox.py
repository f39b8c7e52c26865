"""What a collector does with an export, whichever protocol brought it."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.telemetry.backends.otlp_json import resource_spans

__all__ = ["SIGNALS", "Answers", "Export", "Inbox", "Refused"]

SIGNALS: Mapping[str, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
"""What is exported, by the last part of the path over HTTP."""

_HELD_SECONDS = 60.0
"""A test that forgets to release exports does not hang for ever."""


class Refused(Exception):
    """An export that a collector does not take, whatever it is told to answer.

    Args:
        status: In HTTP's terms.
        why: For the exporter, and for the test that looks.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True)
class Export:
    """One export as it arrived.

    Attributes:
        signal: `traces`, `logs` or `metrics`.
        protocol: `http/protobuf` or `grpc`.
        headers: Or gRPC's metadata; names in small letters.
        body: Without its compression: what is searched for what must not be there.
    """

    signal: str
    protocol: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answers:
    """What exports are answered with, from now on.

    Attributes:
        first: Statuses of the next exports, each used once.
        status: Of all others. In HTTP's terms; gRPC's status follows from it.
        headers: Beside the usual ones, such as `retry-after`; or gRPC's trailing metadata.
        delay: Seconds before each answer.
        rejected: How many spans a partial success does not take.
        message: Of a partial success.
    """

    first: list[int] = field(default_factory=list[int])
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    delay: float = 0.0
    rejected: int = 0
    message: str = ""


class Inbox:
    """Takes exports and keeps them."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.exports: list[Export] = []
        self.refused: list[str] = []
        self._groups: list[dict[str, Any]] = []
        self._open = threading.Event()
        self._open.set()
        self._waiting = 0
        self._lock = threading.Lock()

    def take(self, export: Export) -> bytes:
        """Keep an export and return the answer's body.

        Raises:
            Refused: It is not one, or exports are not taken now.
        """
        with self._lock:
            self.exports.append(export)
        try:
            request = SIGNALS[export.signal].FromString(export.body)
        except DecodeError as error:
            raise self.refuse(400, f"not an export of {export.signal}: {error}") from None
        if isinstance(request, ExportTraceServiceRequest):
            self._check(request)
        self._pause()
        with self._lock:
            status = self.answers.first.pop(0) if self.answers.first else self.answers.status
            if status != 200:
                raise Refused(status, "told to refuse")
            if isinstance(request, ExportTraceServiceRequest):
                self._groups += resource_spans(request)
        # The answers to all signals look alike on the wire.
        answer = ExportTraceServiceResponse()
        if self.answers.rejected or self.answers.message:
            answer.partial_success.rejected_spans = self.answers.rejected
            answer.partial_success.error_message = self.answers.message
        return answer.SerializeToString()

    def refuse(self, status: int, why: str) -> Refused:
        """Return the error for an export that no collector takes, and remember it."""
        with self._lock:
            self.refused.append(why)
        return Refused(status, why)

    def _check(self, request: ExportTraceServiceRequest) -> None:
        """Check what a collector's decoder checks beyond protobuf: the sizes of ids."""
        for group in request.resource_spans:
            for scope in group.scope_spans:
                for span in scope.spans:
                    sizes = (len(span.trace_id), len(span.span_id), len(span.parent_span_id))
                    if sizes[:2] != (16, 8) or sizes[2] not in (0, 8):
                        raise self.refuse(400, f"`{span.name}` has ids of {sizes} bytes")

    def _pause(self) -> None:
        with self._lock:
            self._waiting += 1
        try:
            self._open.wait(_HELD_SECONDS)
            if self.answers.delay:
                threading.Event().wait(self.answers.delay)
        finally:
            with self._lock:
                self._waiting -= 1

    @property
    def waiting(self) -> int:
        """How many exports have come and are not answered yet."""
        with self._lock:
            return self._waiting

    @contextmanager
    def holding(self) -> Generator[None]:
        """Answer no export until the block is left."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def bodies(self, signal: str) -> list[bytes]:
        """Return the exports of a signal that came so far, whatever became of them."""
        with self._lock:
            return [export.body for export in self.exports if export.signal == signal]

    def groups(self) -> list[dict[str, Any]]:
        """Return the `resourceSpans` taken so far."""
        with self._lock:
            return list(self._groups)

"""A collector for tests: takes OTLP on loopback, keeps the spans, and answers as Jaeger does."""

from types import TracebackType
from typing import Self

from tests.serving import wait_until
from tests.telemetry.backends.backend import Json, OtlpProtocol, exporter_variables
from tests.telemetry.backends.inbox import Answers, Inbox
from tests.telemetry.backends.query import Query
from tests.telemetry.backends.servers import (
    GrpcReceiver,
    HttpServer,
    otlp_over_http,
    questions_over_http,
)
from tests.telemetry.backends.spans import TracedSpan, spans_of

__all__ = ["OtlpSink"]


class OtlpSink:
    """A `TraceBackend`, and a context manager: while it is open it listens on free ports.

    Args:
        status: What every export is answered with; see `answers` for more.
    """

    name = "sink"

    def __init__(self, status: int = 200) -> None:
        self.inbox = Inbox()
        self.inbox.answers.status = status
        self._otlp = HttpServer(otlp_over_http(self.inbox))
        self._questions = HttpServer(questions_over_http(self.inbox))
        self._query = Query(self._questions.url)
        self._grpc: GrpcReceiver | None = None

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`, over HTTP."""
        return self._otlp.url

    @property
    def grpc_url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`, over gRPC; it is listened there from now on."""
        if self._grpc is None:
            self._grpc = GrpcReceiver(self.inbox)
        return self._grpc.url

    @property
    def query_url(self) -> str:
        """Where it answers Jaeger's questions."""
        return self._questions.url

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that is to export to this sink, soon, over HTTP."""
        return self.environment_for("http/protobuf")

    def environment_for(self, protocol: OtlpProtocol) -> dict[str, str]:
        return exporter_variables(protocol, self.url if protocol != "grpc" else self.grpc_url)

    def services(self) -> list[str]:
        return self._query.services()

    def trace(self, id: str) -> Json | None:
        return self._query.trace(id)

    def told(self, trace: str) -> bytes:
        """Return all that was ever exported here, as it came: of every trace, and no trace too."""
        return b"\n".join(self.bodies)

    @property
    def bodies(self) -> list[bytes]:
        """Every export that came so far, decompressed, whatever became of it."""
        return [export.body for export in list(self.inbox.exports)]

    def exported(self, signal: str) -> list[bytes]:
        """Return the exports of `traces`, `logs` or `metrics` that came so far, decompressed."""
        return self.inbox.bodies(signal)

    @property
    def answers(self) -> Answers:
        """What exports are answered with; may be changed at any time."""
        return self.inbox.answers

    @property
    def exports(self) -> int:
        """How many exports have come, whatever became of them."""
        return len(self.inbox.exports)

    @property
    def refused(self) -> list[str]:
        """Why exports were refused that no collector would have taken."""
        return self.inbox.refused

    @property
    def spans(self) -> list[TracedSpan]:
        """All spans that came so far, by start."""
        return spans_of({"result": {"resourceSpans": self.inbox.groups()}})

    def of_trace(self, trace: str) -> list[TracedSpan]:
        """Return the spans of one trace that came so far, by start."""
        return [span for span in self.spans if span.trace == trace]

    def wait_for(self, trace: str, count: int, seconds: float = 10.0) -> list[TracedSpan]:
        """Return the spans of one trace, once there are as many."""
        wait_until(lambda: len(self.of_trace(trace)) >= count, seconds)
        return self.of_trace(trace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._query.close()
        self._questions.stop()
        self._otlp.stop()
        if self._grpc is not None:
            self._grpc.stop()

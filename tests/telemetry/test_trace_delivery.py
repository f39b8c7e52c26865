"""Spans arrive, whatever ends the process; and a collector that is ill harms no request."""

import asyncio
import signal
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.serving import SandboxProcess, wait_until
from tests.telemetry.backends.backend import (
    OtlpProtocol,
    TraceBackend,
    exporter_variables,
    whole_trace,
)
from tests.telemetry.backends.spans import TracedSpan, spans_of
from tests.telemetry.caller import Caller
from tests.telemetry.conftest import PROTOCOLS, Exporter
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.traced_server import TracedServer, serving

SELDOM = {"OTEL_BSP_SCHEDULE_DELAY": "2000"}
"""So seldom that what was asked last is delivered by the process's end, or not at all."""


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as collector:
        yield collector


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> OtlpProtocol:
    return PROTOCOLS[request.param]


async def answered(server: TracedServer, count: int) -> list[Caller]:
    """Ask so many at once, streamed and whole; return who was answered."""
    callers = [Caller() for _ in range(count)]

    def ask(number: int, caller: Caller) -> None:
        body = server.body(caller, "anthropic_only", "Hi", stream=number % 2 == 0)
        assert server.ask(caller, body).status_code == 200

    await asyncio.gather(*(asyncio.to_thread(ask, n, c) for n, c in enumerate(callers)))
    return callers


def answers(server: TracedServer) -> bool:
    try:
        return httpx.get(f"{server.proxy.url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def process_of(span: TracedSpan) -> int:
    return int(span.resource["process.pid"])


async def both_served(server: TracedServer, backend: TraceBackend) -> list[Caller]:
    """Ask until spans of two processes have come; return who was answered."""
    callers: list[Caller] = []
    served: set[int] = set()
    for _ in range(50):
        callers += await answered(server, 8)
        for caller in callers:
            served |= {process_of(span) for span in spans_of(backend.trace(caller.trace))}
        if len(served) == 2:
            return callers
        await asyncio.sleep(0.2)
    raise AssertionError(f"only one worker serves: {served}")


async def test_the_spans_of_both_workers_arrive_when_they_are_told_to_end(
    providers: SandboxProcess, exporter: Exporter
) -> None:
    workers = ["--workers", "2"]
    with serving(
        providers, exporter.backend, exporter.protocol, env=SELDOM, arguments=workers
    ) as server:
        wait_until(lambda: answers(server), 30)
        callers = await both_served(server, exporter.backend)
        callers += await answered(server, 12)
        # At once, with the answers hardly read.
        server.proxy.stop(signal.SIGTERM, seconds=60)
        for caller in callers:
            spans = whole_trace(exporter.backend, caller.trace)
            assert server.tree(caller, spans).count("\n") == 1
            assert len({process_of(span) for span in spans}) == 1
        assert "Failed to detach context" not in server.proxy.log()


async def test_no_request_waits_for_a_collector_that_keeps_an_export_waiting(
    providers: SandboxProcess, sink: OtlpSink, protocol: OtlpProtocol
) -> None:
    env = {"OTEL_BSP_SCHEDULE_DELAY": "10"}
    with serving(providers, sink, protocol, env=env) as server:
        with sink.inbox.holding():
            callers = await answered(server, 2)
            wait_until(lambda: sink.inbox.waiting > 0, 10)
            for _ in range(5):
                callers += await answered(server, 8)
            # Every one is answered, and the first export is still not.
            assert sink.inbox.waiting > 0
            assert sink.spans == []
        for caller in callers:
            assert len(whole_trace(sink, caller.trace)) == 2


async def test_a_collector_that_refuses_for_a_while_gets_the_same_spans_again(
    providers: SandboxProcess, sink: OtlpSink, protocol: OtlpProtocol
) -> None:
    """Bug 14 of others: ids that are made anew with each try."""
    sink.answers.first = [503]
    with serving(providers, sink, protocol) as server:
        (caller,) = await answered(server, 1)
        spans = whole_trace(sink, caller.trace, seconds=30)
        refused, *later = [ids_of(body) for body in sink.exported("traces")]
        assert refused
        assert refused <= set[str]().union(*later)
        assert len(spans) == 2
        assert server.tree(caller, spans)


def ids_of(body: bytes) -> set[str]:
    request = ExportTraceServiceRequest.FromString(body)
    return {
        span.span_id.hex()
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    }


async def test_a_collector_that_takes_a_part_harms_nothing(
    providers: SandboxProcess, sink: OtlpSink, protocol: OtlpProtocol
) -> None:
    sink.answers.rejected, sink.answers.message = 1, "one was too old"
    with serving(providers, sink, protocol) as server:
        for caller in await answered(server, 4):
            assert len(whole_trace(sink, caller.trace)) == 2
        # What was taken in part is not sent again.
        server.proxy.stop(seconds=60)
        sent = [id for body in sink.exported("traces") for id in ids_of(body)]
        assert len(sent) == len(set(sent))


@pytest.mark.parametrize("state", ["down", "refuses all"])
async def test_a_collector_that_is_not_there_harms_no_request(
    providers: SandboxProcess, sink: OtlpSink, protocol: OtlpProtocol, state: str
) -> None:
    variables = sink.environment_for(protocol)
    if state == "down":
        sink.__exit__(None, None, None)
    else:
        sink.answers.status = 500
    endpoint = variables["OTEL_EXPORTER_OTLP_ENDPOINT"]
    env = {**exporter_variables(protocol, endpoint), "OTEL_BSP_SCHEDULE_DELAY": "10"}
    with OtlpSink() as elsewhere, serving(providers, elsewhere, protocol, env=env) as server:
        for _ in range(3):
            await answered(server, 4)
        # Generous: what cannot be delivered is given up after a few seconds.
        assert server.proxy.stop(seconds=30) in (0, -signal.SIGTERM)
        assert elsewhere.exports == 0
        assert "Traceback" not in server.proxy.log()


def test_a_backend_answers_of_a_trace_that_it_does_not_know_with_nothing(
    exporter: Exporter,
) -> None:
    assert spans_of(exporter.backend.trace(Caller().trace)) == []

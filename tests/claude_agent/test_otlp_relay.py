"""Reports of the CLI go on to the operator's collector, and never in anybody's way."""

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from proxy.providers.claude_agent import otlp_relay
from proxy.providers.claude_agent.otlp_relay import Expected, OtlpRelay, forwarder
from tests.telemetry.grpc_sink import GrpcSink
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.test_guests import OTHER, TRACE, TRACEPARENT, report, span

EXPECTED = Expected(TRACEPARENT)
REPORT = report(span("interaction"), span("llm_request"))


class Collector:
    """Takes what is sent.

    Attributes:
        bodies: What came.
        free: Nobody gets an answer until it is set.
        closed: Whether the way to it was.
    """

    def __init__(self, trouble: str | None = None, error: Exception | None = None) -> None:
        self._trouble = trouble
        self._error = error
        self.bodies: list[bytes] = []
        self.free = asyncio.Event()
        self.free.set()
        self.closed = False

    async def send(self, body: bytes) -> str | None:
        self.bodies.append(body)
        await self.free.wait()
        if self._error is not None:
            raise self._error
        return self._trouble

    def close(self) -> None:
        self.closed = True


async def passed_on(collector: Collector, *bodies: bytes) -> OtlpRelay:
    relay = OtlpRelay(lambda: collector)
    for body in bodies:
        relay.take(body, EXPECTED)
    await relay.aclose()
    return relay


async def test_what_is_passed_on_is_what_may_pass():
    collector = Collector()
    other = span("interaction", OTHER)
    relay = await passed_on(collector, report(span("llm_request"), other))
    (body,) = collector.bodies
    assert bytes.fromhex(TRACE) in body and bytes.fromhex(OTHER) not in body
    assert relay.delivered == 1 and not relay.dropped
    assert collector.closed


async def test_history_and_tools_are_as_the_request_has_them():
    collector = Collector()
    relay = OtlpRelay(lambda: collector)
    turns = [span("interaction", interaction__sequence=number) for number in (1, 2)]
    relay.take(report(*turns, span("tool")), Expected(TRACEPARENT, history=1, tools=True))
    relay.take(report(*turns, span("tool")), Expected(TRACEPARENT, history=2, tools=False))
    await relay.aclose()
    (body,) = collector.bodies
    assert body.count(b"claude_code.interaction") == 1
    assert body.count(b"claude_code.tool") == 1


DROPPED: list[tuple[bytes, Expected, str]] = [
    (report(span("interaction", OTHER)), EXPECTED, "none of its spans is the request's"),
    (REPORT, Expected(None), "it belongs to no trace"),
    (b"\xff\xff", EXPECTED, "not an ExportTraceServiceRequest"),
    (b"0" * (otlp_relay.MAX_REPORT + 1), EXPECTED, "it is larger than 4194304 bytes"),
]


@pytest.mark.parametrize(("body", "expected", "reason"), DROPPED)
async def test_what_may_not_pass_is_counted_and_said_once(
    body: bytes, expected: Expected, reason: str, caplog: pytest.LogCaptureFixture
):
    collector = Collector()
    relay = OtlpRelay(lambda: collector)
    for _ in range(3):
        relay.take(body, expected)
    await relay.aclose()
    assert collector.bodies == [] and not collector.closed
    assert relay.dropped == {reason: 3}
    assert len(caplog.records) == 1 and reason in caplog.text


async def test_a_report_without_spans_is_nobodys():
    collector = Collector()
    relay = await passed_on(collector, report())
    assert (collector.bodies, relay.delivered, dict(relay.dropped)) == ([], 0, {})


FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"trouble": "Connection refused"}, "the collector did not take it: Connection refused"),
    ({"error": OSError("https://user:canary@c.test")}, "the collector cannot be reached (OSError)"),
    ({"error": ValueError("canary")}, "the collector cannot be reached (ValueError)"),
]


@pytest.mark.parametrize(("failure", "reason"), FAILURES)
async def test_a_collector_that_fails_harms_nobody(
    failure: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
):
    relay = await passed_on(Collector(**failure), REPORT, REPORT)
    assert relay.dropped == {reason: 2}
    assert relay.delivered == 0
    assert "canary" not in caplog.text


async def test_whoever_hands_in_a_report_does_not_wait_and_their_number_is_limited():
    collector = Collector()
    collector.free.clear()
    relay = OtlpRelay(lambda: collector)
    for _ in range(otlp_relay.MOST + 3):
        relay.take(REPORT, EXPECTED)
    assert relay.dropped == {"too many are on their way": 3}
    collector.free.set()
    await relay.aclose()
    assert relay.delivered == otlp_relay.MOST
    relay.take(REPORT, EXPECTED)
    await relay.aclose()
    assert relay.delivered == otlp_relay.MOST + 1


async def test_at_the_end_what_is_on_its_way_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otlp_relay, "_LAST_SECONDS", 0.01)
    collector = Collector()
    collector.free.clear()
    before = asyncio.all_tasks()
    relay = await passed_on(collector, REPORT)
    assert relay.dropped == {"the server stopped": 1}
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_over_a_real_socket(protocol: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    with OtlpSink() as http, GrpcSink() as grpc:
        url = grpc.url if protocol == "grpc" else http.url
        ours = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=mine",
            "OTEL_BSP_EXPORT_TIMEOUT": "500",
        }
        relay = OtlpRelay(partial(forwarder, ours))
        for _ in range(3):
            relay.take(REPORT, EXPECTED)
        await relay.aclose()
        assert (relay.delivered, dict(relay.dropped)) == (3, {})
        if protocol == "grpc":
            names = grpc.names(TRACE)
            assert grpc.metadata[0]["x-tenant"] == "mine"
        else:
            names = [one.name for one in http.of_trace(TRACE)]
    assert sorted(names) == ["claude_code.interaction"] * 3 + ["claude_code.llm_request"] * 3
    unreachable = OtlpRelay(partial(forwarder, ours))
    unreachable.take(REPORT, EXPECTED)
    await unreachable.aclose()
    (reason,) = unreachable.dropped
    assert reason.startswith("the collector did not take it: ")
    assert [record.name for record in caplog.records] == [otlp_relay.__name__]

"""Reports of the CLI go on to the operator's collector, and never in anybody's way."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from proxy.http import HttpClient
from proxy.providers.claude_agent import otlp_relay
from proxy.providers.claude_agent.otlp_relay import Expected, OtlpRelay
from proxy.ticker import Ticker
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.test_guests import OTHER, TRACE, TRACEPARENT, report, span

EXPECTED = Expected(TRACEPARENT)
REPORT = report(span("interaction"), span("llm_request"))


class Collector:
    """Takes what is posted.

    Attributes:
        posts: URL, body and headers of each post.
        free: Nobody gets an answer until it is set.
    """

    def __init__(self, status: int = 200, error: Exception | None = None) -> None:
        self._status = status
        self._error = error
        self.posts: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.posts.append((url, body, headers))
        await self.free.wait()
        if self._error is not None:
            raise self._error
        return self._status


async def passed_on(collector: Collector, *bodies: bytes, **ours: str) -> OtlpRelay:
    relay = OtlpRelay(ours, collector)
    for body in bodies:
        relay.take(body, EXPECTED)
    await relay.aclose()
    return relay


@pytest.mark.parametrize(
    ("ours", "url"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "https://c.test:4318"}, "https://c.test:4318/v1/traces"),
        ({"ENDPOINT": "https://c.test/otlp/"}, "https://c.test/otlp/v1/traces"),
        ({"TRACES_ENDPOINT": "https://c.test/t", "ENDPOINT": "https://d.test"}, "https://c.test/t"),
        ({"TRACES_ENDPOINT": "", "ENDPOINT": "https://d.test"}, "https://d.test/v1/traces"),
    ],
)
async def test_the_collector_is_where_our_own_spans_go(ours: dict[str, str], url: str):
    collector = Collector()
    await passed_on(
        collector, REPORT, **{f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ours.items()}
    )
    assert [post[0] for post in collector.posts] == [url]


@pytest.mark.parametrize(
    ("ours", "headers"),
    [
        ({}, {}),
        ({"HEADERS": "Authorization=Bearer%20a%3D,x=1"}, {"authorization": "Bearer a=", "x": "1"}),
        ({"HEADERS": "authorization=Basic abc=="}, {"authorization": "Basic abc=="}),
        ({"HEADERS": " a = 1 , ,b, =2,c=%2C"}, {"a": "1", "c": ","}),
        ({"HEADERS": "a=1", "TRACES_HEADERS": "b=2"}, {"b": "2"}),
        ({"HEADERS": "content-type=text/plain"}, {}),
    ],
)  # fmt: skip
async def test_the_operators_headers_go_along(ours: dict[str, str], headers: dict[str, str]):
    collector = Collector()
    await passed_on(
        collector, REPORT, **{f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ours.items()}
    )
    (post,) = collector.posts
    assert post[2] == {**headers, "content-type": "application/x-protobuf"}


async def test_what_is_passed_on_is_what_may_pass():
    collector = Collector()
    other = span("interaction", OTHER)
    relay = await passed_on(collector, report(span("llm_request"), other))
    (post,) = collector.posts
    assert bytes.fromhex(TRACE) in post[1] and bytes.fromhex(OTHER) not in post[1]
    assert relay.delivered == 1 and not relay.dropped


async def test_history_and_tools_are_as_the_request_has_them():
    collector = Collector()
    relay = OtlpRelay({}, collector)
    turns = [span("interaction", interaction__sequence=number) for number in (1, 2)]
    relay.take(report(*turns, span("tool")), Expected(TRACEPARENT, history=1, tools=True))
    relay.take(report(*turns, span("tool")), Expected(TRACEPARENT, history=2, tools=False))
    await relay.aclose()
    (post,) = collector.posts
    assert post[1].count(b"claude_code.interaction") == 1
    assert post[1].count(b"claude_code.tool") == 1


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
    relay = OtlpRelay({}, collector)
    for _ in range(3):
        relay.take(body, expected)
    await relay.aclose()
    assert collector.posts == []
    assert relay.dropped == {reason: 3}
    assert len(caplog.records) == 1 and reason in caplog.text


async def test_a_report_without_spans_is_nobodys():
    collector = Collector()
    relay = await passed_on(collector, report())
    assert (collector.posts, relay.delivered, dict(relay.dropped)) == ([], 0, {})


FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"status": 503}, "the collector answered with status 503"),
    ({"status": 302}, "the collector answered with status 302"),
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
    relay = OtlpRelay({}, collector)
    for _ in range(otlp_relay.MOST + 3):
        relay.take(REPORT, EXPECTED)
    assert relay.dropped == {"too many are on their way": 3}
    collector.free.set()
    await relay.aclose()
    assert relay.delivered == otlp_relay.MOST
    relay.take(REPORT, EXPECTED)
    await relay.aclose()
    assert relay.delivered == otlp_relay.MOST + 1


async def test_a_slow_collector_has_the_operators_time():
    collector = Collector()
    collector.free.clear()
    relay = await passed_on(collector, REPORT, OTEL_EXPORTER_OTLP_TIMEOUT="0.01")
    assert relay.dropped == {"the collector cannot be reached (TimeoutError)": 1}


@pytest.mark.parametrize("text", ["", "soon"])
async def test_a_time_that_is_none_is_the_usual_one(text: str):
    relay = await passed_on(Collector(), REPORT, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=text)
    assert relay.delivered == 1


async def test_at_the_end_what_is_on_its_way_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otlp_relay, "_LAST_SECONDS", 0.01)
    collector = Collector()
    collector.free.clear()
    before = asyncio.all_tasks()
    relay = await passed_on(collector, REPORT)
    assert relay.dropped == {"the server stopped": 1}
    assert asyncio.all_tasks() == before


@pytest.fixture
async def http() -> AsyncGenerator[HttpClient]:
    ticker = Ticker()
    client = HttpClient(ticker)
    yield client
    await client.aclose()
    ticker.close()


async def test_over_a_real_socket(http: HttpClient, caplog: pytest.LogCaptureFixture):
    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        response = await http.post(url, body=body, headers=headers, connect=5)
        response.close()
        return response.status

    caplog.set_level(logging.WARNING)
    with OtlpSink() as sink:
        relay = OtlpRelay({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}, post)
        relay.take(REPORT, EXPECTED)
        await relay.aclose()
        spans = sink.of_trace(TRACE)
    assert [one.name for one in spans] == ["claude_code.interaction", "claude_code.llm_request"]
    unreachable = OtlpRelay({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}, post)
    unreachable.take(REPORT, EXPECTED)
    await unreachable.aclose()
    assert unreachable.dropped == {"the collector cannot be reached (ProviderError)": 1}
    assert [record.name for record in caplog.records] == [otlp_relay.__name__]

"""Spans on their way to a collector that takes them, is busy, is wrong, or is not there."""

import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource

from proxy.telemetry.export import delivery as module
from proxy.telemetry.export.answers import Answer
from proxy.telemetry.export.connect import exporter_for
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.export.delivery import MAX_REQUEST, Delivery
from proxy.telemetry.export.encoding import (
    EncodedSpan,
    Export,
    encode_resource,
    encode_scope,
    packed,
)
from proxy.telemetry.export.otlp import otlp_settings
from proxy.telemetry.export.schedule import Schedule
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.tracer import RecordProvider
from proxy.telemetry.variables import TelemetryError
from tests.serving import wait_until
from tests.telemetry.collector import Collector, Said
from tests.telemetry.collector import partial as partial_success

CANARY = "canary-7f3a"
NEVER = 600.0
SOON = Schedule(delay=0.02)
PARCELS = partial(Export, encode_resource(Resource({"service.name": "test"})), encode_scope)
NONE_LOST = {"queue_full": 0, "rejected": 0, "unreachable": 0}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the first repetition come after 20 ms instead of a second."""
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.02)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield nobody.getsockname()[1]


def exporter_to(url: str, **variables: str) -> Any:
    ours = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in variables.items()}
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARY}"}
    settings = otlp_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": url, **headers, **ours})
    return exporter_for(settings)


def delivery_to(url: str, schedule: Schedule = SOON, *, seconds: float = 5) -> Delivery:
    return Delivery(exporter_to(url), PARCELS, schedule, seconds=seconds)


def put(delivery: Delivery, *names: str, **attributes: Any) -> None:
    tracer = RecordProvider(delivery.put).get_tracer("test")
    for name in names:
        tracer.start_span(name, Context(), attributes=attributes).end()


def numbered(count: int) -> list[str]:
    return [f"span {number}" for number in range(count)]


def lost(**reasons: int) -> Mapping[str, int]:
    return {**NONE_LOST, **reasons}


def test_what_ended_arrives_after_a_while_in_order_and_is_counted():
    with Collector() as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a", "b")
        wait_until(lambda: delivery.counts().exported == 2)
        put(delivery, "c")
        wait_until(lambda: delivery.counts().exported == 3)
        delivery.shutdown()
        assert collector.names == ["a", "b", "c"]
        assert delivery.counts().dropped == NONE_LOST
        assert delivery.counts().failed_exports == 0
        (headers, *_) = [export.headers for export in collector.exports]
        assert headers["content-type"] == "application/x-protobuf"
        assert headers["authorization"] == f"Bearer {CANARY}"


def test_a_whole_batch_does_not_wait():
    with Collector() as collector:
        delivery = delivery_to(collector.url, Schedule(batch=10, delay=NEVER))
        put(delivery, *numbered(25))
        wait_until(lambda: delivery.counts().exported == 20)
        assert [len(export.names) for export in collector.exports] == [10, 10]
        delivery.shutdown()
        assert collector.names == numbered(25)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_who_is_busy_is_asked_again_with_the_same_bytes(status: int):
    with Collector(Said(status), Said(status)) as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a", "b")
        wait_until(lambda: delivery.counts().exported == 2)
        delivery.shutdown()
        first, *others = [export.body for export in collector.exports]
        assert others == [first, first]
        assert delivery.counts().failed_exports == 2
        assert delivery.counts().dropped == NONE_LOST


def test_who_says_when_is_asked_then():
    with Collector(Said(503, headers={"retry-after": "1"})) as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a")
        wait_until(lambda: delivery.counts().exported == 1)
        delivery.shutdown()
        first, second = [export.time for export in collector.exports]
        assert second - first >= 0.95


def test_who_wants_more_time_than_there_is_gets_it_but_not_the_batch():
    with Collector(Said(429, headers={"retry-after": "1"})) as collector:
        delivery = delivery_to(collector.url, Schedule(delay=0.02, patience=0.3))
        put(delivery, "early")
        wait_until(lambda: delivery.counts().dropped["unreachable"] == 1)
        put(delivery, "later")
        wait_until(lambda: delivery.counts().exported == 1)
        delivery.shutdown()
        first, second = collector.exports
        assert (first.names, second.names) == (["early"], ["later"])
        assert second.time - first.time >= 0.95


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 500])
def test_what_is_refused_is_not_sent_again(status: int, caplog: pytest.LogCaptureFixture):
    with Collector(Said(status)) as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a", "b")
        wait_until(lambda: delivery.counts().dropped["rejected"] == 2)
        put(delivery, "c")
        wait_until(lambda: delivery.counts().exported == 1)
        delivery.shutdown()
        assert [export.names for export in collector.exports] == [["a", "b"], ["c"]]
    assert f"it answered with status {status}" in caplog.text
    assert "2 rejected" in caplog.text


def test_what_is_taken_in_part_is_counted_in_parts(caplog: pytest.LogCaptureFixture):
    said = f"span too old; you said Bearer {CANARY}"
    with Collector(Said(body=partial_success(3, said))) as collector:
        delivery = delivery_to(collector.url, Schedule(batch=10, delay=NEVER))
        put(delivery, *numbered(10))
        wait_until(lambda: delivery.counts().exported == 7)
        delivery.shutdown()
        assert len(collector.exports) == 1
    assert delivery.counts().dropped == lost(rejected=3)
    assert "span too old" in caplog.text and CANARY not in caplog.text


def test_a_collector_that_rejects_more_than_it_got_is_not_believed():
    with Collector(Said(body=partial_success(99, ""))) as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a")
        wait_until(lambda: delivery.counts().dropped["rejected"] == 1)
        delivery.shutdown()
    assert delivery.counts().exported == 0


@pytest.mark.parametrize("body", [b"\x0a\x00", b"{}", b"<html>", b"x" * 200_000])
def test_any_words_with_a_success_are_one(body: bytes):
    with Collector(Said(body=body)) as collector:
        delivery = delivery_to(collector.url)
        put(delivery, "a")
        wait_until(lambda: delivery.counts().exported == 1)
        put(delivery, "b")
        wait_until(lambda: delivery.counts().exported == 2)
        delivery.shutdown()
        assert collector.names == ["a", "b"]


def test_spans_wait_for_a_collector_that_comes_back():
    with socket.socket() as away:
        away.bind(("127.0.0.1", 0))
        port = away.getsockname()[1]
        delivery = delivery_to(f"http://127.0.0.1:{port}")
        put(delivery, *numbered(5))
        wait_until(lambda: delivery.counts().failed_exports >= 2)
    with Collector(port=port) as collector:
        wait_until(lambda: delivery.counts().exported == 5)
        delivery.shutdown()
        assert collector.names == numbered(5)
    assert delivery.counts().dropped == NONE_LOST


def test_a_full_queue_drops_what_comes_and_never_waits(
    closed_port: int, caplog: pytest.LogCaptureFixture
):
    schedule = Schedule(queue=20, batch=10, delay=0.02, patience=0.3)
    delivery = delivery_to(f"http://127.0.0.1:{closed_port}", schedule)
    put(delivery, *numbered(10))
    wait_until(lambda: delivery.counts().failed_exports >= 1)
    put(delivery, *numbered(5000))
    assert delivery.counts().dropped["queue_full"] == 4980
    wait_until(lambda: delivery.counts().dropped["unreachable"] == 30)
    delivery.shutdown()
    assert delivery.counts().exported == 0
    said = [record.getMessage() for record in caplog.records]
    # When it began, and at the end: not for each span, nor for each try.
    assert len(said) == 2
    assert "Connection refused; lost so far: none" in said[0]
    assert "4980 queue_full, 30 unreachable" in said[1]


def test_at_the_end_everything_left_is_delivered():
    with Collector(Said(503)) as collector:
        delivery = delivery_to(collector.url, Schedule(batch=10, delay=NEVER))
        put(delivery, *numbered(9))
        delivery.shutdown()
        assert collector.names == [*numbered(9), *numbered(9)]
        assert delivery.counts().exported == 9
        put(delivery, "late")
        delivery.shutdown()
        assert delivery.counts().dropped == lost(unreachable=1)


def test_a_wait_for_a_busy_collector_ends_with_the_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_FIRST_WAIT", NEVER)
    with Collector(Said(503)) as collector:
        delivery = delivery_to(collector.url, Schedule(delay=0.02, patience=2 * NEVER))
        put(delivery, "a")
        wait_until(lambda: delivery.counts().failed_exports == 1)
        delivery.shutdown()
        assert collector.names == ["a", "a"]
        assert delivery.counts().exported == 1


@pytest.mark.parametrize("collector", ["closed", "silent", "busy"])
def test_a_collector_that_is_not_there_holds_nobody_up_at_the_end(
    collector: str, closed_port: int, caplog: pytest.LogCaptureFixture
):
    with socket.socket() as silent, Collector(*[Said(503)] * 1000) as busy:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = {"closed": closed_port, "silent": silent.getsockname()[1], "busy": busy.port}
        url = f"http://127.0.0.1:{port[collector]}"
        delivery = delivery_to(url, Schedule(batch=10, delay=NEVER), seconds=60)
        put(delivery, *numbered(45))
        began = time.monotonic()
        delivery.shutdown(0.5)
        # Generous: a busy machine.
        assert time.monotonic() - began < 5
        assert delivery.counts().dropped == lost(unreachable=45)
    assert "45 unreachable" in caplog.text
    assert CANARY not in caplog.text


def test_at_the_end_a_collector_that_is_away_is_not_tried_for_each_batch(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_FIRST_WAIT", NEVER)
    schedule = Schedule(batch=10, delay=NEVER, patience=2 * NEVER)
    delivery = delivery_to(f"http://127.0.0.1:{closed_port}", schedule)
    put(delivery, *numbered(45))
    wait_until(lambda: delivery.counts().failed_exports == 1)
    delivery.shutdown()
    assert delivery.counts().failed_exports == 2
    assert delivery.counts().dropped == lost(unreachable=45)


def test_large_spans_go_in_several_requests():
    text = "x" * (MAX_REQUEST // 4)
    with Collector() as collector:
        delivery = delivery_to(collector.url, Schedule(batch=10, delay=NEVER))
        put(delivery, *numbered(10), text=text)
        wait_until(lambda: delivery.counts().exported == 10)
        delivery.shutdown()
        assert collector.names == numbered(10)
        sizes = [len(export.raw) for export in collector.exports]
        assert len(sizes) == 4 and max(sizes) < MAX_REQUEST + 1024


def test_a_span_that_cannot_be_encoded_harms_neither_its_request_nor_the_others(
    caplog: pytest.LogCaptureFixture,
):
    def encode(span: SpanRecord) -> EncodedSpan:
        if span.name == "b":
            raise KeyError(CANARY)
        return packed(span)

    with Collector() as collector:
        delivery = Delivery(exporter_to(collector.url), PARCELS, SOON, seconds=5, encode=encode)
        put(delivery, "a", "b", "c", "b")
        wait_until(lambda: delivery.counts().exported == 2)
        delivery.shutdown()
        assert collector.names == ["a", "c"]
        assert delivery.counts().dropped == lost(unreachable=2)
    # Once, though it may come with each span.
    assert caplog.text.count("spans could not be delivered: KeyError at ") == 1
    assert CANARY not in caplog.text


class Faulty:
    """A request that cannot take its first span."""

    made = 0

    def __init__(self) -> None:
        self.size = 0
        Faulty.made += 1
        self._wrong = Faulty.made == 1
        self._right = PARCELS()

    def add(self, span: EncodedSpan, most: int) -> bool:
        if self._wrong:
            raise KeyError(CANARY)
        return self._right.add(span, most)

    def finish(self) -> bytes:
        return self._right.finish()


def test_an_error_of_our_own_ends_no_delivery_and_is_told(caplog: pytest.LogCaptureFixture):
    Faulty.made = 0
    with Collector() as collector:
        schedule = Schedule(batch=1, delay=NEVER)
        delivery = Delivery(exporter_to(collector.url), Faulty, schedule, seconds=5)
        put(delivery, "a")
        wait_until(lambda: delivery.counts().dropped["unreachable"] == 1)
        put(delivery, "b")
        wait_until(lambda: delivery.counts().exported == 1)
        delivery.shutdown()
        assert collector.names == ["b"]
    assert "spans could not be delivered: KeyError at " in caplog.text
    assert CANARY not in caplog.text


def test_a_span_that_is_too_large_takes_no_other_with_it():
    # As a gRPC collector does that nobody told otherwise.
    bodies: list[int] = []

    class Strict:
        def send(self, body: bytes, seconds: float) -> Answer:
            bodies.append(len(body))
            return Answer(taken=len(body) <= 4 * 1024 * 1024)

        def close(self) -> None:
            pass

    delivery = Delivery(Strict(), PARCELS, Schedule(delay=NEVER), seconds=5)
    put(delivery, *numbered(100))
    put(delivery, "large", text="x" * 5 * 1024 * 1024)
    put(delivery, *numbered(100))
    delivery.shutdown()
    counts = delivery.counts()
    assert (counts.exported, counts.dropped["rejected"]) == (200, 1)
    assert len(bodies) == 3


class Sink:
    """An exporter that takes everything, and notes by which thread."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def send(self, body: bytes, seconds: float) -> Answer:
        self.threads.add(threading.current_thread().name)
        return Answer(taken=True)

    def close(self) -> None:
        pass


def test_a_span_is_encoded_when_it_ends_and_the_thread_only_sends():
    threads: list[str] = []

    def encode(span: SpanRecord) -> EncodedSpan:
        threads.append(threading.current_thread().name)
        return packed(span)

    sink = Sink()
    delivery = Delivery(sink, PARCELS, Schedule(delay=NEVER), seconds=5, encode=encode)
    put(delivery, *numbered(512))
    wait_until(lambda: delivery.counts().exported == 512)
    delivery.shutdown()
    assert threads == [threading.current_thread().name] * 512
    assert sink.threads == {"ep-spans"}


def differs(delivery: Delivery, before: DeliveryCounts) -> bool:
    return delivery.counts() != before


def test_no_log_of_any_level_has_a_header(closed_port: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    said = [Said(503), Said(401, CANARY.encode()), Said(body=partial_success(1, CANARY))]
    with Collector(*said) as collector:
        delivery = delivery_to(f"http://user:{CANARY}@127.0.0.1:{collector.port}")
        for _ in said:
            before = delivery.counts()
            put(delivery, "a")
            wait_until(partial(differs, delivery, before))
        delivery.shutdown()
    delivery = delivery_to(f"http://user:{CANARY}@127.0.0.1:{closed_port}")
    put(delivery, "a")
    wait_until(lambda: delivery.counts().failed_exports > 0)
    delivery.shutdown(0.5)
    assert len(caplog.records) >= 4 and CANARY not in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
    ],
)
def test_a_schedule_that_is_none_stops_the_start(name: str, value: str):
    with pytest.raises(TelemetryError, match=f"{name} is `?{value}"):
        Schedule.from_environment({name: value})


def test_the_schedule_is_the_specifications_unless_variables_say_more():
    assert Schedule.from_environment({}) == Schedule(2048, 512, 5.0, 30.0)
    assert Schedule.from_environment({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}) == Schedule(100, 100)
    ours = {"OTEL_BSP_SCHEDULE_DELAY": "200", "OTEL_BSP_EXPORT_TIMEOUT": "1500"}
    assert Schedule.from_environment(ours) == Schedule(delay=0.2, patience=1.5)

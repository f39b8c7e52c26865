"""What is looked at, and the page that is made of it, apart from a server."""

import asyncio
import threading
from typing import Any, cast

import pytest

from proxy.access import Access
from proxy.generation import Generation, Generations
from proxy.health import Health
from proxy.metrics_page import MetricsPage
from proxy.state_gauges import StateGauges
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.metrics.instruments import INSTRUMENTS
from proxy.telemetry.metrics.meters import Meters
from proxy.telemetry.metrics.prometheus import PrometheusBackend
from tests.scrape import sample, samples
from tests.telemetry.traced_app import Answer, ScriptedProvider, TracedApp


def generations() -> Generations:
    engine = TracedApp(ScriptedProvider(Answer())).service.generation.engine
    return Generations(Generation(engine, Access((), ()), Health(engine)))


async def test_spans_that_somebody_else_counts_are_counted_once():
    counts, backend = DeliveryCounts(3, {"queue_full": 2}, 0), PrometheusBackend()
    gauges = StateGauges(
        Meters(INSTRUMENTS, [backend]),
        generations(),
        is_wrong=lambda: False,
        spans=lambda: counts,
    )
    gauges.look()
    counts = DeliveryCounts(10, {"queue_full": 2, "unreachable": 4}, 1)
    gauges.look()
    gauges.look()
    gauges.close()
    found = samples(backend.page(as_openmetrics=False)[0].decode())
    assert found[sample("ep_spans_exported_total")] == 10
    assert found[sample("ep_spans_failed_exports_total")] == 1
    assert found[sample("ep_spans_dropped_total", ep_reason="queue_full")] == 2
    assert found[sample("ep_spans_dropped_total", ep_reason="unreachable")] == 4


async def test_it_looks_by_itself_until_it_is_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("proxy.state_gauges.INTERVAL", 0.01)
    looks: list[float] = []
    thrice = asyncio.Event()

    def is_wrong() -> bool:
        looks.append(asyncio.get_running_loop().time())
        if len(looks) == 3:
            thrice.set()
        return False

    gauges = StateGauges(
        Meters(INSTRUMENTS, [PrometheusBackend()]),
        generations(),
        is_wrong=is_wrong,
        spans=DeliveryCounts,
    )
    async with asyncio.timeout(5):
        await thrice.wait()
    gauges.close()
    before = len(looks)
    await asyncio.sleep(0.1)
    assert len(looks) == before


async def test_a_page_is_made_apart_from_the_event_loop_and_once_for_all_who_wait():
    made: list[int] = []
    go_on = threading.Event()
    apart: set[int] = set()

    def make(*, as_openmetrics: bool) -> tuple[bytes, str]:
        apart.add(threading.get_ident())
        assert go_on.wait(10)
        made.append(len(made))
        return b"%d" % len(made), "text"

    page = MetricsPage(cast("Any", make), lambda: None)
    first = asyncio.create_task(page.get(as_openmetrics=False))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(page.get(as_openmetrics=False)) for _ in range(20)]
    await asyncio.sleep(0.05)
    go_on.set()
    assert (await first)[0] == b"1"
    # What was under way when they asked may not have what was counted since.
    assert {(await other)[0] for other in others} == {b"2"}
    assert threading.get_ident() not in apart
    assert (await page.get(as_openmetrics=False))[0] == b"3"

"""The page of one process is the one that Prometheus's own client would make of it."""

import re
import threading
from collections.abc import Callable
from math import inf
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from proxy.telemetry.metrics.instruments import INSTRUMENTS, label_name, prometheus_name
from proxy.telemetry.metrics.meters import Labels
from proxy.telemetry.metrics.numbers import Distribution, Numbers
from proxy.telemetry.metrics.prometheus import PrometheusBackend

# The library's functions lack some types.
_page: Callable[[CollectorRegistry], bytes] = generate_latest
_openmetrics: Callable[[CollectorRegistry], bytes] = cast("Any", openmetrics).generate_latest

DURATION = INSTRUMENTS["ep.request.overhead"]
COUNTER = INSTRUMENTS["ep.retries"]
GAUGE = INSTRUMENTS["ep.requests.in_flight"]
BOUNDS = st.sampled_from(DURATION.buckets)
VALUES = st.lists(st.tuples(st.sampled_from(["a", "b\n"]), BOUNDS | st.floats(0, 1e6)), max_size=20)


def pages(backend: PrometheusBackend, registry: CollectorRegistry) -> list[tuple[bytes, bytes]]:
    """Return the page in both formats, each beside the library's own."""
    return [
        (backend.page(as_openmetrics=False)[0], _page(registry)),
        (backend.page(as_openmetrics=True)[0], _openmetrics(registry)),
    ]


@given(VALUES)
def test_a_histogram(values: list[tuple[str, float]]) -> None:
    backend, registry = PrometheusBackend(), CollectorRegistry()
    ours = backend.meter(DURATION)
    name, about = prometheus_name(DURATION), DURATION.description + "."
    labels = [label_name(attribute) for attribute in DURATION.attributes]
    theirs = Histogram(name, about, labels, buckets=DURATION.buckets, registry=registry)
    for persona, value in values:
        ours.record(value, (persona,))
        theirs.labels(persona).observe(value)
    for one, other in pages(backend, registry):
        assert one == other


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 5))))
def test_a_counter(values: list[tuple[str, str, int]]) -> None:
    backend, registry = PrometheusBackend(), CollectorRegistry()
    ours = backend.meter(COUNTER)
    name, about = prometheus_name(COUNTER), COUNTER.description + "."
    labels = [label_name(attribute) for attribute in COUNTER.attributes]
    theirs = Counter(name, about, labels, registry=registry)
    for persona, provider, value in values:
        ours.record(value, (persona, provider))
        theirs.labels(persona, provider).inc(value)
    for one, other in pages(backend, registry):
        assert one == other


def test_a_gauge_without_labels_is_there_once_it_has_a_value() -> None:
    backend, registry = PrometheusBackend(), CollectorRegistry()
    ours = backend.meter(GAUGE)
    assert backend.page(as_openmetrics=False)[0] == b""
    ours.record(7, ())
    ours.record(3, ())
    theirs = Gauge(prometheus_name(GAUGE), GAUGE.description + ".", registry=registry)
    theirs.set(3)
    for one, other in pages(backend, registry):
        assert one == other


def test_a_counter_never_goes_back() -> None:
    count = Numbers(COUNTER).series(("a", "b"))
    with pytest.raises(ValueError, match="never goes back"):
        count(-1)


def test_what_is_above_all_bounds_is_in_the_last_bucket_alone() -> None:
    numbers = Numbers(DURATION)
    observe = numbers.series(("a",))
    observe(inf)
    ((_, one),) = numbers.all()
    assert isinstance(one, Distribution)
    assert one.counts == [*[0] * len(DURATION.buckets), 1]


def test_a_page_is_made_while_series_come() -> None:
    backend = PrometheusBackend()
    meter = backend.meter(COUNTER)
    known: list[Labels] = [(f"p{number}", "x") for number in range(1500)]

    def count() -> None:
        for labels in known:
            meter.record(1, labels)

    thread = threading.Thread(target=count)
    thread.start()
    while thread.is_alive():
        page, _ = backend.page(as_openmetrics=False)
        assert page.count(b'ep_provider="x"') <= len(known)
    thread.join()
    page, _ = backend.page(as_openmetrics=False)
    assert page.count(b'ep_provider="x"} 1.0') == len(known)


@pytest.mark.parametrize("instrument", [DURATION, COUNTER], ids=["histogram", "counter"])
def test_values_that_read_the_same_are_one_series(instrument: Any) -> None:
    """None and an empty text are the same label; a name may be that of what was too much."""
    backend = PrometheusBackend()
    meter = backend.meter(instrument)
    one = tuple(None for _ in instrument.attributes)
    other = tuple("" for _ in instrument.attributes)
    for labels in (one, one, other, one):
        meter.record(1, labels)
    page = backend.page(as_openmetrics=False)[0].decode()
    counts = [line for line in page.splitlines() if re.match(r"\w+_(count|total)\W", line)]
    assert [line.rpartition(" ")[2] for line in counts] == ["4.0"]

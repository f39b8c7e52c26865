"""Metrics for Prometheus: the one module that knows its client library. Imported when it is used.

The numbers of one server process are kept here (`numbers`), and the library makes the page of them:
its own take a lock and look at bucket after bucket, 1 µs for each observation, of which a request
makes fifteen. Those of several processes the library keeps in one memory-mapped file for each
process and kind, all in one folder: whichever process is scraped reads the files of all. That it
does so it decides when it is first imported, by a variable of the environment.

A process that dies leaves its files. Its counters and histograms go on to count: they are of
requests that were served. Its gauges say what is no longer so, and go with it (`forget_process`).
"""

import os
from collections.abc import Callable, Iterable
from itertools import accumulate
from math import inf
from pathlib import Path
from typing import Any, Final, Literal, cast

from proxy.telemetry.metrics.instruments import Instrument, label_name, prometheus_name
from proxy.telemetry.metrics.meters import MOST_SERIES, OVERFLOW, Labels, Meter
from proxy.telemetry.metrics.numbers import Distribution, Numbers, Observe, Single
from proxy.workers import shared_folder

__all__ = ["PrometheusBackend", "forget_process"]

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_FOLDER: Final = "metrics"


def _choose_place() -> Path | None:
    """Return the folder of several processes' numbers; None: this process's memory."""
    shared = shared_folder()
    if shared is not None:
        os.environ[_VARIABLE] = str(shared / _FOLDER)
    # Where others start our processes (gunicorn, uvicorn), they may have set it.
    if not (place := os.environ.get(_VARIABLE)):
        os.environ.pop(_VARIABLE, None)
        return None
    folder = Path(place)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


_folder: Final = _choose_place()

from prometheus_client import (  # noqa: E402  the folder had to be named before
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    utils,
)
from prometheus_client.core import (  # noqa: E402
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as PrometheusMetric  # noqa: E402
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4  # noqa: E402
from prometheus_client.openmetrics import exposition as openmetrics  # noqa: E402
from prometheus_client.registry import Collector  # noqa: E402

# Three of its functions lack some types.
_number: Final = cast("Callable[[float], str]", cast("Any", utils).floatToGoString)
_mark_dead: Final = cast("Callable[[int, str], None]", cast("Any", multiprocess).mark_process_dead)
_openmetrics: Final = cast(
    "Callable[[CollectorRegistry], bytes]", cast("Any", openmetrics).generate_latest
)

if _folder is not None:
    # Of a process that had our number before us, and whose end nobody has seen.
    _mark_dead(os.getpid(), str(_folder))
# When a series began: one more series for each, which nothing here asks for.
disable_created_metrics()


def forget_process(pid: int, folder: Path) -> None:
    """Take the gauges of a server process away that is no more.

    Args:
        pid: Its number.
        folder: That the server processes share.
    """
    _mark_dead(pid, str(folder / _FOLDER))


class PrometheusBackend:
    """The numbers, and the page that shows them."""

    def __init__(self) -> None:
        # Its own, not the library's: whatever else lives in this process is none of ours.
        self._registry = CollectorRegistry()

    def meter(self, instrument: Instrument) -> Meter:
        """Return what takes the observations of a metric."""
        if _folder is not None:
            return _Meter(len(instrument.attributes), _finder(instrument, self._registry))
        numbers = Numbers(instrument)
        self._registry.register(_Shown(numbers))
        return _Meter(len(instrument.attributes), numbers.series)

    def page(self, *, as_openmetrics: bool) -> tuple[bytes, str]:
        """Return the page and its content type; blocks for as long as making it takes."""
        registry = self._registry
        if _folder is not None:
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, path=str(_folder))
        if as_openmetrics:
            return _openmetrics(registry), openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    async def aclose(self) -> None:
        """There is nothing to deliver: whoever wants them has to ask."""


_Series = list[tuple[tuple[str, ...], Single | Distribution]]
_Find = Callable[[tuple[str, ...]], Observe]


class _Meter:
    """One metric, with the series that it has so far: finding one costs 0.2 µs."""

    __slots__ = ("_find", "_labels", "_overflow", "_series")

    def __init__(self, labels: int, find: _Find) -> None:
        self._find = find
        self._labels = labels
        self._series: dict[Labels, Observe] = {}
        self._overflow: Observe | None = None

    def record(self, value: float, labels: Labels, /) -> None:
        series = self._series.get(labels)
        if series is None:
            series = self._found(labels)
        series(value)

    def _found(self, labels: Labels) -> Observe:
        if len(labels) != self._labels:
            raise ValueError(f"{len(labels)} labels are given, {self._labels} are named")
        if len(self._series) >= MOST_SERIES:
            if self._overflow is None:
                self._overflow = self._find((OVERFLOW,) * self._labels)
            return self._overflow
        series = self._series[labels] = self._find(tuple(map(_text, labels)))
        return series


class _Shown(Collector):
    """Shows the numbers of one metric as the library's own would be."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._bounds = [_number(bound) for bound in (*numbers.instrument.buckets, inf)]

    def collect(self) -> Iterable[PrometheusMetric]:
        row, series = self._numbers.instrument, self._numbers.all()
        if not (row.attributes or series):
            # Its only series is not to be there before somebody has counted.
            return
        name, about = prometheus_name(row), row.description + "."
        labels = [label_name(attribute) for attribute in row.attributes]
        if row.kind == "histogram":
            yield self._histogram(HistogramMetricFamily(name, about, labels=labels), series)
            return
        of = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
        family = of(name, about, labels=labels)
        for values, single in series:
            if isinstance(single, Single):
                family.add_metric(values, single.value)
        yield family

    def _histogram(self, family: HistogramMetricFamily, series: _Series) -> HistogramMetricFamily:
        for values, one in series:
            if isinstance(one, Distribution):
                total, counts = one.total, accumulate(one.counts.copy(), initial=0.0)
                next(counts)
                family.add_metric(values, list(zip(self._bounds, counts, strict=True)), total)
        return family


def _finder(instrument: Instrument, registry: CollectorRegistry) -> _Find:
    """Return what makes the series of some label values, and returns what to observe with."""
    name, about = prometheus_name(instrument), instrument.description + "."
    labels = [label_name(attribute) for attribute in instrument.attributes]
    mode: Literal["livesum", "livemax"] = "livesum" if instrument.together == "sum" else "livemax"

    def made() -> Counter | Gauge | Histogram:
        if instrument.kind == "histogram":
            bounds = instrument.buckets
            return Histogram(name, about, labels, buckets=bounds, registry=registry)
        if instrument.kind == "counter":
            return Counter(name, about, labels, registry=registry)
        return Gauge(name, about, labels, registry=registry, multiprocess_mode=mode)

    if not labels:
        # With it comes its only series, which is not to be there before somebody has counted.
        return lambda _: _observe(made())
    metric = made()
    return lambda values: _observe(metric.labels(*values))


def _observe(series: Counter | Gauge | Histogram) -> Observe:
    if isinstance(series, Histogram):
        return series.observe
    return series.inc if isinstance(series, Counter) else series.set


def _text(value: str | int | bool | None) -> str:
    # An empty label is none to Prometheus.
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)

"""The numbers of one metric in this process, for whoever shows them.

One thread makes all observations, the event loop's; any other may look at them meanwhile. Neither
needs a lock: what is seen may lack the observation that is just being made.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from proxy.telemetry.metrics.instruments import Instrument

__all__ = ["Distribution", "Numbers", "Observe", "Single"]

Observe = Callable[[float], object]
"""Takes the observations of one series."""


class Single:
    """A counter's number, or a gauge's."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float) -> None:
        """Count.

        Raises:
            ValueError: The amount is negative: a counter never goes back.
        """
        if amount < 0:
            raise ValueError("a counter never goes back")
        self.value += amount

    def set(self, value: float) -> None:
        """Say what it is now."""
        self.value = value


class Distribution:
    """A histogram's numbers.

    Args:
        bounds: Upper bounds of the buckets, in their order, without the infinite one.

    Attributes:
        counts: How many observations fell into each bucket, the infinite one being the last.
        total: The sum of all.
    """

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Put an observation into its bucket; one at a bound belongs below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Numbers:
    """The series of one metric.

    Args:
        instrument: The metric.

    Attributes:
        instrument: The same.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self._is_set = instrument.kind not in ("counter", "histogram")
        self._series: dict[tuple[str, ...], Single | Distribution] = {}

    def series(self, labels: tuple[str, ...]) -> Observe:
        """Return what takes the observations of a series, which is there from now on."""
        found = self._series.get(labels)
        if found is None:
            histogram = self.instrument.kind == "histogram"
            found = Distribution(self.instrument.buckets) if histogram else Single()
            self._series[labels] = found
        return found.set if isinstance(found, Single) and self._is_set else found.add

    def all(self) -> list[tuple[tuple[str, ...], Single | Distribution]]:
        """Return all series with the values of their labels, in the order of their begin."""
        return list(self._series.copy().items())

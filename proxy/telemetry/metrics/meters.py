"""Where observations go: to each back end that is on, or to nobody."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from proxy.telemetry.metrics.instruments import INSTRUMENTS, Instrument

__all__ = ["MOST_SERIES", "OVERFLOW", "Backend", "Labels", "Meter", "Meters"]

Labels = tuple[str | int | bool | None, ...]
"""The values of a metric's attributes, in the order of its row; None: it has none here."""

MOST_SERIES: Final = 2000
"""Of one metric in one process, as OpenTelemetry limits them. No sane policy comes near; what
is beyond it is counted together, as `OVERFLOW`."""

OVERFLOW: Final = "other"


class Meter(Protocol):
    """Takes the observations of one metric."""

    def record(self, value: float, labels: Labels, /) -> None:
        """Add to a counter, put into a histogram, or set a gauge."""
        ...


class Backend(Protocol):
    """Something that metrics are exported by."""

    def meter(self, instrument: Instrument, /) -> Meter:
        """Return what takes the observations of a metric; asked for once."""
        ...

    async def aclose(self) -> None:
        """Deliver what is left, within a few seconds."""
        ...


class Meters:
    """The metrics that are exported, each with all who export it.

    Args:
        instruments: Those that are, by name.
        backends: Who exports them.

    Attributes:
        backends: The same.
    """

    def __init__(self, instruments: Mapping[str, Instrument], backends: Sequence[Backend]) -> None:
        self.backends = backends
        self._meters = {
            name: [backend.meter(row) for backend in backends] for name, row in instruments.items()
        }

    def of(self, *names: str) -> Meter:
        """Return what takes an observation under each of the names that are exported.

        Raises:
            KeyError: The table has no such metric.
        """
        unknown = [name for name in names if name not in INSTRUMENTS]
        if unknown:
            raise KeyError(*unknown)
        found = [meter for name in names for meter in self._meters.get(name, ())]
        return found[0] if len(found) == 1 else _Several(found)

    async def aclose(self) -> None:
        """Deliver what is left, within a few seconds."""
        for backend in self.backends:
            await backend.aclose()


class _Several:
    """Gives an observation to several; to nobody, where there are none."""

    __slots__ = ("_meters",)

    def __init__(self, meters: Sequence[Meter]) -> None:
        self._meters = tuple(meters)

    def record(self, value: float, labels: Labels, /) -> None:
        for meter in self._meters:
            meter.record(value, labels)

"""Metrics of what is, not of what happened: gates, processes, the policy, the delivery of spans.

They are looked at every few seconds, and before a page is made. With several server processes the
page of one shows what the others saw last.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from proxy import __version__
from proxy.generation import Generations
from proxy.processes import HasProcesses
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.metrics.meters import Labels, Meter, Meters

__all__ = ["StateGauges"]

INTERVAL: Final = 2.0
"""Seconds between two looks."""


class StateGauges:
    """Looks, for as long as it is open, in the event loop that it is made in.

    Args:
        meters: Where it is told.
        generations: Of the policy.
        is_wrong: Whether the policy file is refused as it is now.
        spans: Returns what became of them so far.
    """

    def __init__(
        self,
        meters: Meters,
        generations: Generations,
        *,
        is_wrong: Callable[[], bool],
        spans: Callable[[], DeliveryCounts],
    ) -> None:
        self._generations = generations
        self._is_wrong = is_wrong
        self._spans = spans
        self._gates = _Present(meters.of("ep.gate.open"))
        self._processes = _Present(meters.of("ep.agent.processes"))
        self._waiting = _Present(meters.of("ep.agent.waiting"))
        self._generation = meters.of("ep.policy.generation")
        self._wrong = meters.of("ep.policy.wrong")
        self._exported = _Counted(meters.of("ep.spans.exported"))
        self._dropped = _Counted(meters.of("ep.spans.dropped"))
        self._failed = _Counted(meters.of("ep.spans.failed_exports"))
        meters.of("ep.build").record(1, (__version__,))
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    def look(self) -> None:
        """Tell what is now."""
        generation = self._generations.current
        self._generation.record(generation.number, ())
        self._wrong.record(int(self._is_wrong()), ())
        gates = generation.engine.gates
        states = () if gates is None else gates.open_now()
        self._gates.tell({(persona, *target): int(is_open) for persona, *target, is_open in states})
        self._look_at_processes()
        spans = self._spans()
        self._exported.tell(spans.exported, ())
        self._failed.tell(spans.failed_exports, ())
        for reason, count in spans.dropped.items():
            self._dropped.tell(count, (reason,))

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look_at_processes(self) -> None:
        counts: dict[Labels, float] = {}
        waiting: dict[Labels, float] = {}
        # While requests of an earlier policy are under way, its processes are there, too.
        parts = {
            id(part): (name, part.value)
            for generation in self._generations.living
            for name, part in generation.providers.items()
        }
        for name, provider in parts.values():
            if isinstance(provider, HasProcesses):
                now = provider.processes()
                for state, count in (("parked", now.parked), ("serving", now.serving)):
                    counts[name, state] = counts.get((name, state), 0) + count
                waiting[name,] = waiting.get((name,), 0) + now.waiting
        self._processes.tell(counts)
        self._waiting.tell(waiting)

    def _tick(self) -> None:
        # First: whatever goes wrong with one look, there is another.
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._tick)
        self.look()


class _Present:
    """A gauge whose series come and go: one that is gone is 0."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._told: Mapping[Labels, float] = {}

    def tell(self, values: Mapping[Labels, float]) -> None:
        for labels in self._told.keys() - values.keys():
            self._meter.record(0, labels)
        for labels, value in values.items():
            self._meter.record(value, labels)
        self._told = values


class _Counted:
    """A counter that somebody else counts."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._told: dict[Labels, int] = {}

    def tell(self, total: int, labels: Labels) -> None:
        before = self._told.get(labels, 0)
        self._meter.record(max(0, total - before), labels)
        self._told[labels] = total

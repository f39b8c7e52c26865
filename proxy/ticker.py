"""One timer for all open streams, in place of two for each.

A timer of the event loop's own costs a kilobyte. Nothing here needs to be exact: heartbeats and
idle limits are counted in seconds.
"""

import asyncio
from typing import Protocol

__all__ = ["Ticker", "Ticking"]

INTERVAL = 0.25
"""Seconds between two looks at the clock: how much later than asked something may happen."""


class Ticking(Protocol):
    """Something that wants to know the time."""

    def tick(self, now: float) -> None:
        """Look at the event loop's time; called a few times a second."""
        ...


class Ticker:
    """Tells the time to whatever asked for it, until it is discarded."""

    def __init__(self) -> None:
        self._listeners: set[Ticking] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, listener: Ticking) -> None:
        """Begin to call `listener.tick`."""
        self._listeners.add(listener)
        if self._timer is None:
            self._arm()

    def discard(self, listener: Ticking) -> None:
        """Stop to call it; nothing happens where it was never called."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """Stop altogether."""
        self._listeners.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._tick)

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for listener in tuple(self._listeners):
            listener.tick(now)
        if self._listeners:
            self._arm()
        else:
            self._timer = None

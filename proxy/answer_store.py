"""Where answers are kept for repeated requests; this one is the process's memory."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["AnswerStore", "MemoryAnswerStore"]


class AnswerStore(Protocol):
    """Keeps bytes by key, within bounds: whatever is in it may be gone."""

    def keep(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep a value for some seconds, in place of the one before; nobody waits for it."""
        ...

    async def find(self, key: str) -> bytes | None:
        """Return the value of a key; None where there is none, or its time is over. Never fails."""
        ...

    async def aclose(self) -> None:
        """Write what waits to be written, within a few seconds, and let go."""
        ...


class _Entry(NamedTuple):
    value: bytes
    ttl: float
    expires: float


ENTRY_BYTES = 600
"""What an entry takes beside its value: two links, and a key of 64 digits."""


class MemoryAnswerStore:
    """Keeps values in the process; all operations take constant time.

    The least recently used goes first where there is no room. What is over its time is gone from
    the memory with the next use of the store.

    Args:
        max_entries: Values.
        max_bytes: Of all entries together.
        clock: Seconds; never goes back.
    """

    def __init__(
        self, *, max_entries: int, max_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        # For each lifetime, of which a policy has few, the keys by age.
        self._ages: dict[float, OrderedDict[str, None]] = {}
        self._bytes = 0

    @property
    def size(self) -> int:
        """The bytes of all entries."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep a value for some seconds, in place of the one before."""
        now = self._clock()
        self._expire(now)
        self._drop(key)
        size = len(value) + ENTRY_BYTES
        if size > self._max_bytes:
            return
        self._entries[key] = _Entry(value, ttl, now + ttl)
        self._ages.setdefault(ttl, OrderedDict())[key] = None
        self._bytes += size
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    async def find(self, key: str) -> bytes | None:
        """Return the value of a key; None where there is none, or its time is over."""
        self._expire(self._clock())
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry.value

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._ages.clear()
        self._bytes = 0

    def _expire(self, now: float) -> None:
        for keys in list(self._ages.values()):
            while keys and self._entries[oldest := next(iter(keys))].expires <= now:
                self._drop(oldest)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        keys = self._ages[entry.ttl]
        del keys[key]
        if not keys:
            del self._ages[entry.ttl]
        self._bytes -= len(entry.value) + ENTRY_BYTES

"""Where the records of requests are kept: in the memory of one server process, within bounds."""

from collections import OrderedDict
from typing import Final

from proxy.decisions.document import DecisionRecord
from proxy.decisions.record import so_far
from proxy.exchange import Exchange
from translators.json import encode

__all__ = ["MAX_BYTES", "DecisionStore"]

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of all records together."""

ENTRY_BYTES: Final = 500
"""What an entry takes beside its record: a key of two texts, of which one may have 128 characters,
and its place in the order."""

Key = tuple[str, str]


class DecisionStore:
    """Keeps records as bytes, by whose they are and the id of the request; the oldest goes first.

    A request id that is used again is the later request's from its begin on, whichever of the two
    ends first. All operations take constant time.

    Args:
        max_entries: Records; 0: nothing is kept, and nobody is told anything.
        max_bytes: Of all of them together.
    """

    def __init__(self, max_entries: int, max_bytes: int = MAX_BYTES) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._running: dict[Key, Exchange] = {}
        self._over: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._max_entries > 0

    @property
    def size(self) -> int:
        """The bytes of all records, with what belongs to them."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._over)

    def begin(self, exchange: Exchange) -> None:
        """Say that a request is being served: it can be looked at while it is."""
        if self._max_entries:
            self._running[exchange.caller.tenant, exchange.request_id] = exchange

    def is_running(self, exchange: Exchange) -> bool:
        """Whether it began here, and no later request has taken its id."""
        return self._running.get((exchange.caller.tenant, exchange.request_id)) is exchange

    def end(self, exchange: Exchange, record: DecisionRecord) -> None:
        """Keep the record of a request that began here, and let go of the request."""
        key = (exchange.caller.tenant, exchange.request_id)
        if self._running.get(key) is exchange:
            del self._running[key]
            self._keep(key, encode(record))

    def keep(self, tenant: str, record: DecisionRecord) -> None:
        """Keep the record of a request that never began."""
        if self._max_entries:
            key = (tenant, record.request_id)
            self._running.pop(key, None)
            self._keep(key, encode(record))

    def find(self, tenant: str, request_id: str) -> bytes | None:
        """Return the JSON of a request's record; None where there is none of this tenant's."""
        key = (tenant, request_id)
        running = self._running.get(key)
        return self._over.get(key) if running is None else encode(so_far(running))

    def _keep(self, key: Key, data: bytes) -> None:
        self._drop(key)
        size = len(data) + ENTRY_BYTES
        if size > self._max_bytes:
            return
        self._over[key] = data
        self._bytes += size
        while len(self._over) > self._max_entries or self._bytes > self._max_bytes:
            self._bytes -= len(self._over.popitem(last=False)[1]) + ENTRY_BYTES

    def _drop(self, key: Key) -> None:
        data = self._over.pop(key, None)
        if data is not None:
            self._bytes -= len(data) + ENTRY_BYTES

"""What answers left for their next turn, for clients that send back only the ids of calls.

It is a model's reasoning: none of it goes into a log or a span, and no caller gets another's.

Signatures and encrypted reasoning are worth something only where they were made: any other server
or account answers with a 400, and would for the rest of the conversation. So each entry says in
which realm it was made, and goes back there only.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from policy.schema import ProviderRow
from translators.json import encode

__all__ = [
    "NO_REASONING_STORE",
    "MemoryReasoningStore",
    "ReasoningStore",
    "in_realm",
    "of_realm",
    "realm_of",
]


def realm_of(row: ProviderRow, key: str | None) -> str:
    """Return what tells the server and account of a row from all others; says nothing of them.

    A row that gets another name stays what it is. The key stands for the account: two of OpenAI's
    organisations cannot read each other's reasoning. One that is replaced takes its account's
    conversations with it, which go on without their thinking; nothing else could tell. Headers
    may name an account as well. The dialect is left out: entries say their vendor, and OpenAI's
    two dialects are one service.

    Args:
        row: With its place filled in, where it is in a cloud.
        key: The API key; None where there is none, or the cloud's own credentials are used.
    """
    place = [row.credentials, row.project, row.location, row.region, row.resource]
    parts = [row.base_url, key, *place, sorted(row.headers.items())]
    return hashlib.sha256(encode(parts)).hexdigest()[:32]


def in_realm(reasoning: Mapping[str, Any], realm: str) -> dict[str, Any]:
    """Return the entries to keep for an answer that was given in `realm`."""
    return {id: {"realm": realm, "extra": extra} for id, extra in reasoning.items()}


def of_realm(entries: Mapping[str, Any], realm: str) -> dict[str, Any]:
    """Return what calls carried, of `entries` that were made in `realm`; the others are left out.

    Nothing is lost by that which a client has sent.
    """
    found: dict[str, Any] = {}
    for id, entry in entries.items():
        known = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if known.get("realm") == realm:
            found[id] = known.get("extra")
    return found


class ReasoningStore(Protocol):
    """Keeps entries of `in_realm`, within bounds: whatever is in it may be gone."""

    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        """Keep what the calls of an answer carry; nobody waits for it.

        Args:
            tenant: Whose answer it is: the `tenant` of a `Caller`.
            reasoning: By the calls' ids.
        """
        ...

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what is known of the caller's calls with these ids; never fails."""
        ...

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        """Keep to other bounds from now on; what they leave room for stays."""
        ...

    async def aclose(self) -> None:
        """Write what waits to be written, within a few seconds, and let go."""
        ...


class _Entry(NamedTuple):
    value: bytes
    since: float


_Key = tuple[str, str]

ENTRY_BYTES = 500
"""What an entry takes beside its value and its id: keys and links, as measured on CPython 3.11."""


class MemoryReasoningStore:
    """Keeps entries in the process; all operations take constant time for each entry.

    The least recently used goes first: of a conversation, which is asked for in its order, what
    remains is its end.

    Args:
        max_entries: Calls.
        max_bytes: Of all entries together.
        max_age: Seconds that an entry is kept, however often it is used. It is gone from the
            memory with the next use of the store after that.
        clock: Seconds; never goes back.
    """

    def __init__(
        self,
        *,
        max_entries: int,
        max_bytes: int,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._clock = clock
        # By use, and by age. A plain dictionary finds its first key in linear time once many
        # before it are gone.
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._ages: OrderedDict[_Key, None] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """The bytes of all entries."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        """Keep what the calls of an answer carry."""
        now = self._clock()
        self._expire(now)
        for id, extra in reasoning.items():
            key, entry = (tenant, id), _Entry(encode(extra), now)
            self._drop(key)
            if _size(key, entry) > self._max_bytes:
                continue
            self._entries[key] = entry
            self._ages[key] = None
            self._bytes += _size(key, entry)
        self._shrink()

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what is known of the caller's calls with these ids."""
        self._expire(self._clock())
        found: dict[str, Any] = {}
        for id in ids:
            key = (tenant, id)
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                found[id] = msgspec.json.decode(entry.value)
        return found

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        """Keep to other bounds from now on."""
        self._max_entries, self._max_bytes, self._max_age = max_entries, max_bytes, max_age
        self._expire(self._clock())
        self._shrink()

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._ages.clear()
        self._bytes = 0

    def _expire(self, now: float) -> None:
        while self._ages:
            oldest = next(iter(self._ages))
            # By its age, not by a time of its own: the bound may have changed.
            if now - self._entries[oldest].since < self._max_age:
                return
            self._drop(oldest)

    def _shrink(self) -> None:
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            del self._ages[key]
            self._bytes -= _size(key, entry)


def _size(key: _Key, entry: _Entry) -> int:
    return len(entry.value) + len(key[1]) + ENTRY_BYTES


class _NoReasoningStore:
    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        pass

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        return {}

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        pass

    async def aclose(self) -> None:
        pass


NO_REASONING_STORE: ReasoningStore = _NoReasoningStore()
"""Keeps nothing."""

"""What answers left for their next turn, where several server processes serve one conversation.

Imported only where `EP_REDIS_URL` is set, like what it stands on.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from proxy.redis_entries import RedisEntries
from translators.json import UNREADABLE, encode

__all__ = ["RedisReasoningStore"]


class RedisReasoningStore(RedisEntries):
    """Keeps entries in Redis.

    Args:
        url: `redis://`, `rediss://` or `unix://`; may hold a password.
        max_age: Seconds that an entry is kept.
        clock: Seconds, for the log and the pauses; never goes back.
    """

    def __init__(
        self, url: str, *, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            url,
            what="The store for reasoning",
            so="Clients that keep only the ids of calls go on without earlier thinking.",
            clock=clock,
        )
        self._max_age = max_age

    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        """Keep what the calls of an answer carry, soon."""
        for id, extra in reasoning.items():
            key = _key(tenant, id)
            self.put(key, encode([key, extra]), max_age=self._max_age)

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what is known of the caller's calls with these ids."""
        keys = {_key(tenant, id): id for id in ids}
        values = await self.get(list(keys))
        entries = ((keys[key], self._entry(key, values[key])) for key in keys if key in values)
        return {id: entry for id, entry in entries if entry is not None}

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        """Give what is written from now on another age; Redis has the other bounds."""
        self._max_age = max_age

    def _entry(self, key: str, value: bytes) -> Any:
        """Return the entry of a key; None where it is another's, or none of ours."""
        try:
            named, extra = cast("list[Any]", msgspec.json.decode(value))
        except (*UNREADABLE, TypeError, ValueError):
            named = extra = None
        if named != key:
            self.failed("an entry is not what was written")
            return None
        return extra


def _key(tenant: str, id: str) -> str:
    """Return a key of fixed length that says nothing of its parts, and differs if they do."""
    digest = hashlib.sha256(b"%d:%b:%b" % (len(tenant), _bytes(tenant), _bytes(id)))
    return f"ep:reasoning:1:{digest.hexdigest()}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")

"""Answers for repeated requests, where several server processes share them.

Imported only where `EP_REDIS_URL` is set, like what it stands on.
"""

import time
from collections.abc import Callable

from proxy.redis_entries import RedisEntries

__all__ = ["RedisAnswerStore"]


class RedisAnswerStore(RedisEntries):
    """Keeps values in Redis, which bounds them by its `maxmemory`.

    A value is believed by whoever reads it only if it names its key.

    Args:
        url: `redis://`, `rediss://` or `unix://`; may hold a password.
        clock: Seconds, for the log and the pauses; never goes back.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(
            url,
            what="The response cache",
            so="Requests go to the providers.",
            clock=clock,
        )

    def keep(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep a value for some seconds, soon."""
        self.put(_name(key), value, max_age=ttl)

    async def find(self, key: str) -> bytes | None:
        """Return the value of a key; None where there is none, or Redis does not serve us."""
        name = _name(key)
        return (await self.get([name])).get(name)


def _name(key: str) -> str:
    return f"ep:answer:1:{key}"

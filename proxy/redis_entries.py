"""Entries in Redis, which several server processes share.

Imported only where `EP_REDIS_URL` is set: `redis` is the extra `execution-platform[redis]`.

1. Nothing fails and nobody waits for long because of Redis: a lookup that takes too long is
   skipped, after some of those none is made for a while, and writing is not part of any answer.
2. What waits to be written is bounded, and is found by lookups of this process already.
3. An entry names its key, and is believed only under it: whoever writes one sees to that, and
   whoever reads it. A connection that was left in the middle of a reply must not be able to give
   one caller another's entry.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, InvalidResponse, RedisError

__all__ = ["RedisEntries", "check_url", "trouble"]

LOOKUP_SECONDS = 0.25
"""The longest that a request waits for a lookup."""

FAILED_LOOKUPS = 3
"""So many in a row, and lookups pause."""

PAUSE_SECONDS = 5.0
"""How long they do; then one of them finds out for all."""

WRITE_SECONDS = 2.0
"""The longest that one batch of writes may take; also what is left to them at the end."""

MOST_WAITING = 1000
MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Entries and bytes that wait to be written; what comes on top of them is not kept."""

BATCH = 100

WARN_SECONDS = 60.0
"""Between two lines in the log."""

FAILURES = (RedisError, OSError, TimeoutError, ValueError, EOFError, RecursionError)
"""What redis-py raises for a server that is not there, or that answers what no Redis would: it
reads a length with `int`, a line with `StreamReader.readline`, and lists in lists by calling itself
(redis 8.1, `_parsers/resp2.py`). It drops the connection itself then."""

CONNECTIONS = 32

log = logging.getLogger("execution_platform")


def check_url(url: str) -> None:
    """Check an address, its options included; nothing is connected.

    Raises:
        ValueError: It cannot be used. The text may hold parts of it.
    """
    try:
        _pool(url).make_connection()
    except TypeError as error:
        raise ValueError(str(error)) from None


async def trouble(url: str) -> str | None:
    """Ask a server whether it is there; return what is wrong, in words that hold no secret."""
    redis = Redis.from_pool(_pool(url))
    try:
        async with asyncio.timeout(WRITE_SECONDS):
            await cast("Any", redis).ping()
    except AuthenticationError:
        return "it does not take the user and the password"
    except TimeoutError:
        return f"no answer within {WRITE_SECONDS:g} s"
    except FAILURES as error:
        return f"it does not answer as Redis does ({type(error).__name__})"
    finally:
        await redis.aclose()
    return None


def _pool(url: str) -> BlockingConnectionPool:
    # Protocol 2 is understood by every server, and by what stands before servers. Whoever wants
    # a connection waits for it within a limit of its own.
    return cast("Any", BlockingConnectionPool).from_url(
        url,
        protocol=2,
        max_connections=CONNECTIONS,
        timeout=None,
        socket_connect_timeout=WRITE_SECONDS,
        socket_timeout=WRITE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class _Waiting(NamedTuple):
    value: bytes
    milliseconds: int


class RedisEntries:
    """Keeps entries in Redis, which bounds them by its `maxmemory`; their age is bounded here.

    Args:
        url: `redis://`, `rediss://` or `unix://`; may hold a password.
        what: What the log calls it.
        so: What the log says comes of a failure.
        clock: Seconds, for the log and the pauses; never goes back.

    Attributes:
        failures: Lookups and writes that Redis did not serve.
    """

    def __init__(
        self, url: str, *, what: str, so: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures = 0
        self._redis = Redis.from_pool(_pool(url))
        self._what, self._so = what, so
        self._clock = clock
        self._pause = _Pause(clock)
        self._warned: float | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None

    def put(self, key: str, value: bytes, *, max_age: float) -> None:
        """Keep an entry, soon.

        Args:
            key: Says nothing of what it stands for: it is no secret there.
            value: Names the key.
            max_age: Seconds that it is kept.
        """
        self._written(key)
        size = self._waiting_bytes + len(value)
        if len(self._waiting) >= MOST_WAITING or size > MOST_WAITING_BYTES:
            self.failed("too much waits to be written")
            return
        self._waiting[key] = _Waiting(value, max(1, round(max_age * 1000)))
        self._waiting_bytes = size
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="redis-entries")

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; never fails."""
        values = {key: self._waiting[key].value for key in keys if key in self._waiting}
        wanted = [key for key in keys if key not in values]
        if wanted:
            values |= await self._look_up(wanted)
        return values

    async def _look_up(self, keys: list[str]) -> dict[str, bytes]:
        """Return the values of the keys that Redis has; nothing, where it does not serve us."""
        if not self._pause.is_over():
            self.failed("lookups pause, too many have failed")
            return {}
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found: Any = await self._redis.mget(keys)
                if not isinstance(found, list) or len(cast("list[Any]", found)) != len(keys):
                    # A reply to something else: whatever comes next there is not to be trusted.
                    await self._redis.connection_pool.disconnect(inuse_connections=False)
                    raise InvalidResponse("not one value for each key")
        except FAILURES as error:
            self._pause.failed()
            self.failed(f"a lookup failed: {type(error).__name__}")
            return {}
        self._pause.succeeded()
        pairs = zip(keys, cast("list[Any]", found), strict=True)
        return {key: value for key, value in pairs if isinstance(value, bytes)}

    async def aclose(self) -> None:
        """Write what waits to be written, within a few seconds, and let go."""
        if (writer := self._writer) is not None:
            done, _ = await asyncio.wait([writer], timeout=WRITE_SECONDS)
            if not done:
                writer.cancel()
                with suppress(asyncio.CancelledError):
                    await writer
        with suppress(*FAILURES):
            async with asyncio.timeout(WRITE_SECONDS):
                await self._redis.aclose()
                await self._redis.connection_pool.disconnect()

    async def _write(self) -> None:
        try:
            while batch := list(islice(self._waiting.items(), BATCH)):
                try:
                    async with asyncio.timeout(WRITE_SECONDS):
                        await self._write_batch(batch)
                except FAILURES as error:
                    self.failed(f"writing failed: {type(error).__name__}")
                for key, waiting in batch:
                    if self._waiting.get(key) is waiting:
                        self._written(key)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[str, _Waiting]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, waiting in batch:
                pipeline.set(key, waiting.value, px=waiting.milliseconds)
            await pipeline.execute()

    def _written(self, key: str) -> None:
        if (waiting := self._waiting.pop(key, None)) is not None:
            self._waiting_bytes -= len(waiting.value)

    def failed(self, what: str) -> None:
        """Count a failure; say so in the log, if it was long quiet."""
        self.failures += 1
        now = self._clock()
        if self._warned is None or now - self._warned >= WARN_SECONDS:
            self._warned = now
            # No text of the error: it may tell the address.
            log.warning(
                "%s in Redis: %s (failures so far: %d). %s",
                self._what,
                what,
                self.failures,
                self._so,
            )


class _Pause:
    """Begins when lookups have failed in a row, and ends with one that does not."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed = 0
        self._until = 0.0

    def is_over(self) -> bool:
        """Whether a lookup may be made now; when it is over, by one caller until that is known."""
        if self._failed < FAILED_LOOKUPS:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + PAUSE_SECONDS
        return True

    def failed(self) -> None:
        """Count a lookup that failed."""
        self._failed += 1
        self._until = self._clock() + PAUSE_SECONDS

    def succeeded(self) -> None:
        """Begin anew."""
        self._failed = 0

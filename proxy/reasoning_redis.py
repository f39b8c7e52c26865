"""The same in Redis, where several server processes serve one client's conversation.

Imported only where `EP_REDIS_URL` is set: `redis` is the extra `execution-platform[redis]`.

1. Nothing fails and nobody waits for long because of Redis: a lookup that takes too long is
   skipped, after some of those none is made for a while, and writing is not part of any answer.
2. What waits to be written is bounded, and is found by lookups of this process already.
3. An entry names its key, and is believed only under it. A connection that was left in the
   middle of a reply must not be able to give one caller another's entry.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, cast

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse, RedisError

from translators.json import UNREADABLE, encode

__all__ = ["RedisReasoningStore", "check_url"]

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


class RedisReasoningStore:
    """Keeps entries in Redis, which bounds them by its `maxmemory`; the age is bounded here.

    Args:
        url: `redis://`, `rediss://` or `unix://`; may hold a password.
        max_age: Seconds that an entry is kept.
        clock: Seconds, for the log and the pauses; never goes back.

    Attributes:
        failures: Lookups and writes that Redis did not serve.
    """

    def __init__(
        self, url: str, *, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.failures = 0
        self._redis = Redis.from_pool(_pool(url))
        self._milliseconds = _milliseconds(max_age)
        self._clock = clock
        self._pause = _Pause(clock)
        self._warned: float | None = None
        self._waiting: dict[str, bytes] = {}
        self._waiting_bytes = 0
        self._writer: asyncio.Task[None] | None = None

    def remember(self, tenant: str, reasoning: Mapping[str, Any]) -> None:
        """Keep what the calls of an answer carry, soon."""
        for id, extra in reasoning.items():
            key = _key(tenant, id)
            value = encode([key, extra])
            self._written(key)
            size = self._waiting_bytes + len(value)
            if len(self._waiting) >= MOST_WAITING or size > MOST_WAITING_BYTES:
                self._failed("too much waits to be written")
                continue
            self._waiting[key] = value
            self._waiting_bytes = size
        if self._waiting and self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="reasoning-store")

    async def recall(self, tenant: str, ids: Sequence[str]) -> Mapping[str, Any]:
        """Return what is known of the caller's calls with these ids."""
        keys = {_key(tenant, id): id for id in ids}
        values = {key: self._waiting[key] for key in keys if key in self._waiting}
        wanted = [key for key in keys if key not in values]
        if wanted:
            values |= await self._look_up(wanted)
        entries = ((keys[key], self._entry(key, values[key])) for key in keys if key in values)
        return {id: entry for id, entry in entries if entry is not None}

    async def _look_up(self, keys: list[str]) -> dict[str, bytes]:
        """Return the values of the keys that Redis has; nothing, where it does not serve us."""
        if not self._pause.is_over():
            self._failed("lookups pause, too many have failed")
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
            self._failed(f"a lookup failed: {type(error).__name__}")
            return {}
        self._pause.succeeded()
        pairs = zip(keys, cast("list[Any]", found), strict=True)
        return {key: value for key, value in pairs if isinstance(value, bytes)}

    def keep_within(self, *, max_entries: int, max_bytes: int, max_age: float) -> None:
        """Give what is written from now on another age; Redis has the other bounds."""
        self._milliseconds = _milliseconds(max_age)

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
                    self._failed(f"writing failed: {type(error).__name__}")
                for key, value in batch:
                    if self._waiting.get(key) is value:
                        self._written(key)
        finally:
            self._writer = None

    async def _write_batch(self, batch: list[tuple[str, bytes]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, value in batch:
                pipeline.set(key, value, px=self._milliseconds)
            await pipeline.execute()

    def _written(self, key: str) -> None:
        self._waiting_bytes -= len(self._waiting.pop(key, b""))

    def _entry(self, key: str, value: bytes) -> Any:
        """Return the entry of a key; None where it is another's, or none of ours."""
        try:
            named, extra = cast("list[Any]", msgspec.json.decode(value))
        except (*UNREADABLE, TypeError, ValueError):
            named = extra = None
        if named != key:
            self._failed("an entry is not what was written")
            return None
        return extra

    def _failed(self, what: str) -> None:
        self.failures += 1
        now = self._clock()
        if self._warned is None or now - self._warned >= WARN_SECONDS:
            self._warned = now
            # No text of the error: it may tell the address.
            log.warning(
                "The store for reasoning in Redis: %s (failures so far: %d). "
                "Clients that keep only the ids of calls go on without earlier thinking.",
                what,
                self.failures,
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


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _key(tenant: str, id: str) -> str:
    """Return a key of fixed length that says nothing of its parts, and differs if they do."""
    digest = hashlib.sha256(b"%d:%b:%b" % (len(tenant), _bytes(tenant), _bytes(id)))
    return f"ep:reasoning:1:{digest.hexdigest()}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")

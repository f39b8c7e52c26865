"""What serves requests under one policy, for as long as a request that it began is under way.

When the policy changes, a new generation takes its place for what comes from then on. What the two
have in common, such as a provider whose row did not change, is theirs together: a `Part` is closed
with the last generation that has it, and a generation ends with its last request. Nothing here
waits for a time.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from proxy.access import Access
from proxy.engine import Engine
from proxy.health import Health
from proxy.media.fetcher import MediaFetcher
from proxy.provider import ChatProvider
from proxy.reasoning_store import ReasoningStore
from proxy.response_cache import ResponseCache

__all__ = ["Generation", "Generations", "Part"]

T = TypeVar("T")

log = logging.getLogger("execution_platform")


class Part(Generic[T]):
    """Something that generations may have in common.

    Args:
        value: What it is.
        made_from: What it was made from: a generation that would make it from the same has this.
        close: Closes it.
    """

    __slots__ = ("_close", "_holders", "made_from", "value")

    def __init__(self, value: T, made_from: object, close: Callable[[], Awaitable[None]]) -> None:
        self.value = value
        self.made_from = made_from
        self._close = close
        self._holders = 0

    def hold(self) -> None:
        """Say that one more generation has it."""
        self._holders += 1

    async def let_go(self) -> None:
        """Say that a generation needs it no more; close it, if no other does."""
        self._holders -= 1
        if self._holders <= 0:
            await self._close()


@dataclass(slots=True, eq=False)
class Generation:
    """What one policy makes of a request; entered by each request, for as long as that lasts.

    Attributes:
        engine: Decides and asks the providers; has the policy.
        access: The client keys.
        health: What could be served.
        providers: Those that can be used, by name.
        reasoning: The store that the engine uses.
        media: What fetches media for the engine.
        cache: What keeps answers for the engine.
        number: Counts from 1.
        loaded_at: Seconds since the epoch.
    """

    engine: Engine
    access: Access
    health: Health
    providers: Mapping[str, Part[ChatProvider]] = field(
        default_factory=dict[str, Part[ChatProvider]]
    )
    reasoning: Part[ReasoningStore] | None = None
    media: Part[MediaFetcher] | None = None
    cache: Part[ResponseCache | None] | None = None
    number: int = 1
    loaded_at: float = field(default_factory=time.time)
    _requests: int = field(default=0, init=False)
    _when_unused: Callable[[], None] | None = field(default=None, init=False)

    def __enter__(self) -> "Generation":
        self._requests += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._requests -= 1
        if self._when_unused is not None and not self._requests:
            self._when_unused()

    @property
    def parts(self) -> Iterator[Part[Any]]:
        """What it has, perhaps together with others."""
        yield from self.providers.values()
        yield from (part for part in (self.media, self.cache, self.reasoning) if part is not None)

    def retire(self, then: Callable[[], None]) -> None:
        """Take no more requests; `then` is called once those under way are over."""
        if self._requests:
            self._when_unused = then
        else:
            then()


class Generations:
    """The one that takes requests, and those that still have some.

    Args:
        first: Takes requests from now on.

    Attributes:
        current: Takes requests.
    """

    def __init__(self, first: Generation) -> None:
        self.current = first
        self._living = [first]
        self._closing: set[asyncio.Task[None]] = set()
        for part in first.parts:
            part.hold()

    def replace(self, new: Generation) -> None:
        """Let `new` take all further requests; what only the old one needs goes with its last."""
        for part in new.parts:
            part.hold()
        old, self.current = self.current, new
        self._living.append(new)
        old.retire(lambda: self._close(old))

    @property
    def living(self) -> tuple[Generation, ...]:
        """Those that have requests, or may have."""
        return tuple(self._living)

    async def aclose(self) -> None:
        """Close all of them, whoever uses them still."""
        while self._living:
            await _let_go(self._living.pop(0))
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, generation: Generation) -> None:
        if generation not in self._living:
            return
        self._living.remove(generation)
        # In no request's context: its trace is over.
        loop = asyncio.get_running_loop()
        task = loop.create_task(_let_go(generation), context=Context())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _let_go(generation: Generation) -> None:
    for part in generation.parts:
        try:
            await part.let_go()
        except Exception:
            # The others have to be closed all the same.
            log.exception("a part of policy generation %d did not close", generation.number)

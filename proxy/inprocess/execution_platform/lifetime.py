"""How long connections live: one set of them for each event loop and configuration, shared.

Programs make a router wherever they need one, and forget it. What a router opens is therefore not
its own. The first chat in an event loop opens what all routers of the same configuration use in
that loop (`Shared`): connections, the reasoning store, telemetry, the sandbox if it was asked for.
Each router holds a share of it (`Lifetime`), and it is closed when the first of these happens:

1. The last share is given back by `aclose` or `close`: at once.
2. The last router that held a share is collected: after `LINGER` seconds without a new one. A
   function that makes a router for each call finds its connections still there.
3. The event loop ends. What is open hangs on an asynchronous generator, and `asyncio.run`, like
   every runner, closes those of a loop before it closes the loop (`shutdown_asyncgens`). A loop
   that is closed by hand has to do the same.

An answer under way keeps its client, and so its share. Everything about a share is done by its
loop's own thread; a collector may run anywhere, so it only leaves word there.
"""

import asyncio
import os
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Any, Generic, TypeVar

__all__ = ["LINGER", "Lifetime", "Shared", "open_in"]

LINGER = 5.0
"""Seconds for which connections outlive the last router that was merely dropped."""

T = TypeVar("T")

Opener = Callable[[], AbstractAsyncContextManager[T]]
"""Opens what is shared; made by `asynccontextmanager`, for the sake of the third rule above, and
entering no other such manager: the loop would close both at the same time."""

_open: dict[AbstractEventLoop, dict[int, "Shared[Any]"]] = {}
"""By loop and by the identity of the configuration, which the `Shared` keeps alive."""


class OpeningCancelled(Exception):
    """What was to be shared was not opened."""


class Shared(Generic[T]):
    """What is open in one event loop for one configuration. Made inside of that loop.

    Args:
        owner: The configuration.
        opener: Opens what it asks for.
    """

    def __init__(self, owner: object, opener: Opener[T]) -> None:
        self.owner = owner
        self.loop = asyncio.get_running_loop()
        self.users = 0
        self.over = False
        self._unused_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._manager = opener()
        # A task of its own: the one that happens to be first may be cancelled, and its context
        # (its trace, for one) is nothing to the others.
        self._opening = self.loop.create_task(self._manager.__aenter__(), context=Context())
        self._opening.add_done_callback(self._opened)

    @property
    def lost(self) -> bool:
        """Whether it is closed, or was never opened: whoever wants it has to open it anew."""
        return self.over or (self._opening.done() and not self._succeeded())

    async def get(self) -> T:
        """Return what is open, once it is.

        Raises:
            OpeningCancelled: Somebody cancelled that, but not the task that waits for it.
        """
        try:
            return await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._opening.cancelled() and task is not None and not task.cancelling():
                raise OpeningCancelled from None
            raise

    def _opened(self, _: asyncio.Task[T]) -> None:
        if not self._succeeded():
            self._forget()

    def release(self) -> None:
        """Give a share back; close after a while, if it was the last and no other is taken."""
        self.users -= 1
        self._unused_since = self.loop.time()
        if self.users == 0 and not self.over and self._timer is None:
            self._timer = self.loop.call_later(LINGER, self._close_if_unused)

    async def release_now(self) -> None:
        """Give a share back; close at once, if it was the last."""
        self.users -= 1
        if self.users == 0:
            await self._close()

    def _close_if_unused(self) -> None:
        self._timer = None
        left = self._unused_since + LINGER - self.loop.time()
        if self.users or self.over:
            return
        if left > 0:
            # One timer for all the routers that came and went meanwhile.
            self._timer = self.loop.call_later(left, self._close_if_unused)
        else:
            task = self.loop.create_task(self._close(), context=Context())
            # The loop itself keeps tasks by weak references only.
            _closing.add(task)
            task.add_done_callback(_closing.discard)

    async def _close(self) -> None:
        if self.over:
            return
        self._forget()
        if not self._opening.done():
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._succeeded():
            await self._manager.__aexit__(None, None, None)

    def _succeeded(self) -> bool:
        return not self._opening.cancelled() and self._opening.exception() is None

    def _forget(self) -> None:
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        owners = _open.get(self.loop, {})
        if owners.get(id(self.owner)) is self:
            del owners[id(self.owner)]
        if not owners:
            _open.pop(self.loop, None)


_closing: set[asyncio.Task[None]] = set()

# The loops of a forked process are its parent's, and so are the connections.
os.register_at_fork(after_in_child=_open.clear)


def open_in(loop: AbstractEventLoop) -> int:
    """Return how many configurations have something open in a loop."""
    return len(_open.get(loop, ()))


class Lifetime(Generic[T]):
    """The shares of one router, one for each event loop that it is used in.

    Args:
        owner: The configuration: what is opened for it is shared by all that have the same one.
        opener: Opens what it asks for.
    """

    def __init__(self, owner: object, opener: Opener[T]) -> None:
        self._owner = owner
        self._opener = opener
        self._shares: dict[AbstractEventLoop, Shared[T]] = {}
        self._closed = False
        drop = weakref.finalize(self, _drop, self._shares)
        # At the interpreter's exit the loops are gone, and what was open with them.
        drop.atexit = False

    async def get(self) -> T:
        """Return what is open in the running loop; opens it, if nobody else has.

        Raises:
            RuntimeError: The router was closed.
        """
        loop = asyncio.get_running_loop()
        while not self._closed:
            share = self._shares.get(loop)
            if share is None or share.lost:
                share = self._shares[loop] = self._share(loop)
            try:
                return await share.get()
            except OpeningCancelled:
                # By `aclose`, or together with all tasks of the loop.
                continue
        raise RuntimeError("This router was closed; make another one.")

    def _share(self, loop: AbstractEventLoop) -> Shared[T]:
        for ended in [other for other in tuple(_open) if other.is_closed()]:
            _open.pop(ended, None)
        for ended in [other for other in tuple(self._shares) if other.is_closed()]:
            self._shares.pop(ended, None)
        owners = _open.setdefault(loop, {})
        shared = owners.get(id(self._owner))
        if shared is None or shared.lost:
            shared = owners[id(self._owner)] = Shared(self._owner, self._opener)
        shared.users += 1
        return shared

    async def aclose(self) -> None:
        """Give all shares back, and wait until what nobody else uses is closed."""
        here = asyncio.get_running_loop()
        for loop, share in self._taken():
            if loop is here:
                await share.release_now()
            elif loop.is_running():
                elsewhere = asyncio.run_coroutine_threadsafe(share.release_now(), loop)
                await asyncio.wrap_future(elsewhere)
            else:
                _leave_word(loop, share)

    def close(self) -> None:
        """Do the same from outside of an event loop.

        Raises:
            RuntimeError: An event loop runs in this thread: use `aclose`.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("An event loop runs in this thread: use `await router.aclose()`.")
        for loop, share in self._taken():
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(share.release_now(), loop).result()
            else:
                _leave_word(loop, share)

    def _taken(self) -> list[tuple[AbstractEventLoop, Shared[T]]]:
        self._closed = True
        taken = list(self._shares.items())
        self._shares.clear()
        # A share that nobody knows any more is over, or was left behind by a fork.
        return [
            (loop, share)
            for loop, share in taken
            if not loop.is_closed() and _open.get(loop, {}).get(id(self._owner)) is share
        ]


def _drop(shares: dict[AbstractEventLoop, Shared[Any]]) -> None:
    for loop, share in shares.items():
        _leave_word(loop, share)
    shares.clear()


def _leave_word(loop: AbstractEventLoop, share: Shared[Any]) -> None:
    try:
        loop.call_soon_threadsafe(share.release)
    except RuntimeError:
        # The loop has ended, and what was open in it with it.
        return

"""An event loop in a thread, for programs that have none: `chat_sync` runs there.

One for the process, started with the first call. It ends when a router was closed and nothing is
open in it any more, and with the interpreter; then its runner closes what is open, as
`asyncio.run` does.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any, TypeVar

from execution_platform.lifetime import open_in

__all__ = ["end_if_unused", "run"]

T = TypeVar("T")


class _Background:
    """A running event loop, and the way to end it."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="execution-platform", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        asyncio.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()

    def stop(self) -> None:
        """End the loop, and wait for it."""
        self.loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()


_lock = threading.Lock()
_current: _Background | None = None
_waiting = 0


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in the background loop; return its result.

    Interrupting the wait (Ctrl-C) cancels it.
    """
    global _current, _waiting
    with _lock:
        _current = _current or _Background()
        _waiting += 1
        future = asyncio.run_coroutine_threadsafe(work(), _current.loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
    finally:
        with _lock:
            _waiting -= 1


def end_if_unused() -> None:
    """End the loop and its thread, where nothing is open and nobody waits."""
    global _current
    with _lock:
        if _current is None or _waiting or open_in(_current.loop):
            return
        ended, _current = _current, None
    ended.stop()


def _end() -> None:
    global _current
    with _lock:
        ended, _current = _current, None
    if ended is not None:
        ended.stop()


def _forget() -> None:
    """In a forked child: the thread has stayed behind."""
    global _current, _lock, _waiting
    _current, _lock, _waiting = None, threading.Lock(), 0


# Before the pools of threads take no more work: what delivers the last spans needs one. They have
# registered when their module was imported, and the last to register comes first. Plain `atexit`
# is too late for that, and all there is where an interpreter has no such list.
import_module("concurrent.futures.thread")
getattr(threading, "_register_atexit", atexit.register)(_end)
os.register_at_fork(after_in_child=_forget)

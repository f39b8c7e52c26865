"""SIGHUP: the policy is read again at once, unless it says that the server's terminal has gone."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["has_terminal", "on_hangup"]


@contextmanager
def on_hangup(reload: Callable[[], None]) -> Generator[None]:
    """Call `reload` on SIGHUP, as long as the running event loop's thread gets signals.

    A server whose terminal is closed still ends: nobody would find it again.
    """
    terminal = has_terminal()

    def received() -> None:
        if terminal and not has_terminal():
            signal.raise_signal(signal.SIGTERM)
        else:
            reload()

    loop = asyncio.get_running_loop()
    taken = _is_free()
    if taken:
        try:
            loop.add_signal_handler(signal.SIGHUP, received)
        except (NotImplementedError, RuntimeError, ValueError):
            # This is not the main thread: it gets no signals.
            taken = False
    try:
        yield
    finally:
        if taken:
            loop.remove_signal_handler(signal.SIGHUP)


def _is_free() -> bool:
    """Return whether there is such a signal, and nobody around us has another use for it."""
    hangup = getattr(signal, "SIGHUP", None)
    return hangup is not None and signal.getsignal(hangup) in (signal.SIG_DFL, signal.SIG_IGN)


def has_terminal() -> bool:
    """Return whether standard input is the terminal of this process, and still there."""
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return True

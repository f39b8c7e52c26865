"""A server with bugs: `python -m tests.http.failing_server serve …`, where the log is looked at.

What a client says in its last message is in the words of each exception.
"""

import asyncio
import logging
import sys
import threading
import warnings
from typing import NoReturn

from proxy.cli.main import main
from proxy.engine import Engine
from proxy.exchange import Exchange
from translators.protocol import Completion

__all__ = ["BUGS"]

BUGS = ("raise", "later", "task", "thread", "unraisable", "warning", "arguments")
"""The first word of the message says which one it is to be."""


class _Closing:
    def __init__(self, words: str) -> None:
        self._words = words

    def __del__(self) -> None:
        raise KeyError(self._words)


def _fail(words: str) -> NoReturn:
    try:
        raise OSError(2, words, words)
    except OSError as error:
        raise RuntimeError(words) from error


async def _fail_later(words: str) -> None:
    _fail(words)


async def _say_later() -> None:
    logging.getLogger("some.library").warning("while it is served")
    await asyncio.sleep(1)
    logging.getLogger("some.library").warning("when it is over")


_kept: set[asyncio.Task[None]] = set()


def _bug(words: str) -> None:
    kind = words.split()[0]
    if kind == "raise":
        raise ExceptionGroup(words, [ValueError(words)])
    if kind == "later":
        _kept.add(asyncio.get_running_loop().create_task(_say_later()))
    if kind == "task":
        # Nobody keeps it, or asks what became of it.
        asyncio.get_running_loop().create_task(_fail_later(words))
    if kind == "thread":
        threading.Thread(target=_fail, args=(words,)).start()
    if kind == "unraisable":
        _Closing(words)
    if kind == "warning":
        warnings.warn("something is old", DeprecationWarning, stacklevel=1)
    if kind == "arguments":
        logging.getLogger("some.library").error("%d", words)


_complete = Engine.complete


async def _completed(self: Engine, exchange: Exchange) -> Completion:
    content = exchange.request.messages[-1].content
    if isinstance(content, str) and content.startswith(BUGS):
        _bug(content)
    return await _complete(self, exchange)


if __name__ in ("__main__", "__mp_main__"):
    # Under the second name in the server processes of `--workers N`.
    warnings.simplefilter("always", DeprecationWarning)
    Engine.complete = _completed
if __name__ == "__main__":
    sys.exit(main())

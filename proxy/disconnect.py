"""A client that leaves ends the work done for it, at once and in every phase.

Nobody else watches: an endpoint that awaits a provider's first token never looks at its client,
and Starlette's own `StreamingResponse` notices at the next write only (ASGI 2.4), which may be
minutes away.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from starlette.types import Receive

__all__ = ["CancelledOnDisconnect", "ClientDisconnected"]


class ClientDisconnected(Exception):
    """The client left before its answer was complete. Not an error of anybody's."""


class CancelledOnDisconnect:
    """Cancels the body of an `async with` when the client goes away.

    The body stays in the caller's task, so what it enters it can leave. Enter this only after
    the request's body was read: it consumes what `receive` still has to say. Write the end of
    the response last: a complete response, too, ends with a disconnect message.

    Leaving raises `ClientDisconnected` in place of the cancellation.

    Args:
        receive: Of the ASGI request.
        on_gone: Called when the client has left, before the cancellation.
    """

    __slots__ = ("_gone", "_on_gone", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive, on_gone: Callable[[], None]) -> None:
        self._receive = receive
        self._on_gone = on_gone
        self._gone = False
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watcher = asyncio.create_task(self._watch())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if not self._gone or self._task is None or not isinstance(error, asyncio.CancelledError):
            return
        # Take our own cancellation back; another one, of the server's, stays.
        if self._task.uncancel() == 0:
            raise ClientDisconnected from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._on_gone()
        if self._task is not None:
            self._task.cancel()

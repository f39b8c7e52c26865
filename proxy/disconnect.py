"""A client that leaves ends the work done for it, at once and in every phase.

Nobody else watches: an endpoint that awaits a provider's first token never looks at its client,
and Starlette's own `StreamingResponse` notices at the next write only (ASGI 2.4), which may be
minutes away.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

from starlette.types import Receive, Scope

__all__ = ["CancelledOnDisconnect", "ClientDisconnected", "Departure"]


class ClientDisconnected(Exception):
    """The client left before its answer was complete. Not an error of anybody's."""


class Departure:
    """The end of a client's connection, told by the connection itself.

    ASGI tells it to whoever awaits `receive`: a task for each request, which costs 25 µs and, for
    as long as an answer lasts, 3 KiB. Our own connection has it in the scope of its requests.

    Args:
        look: Called for each one who begins to listen: a connection that is not read from does not
            notice that it ends.

    Attributes:
        happened: Whether the client has left.
    """

    __slots__ = ("_listeners", "_look", "happened")

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._listeners: list[Callable[[], None]] = []
        self.happened = False

    @staticmethod
    def of(scope: Any) -> "Departure | None":
        """Return that of a request's client; None: the server is another one, and has none."""
        return cast("Departure | None", scope.get(_KEY))

    def put_into(self, scope: Any) -> None:
        """Make it known to whoever serves the request of this scope."""
        scope[_KEY] = self

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the client leaves; soon, where it has left already."""
        if self.happened:
            asyncio.get_running_loop().call_soon(listener)
            return
        self._listeners.append(listener)
        self._look()

    def ignore(self, listener: Callable[[], None]) -> None:
        """Do not call it any more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def happen(self) -> None:
        """Tell everybody; the connection is let go, which has this."""
        self.happened = True
        self._look = _nothing
        for listener in tuple(self._listeners):
            listener()


def _nothing() -> None:
    """There is nothing to look at any more."""


_KEY = "ep.departure"


class CancelledOnDisconnect:
    """Cancels the body of a `with` when the client goes away.

    The body stays in the caller's task, so what it enters it can leave. Enter this only after
    the request's body was read: it may consume what `receive` still has to say. Write the end of
    the response last: a complete response, too, ends with a disconnect message.

    Leaving raises `ClientDisconnected` in place of the cancellation.

    Args:
        scope: Of the ASGI request.
        receive: Of the ASGI request.
        on_gone: Called when the client has left, before the cancellation.
    """

    __slots__ = ("_departure", "_gone", "_on_gone", "_over", "_receive", "_task", "_watcher")

    def __init__(self, scope: Scope, receive: Receive, on_gone: Callable[[], None]) -> None:
        self._departure = Departure.of(scope)
        self._receive = receive
        self._on_gone = on_gone
        self._gone = self._over = False
        self._task: asyncio.Task[Any] | None = None
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        if self._departure is None:
            self._watcher = asyncio.create_task(self._watch())
        else:
            self._departure.listen(self._left)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over = True
        if self._departure is not None:
            self._departure.ignore(self._left)
        if self._watcher is not None:
            self._watcher.cancel()
            # It knows this, too.
            self._watcher = None
        if not self._gone or self._task is None or not isinstance(error, asyncio.CancelledError):
            return
        # Take our own cancellation back; another one, of the server's, stays.
        if self._task.uncancel() == 0:
            raise ClientDisconnected from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left()

    def _left(self) -> None:
        if self._over:
            return
        self._gone = True
        self._on_gone()
        if self._task is not None:
            self._task.cancel()

"""A client that leaves ends the work done for it, at once and in every phase.

Nobody else watches: an endpoint that awaits a provider's first token never looks at its client,
and Starlette's own `StreamingResponse` notices at the next write only (ASGI 2.4), which may be
minutes away.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from starlette.types import Receive

__all__ = ["ClientDisconnected", "cancelled_on_disconnect"]


class ClientDisconnected(Exception):
    """The client left before its answer was complete. Not an error of anybody's."""


@asynccontextmanager
async def cancelled_on_disconnect(
    receive: Receive, on_gone: Callable[[], None]
) -> AsyncGenerator[None]:
    """Cancel the body of the `async with` when the client goes away.

    The body stays in the caller's task, so what it enters it can leave. Enter this only after
    the request's body was read: it consumes what `receive` still has to say. Write the end of
    the response last: a complete response, too, ends with a disconnect message.

    Args:
        receive: Of the ASGI request.
        on_gone: Called when the client has left, before the cancellation.

    Raises:
        ClientDisconnected: In place of the cancellation.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task to cancel")
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        on_gone()
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError as error:
        # Take our own cancellation back; another one, of the server's, stays.
        if gone and task.uncancel() == 0:
            raise ClientDisconnected from error
        raise
    finally:
        watcher.cancel()

"""Serves an ASGI application on a loopback port, inside the running event loop.

For what talks to us and is not a client: the sandbox's callers, and the processes of an agent.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["TRANSPORT", "LoopbackServer"]

TRANSPORT: Final = "ep.transport"
"""The extension of a scope that holds the connection: ASGI has no word for breaking it."""

_HOST = "127.0.0.1"
_GRACE = 0.2
# Clients keep idle connections longer than uvicorn's five seconds, and would race its closing.
_KEEP_ALIVE = 600


class LoopbackServer:
    """Serves `app` from `start` to `aclose`.

    Nothing of the host process is touched: no signal handler, no logger, no thread.

    Args:
        app: The application; its lifespan is not run.
        port: 0: one that is free.
        on_connection: Called for each connection that is accepted.
    """

    def __init__(
        self, app: ASGIApp, *, port: int = 0, on_connection: Callable[[], None] | None = None
    ) -> None:
        self._app = app
        self._wanted = port
        self._on_connection = on_connection
        self._bound = 0
        self._server: uvicorn.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; 0 before the start."""
        return self._bound

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{_HOST}:{self._bound}"

    async def start(self) -> None:
        """Bind the port and begin to serve.

        Raises:
            OSError: The port is not to be had.
        """
        # asyncio sets TCP_NODELAY only where the protocol number is given; without it each answer
        # waits 40 ms for the client's delayed acknowledgement.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._wanted))
            listener.setblocking(False)
            self._bound = listener.getsockname()[1]
            self._server = server = self._configured()
            await server.startup(sockets=[listener])
        except BaseException:
            listener.close()
            raise
        # Keeps the `date` header right; `serve` is not used, for it would log and catch signals.
        self._ticking = asyncio.create_task(server.main_loop())

    async def aclose(self) -> None:
        """Stop to listen, give open exchanges a moment, then cut them."""
        server, ticking = self._server, self._ticking
        if server is None or ticking is None:
            return
        self._server = self._ticking = None
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        for listener in server.servers:
            listener.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=_GRACE)
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=_GRACE)
        for listener in server.servers:
            await listener.wait_closed()

    def _configured(self) -> uvicorn.Server:
        config = _Config(
            _Cancellable(self._app),
            http=_connection_class(self._on_connection),
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        return server


class _Cancellable:
    """Breaks the connection of a request whose task is cancelled.

    `asyncio.run` cancels all tasks of a loop that ends, ours included; uvicorn would write a
    traceback into the host's log for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            scope["extensions"][TRANSPORT]["transport"].abort()
            # Until uvicorn has heard of it: it would miss the rest of the response.
            while (await receive())["type"] != "http.disconnect":
                pass


class _Config(uvicorn.Config):
    def configure_logging(self) -> None:
        """Leave the host's loggers alone."""


def _connection_class(on_connection: Callable[[], None] | None) -> type[HttpToolsProtocol]:
    class Connection(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.access_log = False

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if on_connection is not None:
                on_connection()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    return Connection

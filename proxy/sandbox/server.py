"""Serves the sandbox on a loopback port, inside the running event loop."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.sandbox.app import create_sandbox, journal_of
from proxy.sandbox.exchange import TRANSPORT

__all__ = ["SandboxServer"]

_HOST = "127.0.0.1"
_GRACE = 0.2
# Clients keep idle connections longer than uvicorn's five seconds, and would race its closing.
_KEEP_ALIVE = 600


class SandboxServer:
    """An asynchronous context manager that serves a sandbox while it is open.

    `port` 0 takes a free one. Nothing of the host process is touched: no signal handler, no
    logger, no thread. On leaving, streams still open are cut after a short grace.
    """

    def __init__(self, *, port: int = 0, app: Starlette | None = None) -> None:
        self.app = app if app is not None else create_sandbox()
        self._wanted = port
        self._bound = 0
        self._server: uvicorn.Server | None = None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._bound

    @property
    def base_url(self) -> str:
        """The address without any dialect's prefix."""
        return f"http://{_HOST}:{self._bound}"

    @property
    def openai_base_url(self) -> str:
        """What an OpenAI client takes as its `base_url`."""
        return f"{self.base_url}/openai/v1"

    @property
    def anthropic_base_url(self) -> str:
        """What an Anthropic client takes as its `base_url`."""
        return f"{self.base_url}/anthropic"

    @property
    def gemini_base_url(self) -> str:
        """What a Gemini client takes as its `base_url`, to which it adds the version."""
        return f"{self.base_url}/gemini"

    async def __aenter__(self) -> Self:
        """Bind the port and start to serve."""
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
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            self.app,
            http=_connection_class(self._connected),
            ws="none",
            lifespan="off",
            timeout_keep_alive=_KEEP_ALIVE,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        return server

    def _connected(self) -> None:
        journal_of(self.app).connections_opened += 1


class _Config(uvicorn.Config):
    def configure_logging(self) -> None:
        """Leave the host's loggers alone."""


def _connection_class(connected: Callable[[], None]) -> type[HttpToolsProtocol]:
    class Connection(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.access_log = False

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            connected()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            # `abort` needs it: ASGI has no word for a connection that breaks.
            self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}

    return Connection

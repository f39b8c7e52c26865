"""Serves the sandbox on a loopback port, inside the running event loop."""

from types import TracebackType
from typing import Self

from starlette.applications import Starlette

from proxy.loopback import LoopbackServer
from proxy.sandbox.app import create_sandbox, journal_of

__all__ = ["SandboxServer"]


class SandboxServer:
    """An asynchronous context manager that serves a sandbox while it is open.

    `port` 0 takes a free one. On leaving, streams still open are cut after a short grace.
    """

    def __init__(self, *, port: int = 0, app: Starlette | None = None) -> None:
        self.app = app if app is not None else create_sandbox()
        self._server = LoopbackServer(self.app, port=port, on_connection=self._connected)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    @property
    def base_url(self) -> str:
        """The address without any dialect's prefix."""
        return self._server.url

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
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to listen, give open exchanges a moment, then cut them."""
        await self._server.aclose()

    def _connected(self) -> None:
        journal_of(self.app).connections_opened += 1

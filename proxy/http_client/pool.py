"""The connections to one server: those that wait for a request, and all that are open."""

import asyncio
from typing import Final

from proxy.http_client.connection import Connection
from proxy.http_client.dialing import Dialer
from proxy.http_client.proxies import ForwardProxy
from proxy.http_client.targets import Origin
from translators.errors import ProviderError

__all__ = ["Pool"]

IDLE_SECONDS: Final = 60.0
"""How long a connection is kept that nobody uses: less than the 75 s of nginx, and than what load
balancers of the clouds allow."""

MAX_IDLE: Final = 512
"""Connections kept for later. A connection is a few kilobytes; a burst is not to open all anew."""

CLOSING_SECONDS: Final = 1.0
"""How long closed connections are waited for, at the end."""


class Pool:
    """Connections to one server. The one that was used last is used next: others can expire.

    Args:
        origin: The server.
        via: The forward proxy; None: there is none.
        dialer: Makes connections.
    """

    def __init__(self, origin: Origin, via: ForwardProxy | None, dialer: Dialer) -> None:
        self.origin = origin
        self.via = via
        self._dialer = dialer
        self._loop = asyncio.get_running_loop()
        # By what time they have to be used again; the last one is the one used last.
        self._idle: dict[Connection, float] = {}
        self._open: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """How many of them wait for a request."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """Return a connection that waits for a request; None: there is none."""
        now = self._loop.time()
        while self._idle:
            connection, until = self._idle.popitem()
            if until > now:
                return connection
            connection.give_up()
        return None

    async def new(self, limit: float) -> Connection:
        """Return a new connection.

        Args:
            limit: Seconds.

        Raises:
            ProviderError: It cannot be made.
        """
        self._refuse_if_closed()
        connection = await self._dialer.open(self.origin, self.via, self._make, limit)
        self._open.add(connection)
        if self._closed is not None or connection.gone:
            connection.give_up()
            self._refuse_if_closed()
        return connection

    def put(self, connection: Connection, seconds: float | None = None) -> None:
        """Take back a connection that is free for another request.

        Args:
            connection: From `take` or `new`.
            seconds: For which its server keeps it; None: it does not say.
        """
        left = IDLE_SECONDS if seconds is None else min(IDLE_SECONDS, seconds)
        if self._closed is not None or left <= 0 or len(self._idle) >= MAX_IDLE:
            connection.give_up()
            return
        self._idle[connection] = self._loop.time() + left
        if self._timer is None:
            self._timer = self._loop.call_later(left, self._expire)

    async def aclose(self) -> None:
        """Close all connections, those in use as well."""
        self._closed = self._closed or asyncio.Event()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in tuple(self._open):
            connection.give_up()
        self._idle.clear()
        if self._open:
            try:
                async with asyncio.timeout(CLOSING_SECONDS):
                    await self._closed.wait()
            except TimeoutError:
                # The event loop does the rest.
                self._open.clear()

    def _make(self) -> Connection:
        return Connection(self._lost)

    def _lost(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        if connection.gone:
            self._open.discard(connection)
            if self._closed is not None and not self._open:
                self._closed.set()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in [one for one, until in self._idle.items() if until <= now]:
            connection.give_up()
        if self._idle:
            # One timer for all: it comes back for the next.
            self._timer = self._loop.call_at(min(self._idle.values()), self._expire)

    def _refuse_if_closed(self) -> None:
        if self._closed is not None:
            raise ProviderError("The connections to the provider are closed.", kind="network")

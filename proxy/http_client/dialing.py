"""New connections: names looked up, all addresses tried, through a forward proxy, with TLS."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from socket import (
    AI_NUMERICHOST,
    IPPROTO_TCP,
    SHUT_RDWR,
    SOCK_STREAM,
    getaddrinfo,
    socket,
)
from typing import Any, Final

from aiohappyeyeballs import start_connection  # pyright: ignore[reportUnknownVariableType]

from proxy.http_client.connection import Connection
from proxy.http_client.failures import unreachable
from proxy.http_client.proxies import ForwardProxy
from proxy.http_client.silence import probed_socket
from proxy.http_client.targets import Origin
from proxy.http_client.tunnels import tunnel
from translators.errors import TimeoutError as ProviderTimeout

__all__ = ["Dialer"]

NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address is tried beside the one before (RFC 8305, 5)."""

NAME_SECONDS: Final = 10.0
"""For how long the addresses of a name are remembered: a burst asks once."""

_Addresses = Sequence[tuple[Any, ...]]


class Dialer:
    """Makes connections.

    Args:
        tls: Returns the context for `https`; asked for with the first connection.
    """

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._known: dict[tuple[str, int], tuple[float, asyncio.Task[_Addresses]]] = {}

    async def open(
        self,
        origin: Origin,
        via: ForwardProxy | None,
        make: Callable[[], Connection],
        limit: float,
    ) -> Connection:
        """Return a connection to a server.

        Args:
            origin: The server.
            via: The forward proxy in front of it.
            make: Returns the connection's protocol.
            limit: Seconds for all of it.

        Raises:
            ProviderError: There is none to be had, or not in time.
        """
        host, port = (origin.host, origin.port) if via is None else (via.host, via.port)
        scope = asyncio.timeout(limit)
        try:
            async with scope:
                sock = await self._connected(host, port)
                try:
                    if via is not None and origin.scheme == "https":
                        await tunnel(sock, origin, via)
                    return await self._over(sock, origin, make)
                except BaseException:
                    # The other side sees it now, whatever becomes of a TLS that has begun.
                    with suppress(OSError):
                        sock.shutdown(SHUT_RDWR)
                    sock.close()
                    raise
        except OSError as error:
            # Our own limit is one of these, too, and so is a kernel's.
            if isinstance(error, TimeoutError) and scope.expired():
                raise ProviderTimeout("connect", limit) from error
            raise unreachable(host, port, error) from error

    async def _over(
        self, sock: socket, origin: Origin, make: Callable[[], Connection]
    ) -> Connection:
        if origin.scheme == "http":
            _, connection = await self._loop.create_connection(make, sock=sock)
            return connection
        _, connection = await self._loop.create_connection(
            make,
            sock=sock,
            ssl=self._tls(),
            # Certificates have names without the dot that ends a full one.
            server_hostname=origin.host.rstrip("."),
        )
        return connection

    async def _connected(self, host: str, port: int) -> socket:
        addresses = await self._addresses(host, port)
        try:
            return await start_connection(
                addresses,
                happy_eyeballs_delay=NEXT_ADDRESS,
                interleave=1,
                loop=self._loop,
                socket_factory=probed_socket,
            )
        except BaseException as error:
            # They may be old ones.
            self._known.pop((host, port), None)
            if isinstance(error, RuntimeError):
                # What uvloop makes of some errors of the system.
                raise OSError(str(error)) from error
            raise

    async def _addresses(self, host: str, port: int) -> _Addresses:
        """Return the addresses of a host; look-ups run in threads, one for all who wait."""
        with suppress(ValueError):
            ip_address(host)
            return getaddrinfo(
                host, port, type=SOCK_STREAM, proto=IPPROTO_TCP, flags=AI_NUMERICHOST
            )
        place = (host, port)
        since, task = self._known.get(place, (0.0, None))
        now = self._loop.time()
        if task is None or (task.done() and now >= since + NAME_SECONDS):
            task = asyncio.create_task(self._looked_up(host, port))
            self._known[place] = (now, task)
            task.add_done_callback(partial(self._forget_failed, place))
        # Others wait for it, too: who leaves must not take it along.
        return await asyncio.shield(task)

    async def _looked_up(self, host: str, port: int) -> _Addresses:
        return await self._loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)

    def _forget_failed(self, place: tuple[str, int], task: "asyncio.Task[_Addresses]") -> None:
        if (task.cancelled() or task.exception()) and self._known.get(place, (0, None))[1] is task:
            del self._known[place]

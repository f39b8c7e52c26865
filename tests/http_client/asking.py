"""A client at work, and servers that say what a test wants."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Self

from proxy.http_client.headers import DEFAULTS, HeaderBlock
from proxy.http_client.native import NativeConnections
from proxy.http_client.options import ClientKind, ClientOptions
from proxy.http_client.over_aiohttp import AiohttpConnections
from proxy.http_client.proxies import Proxies
from proxy.http_client.seam import Answer, Request

__all__ = ["AT_ONCE", "OK", "Asker", "Peer", "Serve", "Served", "serving"]

AT_ONCE = 1.0
"""Seconds within which a server must see that it was left."""

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Asker:
    """One client, closed at the end of the block."""

    def __init__(
        self,
        kind: ClientKind,
        *,
        environment: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        options = ClientOptions(kind, Proxies(environment or {}), tls)
        native = kind == "native"
        self.kind = kind
        self.connections = NativeConnections(options) if native else AiohttpConnections(options)

    async def ask(
        self,
        url: str,
        body: bytes | None = b"{}",
        *,
        headers: Mapping[str, str] | None = None,
        common: HeaderBlock = DEFAULTS,
        connect: float = 5.0,
    ) -> Answer:
        """Return an answer whose head has come; it is the caller's to close."""
        method = "GET" if body is None else "POST"
        return await self.connections.request(
            Request(method, url, common, connect, headers or {}, body)
        )

    async def whole(self, url: str, body: bytes | None = b"{}") -> bytes:
        """Return the body of an answer."""
        return await read(await self.ask(url, body))

    def open_connections(self) -> int:
        """Return how many connections our own client has."""
        assert isinstance(self.connections, NativeConnections)
        return self.connections.open_connections()

    async def at_most(self, count: int) -> None:
        """Wait until our own client has no more connections than that."""
        async with asyncio.timeout(AT_ONCE):
            while self.open_connections() > count:  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connections.aclose()


async def read(answer: Answer) -> bytes:
    """Return the rest of an answer, and close it."""
    found = b""
    try:
        while piece := await answer.piece():
            found += piece
    finally:
        answer.close()
    return found


class Peer:
    """A server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.left = asyncio.Event()
        # Or what was said last would be lost where a script ends: its connection is aborted then.
        writer.transport.set_write_buffer_limits(high=0)

    async def request(self) -> tuple[bytes, bytes]:
        """Return head and body of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, found, rest = head.lower().partition(b"content-length: ")
        size = int(rest.partition(b"\r\n")[0]) if found else 0
        return head, await self.reader.readexactly(size)

    async def say(self, data: bytes) -> None:
        """Send bytes; waits until the system has taken all of them."""
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        self.left.set()


Serve = Callable[[Peer], Awaitable[None]]


class Served:
    """A server that is listening.

    Attributes:
        port: Its port.
        peers: Its connections so far, closed ones too.
    """

    def __init__(self, serve: Serve, *, scheme: str = "http", host: str = "127.0.0.1") -> None:
        self._serve = serve
        self.scheme, self.host, self.port = scheme, host, 0
        self.peers: list[Peer] = []
        self._arrival = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}/path?query=1"

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._play(Peer(reader, writer)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _play(self, peer: Peer) -> None:
        self.peers.append(peer)
        self._arrival.set()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(peer)
        finally:
            peer.writer.transport.abort()

    async def left(self, peer: int = 0) -> None:
        """Wait until a connection is closed by the client; fails where that takes long."""
        async with asyncio.timeout(AT_ONCE):
            await self.arrived(peer)
            await self.peers[peer].left.wait()

    async def arrived(self, peer: int = 0) -> None:
        """Wait until there is a connection."""
        while len(self.peers) <= peer:
            self._arrival.clear()
            await self._arrival.wait()


@asynccontextmanager
async def serving(
    serve: Serve,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncGenerator[Served]:
    """Play `serve` on each connection to a port (0: a free one), and close it after that."""
    served = Served(serve, scheme="https" if tls else "http", host=host)
    server = await asyncio.start_server(served.connected, host, port, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in list(served.tasks):
            task.cancel()
        await asyncio.gather(*served.tasks, return_exceptions=True)


async def polite(peer: Peer) -> None:
    """Answer all requests of a connection."""
    try:
        while True:
            await peer.request()
            await peer.say(OK)
    finally:
        peer.left.set()


def saying(*parts: bytes, gap: float = 0.0) -> Serve:
    """Return a server that answers one request with these bytes, and closes the connection."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            await peer.say(part)
            if gap:
                await asyncio.sleep(gap)

    return serve

"""Connections to providers: given up at once, with what was not sent, and shared request bodies.

asyncio closes a connection once all that was written is sent, and the kernel keeps trying after
that. A provider that does not read would keep a connection that nobody needs, and the request's
body with it, until TCP gives it up: many minutes. So it is reset instead.
"""

import asyncio
import functools
import socket
import struct
import sys
from collections.abc import Iterator

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

__all__ = ["Connector", "Response", "payload_of"]

PIECE = 64 * 1024
"""Bytes of a request's body that are handed to the connection at a time."""

_RESET = struct.pack("ii", 1, 0)
"""`SO_LINGER` of a socket whose closing drops what was not sent."""


class Response(aiohttp.ClientResponse):
    """An answer that keeps its headers once: aiohttp keeps them twice, 2 KB for every stream."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head of the answer."""
        await super().start(connection)
        self._raw_headers = ()
        return self


class Connector(aiohttp.TCPConnector):
    """Makes connections that can be given up. Create it inside a running event loop."""

    def __init__(self) -> None:
        # No limit here: admission is decided per request, not by a queue in the client.
        super().__init__(limit=0, keepalive_timeout=60.0)  # pyright: ignore[reportUnknownMemberType]
        self._factory = functools.partial(_Protocol, loop=asyncio.get_running_loop())


class _Protocol(ResponseHandler):
    def close(self) -> None:
        """Close the connection; where a part of the request is not sent yet, reset it."""
        transport = self.transport
        if transport is None or not _unsent(transport):
            super().close()
            return
        if (sock := transport.get_extra_info("socket")) is not None:
            # Without this the kernel would keep what it has, and the end would not reach a
            # provider that reads nothing.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()


def _unsent(transport: asyncio.Transport) -> bool:
    """Return whether something of what was written has not reached the other side yet."""
    if transport.get_write_buffer_size():
        return True
    sock = transport.get_extra_info("socket")
    if sys.platform != "linux" or sock is None or sock.fileno() < 0:
        return False
    import fcntl  # noqa: PLC0415  there is none elsewhere
    import termios  # noqa: PLC0415

    # What TLS has encrypted is in a buffer that its transport does not count.
    return fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)) != bytes(4)


class _Pieces(aiohttp.Payload):
    """A body that is handed on in pieces, so that no connection has a copy of all of it."""

    _value: bytes

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body; waits while the provider does not read."""
        for piece in self._each():
            await writer.write(piece)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the body, whose length is always the one that was announced."""
        await self.write(writer)

    def _each(self) -> Iterator[memoryview]:
        whole = memoryview(self._value)
        return (whole[start : start + PIECE] for start in range(0, len(whole), PIECE))


def payload_of(body: bytes) -> bytes | aiohttp.Payload:
    """Return what to give aiohttp as the body of a request."""
    return body if len(body) <= PIECE else _Pieces(body)

"""One HTTP exchange: the request's bytes in, the answer's bytes out, and the client's leaving."""

import asyncio
import os
import socket
import struct
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from proxy.loopback import TRANSPORT

__all__ = ["ClientLeft", "Exchange", "HeaderList"]

HeaderList = Sequence[tuple[bytes, bytes]]

# SO_LINGER on, zero seconds: closing the socket sends RST instead of FIN.
_RESET = struct.pack("ii", 1, 0)


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


class Exchange:
    """Speaks ASGI for one request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        self.finished = False

    async def read(self) -> bytes:
        """Read the whole request body.

        Raises:
            ClientLeft: the connection was closed in the middle of it.
        """
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    async def left(self) -> None:
        """Return when the client has gone; the body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, headers: HeaderList) -> None:
        """Send the status and the headers."""
        await self._send(
            {"type": "http.response.start", "status": status, "headers": list(headers)}
        )

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def reply(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Send a whole answer."""
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [*headers, length])
        await self.finish(body)

    async def abort(self) -> None:
        """Reset the connection once what was written has left; the client sees a broken body.

        Under a server that is not `SandboxServer` the transport is out of reach: the exchange then
        ends without its last part, which servers answer by closing the connection.
        """
        self.finished = True
        # Not an `asyncio.Transport` by type under uvloop, but by its methods.
        transport: asyncio.Transport | None = (
            self._scope.get("extensions", {}).get(TRANSPORT, {}).get("transport")
        )
        if transport is None:
            return
        # Transports tell nobody but their protocol that they are drained, so this has to ask.
        while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # A duplicate shares the socket's options, and works for every event loop's transport.
            with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

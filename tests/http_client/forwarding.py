"""A forward proxy for tests: it passes bytes on, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tests.http_client.asking import Peer, Served, serving

__all__ = ["ForwardingProxy"]


class ForwardingProxy:
    """A forward proxy that knows where every name is: at one port of this machine.

    Attributes:
        heads: What it was asked.
    """

    def __init__(self, *, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.heads: list[str] = []
        self.port = 0
        self._answer = answer
        self._behind = 0

    @asynccontextmanager
    async def before(self, behind: int) -> AsyncGenerator["Served"]:
        self._behind = behind
        async with serving(self._serve) as served:
            self.port = served.port
            yield served

    async def _serve(self, peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        reader, writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            if head.startswith(b"CONNECT"):
                await peer.say(self._answer)
                if not self._answer.startswith(b"HTTP/1.1 2"):
                    await peer.gone()
                    return
            else:
                writer.write(head)
            await asyncio.gather(
                _pass(peer.reader, writer), _pass(reader, peer.writer), return_exceptions=True
            )
        finally:
            peer.left.set()
            writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()

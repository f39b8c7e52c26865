"""Bodies that come compressed although nobody asked for it: unpacked piece by piece, within bounds.

A piece is unpacked when it is asked for, so a body that unpacks to a thousand times its size fills
no memory that was not asked for.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from proxy.http_client.failures import garbled

__all__ = ["PACKED", "Unpacked"]

PIECE: Final = 64 * 1024
"""Bytes that are unpacked at a time."""

PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})
"""Encodings that are understood (RFC 9110, 8.4.1)."""


class Unpacked:
    """The bytes of a compressed body.

    Args:
        read: Returns the next bytes as they came; empty at the end.
        encoding: One of `PACKED`.
    """

    def __init__(self, read: Callable[[], Awaitable[bytes]], encoding: str) -> None:
        self._read = read
        self._gzip = encoding != "deflate"
        self._unpacker: Any = None
        self._left = b""
        # Whether the last piece was full: then there may be more in the unpacker itself.
        self._full = False
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left of what has come so far."""
        return not self._left and not self._full

    async def piece(self) -> bytes:
        """Return the next bytes; empty at the end.

        Raises:
            ProviderError: The connection broke, or what came is not compressed as it says.
        """
        while True:
            if self._left or self._full:
                # Others have their turn, too: 64 MB of zeros are in 64 KB.
                await asyncio.sleep(0)
            else:
                self._left = await self._read()
                if not self._left:
                    if self._begun and (self._unpacker is None or not self._unpacker.eof):
                        raise garbled("its compressed body breaks off")
                    return b""
            if found := self._unpack():
                return found

    def _unpack(self) -> bytes:
        unpacker = self._unpacker
        if unpacker is None or unpacker.eof:
            unpacker = self._unpacker = self._new(self._left[0])
        try:
            found = unpacker.decompress(self._left, PIECE)
        except zlib.error as error:
            raise garbled("its body is not compressed as it says", error) from error
        # At its end there may be another member behind it (RFC 1952, 2.2).
        self._left = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
        self._full = len(found) == PIECE and not unpacker.eof
        return found

    def _new(self, first: int) -> Any:
        if self._begun and not self._gzip:
            raise garbled("there is more behind its compressed body")
        self._begun = True
        if self._gzip:
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        # Half of the servers of the world leave the two bytes of zlib away.
        return zlib.decompressobj(zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS)

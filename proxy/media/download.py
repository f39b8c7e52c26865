"""One download: a connection to an address that was checked, and no more bytes than allowed.

Through httpx's transport rather than its client, which would keep cookies, follow redirects,
read proxy settings from the environment and log every URL with the signature in its query.
This module is imported when something is first fetched: httpx takes a tenth of a start-up.
"""

import ssl
import zlib
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import httpx

from proxy import __version__
from proxy.media.addresses import Destination, MediaProblem

__all__ = ["Page", "download"]

_HEADERS = {
    "user-agent": f"execution-platform/{__version__}",
    "accept": "image/*, application/pdf, audio/*, video/*, text/plain, */*;q=0.1",
    # Bytes are counted as they come; a server that compresses all the same is bounded as well.
    "accept-encoding": "identity",
    "connection": "close",
}

CONNECT_SECONDS = 4.0
"""For one address, so that there is time for the next."""

MOST_ADDRESSES = 4
"""Addresses of one host that are tried."""

_UNPACKED = frozenset({"", "identity"})
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Page:
    """The head of an answer, with its body to come.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: Bytes as they come; at most once.
    """

    status: int
    headers: Mapping[str, str]
    body: AsyncIterable[bytes]

    @property
    def length(self) -> int | None:
        """Bytes that the body is going to have; None where its server does not say so."""
        length = self.headers.get("content-length", "")
        packed = self.headers.get("content-encoding", "").strip().lower() not in _UNPACKED
        return int(length) if length.isdecimal() and not packed else None

    async def read(self, most: int, count: Callable[[int], None]) -> bytes:
        """Return the body.

        Args:
            most: Bytes it may have, unpacked.
            count: Told the size of each piece; raises where it is one too many.

        Raises:
            MediaProblem: It is larger, broke off, or is packed in a way we do not read.
        """
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self._unpacked(most)) as unpacked:
            async for piece in unpacked:
                size += len(piece)
                if size > most:
                    raise _too_large(most)
                count(len(piece))
                pieces.append(piece)
        return b"".join(pieces)

    async def _unpacked(self, most: int) -> AsyncGenerator[bytes]:
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in _UNPACKED:
            async for piece in self.body:
                yield piece
            return
        if coding not in ("gzip", "x-gzip"):
            raise MediaProblem("download", "its server sent it in a packing nobody asked for")
        unpacker = zlib.decompressobj(_GZIP)
        try:
            async for piece in self.body:
                # One byte more than allowed is enough to know: the rest stays packed.
                yield unpacker.decompress(piece, most + 1)
        except zlib.error:
            raise MediaProblem("download", "its server sent broken gzip") from None
        if not unpacker.eof:
            raise MediaProblem("download", "its server sent broken gzip")


@asynccontextmanager
async def download(
    to: Destination, addresses: Sequence[str], tls: ssl.SSLContext
) -> AsyncGenerator[Page]:
    """Ask the server at the first of `addresses` that answers; leaving closes the connection.

    The `host` header and the name that the certificate must have are those of the URL.

    Raises:
        MediaProblem: No server answered, or what it said is not HTTP.
    """
    try:
        async with httpx.AsyncHTTPTransport(verify=tls) as transport:
            answer = await _ask(transport, to, addresses[:MOST_ADDRESSES])
            try:
                headers = {name.lower(): value for name, value in answer.headers.items()}
                yield Page(
                    answer.status_code, headers, cast("httpx.AsyncByteStream", answer.stream)
                )
            finally:
                await answer.aclose()
    except (httpx.HTTPError, httpx.InvalidURL):
        raise MediaProblem("download", "its server cannot be reached, or broke off") from None


async def _ask(
    transport: httpx.AsyncHTTPTransport, to: Destination, addresses: Sequence[str]
) -> httpx.Response:
    for left, address in zip(range(len(addresses))[::-1], addresses, strict=True):
        host = f"[{address}]" if ":" in address else address
        request = httpx.Request(
            "GET",
            f"{to.scheme}://{host}:{to.port}{to.target}",
            headers={"host": to.authority, **_HEADERS},
            extensions={
                "sni_hostname": to.host,
                "timeout": httpx.Timeout(None, connect=CONNECT_SECONDS).as_dict(),
            },
        )
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if not left:
                raise
    raise MediaProblem("address", "its host has no public address")


def _too_large(most: int) -> MediaProblem:
    return MediaProblem("too_large", f"it is larger than {most} bytes, the most that is fetched")

"""The answers of providers over HTTP: their bodies as they arrive, and the events in them."""

import asyncio
from contextlib import suppress

from proxy.http_client.seam import Answer
from proxy.ticker import Ticker
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout
from translators.sse import ServerSentEvent, SSEDecoder

__all__ = ["Body", "HttpEvents"]

END_SECONDS = 0.1
"""How long the end of a complete answer's body is waited for."""


class Body:
    """The body of an answer, as it arrives; nothing is read while nobody asks.

    Args:
        response: Closed by `close`.
        ticker: Tells the time.
        idle: Seconds to wait for a piece; None: for ever.
        total: Seconds for the whole; None: no limit.
        began: When they began, by the event loop's clock; None: now.
    """

    __slots__ = (
        *("_deadline", "_expired", "_idle", "_loop", "_response", "_since", "_ticker", "_total"),
    )

    def __init__(
        self,
        response: Answer,
        ticker: Ticker,
        *,
        idle: float | None,
        total: float | None,
        began: float | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._ticker = ticker
        self._idle = idle
        self._total = total
        self._deadline = None if total is None else (began or self._loop.time()) + total
        self._since: float | None = None
        self._expired: ProviderTimeout | None = None
        if idle is not None or total is not None:
            ticker.add(self)

    @property
    def content_type(self) -> str:
        """The type of the answer, without its parameters."""
        return self._response.content_type

    async def piece(self) -> bytes:
        """Return what has arrived; empty at the end.

        Raises:
            ProviderError: The connection broke, or a time limit ran out.
        """
        self._since = self._loop.time()
        try:
            return await self._response.piece()
        except ProviderError as error:
            if self._expired is None:
                raise
            # It was closed because of that.
            raise self._expired from error
        finally:
            self._since = None

    async def await_end(self) -> None:
        """Wait a moment for the end of a body of which nothing is missing.

        It mostly comes with the last event. A server that forgets it costs this moment and its
        connection, not the answer.
        """
        if self._response.complete:
            return
        with suppress(TimeoutError, ProviderError):
            async with asyncio.timeout(END_SECONDS):
                while await self._response.piece():
                    pass

    def close(self) -> None:
        """Close the connection, unless the answer was complete: then it is free for another."""
        self._ticker.discard(self)
        self._response.close()

    def tick(self, now: float) -> None:
        """Close the connection if a limit has run out: whoever waits gets the reason."""
        if self._deadline is not None and now >= self._deadline:
            self._expired = ProviderTimeout("total", self._total or 0.0)
        elif self._since is not None and self._idle is not None and now >= self._since + self._idle:
            self._expired = ProviderTimeout("idle", self._idle)
        if self._expired is not None:
            self.close()

    async def all(self, most: int) -> tuple[bytes, bool]:
        """Return the rest, and whether it was more than `most` bytes; the excess is left."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                return b"".join(pieces)[:most], True
        return b"".join(pieces), False


class HttpEvents:
    """The server-sent events of one answer: those that came together, together."""

    __slots__ = ("_body", "_decoder", "_over")

    def __init__(self, body: Body) -> None:
        self._body = body
        self._decoder = SSEDecoder()
        self._over = False

    def __aiter__(self) -> "HttpEvents":
        return self

    async def __anext__(self) -> list[ServerSentEvent]:
        """Return the next events.

        Raises:
            ProviderError: The connection broke, or a time limit ran out.
        """
        while not self._over:
            piece = await self._body.piece()
            self._over = not piece
            if events := self._decoder.feed(piece) if piece else self._decoder.end():
                return events
        raise StopAsyncIteration

    async def aclose(self, *, complete: bool) -> None:
        """Close the connection, or leave it to the next request where the body has ended."""
        if complete:
            await self._body.await_end()
        self._body.close()

"""Server-sent events out: what came together is written together; silence is filled with pings."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any

from starlette.types import Send

from proxy.ticker import Ticker
from translators.errors import ExecutionPlatformError
from translators.json import encode
from translators.protocol import Chunk

__all__ = ["EventStream"]

Headers = list[tuple[bytes, bytes]]

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"

STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class EventStream:
    """One streamed response; the status line is sent with the first thing there is to say.

    After `heartbeat` seconds without a write a comment is sent, again and again. The first of
    them starts the response, so that clients and the boxes before them do not give up; from
    then on the status is 200 whatever happens.

    Args:
        send: Of the ASGI request.
        headers: Called when the response starts: what is known by then.
        heartbeat: Seconds of silence before a comment; 0 for never.
        ticker: Tells the time.
    """

    __slots__ = (
        *("_headers", "_heartbeat", "_loop", "_ping", "_send", "_ticker"),
        *("_writing", "_written", "started"),
    )

    def __init__(
        self, send: Send, headers: Callable[[], Headers], *, heartbeat: float, ticker: Ticker
    ) -> None:
        self._send = send
        self._headers = headers
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._written = self._loop.time()
        self._ticker = ticker
        self._ping: asyncio.Task[None] | None = None
        self._writing = False
        self.started = False

    async def __aenter__(self) -> "EventStream":
        if self._heartbeat > 0:
            self._ticker.add(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ticker.discard(self)
        if self._ping is not None:
            self._ping.cancel()

    def chunks(self, batch: Sequence[Chunk]) -> Coroutine[Any, Any, None]:
        """Write chunks, in one write."""
        if len(batch) == 1:
            data = b"data: " + batch[0].data + b"\n\n"
        else:
            data = b"".join(_framed(chunk.data for chunk in batch))
        return self._write(data)

    def done(self) -> Coroutine[Any, Any, None]:
        """Say that the answer is complete."""
        return self._write(DONE, last=True)

    def error(self, error: ExecutionPlatformError) -> Coroutine[Any, Any, None]:
        """Say that the answer broke off: one error event, and no `[DONE]` behind it."""
        return self._write(b"data: " + encode(error.to_wire()) + b"\n\n", last=True)

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        if self._ping is not None:
            await self._ping
        self._writing = True
        if not self.started:
            await self._start()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        self._written = self._loop.time()
        self._writing = False

    async def _start(self) -> None:
        self.started = True
        headers = STREAM_HEADERS + self._headers()
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _comment(self) -> None:
        if not self.started:
            await self._start()
        await self._send({"type": "http.response.body", "body": PING, "more_body": True})
        self._written = self._loop.time()
        self._ping = None

    def tick(self, now: float) -> None:
        """Send a comment if there was silence for long enough."""
        # A write that waits for the client is not a silence of the provider's.
        if now >= self._written + self._heartbeat and not self._writing and self._ping is None:
            self._ping = self._loop.create_task(self._comment())


def _framed(payloads: Iterable[bytes]) -> Iterable[bytes]:
    for data in payloads:
        yield b"data: "
        yield data
        yield b"\n\n"

"""A provider that a test plays itself, event by event."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

__all__ = ["OPENINGS", "Play", "Stage", "delta", "scripted"]


class Stage:
    """One request to the scripted provider, and the means to answer it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""
        self.body: Any = None

    async def read(self) -> None:
        """Read one request."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        size = int(self.head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.body = json.loads(await self.reader.readexactly(size))

    async def start(self, *, content_type: str = "text/event-stream") -> None:
        """Send the head of an answer whose body is chunked."""
        self.writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        """Send a part of the body; waits while the reader does not read."""
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def finish(self) -> None:
        """End the body."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        with suppress(ConnectionError):
            await self.reader.read()


Play = Callable[[Stage], Awaitable[None]]


@asynccontextmanager
async def scripted(port: int, play: Play) -> AsyncGenerator[None]:
    """Listen on a port and answer each request by `play`; closes each connection after it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stage = Stage(reader, writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await stage.read()
                await play(stage)
        finally:
            writer.transport.abort()

    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _event(name: str, **data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode()


def _openai(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {
        **{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "played"},
        "choices": [choice],
    }
    return f"data: {json.dumps(chunk)}\n\n".encode()


_MESSAGE: dict[str, Any] = {
    **{"id": "msg_1", "type": "message", "role": "assistant", "model": "played", "content": []},
    **{"stop_reason": None, "stop_sequence": None},
    "usage": {"input_tokens": 1, "output_tokens": 1},
}

OPENINGS = {
    "openai": _openai({"role": "assistant", "content": ""}),
    "anthropic": _event("message_start", message=_MESSAGE)
    + _event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
}
"""What comes before the first piece of text, by dialect."""

ENDINGS = {
    "openai": _openai({}, "stop") + b"data: [DONE]\n\n",
    "anthropic": _event("content_block_stop", index=0)
    + _event(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": 5},
    )
    + _event("message_stop"),
}
"""What comes after the last piece of text."""


def delta(dialect: str, text: str) -> bytes:
    """Return the event that carries a piece of text."""
    if dialect == "openai":
        return _openai({"content": text})
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

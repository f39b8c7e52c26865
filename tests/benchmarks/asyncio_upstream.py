"""`native/upstream.c` in Python, for machines without a C compiler: same options, same answers.

    python -m tests.benchmarks.asyncio_upstream --wire FOLDER [--port P] [--seconds S] [--broken …]

It takes some twenty times the CPU, which is the load's core and not the measured one.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

import httptools
import uvloop

_SECTION = re.compile(r"^=== (\w+)\n(.*?)(?=^=== |\Z)", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"\$(TEXT|MARK|COUNT|TOTAL|CR)")
_STEER = re.compile(rb"\[bench ([^\]]*)\]")
_INCLUDE_USAGE = re.compile(rb'"include_usage"\s*:\s*true')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_COLLECTED = (b"/v1/traces", b"/v1/metrics", b"/v1/logs")
_INPUT_TOKENS = 25
_MOST_CHUNKS = 100_000
_MOST_TEXT = 1_000_000
_LONGEST_WAIT_MS = 600_000
_BROKEN: Final = ("", "no", "status", "cut", "short", "endless")


class Dialect:
    """One API's words: `wire/README.md`."""

    def __init__(self, path: Path) -> None:
        self._sections = dict(_SECTION.findall(path.read_text()))

    def write(self, section: str, *, text: str = "", count: int = 0, marked: bool = True) -> bytes:
        """Return a section with its places filled in; nothing where there is no such one."""
        values: dict[str, Callable[[], str]] = {
            "TEXT": lambda: text,
            "MARK": lambda: f"@T{time.monotonic_ns():018d}@" if marked else "",
            "COUNT": lambda: str(count),
            "TOTAL": lambda: str(count + _INPUT_TOKENS),
            "CR": lambda: "\r",
        }
        written = _PLACE.sub(lambda m: values[m[1]](), self._sections.get(section, ""))
        return written.encode()


class Upstream:
    """What all connections share: the words, how they fail, what was seen."""

    def __init__(self, wire: Path, broken: str) -> None:
        self.openai = Dialect(wire / "openai_chat.txt")
        self.anthropic = Dialect(wire / "anthropic_messages.txt")
        self.gemini = Dialect(wire / "gemini_generate.txt")
        sentence = (wire / "sentence.txt").read_text()
        self.lorem = (sentence * (_MOST_TEXT // len(sentence) + 1))[:_MOST_TEXT]
        self.broken = broken
        names = ("requests", "connections", "open", "answering", "chunks", "aborted")
        self.seen = dict.fromkeys((*names, "otlp_posts", "otlp_bytes"), 0)


def _steered(body: bytes) -> dict[str, float]:
    values = {"chunks": 20.0, "gap": 0.0, "first": 0.0, "size": 900.0}
    found = _STEER.search(body)
    for word in found[1].decode().split() if found else ():
        name, _, value = word.partition("=")
        if name in values:
            values[name] = float(value)
    limits = {"chunks": _MOST_CHUNKS, "size": _MOST_TEXT}
    return {
        name: min(max(value, 1 if name == "chunks" else 0), limits.get(name, _LONGEST_WAIT_MS))
        for name, value in values.items()
    }


class Connection(asyncio.Protocol):
    """One connection; an answer is a task while it lasts."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._parser: Any = httptools.HttpRequestParser(self)
        self._path = b""
        self._body = bytearray()
        self._answer: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are transports by what they do, not by their class.
        self._transport = cast(asyncio.Transport, transport)
        self._upstream.seen["connections"] += 1
        self._upstream.seen["open"] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream.seen["open"] -= 1
        if self._answer is not None and not self._answer.done():
            self._upstream.seen["aborted"] += 1
            self._answer.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    # What httptools calls.
    def on_message_begin(self) -> None:
        self._path, self._body = b"", bytearray()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        # No one pipelines: there is one answer at a time.
        answer = self._respond(self._path, bytes(self._body))
        self._answer = asyncio.get_running_loop().create_task(answer)

    def _whole(self, status: str, body: bytes, *, promised: int | None = None) -> None:
        length = len(body) if promised is None else promised
        head = (
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        )
        self._transport.write(head.encode() + b"\r\n" + body)

    async def _respond(self, path: bytes, body: bytes) -> None:
        seen = self._upstream.seen
        if path in _COLLECTED:
            seen["otlp_posts"] += 1
            seen["otlp_bytes"] += len(body)
            self._whole("200 OK", b"")
        elif path == b"/stats":
            self._whole("200 OK", json.dumps(seen).encode())
        else:
            seen["requests"] += 1
            seen["answering"] += 1
            try:
                await self._complete(path, body)
            finally:
                seen["answering"] -= 1

    async def _complete(self, path: bytes, body: bytes) -> None:
        steer, broken = _steered(body), self._upstream.broken
        google = b"enerateContent" in path
        dialect = self._upstream.openai
        if google or b"/messages" in path:
            dialect = self._upstream.gemini if google else self._upstream.anthropic
        if steer["first"]:
            await asyncio.sleep(steer["first"] / 1000)
        if broken == "status":
            self._whole("500 Internal Server Error", dialect.write("error"))
        elif b":stream" in path if google else _STREAM.search(body):
            usage = _INCLUDE_USAGE.search(body) is not None
            await self._stream(dialect, int(steer["chunks"]), steer["gap"] / 1000, usage=usage)
        else:
            size = int(steer["size"])
            text = self._upstream.lorem[:size]
            marked = broken != "short"
            whole = dialect.write("whole", text=text, count=size // 4, marked=marked)
            if broken == "cut":
                self._whole("200 OK", whole[: len(whole) // 2], promised=len(whole))
                self._transport.close()
            else:
                self._whole("200 OK", whole)

    async def _stream(self, dialect: Dialect, chunks: int, gap: float, *, usage: bool) -> None:
        broken = self._upstream.broken
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self._event(dialect.write("first"))
        due = asyncio.get_running_loop().time()
        for number in range(1, chunks + 1):
            await self._writable.wait()
            self._upstream.seen["chunks"] += 1
            if broken != "short" or number < chunks:
                self._event(dialect.write("chunk", count=number))
            if broken == "cut" and number * 2 >= chunks:
                self._transport.close()
                return
            due += gap
            if number < chunks:
                rest = due - asyncio.get_running_loop().time() if gap else 0
                await asyncio.sleep(max(rest, 0))
        ends = ("last", "usage", "end") if usage else ("last", "end")
        for section in ends if broken != "endless" else ():
            self._event(dialect.write(section, count=chunks))
        self._transport.write(b"0\r\n\r\n")

    def _event(self, event: bytes) -> None:
        if event:
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))


async def serve(options: argparse.Namespace) -> None:
    """Serve for as long as was asked."""
    upstream = Upstream(options.wire, options.broken)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(upstream), "127.0.0.1", options.port, backlog=4096
    )
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(options.seconds)


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wire", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--broken", choices=_BROKEN, default="")
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()

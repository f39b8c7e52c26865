"""What each HTTP client of the data path costs: CPU per request, and per streamed chunk.

    python -m tests.benchmarks.http_clients [--requests 4000] [--chunks 40000] [--rounds 3]

The upstream is a process of its own that parses next to nothing and writes what it has ready. The
client runs alone in this one, through `HttpTransport`, on uvloop as in the server: what is counted
is this process's CPU time, which other work on the machine changes little. Both clients are
measured in turns; the best of the rounds counts.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from policy.schema import Timeouts
from proxy.call import Call
from proxy.http import HttpClient, HttpTransport
from proxy.http_client.options import CLIENTS, ClientKind, ClientOptions
from proxy.ticker import Ticker
from translators.protocol import HttpRequest

FIELDS = b"".join(
    b"%b: %b\r\n" % field
    for field in [
        (b"date", b"Mon, 30 Nov 2026 06:00:00 GMT"),
        (b"server", b"upstream"),
        (b"x-request-id", b"req_0123456789abcdef"),
        (b"ratelimit-remaining-requests", b"999"),
        (b"ratelimit-remaining-tokens", b"99999"),
        (b"ratelimit-reset-tokens", b"2026-11-30T06:00:01Z"),
        (b"strict-transport-security", b"max-age=31536000"),
        (b"via", b"1.1 edge"),
    ]
)
WHOLE = b'{"text": "%b"}' % (b"x" * 1500)
EVENT = b'data: {"type": "content_block_delta", "delta": {"text": "%b"}}\n\n' % (b"y" * 120)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
    FIELDS,
    len(WHOLE),
    WHOLE,
)
STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n%btransfer-encoding: chunked\r\n\r\n"
)
PIECE = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello " * 50}]}
HEADERS = {"x-api-key": "sk-0123456789", "anthropic-version": "2023-06-01"}


class Upstream(asyncio.Protocol):
    """Answers whatever ends in a brace: whole, or with as many chunks as the path says."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if not data.endswith(b"}"):
            return
        if not data.startswith((b"POST /flood", b"POST /steady")):
            self.transport.write(ANSWER)
            return
        self.left = int(data.split(b" ", 2)[1].rpartition(b"/")[2])
        self.transport.write(STREAM % FIELDS)
        if data.startswith(b"POST /flood"):
            while self.left:
                now = min(self.left, 200)
                self.transport.write(PIECE * now)
                self.left -= now
            self.transport.write(b"0\r\n\r\n")
        else:
            self.step()

    def step(self) -> None:
        if self.left == 0:
            self.transport.write(b"0\r\n\r\n")
            return
        self.left -= 1
        self.transport.write(PIECE)
        asyncio.get_running_loop().call_later(0.001, self.step)


def upstream(port: Any) -> None:
    """Serve until this process ends."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def requests(transport: HttpTransport, count: int, at_once: int) -> None:
    """Send requests whose answers are whole, so many at a time."""
    request = HttpRequest("/v1/messages", BODY, {"anthropic-beta": "x-2026"})
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            call = Call(carrier={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
            assert await transport.send(request, call) == WHOLE

    await asyncio.gather(*(one() for _ in range(at_once)))


async def stream(transport: HttpTransport, path: str, count: int) -> None:
    """Read a stream of events, which come all at once, or one by one."""
    got = 0
    events = await transport.open(HttpRequest(f"{path}/{count}", BODY, {}), Call())
    async for batch in events:
        got += len(batch)
    await events.aclose(complete=True)
    assert got == count


async def streams(transport: HttpTransport, path: str, count: int, at_once: int) -> None:
    """Read several streams at a time."""
    share = count // at_once
    await asyncio.gather(*(stream(transport, path, share) for _ in range(at_once)))


Work = Callable[[HttpTransport], Awaitable[None]]


def cost(kind: ClientKind, port: int, work: Work, count: int) -> float:
    """Return the microseconds of CPU that a piece of work costs, for each of `count`."""

    async def measured() -> float:
        ticker = Ticker()
        client = HttpClient(ticker, ClientOptions(kind))
        transport = HttpTransport(client, f"http://127.0.0.1:{port}", HEADERS, "", Timeouts())
        try:
            await requests(transport, 200, 64)
            began = time.process_time()
            await work(transport)
            return (time.process_time() - began) / count * 1e6
        finally:
            await client.aclose()
            ticker.close()

    return uvloop.run(measured())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--chunks", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chunks, whole = options.chunks, options.requests
    work: dict[str, tuple[Work, int]] = {
        "µs/request, 1 connection": (lambda t: requests(t, whole, 1), whole),
        "µs/request, 64 connections": (lambda t: requests(t, whole, 64), whole),
        "µs/request, 256 connections": (lambda t: requests(t, whole, 256), whole),
        "µs/chunk, flood": (lambda t: streams(t, "/flood", chunks, 1), chunks),
        "µs/chunk, 50 steady streams": (lambda t: streams(t, "/steady", chunks, 50), chunks),
    }
    receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(
        target=upstream, args=(sender,), daemon=True
    )
    process.start()
    try:
        port = receiver.recv()
        print(f"{'':32}" + "".join(f"{kind:>10}" for kind in CLIENTS) + f"{'ratio':>8}")
        for name, (piece, count) in work.items():
            found = dict.fromkeys(CLIENTS, float("inf"))
            for _ in range(options.rounds):
                for kind in CLIENTS:
                    found[kind] = min(found[kind], cost(kind, port, piece, count))
            ratio = found["native"] / found["aiohttp"]
            print(f"{name:32}" + "".join(f"{found[k]:10.1f}" for k in CLIENTS) + f"{ratio:8.2f}")
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()

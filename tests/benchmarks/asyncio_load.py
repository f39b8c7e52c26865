"""`native/load.c` in Python, for machines without a C compiler: same options, same results.

    python -m tests.benchmarks.asyncio_load --port P --path PATH --body FILE …

It takes some ten times the CPU: latencies and requests/s are its own as much as the system's.
"""

import argparse
import asyncio
import json
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, cast

import httptools
import uvloop

_MARK = b"@T"
_MARK_LENGTH: Final = 21
"""`@T`, 18 digits, `@`."""

_TAIL = 512
_MOST_FAILURES = 100
_SLOT_NS = 100
_FINE = 256


class Samples:
    """Durations, counted by size: memory does not grow with their number, errors below 0.4 %."""

    def __init__(self) -> None:
        self._slots: Counter[int] = Counter()
        self._sum, self._least, self._most = 0, 0, 0
        self.count = 0

    def add(self, ns: int) -> None:
        value = max(ns, 0) // _SLOT_NS
        shift = max(value.bit_length() - 9, 0)
        self._slots[(value >> shift) << shift] += 1
        self._least = min(value, self._least) if self.count else value
        self._most = max(value, self._most)
        self._sum += value
        self.count += 1

    def at(self, share: float) -> float:
        rank, passed = int((self.count - 1) * share), 0
        for low in sorted(self._slots):
            passed += self._slots[low]
            if passed > rank:
                return low * _SLOT_NS / 1e6
        return self._most * _SLOT_NS / 1e6

    def results(self) -> dict[str, float] | None:
        if not self.count:
            return None
        in_ms = _SLOT_NS / 1e6
        return {
            "count": self.count,
            "mean": self._sum / self.count * in_ms,
            "least": self._least * in_ms,
            "p50": self.at(0.5),
            "p95": self.at(0.95),
            "p99": self.at(0.99),
            "most": self._most * in_ms,
        }


class Exchange:
    """One request and its answer, as far as it is there."""

    def __init__(self, begun: int, *, counts: bool) -> None:
        self.begun, self.counts = begun, counts
        self.status, self.marks, self.body_bytes, self.first_mark = 0, 0, 0, 0
        self.rest, self.tail = b"", b""
        self.done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def take(self, body: bytes, transit: Samples) -> None:
        """Look for marks; one may lie across two pieces."""
        now = time.monotonic_ns()
        self.body_bytes += len(body)
        self.tail = (self.tail + body)[-_TAIL:]
        data, at = self.rest + body, 0
        while (at := data.find(_MARK, at)) >= 0 and at + _MARK_LENGTH <= len(data):
            digits = data[at + 2 : at + _MARK_LENGTH - 1]
            if digits.isdigit() and data[at + _MARK_LENGTH - 1 : at + _MARK_LENGTH] == b"@":
                self.marks += 1
                self.first_mark = self.first_mark or now
                if self.counts:
                    transit.add(now - int(digits))
            at += 2
        # What may be the beginning of one; what is before it has been looked at.
        self.rest = data[at:] if at >= 0 else data[-1:] if data.endswith(b"@") else b""


class Client(asyncio.Protocol):
    """One connection, which may be used again and again."""

    def __init__(self, transit: Samples) -> None:
        self._transit = transit
        self._exchange: Exchange | None = None
        self.open = False
        self.used = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are transports by what they do, not by their class.
        self.transport, self.open = cast(asyncio.Transport, transport), True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._end("the connection was closed in the middle")

    def ask(self, request: bytes, exchange: Exchange) -> None:
        assert self.transport is not None
        self._exchange = exchange
        self._parser: Any = httptools.HttpResponseParser(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"this is no HTTP: {error}")

    # What httptools calls.
    def on_headers_complete(self) -> None:
        if self._exchange is not None:
            self._exchange.status = self._parser.get_status_code()
            # Read later, it is always false.
            self._keep = bool(self._parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None:
            self._exchange.take(body, self._transit)

    def on_message_complete(self) -> None:
        self.used = True
        if not self._keep and self.transport is not None:
            self.open = False
            self.transport.close()
        self._end(None)

    def _end(self, why: str | None) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.done.done():
            exchange.done.set_result(why)


class Run:
    """A whole load."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        body = Path(options.body).read_bytes()
        head = [f"POST {options.path} HTTP/1.1", f"Host: 127.0.0.1:{options.port}"]
        head += ["Content-Type: application/json", "Accept: */*", *options.header]
        head += [f"Content-Length: {len(body)}", "", ""]
        self._request = "\r\n".join(head).encode() + body
        self._latency, self._first, self._transit = Samples(), Samples(), Samples()
        self._numbers: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._lengths: list[int] = []
        self._failure = ""
        self._begun = self._due = self._in_window = self._last = 0
        self._start = time.monotonic_ns()
        self._window = self._start + int(options.warm_up * 1e9)
        self._end = self._window + int(options.seconds * 1e9)

    async def run(self) -> dict[str, Any]:
        options = self._options
        ramp = options.ramp / options.connections
        async with asyncio.TaskGroup() as group:
            for number in range(options.connections):
                group.create_task(self._connection(number * ramp))
        unsent = 0
        if options.rate and not options.requests:
            unsent = max(0, int((self._end - self._due_at()) / 1e9 * options.rate))
        return self._results(unsent)

    def _over(self) -> bool:
        limit = self._options.requests
        failed = self._numbers["failed"] >= _MOST_FAILURES
        return failed or bool(limit and self._begun >= limit) or time.monotonic_ns() >= self._end

    def _due_at(self) -> int:
        return self._start + int(self._due / self._options.rate * 1e9)

    async def _connection(self, delay: float) -> None:
        """Ask on one connection until the end."""
        await asyncio.sleep(delay)
        client = Client(self._transit)
        while not self._over():
            begun = time.monotonic_ns()
            if self._options.rate:
                # The next that is due, whether it is late or early: it counts from then.
                begun = self._due_at()
                if begun >= self._end:
                    break
                self._due += 1
                for _ in range(3):  # Timers of whole milliseconds wake early.
                    await asyncio.sleep(max(begun - time.monotonic_ns(), 0) / 1e9)
            self._begun += 1
            client = await self._exchange(client, begun)
        if client.transport is not None:
            client.transport.close()

    async def _exchange(self, client: Client, begun: int) -> Client:
        exchange = Exchange(begun, counts=self._window <= begun < self._end)
        while True:
            fresh = not client.open
            if fresh:
                client = Client(self._transit)
                try:
                    await asyncio.get_running_loop().create_connection(
                        lambda made=client: made, "127.0.0.1", self._options.port
                    )
                except OSError as error:
                    self._finish(exchange, str(error))
                    return client
                self._numbers["connections"] += 1
            client.ask(self._request, exchange)
            why: str | None
            try:
                why = await asyncio.wait_for(exchange.done, self._options.timeout)
            except TimeoutError:
                self._numbers["timeouts"] += 1
                why = "no whole answer within the time"
            if why is not None and not fresh and exchange.status == 0 and not client.open:
                # It had been idle, and was closed as we asked: ask again.
                self._numbers["stale"] += 1
                exchange = Exchange(begun, counts=exchange.counts)
                continue
            self._finish(exchange, why)
            if why is not None and client.transport is not None:
                client.open = False
                client.transport.close()
            return client

    def _wrong(self, exchange: Exchange) -> str | None:
        if exchange.status != 200:
            return "another status than 200"
        if exchange.marks != self._options.marks:
            return "not as many pieces of text as asked for"
        if self._options.end.encode() not in exchange.tail:
            return "no end where it should be"
        return None

    def _finish(self, exchange: Exchange, why: str | None) -> None:
        now = time.monotonic_ns()
        if exchange.status:
            self._statuses[str(exchange.status)] += 1
        wrong = self._wrong(exchange) if why is None else None
        self._numbers["wrong"] += wrong is not None
        why = why or wrong
        if why is not None:
            self._numbers["failed"] += 1
            said = exchange.tail.decode(errors="replace")
            self._failure = self._failure or (
                f"{why}; status {exchange.status}, {exchange.marks} marks, the end: {said}"
            )
            return
        self._numbers["all_answers"] += 1
        self._numbers["all_chunks"] += exchange.marks
        self._last = now
        self._in_window += self._window <= now < self._end
        lengths = [*self._lengths, exchange.body_bytes]
        self._lengths = [min(lengths), max(lengths)]
        if exchange.counts:
            self._numbers["answers"] += 1
            self._numbers["chunks"] += exchange.marks
            self._latency.add(now - exchange.begun)
            self._first.add(exchange.first_mark - exchange.begun)

    def _results(self, unsent: int) -> dict[str, Any]:
        options = self._options
        seconds: float = options.seconds
        if options.requests or options.stream:
            until = min(self._last or self._end, self._end)
            seconds = max(until - self._window, 0) / 1e9
        per_second = self._in_window / seconds if seconds else 0
        if not options.rate and self._in_window < 2 * options.connections and self._last:
            # Too few in it to say anything: all of them, the last ones with fewer connections.
            per_second = self._numbers["all_answers"] / (self._last - self._start) * 1e9
        use = resource.getrusage(resource.RUSAGE_SELF)
        names = ("answers", "all_answers", "chunks", "all_chunks", "failed", "wrong", "timeouts")
        return {
            **{name: self._numbers[name] for name in (*names, "stale", "connections")},
            "unsent": unsent,
            "open_at_end": 0,
            "seconds": seconds,
            "per_second": per_second,
            "cpu_seconds": use.ru_utime + use.ru_stime,
            "body_bytes": self._lengths or [0, 0],
            "latency_ms": self._latency.results(),
            "first_ms": self._first.results(),
            "transit_ms": self._transit.results(),
            "statuses": dict(self._statuses),
            "failure": self._failure,
        }


async def load(options: argparse.Namespace) -> None:
    """Load, and print the results."""
    print(json.dumps(await Run(options).run()))


def main() -> None:
    """Read the options and load."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("path", "body"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--end", default="")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--stream", action="store_true")
    for name, default in {"connections": 1, "requests": 0, "marks": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    times = {"seconds": 3.0, "warm-up": 0.0, "ramp": 0.0, "rate": 0.0, "timeout": 30.0}
    for name, value in times.items():
        parser.add_argument(f"--{name}", type=float, default=value)
    uvloop.run(load(parser.parse_args()))


if __name__ == "__main__":
    main()

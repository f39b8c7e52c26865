"""A client that does not read stops the provider; nothing piles up in between."""

import asyncio

import pytest

from tests.http.scripted import OPENINGS, Stage, delta, scripted
from tests.http.wire import Connection, Upstream, body_of, chat, events_of, eventually
from tests.serving import Proxy

MIB = 1024 * 1024
ALLOWED = 8 * MIB


class Endless:
    """An answer without end; knows how much of it was taken."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self.sent = 0
        self.left = asyncio.Event()

    async def play(self, stage: Stage) -> None:
        """Send until the client is gone."""
        piece = delta(self._dialect, "word " * 40) * 20
        try:
            await stage.start()
            await stage.send(OPENINGS[self._dialect])
            while True:
                await stage.send(piece)
                self.sent += len(piece)
        finally:
            self.left.set()

    async def paused(self) -> bool:
        """Return whether nothing more is taken; looks for a moment."""
        before = self.sent
        await asyncio.sleep(0.4)
        return self.sent == before > 0


@pytest.mark.parametrize("pings", [False, True], ids=["quiet", "pinging"])
async def test_a_client_that_stops_reading_pauses_the_provider_and_fills_no_memory(
    proxy: Proxy, pinging: Proxy, scripted_port: int, dialect: str, pings: bool
) -> None:
    server = pinging if pings else proxy
    # Once through all the code, so that nothing is loaded later.
    await chat(server, f"{dialect}_only", "[sandbox words=3000]", stream=True)
    endless = Endless(dialect)
    async with scripted(scripted_port, endless.play):
        body = body_of(f"endless_{dialect}_only", stream=True)
        async with await Connection.ask(server, body) as client:
            before = server.rss()
            await client.until(b"word word")
            client.pause()
            await eventually(endless.paused, 20, "a pause of the provider")
            taken = endless.sent
            # Kernel buffers of two connections, and no more than that.
            assert taken < 4 * ALLOWED
            assert server.rss() - before < ALLOWED
            assert await endless.paused()
            client.resume()
            client.received = b""
            while len(client.received) < 2 * taken:
                client.received += await client.reader.read(65536)
            assert endless.sent > taken
            await client.close()
            async with asyncio.timeout(1.0):
                await endless.left.wait()
    assert server.rss() - before < ALLOWED


async def test_an_answer_of_many_megabytes_passes_through_without_memory(
    proxy: Proxy, dialect: str
) -> None:
    """The sandbox's own answer, to a client that pauses now and then and reads to the end."""
    await chat(proxy, f"{dialect}_only", "[sandbox words=3000]", stream=True)
    before, most, size = proxy.rss(), 0, 0
    text = "[sandbox words=300000]"
    async with await Connection.ask(proxy, body_of(f"{dialect}_only", text, stream=True)) as client:
        tail = b""
        async with asyncio.timeout(60):
            while b"data: [DONE]" not in tail:
                data = await client.reader.read(1 << 20)
                assert data
                tail = tail[-20:] + data
                size += len(data)
                if size // (4 * MIB) > (size - len(data)) // (4 * MIB):
                    most = max(most, proxy.rss() - before)
    assert size > 12 * MIB
    assert most < ALLOWED


async def test_a_slow_reader_gets_the_whole_answer(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    text = "[sandbox words=20000]"
    async with await Connection.ask(proxy, body_of(f"{dialect}_only", text, stream=True)) as client:
        while b"data: [DONE]" not in client.received[-100:]:
            client.received += await client.reader.read(60_000)
            await asyncio.sleep(0.001)
    top, _, body = client.received.partition(b"\r\n\r\n")
    assert b"200 OK" in top
    # Chunked framing stands between the events: taken out roughly, it must leave all of them.
    payload = b"".join(part for part in body.split(b"\r\n") if part.startswith(b"data: "))
    words = sum(len(event["choices"][0]["delta"].get("content", "").split())
                for event in events_of(payload) if event != "[DONE]")  # fmt: skip
    assert words == 20000
    assert await upstream.count("finished", dialect) == 1

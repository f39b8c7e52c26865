"""What requests share while their media are fetched: nobody has all of it."""

import asyncio
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from policy.media import MediaRules
from proxy.exchange import Caller, Exchange
from proxy.media import look_up
from proxy.media.fetcher import AT_ONCE, AT_ONCE_EACH, AT_ONCE_TENANT, MediaFetcher
from proxy.media.refusals import MediaBusy
from proxy.media.shares import Shares
from tests.proxy.media_server import GIF, Asked, gif, images, media_server, request_with
from tests.serving import clean_environment
from translators.errors import TranslationError
from translators.media import Media
from translators.remote_media import remote_media


def no_trust() -> ssl.SSLContext:
    """Return certificates quickly: none."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def fetch(fetcher: MediaFetcher, tenant: str, *urls: str) -> Exchange:
    """Fetch what a tenant's request names."""
    exchange = Exchange(request_with(images(*urls)), "req_1", Caller(tenant=tenant))
    addresses = [media.url for media in remote_media(exchange.request)]
    await fetcher.put_in_place(exchange, exchange.request, addresses, provider="gemini")
    return exchange


class Gate:
    """Serves GIFs; those under `/held` only once it is opened."""

    def __init__(self, head: bytes = b"") -> None:
        self._head = head
        self.open = asyncio.Event()
        self.held = 0
        self._more = asyncio.Condition()

    async def __call__(self, asked: Asked) -> None:
        if not asked.path.startswith("/held"):
            await gif(asked)
            return
        if self._head:
            asked.writer.write(self._head)
            await asked.writer.drain()
        async with self._more:
            self.held += 1
            self._more.notify_all()
        await self.open.wait()
        if self._head:
            asked.writer.write(GIF)
        else:
            await gif(asked)

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: self.held == count)


@asynccontextmanager
async def many_held(
    fetcher: MediaFetcher, gate: Gate, host: str, tenants: Sequence[str], requests: int
) -> AsyncGenerator[None]:
    """Let each tenant have so many requests that do not get on."""
    tasks = [
        asyncio.ensure_future(
            fetch(fetcher, who, *(f"http://{host}/held{who}{i}{j}" for j in range(AT_ONCE_EACH)))
        )
        for who in tenants
        for i in range(requests)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_tenant_does_not_take_all_downloads() -> None:
    gate = Gate()
    async with media_server(gate) as server:
        host = f"127.0.0.1:{server.port}"
        fetcher = MediaFetcher(
            MediaRules(allow_hosts=(host,), timeout=60.0, max_bytes=1000), tls=no_trust
        )
        async with many_held(fetcher, gate, host, ["bad"], 9):
            await gate.holds(AT_ONCE_TENANT)
            async with asyncio.timeout(20):
                assert (await fetch(fetcher, "good", f"http://{host}/a")).media
            assert gate.held == AT_ONCE_TENANT


async def all_taken(fetcher: MediaFetcher) -> Shares:
    """Let other tenants have all downloads."""
    slots = fetcher._slots  # pyright: ignore[reportPrivateUsage]
    for tenant in "ab":
        await slots.take(tenant, AT_ONCE_TENANT)
    assert slots.left == 0
    return slots


async def test_the_time_limit_begins_with_the_turn() -> None:
    async def slow(asked: Asked) -> None:
        await asyncio.sleep(1.5)
        await gif(asked)

    async with media_server(slow) as server:
        host = f"127.0.0.1:{server.port}"
        fetcher = MediaFetcher(MediaRules(allow_hosts=(host,), timeout=3.0), tls=no_trust)
        slots = await all_taken(fetcher)
        found = asyncio.ensure_future(fetch(fetcher, "good", f"http://{host}/a"))
        # Together more than the limit, and each of them less.
        await asyncio.sleep(2.0)
        assert server.asked == []
        slots.give("a", 1)
        assert (await found).media


async def test_no_turn_is_no_fault_of_the_address() -> None:
    host = "127.0.0.1:9"
    fetcher = MediaFetcher(MediaRules(allow_hosts=(host,)), request_timeout=0.2, tls=no_trust)
    await all_taken(fetcher)
    with pytest.raises(MediaBusy) as raised:
        await fetch(fetcher, "good", f"http://{host}/a")
    busy = raised.value
    # So that another provider is asked.
    assert isinstance(busy, TranslationError)
    assert (busy.status_hint, busy.code) == (503, "server_is_overloaded")
    assert busy.type == "service_unavailable_error"
    assert busy.param == "messages[0].content[0].image_url.url"
    assert "`data:` URL" in busy.message
    assert host not in busy.message


async def test_all_that_is_held_is_bounded_and_given_back() -> None:
    async with media_server(gif) as server:
        host = f"127.0.0.1:{server.port}"
        fetcher = MediaFetcher(
            MediaRules(
                allow_hosts=(host,),
                max_bytes=100,
                max_total_bytes=100,
                max_memory_bytes=200,
                timeout=1.0,
            ),
            tls=no_trust,
        )
        first = await fetch(fetcher, "a", f"http://{host}/a")
        assert [media for media in first.media.values() if isinstance(media, Media)]
        # What is there and what may come are more than a tenant's half.
        with pytest.raises(MediaBusy):
            await fetch(fetcher, "a", f"http://{host}/a")
        assert fetcher._slots.left == AT_ONCE  # pyright: ignore[reportPrivateUsage]
        other = await fetch(fetcher, "b", f"http://{host}/a")
        # 200 - 2 x 43: there is room for no third tenant either.
        waiting = asyncio.ensure_future(fetch(fetcher, "c", f"http://{host}/a"))
        await asyncio.sleep(0)
        first.let_media_go()
        assert first.media == {}
        third = await waiting
        for exchange in (first, other, third):
            exchange.let_media_go()
        assert fetcher._memory.left == 200  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("head", "fits"),
    [
        (b"content-length: %d\r\n" % len(GIF), True),
        (b"", False),
        (b"content-length: %d\r\ncontent-encoding: gzip\r\n" % len(GIF), False),
    ],
    ids=["told", "not told", "packed"],
)
async def test_a_download_holds_what_its_server_tells(head: bytes, fits: bool) -> None:
    gate = Gate(b"HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n" + head + b"\r\n")
    async with media_server(gate) as server:
        host = f"127.0.0.1:{server.port}"
        rules: dict[str, Any] = {"allow_hosts": (host,), "timeout": 10.0}
        rules |= {"max_bytes": 100, "max_total_bytes": 100, "max_memory_bytes": 400}
        fetcher = MediaFetcher(MediaRules(**rules), tls=no_trust)
        held = [asyncio.ensure_future(fetch(fetcher, "a", f"http://{host}/held{i}")) for i in "12"]
        await gate.holds(2)
        third = asyncio.ensure_future(fetch(fetcher, "a", f"http://{host}/a"))
        if fits:
            assert (await third).media
        else:
            assert await asyncio.wait({third}, timeout=0.1) == (set(), {third})
            third.cancel()
        gate.open.set()
        done = await asyncio.gather(*held, third, return_exceptions=True)
        for exchange in done:
            if isinstance(exchange, Exchange):
                exchange.let_media_go()
        assert fetcher._memory.left == 400  # pyright: ignore[reportPrivateUsage]


async def test_a_failed_or_cancelled_request_gives_all_back() -> None:
    gate = Gate()
    async with media_server(gate) as server:
        host = f"127.0.0.1:{server.port}"
        fetcher = MediaFetcher(MediaRules(allow_hosts=(host,)), tls=no_trust)
        memory, slots = fetcher._memory, fetcher._slots  # pyright: ignore[reportPrivateUsage]
        before = memory.left
        with pytest.raises(TranslationError):
            await fetch(fetcher, "a", "https://127.0.0.1/x")
        task = asyncio.ensure_future(fetch(fetcher, "a", f"http://{host}/held"))
        await gate.holds(1)
        assert memory.left < before
        task.cancel()
        await asyncio.wait({task})
        assert (memory.left, slots.left) == (before, AT_ONCE)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Make look-ups of `slow.test` last until the test is over; others find a private address."""
    over = threading.Event()
    seen: list[str] = []

    def find(host: str, port: int, **_: Any) -> list[Any]:
        seen.append(host)
        if host == "slow.test":
            over.wait(60)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    monkeypatch.setattr(look_up.socket, "getaddrinfo", find)
    yield seen
    over.set()


async def test_silent_name_servers_hold_up_neither_others_nor_addresses(silent: list[str]) -> None:
    async with media_server(gif) as server:
        host = f"127.0.0.1:{server.port}"
        named = f"good.test:{server.port}"
        allowed = (host, named, "slow.test")
        fetcher = MediaFetcher(MediaRules(allow_hosts=allowed, timeout=2.0), tls=no_trust)
        bad = [
            fetch(fetcher, "bad", *(f"http://slow.test/{i}{j}" for j in range(AT_ONCE_EACH)))
            for i in range(2)
        ]
        ends = await asyncio.gather(*bad, return_exceptions=True)
        assert [getattr(end, "code", None) for end in ends] == ["failed_to_download_image"] * 2
        assert len(silent) == look_up.AT_ONCE_TENANT
        # Nobody waits for these threads any more, and they are still there.
        assert (await fetch(fetcher, "good", f"http://{named}/a")).media
        assert (await fetch(fetcher, "bad", f"http://{host}/a")).media
        with pytest.raises(MediaBusy):
            await fetch(fetcher, "bad", f"http://{named}/a")
        assert silent.count("good.test") == 1


EXIT = """
import asyncio, json, socket, time
socket.getaddrinfo = lambda *_, **__: time.sleep(600)
from policy.media import MediaRules
from proxy.exchange import Exchange
from proxy.media.fetcher import MediaFetcher
from translators.wire.request import parse_request
URL = "https://a.slow.test/a.png"
part = {"type": "image_url", "image_url": {"url": URL}}
body = {"model": "p", "messages": [{"role": "user", "content": [part]}]}
chat = parse_request(json.dumps(body).encode())
async def main():
    fetcher = MediaFetcher(MediaRules(timeout=0.2))
    try:
        await fetcher.put_in_place(Exchange(chat, "r"), chat, [URL], provider="p")
    except Exception as error:
        print(error.code)
asyncio.run(main())
"""


def test_a_look_up_that_hangs_does_not_keep_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXIT],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
        timeout=60,
    )
    assert done.stdout == "failed_to_download_image\n"
    assert done.stderr == ""


class TestShares:
    async def test_who_has_least_is_next(self) -> None:
        shares, order = Shares(4, 3), list[str]()

        async def take(tenant: str) -> None:
            await shares.take(tenant, 1)
            order.append(tenant)

        await shares.take("a", 3)
        await shares.take("b", 1)
        waiting = [asyncio.ensure_future(take(tenant)) for tenant in "aabbc"]
        await _settled()
        shares.give("a", 1)
        await _settled()
        assert order == ["c"]
        assert shares.left == 0
        for task in waiting:
            task.cancel()

    async def test_much_is_not_passed_by_little(self) -> None:
        shares = Shares(4, 4)
        await shares.take("a", 2)
        much = asyncio.ensure_future(shares.take("b", 3))
        little = asyncio.ensure_future(shares.take("b", 1))
        other = asyncio.ensure_future(shares.take("a", 1))
        await _settled()
        assert not much.done() | little.done() | other.done()
        shares.give("a", 1)
        await _settled()
        assert much.done()
        assert not little.done()

    async def test_a_share_is_the_most_one_has(self) -> None:
        shares = Shares(4, 2)
        await shares.take("a", 2)
        more = asyncio.ensure_future(shares.take("a", 1))
        await shares.take("b", 2)
        assert not more.done()
        shares.give("a", 1)
        await more

    async def test_who_leaves_is_passed_and_gets_nothing(self) -> None:
        shares = Shares(2, 2)
        await shares.take("a", 1)
        much = asyncio.ensure_future(shares.take("b", 2))
        await _settled()
        little = asyncio.ensure_future(shares.take("c", 1))
        await _settled()
        assert not little.done()
        much.cancel()
        await little
        shares.give("a", 1)
        shares.give("c", 1)
        assert shares.left == 2

    async def test_who_leaves_with_the_turn_gives_it_back(self) -> None:
        shares = Shares(1, 1)
        await shares.take("a", 1)
        next_one = asyncio.ensure_future(shares.take("b", 1))
        await _settled()
        shares.give("a", 1)
        next_one.cancel()
        await asyncio.wait({next_one})
        assert next_one.cancelled()
        assert shares.left == 1


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)

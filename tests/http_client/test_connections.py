"""How many connections there are, which are used again, and which are not."""

import asyncio

import pytest

from proxy.http_client import native as native_client
from proxy.http_client import pool
from tests.http_client.asking import OK, Asker, Peer, polite, read, serving
from translators.errors import ProviderError


async def test_requests_in_a_row_share_one_connection(http: Asker) -> None:
    async with serving(polite) as server:
        for _ in range(20):
            assert await http.whole(server.url) == b"{}"
        assert len(server.peers) == 1


async def test_requests_at_once_have_one_each_and_leave_them_to_the_next(http: Asker) -> None:
    async with serving(polite) as server:
        for _ in range(3):
            answers = await asyncio.gather(*(http.ask(server.url) for _ in range(10)))
            assert len(server.peers) == 10
            for answer in answers:
                assert await read(answer) == b"{}"


async def test_the_one_used_last_is_used_next(native: Asker) -> None:
    served: list[Peer] = []

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            served.append(peer)
            await peer.say(OK)

    async with serving(serve) as server:
        first, second = await asyncio.gather(native.ask(server.url), native.ask(server.url))
        for answer in (first, second):
            await read(answer)
        served.clear()
        for _ in range(3):
            await native.whole(server.url)
        assert len(set(served)) == 1


CLOSING = {
    "said-so": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
    "http-1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("form", CLOSING)
async def test_a_connection_for_one_answer_is_closed_and_not_used_again(
    http: Asker, form: str
) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(CLOSING[form])
        await peer.gone()

    async with serving(serve) as server:
        assert await http.whole(server.url) == b"{}"
        await server.left(0)
        assert await http.whole(server.url) == b"{}"
        assert len(server.peers) == 2


async def test_chunks_of_http_1_0_end_with_their_connection(native: Asker) -> None:
    """That version has none: who forwards them may see another end (RFC 9112, 6.1)."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\n\r\n"
        )
        await peer.gone()

    async with serving(serve) as server:
        assert await native.whole(server.url) == b"{}"
        await server.left(0)


async def test_an_answer_that_is_not_read_closes_its_connection(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello")
        await peer.gone()

    async with serving(serve) as server:
        answer = await http.ask(server.url)
        answer.close()
        await server.left(0)


async def test_a_refusal_leaves_its_connection_to_the_next(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(OK.replace(b"200 OK", b"429 Slow"))

    async with serving(serve) as server:
        for _ in range(3):
            assert await http.whole(server.url) == b"{}"
        assert len(server.peers) == 1


async def test_an_idle_connection_that_ends_is_not_used(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)

    async with serving(serve) as server:
        for count in range(1, 4):
            assert await http.whole(server.url) == b"{}"
            await asyncio.sleep(0.05)
            assert len(server.peers) == count


async def test_an_idle_connection_that_ends_is_dropped_at_once(native: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)

    async with serving(serve) as server:
        await native.whole(server.url)
        await native.at_most(0)


class Stale:
    """Closes a connection when its second request comes, without a word."""

    def __init__(self, *, says: bytes = b"", every: bool = False, after: float = 0.0) -> None:
        self.requests = 0
        self._after = after
        self._says = says
        self._every = every

    async def serve(self, peer: Peer) -> None:
        await peer.request()
        self.requests += 1
        if self._every and self.requests > 1:
            return
        await peer.say(OK)
        await peer.request()
        self.requests += 1
        await asyncio.sleep(self._after)
        if self._says:
            await peer.say(self._says)


async def test_a_request_on_a_stale_connection_is_sent_once_more(native: Asker) -> None:
    stale = Stale()
    async with serving(stale.serve) as server:
        assert await native.whole(server.url) == b"{}"
        assert await native.whole(server.url) == b"{}"
        assert (stale.requests, len(server.peers)) == (3, 2)


async def test_it_is_not_sent_a_third_time(native: Asker) -> None:
    stale = Stale(every=True)
    async with serving(stale.serve) as server:
        await native.whole(server.url)
        with pytest.raises(ProviderError, match="broke"):
            await native.whole(server.url)
        assert (stale.requests, len(server.peers)) == (3, 2)


async def test_nor_on_another_connection_that_was_kept(native: Asker) -> None:
    """All that are kept may be stale: the second attempt is on a new one."""
    stale = Stale()
    async with serving(stale.serve) as server:
        for answer in await asyncio.gather(*(native.ask(server.url) for _ in range(5))):
            await read(answer)
        assert len(server.peers) == 5
        assert await native.whole(server.url) == b"{}"
        assert len(server.peers) == 6


@pytest.mark.parametrize("says", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_not_where_a_byte_of_an_answer_has_come(native: Asker, says: bytes) -> None:
    stale = Stale(says=says)
    async with serving(stale.serve) as server:
        await native.whole(server.url)
        with pytest.raises(ProviderError):
            await native.whole(server.url)
        assert (stale.requests, len(server.peers)) == (2, 1)


async def test_nor_where_it_ends_later(native: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then work has begun that is paid for: to do it twice is the engine's to decide."""
    monkeypatch.setattr(native_client, "STALE_SECONDS", 0.05)
    stale = Stale(after=0.3)
    async with serving(stale.serve) as server:
        await native.whole(server.url)
        with pytest.raises(ProviderError, match="broke"):
            await native.whole(server.url)
        assert (stale.requests, len(server.peers)) == (2, 1)


async def test_not_on_a_new_connection(http: Asker) -> None:
    requests = 0

    async def serve(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1

    async with serving(serve) as server:
        with pytest.raises(ProviderError, match="broke"):
            await http.whole(server.url)
        assert requests == 1


async def test_a_connection_that_is_idle_for_long_is_closed(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.2)

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.gone()

    async with serving(serve) as server:
        await native.whole(server.url)
        assert native.open_connections() == 1
        await server.left(0)
        assert native.open_connections() == 0


@pytest.mark.parametrize(("says", "connections"), [(b"timeout=1", 2), (b"timeout=30, max=9", 1)])
async def test_a_server_may_say_for_how_long_it_keeps_a_connection(
    native: Asker, says: bytes, connections: int
) -> None:
    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: %b\r\n\r\n" % says))

    async with serving(serve) as server:
        for _ in range(2):
            await native.whole(server.url)
        assert len(server.peers) == connections


async def test_no_more_are_kept_than_a_number(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MAX_IDLE", 3)
    async with serving(polite) as server:
        for answer in await asyncio.gather(*(native.ask(server.url) for _ in range(8))):
            await read(answer)
        await native.at_most(3)
        assert native.open_connections() == 3


async def test_origins_do_not_share(http: Asker) -> None:
    async with serving(polite) as one, serving(polite) as other:
        for server in (one, other, one, other):
            await http.whole(server.url)
        assert (len(one.peers), len(other.peers)) == (1, 1)


async def test_closing_the_client_closes_all(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        head, _ = await peer.request()
        await peer.say(OK if b"idle" in head else OK.replace(b"length: 2", b"length: 9"))
        await peer.gone()

    async with serving(serve) as server:
        busy = await http.ask(server.url)
        await http.whole(server.url.replace("path", "idle"))
        await http.connections.aclose()
        for peer in range(2):
            await server.left(peer)
        with pytest.raises(ProviderError):
            await read(busy)


async def test_a_closed_client_asks_nobody(native: Asker) -> None:
    async with serving(polite) as server:
        await native.whole(server.url)
        await native.connections.aclose()
        with pytest.raises(ProviderError, match="closed"):
            await native.whole(server.url)
        assert len(server.peers) == 1


async def test_closing_the_client_ends_who_waits(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with serving(serve) as server:
        asking = asyncio.create_task(http.ask(server.url))
        await server.arrived()
        await asyncio.sleep(0.05)
        await http.connections.aclose()
        await server.left()
        with pytest.raises(ProviderError):
            async with asyncio.timeout(2):
                await asking

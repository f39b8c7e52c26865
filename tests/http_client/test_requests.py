"""What a server gets of a request, and how much of it is in the way."""

import asyncio
import json
import tracemalloc
from typing import cast

import pytest

from proxy.http_client.headers import HeaderBlock
from proxy.http_client.seam import Answer
from tests.http_client.asking import AT_ONCE, OK, Asker, Peer, polite, read, serving
from translators.errors import ProviderError

MIB = 1024 * 1024


class Heard:
    """Answers, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []

    async def serve(self, peer: Peer) -> None:
        while True:
            self.requests.append(await peer.request())
            await peer.say(OK)

    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields of the last request, sorted; names in lower case."""
        lines = self.requests[-1][0].decode().split("\r\n")[1:-2]
        pairs = (line.split(": ", 1) for line in lines)
        return sorted((name.lower(), value) for name, value in pairs)


async def test_line_and_fields(http: Asker) -> None:
    heard = Heard()
    common = HeaderBlock({"x-api-key": "k", "User-Agent": "ours"})
    async with serving(heard.serve) as server:
        answer = await http.ask(
            server.url, b'{"a": 1}', common=common, headers={"traceparent": "00-1"}
        )
        await read(answer)
    head, body = heard.requests[0]
    assert head.startswith(b"POST /path?query=1 HTTP/1.1\r\n")
    assert heard.fields() == [
        ("accept-encoding", "identity"),
        ("content-length", "8"),
        ("content-type", "application/json"),
        ("host", f"127.0.0.1:{server.port}"),
        ("traceparent", "00-1"),
        ("user-agent", "ours"),
        ("x-api-key", "k"),
    ]
    assert body == b'{"a": 1}'


async def test_fields_of_a_request_win_whatever_their_case(http: Asker) -> None:
    heard = Heard()
    common = HeaderBlock({"Anthropic-Beta": "one", "x-api-key": "k"})
    headers = {"anthropic-beta": "two", "Content-Type": "text/plain", "X-Goog": "é"}
    async with serving(heard.serve) as server:
        await read(await http.ask(server.url, common=common, headers=headers))
    fields = dict(heard.fields())
    assert len(fields) == len(heard.fields())
    assert (fields["anthropic-beta"], fields["content-type"]) == ("two", "text/plain")
    assert (fields["x-api-key"], fields["x-goog"]) == ("k", "é")


async def test_a_get_has_no_body(http: Asker) -> None:
    heard = Heard()
    async with serving(heard.serve) as server:
        assert await http.whole(server.url, None) == b"{}"
    assert heard.requests[0][0].startswith(b"GET /path?query=1 HTTP/1.1\r\n")
    assert "content-length" not in dict(heard.fields())


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", "/"),
        ("?a=b", "/?a=b"),
        ("/v1/models/a%2Fb:count", "/v1/models/a%2Fb:count"),
        ("/a b", "/a%20b"),
        ("/é?ü=1", "/%C3%A9?%C3%BC=1"),
        ("/x#fragment", "/x"),
    ],
)
async def test_paths_are_sent_as_they_are_or_encoded(http: Asker, path: str, sent: str) -> None:
    heard = Heard()
    async with serving(heard.serve) as server:
        await http.whole(f"http://127.0.0.1:{server.port}{path}")
    assert heard.requests[0][0].split()[1].decode() == sent


async def test_a_user_in_the_url_becomes_a_header(http: Asker) -> None:
    heard = Heard()
    async with serving(heard.serve) as server:
        await http.whole(f"http://me:s%40y@127.0.0.1:{server.port}/x")
    fields = dict(heard.fields())
    assert fields["authorization"] == "Basic bWU6c0B5"
    assert fields["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("value", ["a\r\nx-forged: 1", "a\nb", "a\rb", "a\0b"])
async def test_a_line_end_in_a_field_is_refused(http: Asker, value: str) -> None:
    async with serving(polite) as server:
        with pytest.raises(ProviderError, match="line end") as caught:
            await http.ask(server.url, headers={"x-key": value})
        assert "forged" not in str(caught.value)
        assert server.peers == []
    with pytest.raises(ProviderError, match="line end"):
        HeaderBlock({"x-key": value})


async def test_half_a_character_in_a_field_is_refused(http: Asker) -> None:
    """What the environment holds that is no UTF-8 is that, for Python."""
    async with serving(polite) as server:
        with pytest.raises(ProviderError, match="'x-key' cannot be sent.*no character") as caught:
            await http.ask(server.url, headers={"x-key": "secret-7\udcff", "x": "1"})
        assert server.peers == []
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("name", ["a b", "a\r\nb", "", "é", "a:b"])
async def test_a_name_that_is_none_is_refused(http: Asker, name: str) -> None:
    async with serving(polite) as server:
        with pytest.raises(ProviderError, match="header"):
            await http.ask(server.url, headers={name: "1"})
        assert server.peers == []


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "connection", "Expect", "upgrade", "te"]
)
async def test_fields_that_end_messages_are_the_clients_own(http: Asker, name: str) -> None:
    """Two opinions of where a request ends make two requests of one."""
    async with serving(polite) as server:
        with pytest.raises(ProviderError, match="sends it itself"):
            await http.ask(server.url, headers={name: "100-continue"})
        assert server.peers == []


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "ftp://a/b", "http://", "http://a b/", "http://a:0/", "http://a..b/"),
        *("https://.a.b/", f"http://{'a' * 64}.b/"),
    ],
)
async def test_what_is_no_url_is_refused(http: Asker, url: str) -> None:
    with pytest.raises(ProviderError, match="not a URL"):
        await http.ask(url)


@pytest.mark.parametrize("size", [65_536, 65_537, 5 * MIB])
async def test_a_large_body_arrives_whole(http: Asker, size: int) -> None:
    heard = Heard()
    body = json.dumps({"text": "0123456789" * (size // 10)}).encode()
    async with serving(heard.serve) as server:
        for _ in range(2):
            await http.whole(server.url, body)
        assert [sent for _, sent in heard.requests] == [body, body]
        assert len(server.peers) == 1


async def test_a_body_is_sent_as_fast_as_it_is_read_and_no_faster(native: Asker) -> None:
    """The process holds the body once; what waits to be sent is a view of it."""
    reading = asyncio.Event()
    size = 30 * MIB
    got = 0

    async def serve(peer: Peer) -> None:
        nonlocal got
        transport = cast("asyncio.Transport", peer.writer.transport)
        transport.pause_reading()
        await reading.wait()
        transport.resume_reading()
        got = len((await peer.request())[1])
        await peer.say(OK)

    body = b"x" * size
    async with serving(serve) as server:
        tracemalloc.start()
        asking = asyncio.create_task(native.ask(server.url, body))
        await server.arrived()
        await asyncio.sleep(0.2)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert not asking.done()
        assert most < 2 * MIB
        reading.set()
        async with asyncio.timeout(20):
            assert await read(await asking) == b"{}"
    assert got == size


async def test_an_answer_may_come_before_all_is_sent(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(OK.replace(b"200 OK", b"413 Too Large"))
        await peer.gone()

    async with serving(serve) as server:
        answer = await http.ask(server.url, b"x" * 30 * MIB)
        assert answer.status == 413
        assert await read(answer) == b"{}"
        await server.left()


async def test_a_request_goes_on_being_sent_while_its_answer_comes(http: Asker) -> None:
    size = 20 * MIB
    got = 0

    async def serve(peer: Peer) -> None:
        nonlocal got
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nso\r\n")
        got = len(await peer.reader.readexactly(size))
        await peer.say(b"2\r\nit\r\n0\r\n\r\n")
        await polite(peer)

    async with serving(serve) as server:
        answer: Answer = await http.ask(server.url, b"x" * size)
        assert await answer.piece() == b"so"
        async with asyncio.timeout(20):
            assert await read(answer) == b"it"
        assert got == size
        await http.whole(server.url)
        assert len(server.peers) == 1


async def test_an_answer_is_read_no_faster_than_it_is_asked_for(http: Asker) -> None:
    sent = 0

    async def serve(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (200 * MIB))
        for _ in range(200 * 16):
            await peer.say(b"x" * 65_536)
            sent += 65_536

    async with serving(serve) as server:
        answer = await http.ask(server.url)
        last = -1
        while last != sent:
            last = sent
            await asyncio.sleep(0.3)
        # What is on its way is in the kernel's buffers for the most part.
        assert sent < 30 * MIB
        assert await answer.piece()
        got = 0
        while piece := await answer.piece():
            got += len(piece)
            # No piece is larger than what was held, and what one read adds to it.
            assert len(piece) <= MIB
        assert got > 199 * MIB
        answer.close()


async def test_an_answer_that_is_not_read_can_be_left(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (200 * MIB))
        try:
            while True:
                await peer.say(b"x" * 65_536)
        finally:
            peer.left.set()

    async with serving(serve) as server:
        answer = await http.ask(server.url)
        await asyncio.sleep(0.2)
        answer.close()
        async with asyncio.timeout(AT_ONCE):
            await server.left()

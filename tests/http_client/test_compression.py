"""Bodies that come compressed although nobody asked for it."""

import asyncio
import gzip
import zlib

import pytest

from tests.http_client.asking import Asker, Peer, read, saying, serving
from translators.errors import ProviderError

PACKED = {
    "gzip": ("gzip", gzip.compress(b"hello" * 50_000)),
    "zlib": ("deflate", zlib.compress(b"hello" * 50_000)),
    "deflate": ("deflate", zlib.compress(b"hello" * 50_000, wbits=-15)),
}


@pytest.mark.parametrize("form", PACKED)
async def test_a_body_that_is_compressed_unasked_is_unpacked(http: Asker, form: str) -> None:
    encoding, body = PACKED[form]
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n"
    parts = head % (encoding.encode(), len(body)), body[:10], body[10:]
    async with serving(saying(*parts, gap=0.01)) as server:
        answer = await http.ask(server.url)
        assert await read(answer) == b"hello" * 50_000
        assert answer.complete


async def test_what_is_not_compressed_as_it_says_is_an_error(http: Asker) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello"
    async with serving(saying(head)) as server:
        with pytest.raises(ProviderError):
            await read(await http.ask(server.url))


@pytest.mark.parametrize("form", PACKED)
async def test_a_compressed_body_that_breaks_off_is_an_error(native: Asker, form: str) -> None:
    encoding, body = PACKED[form]
    cut = body[: len(body) // 2]
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n"
    async with serving(saying(head % (encoding.encode(), len(cut)) + cut)) as server:
        with pytest.raises(ProviderError, match="breaks off"):
            await read(await native.ask(server.url))


async def test_several_gzip_members_are_one_body(native: Asker) -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with serving(saying(head + body)) as server:
        assert await native.whole(server.url) == b"one two"


async def test_the_last_of_a_compressed_body_may_be_in_the_unpacker_alone(native: Asker) -> None:
    """It has taken all that came, and gives back no more at a time than was asked for."""
    sizes = iter(range(65_700, 65_800, 7))

    async def serve(peer: Peer) -> None:
        for size in sizes:
            await peer.request()
            body = zlib.compress(b"\0" * size, wbits=-15)
            await peer.say(
                b"HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )

    async with serving(serve) as server:
        for size in range(65_700, 65_800, 7):
            answer = await native.ask(server.url)
            assert len(await answer.piece()) == 65_536
            assert not answer.complete
            assert len(await read(answer)) == size - 65_536


async def test_who_unpacks_much_lets_others_have_their_turn(native: Asker) -> None:
    body = gzip.compress(b"\0" * 20_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with serving(saying(head + body)) as server:
        answer = await native.ask(server.url)
        assert await answer.piece()
        counting = asyncio.create_task(count())
        assert len(await read(answer)) > 19_000_000
        counting.cancel()
    assert turns > 100


async def test_a_small_body_that_unpacks_to_a_large_one_comes_in_pieces(native: Asker) -> None:
    body = gzip.compress(b"\0" * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with serving(saying(head + body)) as server:
        answer = await native.ask(server.url)
        assert 0 < len(await answer.piece()) <= 65536
        assert not answer.complete
        answer.close()

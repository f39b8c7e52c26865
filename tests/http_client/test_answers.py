"""What is an answer, and what only looks like one."""

import asyncio

import pytest

from proxy.http_client.seam import Answer
from tests.http_client.asking import AT_ONCE, OK, Asker, Peer, polite, read, saying, serving
from translators.errors import ProviderError

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"

GOOD = {
    "length": (HEAD % 5 + b"hello",),
    "chunked": (CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",),
    "chunk-extensions": (CHUNKED + b"2;a=b\r\nhe\r\n3 ;c\r\nllo\r\n0\r\n\r\n",),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",),
    "until-close": (b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"),
    "http-1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello",),
    "http-1.0-length": (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",),
    "connection-close": (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
    ),
    "no-reason": (b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",),
    "bare-line-feeds": (b"HTTP/1.1 200 OK\ncontent-length: 5\n\nhello",),
    "informational": (
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + HEAD % 5 + b"hello",
    ),
    "empty-field": (b"HTTP/1.1 200 OK\r\nx-empty:\r\ncontent-length: 5\r\n\r\nhello",),
    "upgrade-offered": (
        b"HTTP/1.1 200 OK\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\nhello",
    ),
}


@pytest.mark.parametrize("form", GOOD)
async def test_all_forms_of_a_body_are_read(http: Asker, form: str) -> None:
    async with serving(saying(*GOOD[form], gap=0.01)) as server:
        answer = await http.ask(server.url)
        assert answer.status == 200
        assert await read(answer) == b"hello"
        assert answer.complete


@pytest.mark.parametrize("form", GOOD)
async def test_bytes_may_come_one_by_one(http: Asker, form: str) -> None:
    parts = [bytes([one]) for one in b"".join(GOOD[form])]
    async with serving(saying(*parts, gap=0.0001)) as server:
        assert await http.whole(server.url) == b"hello"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_answers_have_no_body_whatever_they_say(http: Asker, status: int) -> None:
    length = b"" if status == 204 else b"content-length: 5\r\n"
    async with serving(saying(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, length))) as server:
        answer = await http.ask(server.url)
        assert (answer.status, await read(answer)) == (status, b"")


async def test_status_type_and_fields(http: Asker) -> None:
    head = (
        b"HTTP/1.1 429 Slow\r\nContent-Type: Application/JSON; charset=utf-8\r\nRetry-After: 7\r\n"
    )
    async with serving(
        saying(head + b"Request-Id: \xc3\xa9\r\ncontent-length: 0\r\n\r\n")
    ) as server:
        answer = await http.ask(server.url)
        answer.close()
    assert (answer.status, answer.content_type) == (429, "application/json")
    assert answer.header("retry-after") == answer.headers["retry-after"] == "7"
    assert answer.header("request-id") == "é"
    assert answer.header("absent") is None


async def test_a_field_that_is_not_utf_8_is_text_all_the_same(http: Asker) -> None:
    said = b"HTTP/1.1 200 OK\r\nx-request-id: r\xff1\r\nx-name: caf\xc3\xa9\r\n\r\n"
    async with serving(saying(said)) as server:
        answer = await http.ask(server.url)
        found = answer.header("x-request-id")
        assert found is not None and found.startswith("r") and found.endswith("1")
        assert found.encode()
        assert answer.headers["x-request-id"] == found
        assert "".join(answer.headers.values()).encode()


async def test_without_a_type_it_is_bytes(http: Asker) -> None:
    async with serving(saying(HEAD % 0)) as server:
        answer = await http.ask(server.url)
        answer.close()
    assert answer.content_type == "application/octet-stream"


async def test_a_type_that_is_said_twice_is_one(http: Asker) -> None:
    said = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-type: %b\r\ncontent-type: %b\r\n\r\n")
    kind = b"application/json"
    async with serving(saying(said % (0, kind, kind))) as server:
        answer = await http.ask(server.url)
        answer.close()
    assert answer.content_type == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(http: Asker, status: int) -> None:
    """A credential would go to an address that nobody configured."""
    async with serving(polite) as other:
        said = b"HTTP/1.1 %d X\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n"
        async with serving(saying(said % (status, other.url.encode()))) as server:
            answer = await http.ask(server.url)
            assert (answer.status, await read(answer)) == (status, b"")
        assert other.peers == []


async def test_heads_as_large_as_providers_send_them_are_read(http: Asker) -> None:
    """Both take lines of 8,000 bytes and 100 fields; ours more of either."""
    fields = b"".join(b"x-%d: %b\r\n" % (n, b"y" * 100) for n in range(100))
    head = b"HTTP/1.1 200 OK\r\n" + fields + b"x-long: %b\r\n" % (b"z" * 8_000)
    async with serving(saying(head + b"content-length: 5\r\n\r\nhello")) as server:
        answer = await http.ask(server.url)
        assert answer.header("x-long") == "z" * 8_000
        assert await read(answer) == b"hello"


CUT = {
    "length": (HEAD % 50 + b"hello",),
    "length-without-any": (HEAD % 50,),
    "chunk": (CHUNKED + b"ff\r\nhello",),
    "between-chunks": (CHUNKED + b"5\r\nhello\r\n",),
    "last-chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n",),
    "chunk-size": (CHUNKED + b"5",),
}


@pytest.mark.parametrize("form", CUT)
async def test_a_body_that_breaks_off_is_an_error(http: Asker, form: str) -> None:
    async with serving(saying(*CUT[form])) as server:
        answer = await http.ask(server.url)
        with pytest.raises(ProviderError, match="broke before the answer was complete") as caught:
            await read(answer)
    assert caught.value.kind == "network"
    assert not answer.complete


async def test_what_came_before_the_break_is_read_first(native: Asker) -> None:
    async with serving(saying(HEAD % 50 + b"hello")) as server:
        answer = await native.ask(server.url)
        await asyncio.sleep(0.05)
        assert await answer.piece() == b"hello"
        with pytest.raises(ProviderError):
            await answer.piece()
        answer.close()


NONE = {
    "closed": (b"",),
    "half-a-line": (b"HTTP/1.1 20",),
    "half-a-head": (b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n",),
    "only-informational": (b"HTTP/1.1 100 Continue\r\n\r\n",),
    "garbage": (b"\x16\x03\x01\x02\x00 garbage\r\n\r\n",),
    "another-protocol": (b"SSH-2.0-OpenSSH_9.2\r\n",),
    "two-lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 2\r\n\r\nhello",),
    "length-list": (b"HTTP/1.1 200 OK\r\ncontent-length: 5, 2\r\n\r\nhello",),
    "negative-length": (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",),
    "signed-length": (b"HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello",),
    "huge-length": (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhello",),
    "length-and-chunks": (
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
    "chunks-and-length": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
    ),
    "other-coding": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",),
    "chunks-inside": (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\nhello",),
    "name-with-space": (b"HTTP/1.1 200 OK\r\nx y: 1\r\ncontent-length: 5\r\n\r\nhello",),
    "long-field": (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",),
    "endless-field": (b"HTTP/1.1 200 OK\r\nx: ", *[b"y" * 50_000] * 10),
    "switching": (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello",),
    "unknown-compression": (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: made-up\r\ncontent-length: 5\r\n\r\nhello",
    ),
}


@pytest.mark.parametrize("form", NONE)
async def test_what_is_no_answer_is_an_error(http: Asker, form: str) -> None:
    async with serving(saying(*NONE[form], gap=0.001)) as server:
        async with asyncio.timeout(5):
            with pytest.raises(ProviderError) as caught:
                await read(await http.ask(server.url))
        assert caught.value.kind == "network"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("two-lengths", "Content-Length"),
        ("length-and-chunks", "Content-Length"),
        ("other-coding", "transfer encoding"),
        ("long-field", "larger than 65536 bytes"),
        ("endless-field", "larger than 65536 bytes"),
        ("switching", "status is 101"),
        ("unknown-compression", "compressed"),
    ],
)
async def test_the_error_says_what_is_wrong(native: Asker, form: str, said: str) -> None:
    async with serving(saying(*NONE[form], gap=0.001)) as server:
        with pytest.raises(ProviderError, match=said):
            await native.ask(server.url)


MANY = b"".join(b"x-%d: 1\r\n" % n for n in range(300))
DRIP = {
    "fields": b"HTTP/1.1 200 OK\r\n" + MANY + b"content-length: 0\r\n\r\n",
    "informational": b"HTTP/1.1 103 Early\r\nlink: </aaaaaaaaaaaaaaaaaaaaaaaaaaaaa>\r\n\r\n" * 4000,
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 8000,
    "chunk-extension": CHUNKED + b"5;" + b"a" * 400_000,
}


@pytest.mark.parametrize("form", DRIP)
async def test_no_head_fills_the_memory(native: Asker, form: str) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        for start in range(0, len(DRIP[form]), 30_000):
            await peer.say(DRIP[form][start : start + 30_000])
            await asyncio.sleep(0.001)
        await peer.gone()

    async with serving(serve) as server:
        async with asyncio.timeout(5):
            with pytest.raises(ProviderError):
                await read(await native.ask(server.url))


async def test_garbage_between_chunks_is_an_error(http: Asker) -> None:
    parts = (CHUNKED + b"5\r\nhello\r\n", b"no chunk at all\r\n")
    async with serving(saying(*parts, gap=0.02)) as server:
        answer = await http.ask(server.url)
        with pytest.raises(ProviderError):
            await read(answer)


SPLIT = {
    "second-answer": OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
    "half-a-second-answer": OK + b"HTTP/1.1 200 OK\r\ncontent-le",
    "garbage": OK + b"garbage",
}


@pytest.mark.parametrize("form", SPLIT)
@pytest.mark.parametrize("later", [False, True], ids=["together", "later"])
async def test_bytes_behind_an_answer_are_never_the_next_one(
    http: Asker, form: str, later: bool
) -> None:
    """Response splitting: a server, or who fooled it, has a second answer ready."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        if later:
            await peer.say(OK)
            await asyncio.sleep(0.05)
            await peer.say(SPLIT[form].removeprefix(OK))
        else:
            await peer.say(SPLIT[form])
        while True:
            await peer.request()
            await peer.say(OK)

    async with serving(serve) as server:
        for _ in range(2):
            try:
                assert await http.whole(server.url) == b"{}"
            except ProviderError:
                # Of garbage, or half an answer, aiohttp makes an error.
                assert http.kind == "aiohttp"
            await asyncio.sleep(0.15)
        assert http.kind == "aiohttp" or len(server.peers) == 2


async def test_bytes_before_the_request_are_no_answer(http: Asker) -> None:
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    count = 0

    async def serve(peer: Peer) -> None:
        nonlocal count
        count += 1
        if count == 1:
            await peer.request()
            await peer.say(OK)
            await peer.say(forged)
            await peer.gone()
        else:
            await polite(peer)

    async with serving(serve) as server:
        assert await http.whole(server.url) == b"{}"
        await asyncio.sleep(0.1)
        assert await http.whole(server.url) == b"{}"


async def test_a_closed_answer_tells_nothing_more(http: Asker) -> None:
    answers: list[Answer] = []

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(HEAD % 10 + b"hello")
        await peer.gone()

    async with serving(serve) as server:
        answers.append(await http.ask(server.url))
        answers[0].close()
        answers[0].close()
        with pytest.raises(ProviderError):
            await answers[0].piece()
        async with asyncio.timeout(AT_ONCE):
            await server.left()

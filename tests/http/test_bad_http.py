"""Wrong use of HTTP: each is answered in OpenAI's shape, and the server goes on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.http.wire import (
    CHAT,
    Connection,
    Upstream,
    assert_error,
    assert_error_object,
    body_of,
    chat,
    eventually,
    head,
    new_client,
)
from tests.serving import Proxy

MIB = 1024 * 1024
BODY = json.dumps(body_of("openai_only")).encode()


@pytest.fixture(autouse=True)
def _serves_on(proxy: Proxy) -> Iterator[None]:
    """Whatever a test did: the server answers the next request, and has no error to tell of."""
    before = proxy.log()
    yield
    with httpx.Client(trust_env=False, verify=False, timeout=10) as client:
        answer = client.post(f"{proxy.url}{CHAT}", json=body_of("openai_only"))
    assert answer.status_code == 200
    said = proxy.log()[len(before) :]
    assert "traceback" not in said.lower(), said


def _parse(raw: bytes) -> tuple[int, dict[str, str], Any]:
    """Return the status, the headers and the body's JSON of one answer."""
    top, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body) if body else None


async def _raw(proxy: Proxy, data: bytes) -> tuple[int, dict[str, str], Any]:
    async with await Connection.open(proxy) as connection:
        await connection.send(data)
        return _parse(await connection.rest())


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("application/jsonp", "application", "", "text/json, application/json", "json"),
    ],
)
async def test_another_content_type_is_a_415(proxy: Proxy, content_type: str) -> None:
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=BODY, headers={"content-type": content_type})
    assert_error(answer, 415, code="unsupported_media_type")


async def test_no_content_type_is_a_415(proxy: Proxy) -> None:
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=BODY)
    error = assert_error(answer, 415, code="unsupported_media_type")
    assert "application/json" in error["message"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"],
)
async def test_every_spelling_of_json_is_taken(proxy: Proxy, content_type: str) -> None:
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=BODY, headers={"content-type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
async def test_a_compressed_body_is_a_415(proxy: Proxy, encoding: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=b"\x1f\x8b" + bytes(90), headers=headers)
    assert_error(answer, 415, code="unsupported_content_encoding")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
async def test_row_97_another_method_is_a_405_that_names_the_right_one(
    proxy: Proxy, method: str
) -> None:
    async with new_client(proxy) as client:
        if method == "BREW":
            method = "PROPFIND"
        answer = await client.request(method, CHAT)
    assert_error(answer, 405, code="method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_a_head_request_has_no_body(proxy: Proxy) -> None:
    async with new_client(proxy) as client:
        answer = await client.head(CHAT)
        assert (answer.status_code, answer.content) == (405, b"")
        answer = await client.head("/healthz")
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_models_and_probes_are_read_only(proxy: Proxy, method: str) -> None:
    async with new_client(proxy) as client:
        for path in ("/v1/models", "/v1/models/openai_only", "/healthz", "/readyz"):
            answer = await client.request(method, path)
            assert_error(answer, 405)
            assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/v1", "/chat/completions", "/v1/completions", "/v1/embeddings", "/v1//models"),
        *("/v1/chat/completions/x", "/docs", "/openapi.json", "/..%2f..%2fetc/passwd"),
        *("/%00", "/{id}", "/v1/{method}", "/" + "x" * 5000, "/ü"),
    ],
)
async def test_row_97_an_unknown_path_is_a_404(proxy: Proxy, path: str) -> None:
    async with new_client(proxy) as client:
        error = assert_error(await client.get(path), 404, code="not_found")
    assert len(error["message"]) < 400


@pytest.mark.parametrize("path", [f"{CHAT}/", "//evil.example/v1/chat/completions", "/v1/models/"])
async def test_no_path_is_redirected(proxy: Proxy, path: str) -> None:
    """A redirect would be built from the `host` that the client names."""
    async with new_client(proxy) as client:
        answer = await client.get(f"{proxy.url}{path}", headers={"host": "evil.example"})
    assert_error(answer, 404)
    assert "location" not in answer.headers


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_body_of_20_mib_is_a_413(proxy: Proxy, upstream: Upstream, chunked: bool) -> None:
    body = json.dumps(body_of("openai_only", "x" * (20 * MIB))).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async with new_client(proxy) as client:
        answer = await client.post(
            CHAT,
            content=pieces() if chunked else body,
            headers={"content-type": "application/json"},
        )
    error = assert_error(answer, 413, code="request_too_large")
    assert str(16 * MIB) in error["message"]
    assert await upstream.count("started") == 0


async def test_a_body_that_only_claims_to_be_large_is_refused_before_it_comes(
    proxy: Proxy,
) -> None:
    status, headers, body = await _raw(proxy, head(length=10**15))
    assert status == 413
    assert headers["connection"] == "close"
    assert_error_object(body["error"])


async def test_a_large_body_below_the_limit_is_served(proxy: Proxy) -> None:
    answer = await chat(proxy, "openai_only", "word " * (MIB // 2))
    assert answer.status_code == 200


async def test_a_large_body_is_not_kept(proxy: Proxy) -> None:
    # What the system's allocator keeps for the next ones is there after a few.
    for _ in range(3):
        await chat(proxy, "openai_only", "x" * (15 * MIB))
    before = proxy.rss()
    for _ in range(5):
        await chat(proxy, "openai_only", "x" * (15 * MIB))
    assert proxy.rss() - before < 40 * MIB


async def test_a_body_of_one_byte_a_second_is_a_408(hasty: Proxy) -> None:
    async with await Connection.open(hasty) as connection:
        await connection.send(head(length=100))
        answer = asyncio.create_task(connection.rest())
        for byte in b'{"model":':
            await asyncio.wait((answer,), timeout=0.25)
            if answer.done():
                break
            await connection.send(bytes([byte]))
        status, headers, body = _parse(await answer)
    assert status == 408
    assert headers["connection"] == "close"
    assert_error_object(body["error"])
    assert body["error"]["code"] == "request_timeout"


@pytest.mark.parametrize("sent", [b"", b"POST /v1", head(length=5)[:-4]], ids=range(3))
async def test_a_head_that_does_not_come_is_a_408(hasty: Proxy, sent: bytes) -> None:
    status, headers, body = await _raw(hasty, sent)
    assert (status, headers["connection"]) == (408, "close")
    assert_error_object(body["error"])
    assert body["error"]["code"] == "request_timeout"


async def test_the_head_of_a_second_request_that_does_not_come_is_a_408(hasty: Proxy) -> None:
    async with await Connection.open(hasty) as connection:
        await connection.send(head(length=len(BODY)) + BODY + b"POST /v1")
        received = await connection.rest()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in received


async def test_a_late_second_head_does_not_end_the_first_answer(hasty: Proxy) -> None:
    data = json.dumps(
        body_of("openai_only", "[sandbox gap=0.1 words=15 chunks=15]", stream=True)
    ).encode()
    async with await Connection.open(hasty) as connection:
        await connection.send(head(length=len(data)) + data + b"POST /v1")
        received = await connection.rest()
    assert b"data: [DONE]\n\n" in received
    assert b"HTTP/1.1 408 Request Timeout\r\n" in received


ENDLESS = {
    "path": b"GET /",
    "header": b"GET /healthz HTTP/1.1\r\nx: ",
    "name": b"GET /healthz HTTP/1.1\r\n",
    "trailer": head(length=None) + b"2\r\n{}\r\n0\r\nx: ",
    "extension": head(length=None) + b"2;x=",
}


@pytest.mark.parametrize("start", ENDLESS.values(), ids=ENDLESS)
async def test_a_head_without_end_is_cut_off_and_fills_no_memory(
    proxy: Proxy, start: bytes
) -> None:
    before = proxy.rss()
    sent = 0
    async with await Connection.open(proxy) as connection:
        answer = asyncio.create_task(connection.rest())
        with suppress(ConnectionError):
            await connection.send(start)
            while sent < 64 * MIB and not answer.done():
                await connection.send(b"a" * 65536)
                sent += 65536
        received = await answer
    assert sent < 16 * MIB
    assert proxy.rss() - before < 8 * MIB
    # The client may have been told, if it read in time.
    assert not received or b" 431 " in received or b" 400 " in received or b" 413 " in received


async def test_many_headers_without_end_are_cut_off(proxy: Proxy) -> None:
    async with await Connection.open(proxy) as connection:
        with suppress(ConnectionError):
            await connection.send(b"GET /healthz HTTP/1.1\r\n")
            for number in range(20_000):
                await connection.send(b"x-%d: abcdefgh\r\n" % number)
        await connection.rest()
        with pytest.raises(ConnectionError):
            for _ in range(100):
                await connection.send(b"x: y\r\n")
                await asyncio.sleep(0.01)


async def test_a_head_of_usual_size_is_served(proxy: Proxy) -> None:
    headers = {f"x-{number}": "y" * 500 for number in range(60)}
    answer = await chat(proxy, "openai_only", headers=headers)
    assert answer.status_code == 200


async def test_a_client_that_leaves_in_the_middle_of_its_body_disturbs_nobody(
    proxy: Proxy, upstream: Upstream
) -> None:
    before = len(proxy.decisions())
    for sent in (0, 1, len(BODY) // 2, len(BODY) - 1):
        async with await Connection.open(proxy) as connection:
            await connection.send(head(length=len(BODY)) + BODY[:sent])
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=None) + b"5\r\nhello\r\n")

    async def served() -> bool:
        return (await chat(proxy, "openai_only")).status_code == 200

    await eventually(served)
    assert await upstream.count("started") == 1

    async def logged() -> bool:
        return len(proxy.decisions()) > before

    await eventually(logged)
    assert len(proxy.decisions()) == before + 1


async def test_a_body_in_single_bytes_is_put_together(proxy: Proxy) -> None:
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=len(BODY), headers={"connection": "close"}))
        for start in range(len(BODY)):
            await connection.send(BODY[start : start + 1])
        status, _, body = _parse(await connection.rest())
    assert status == 200
    assert body["object"] == "chat.completion"


async def test_a_client_that_asks_first_is_told_to_go_on(proxy: Proxy) -> None:
    headers = {"expect": "100-continue", "connection": "close"}
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=len(BODY), headers=headers))
        await connection.until(b"HTTP/1.1 100 Continue\r\n\r\n")
        await connection.send(BODY)
        assert b"HTTP/1.1 200 OK" in await connection.rest()


async def test_two_requests_in_one_packet_are_two_answers(proxy: Proxy) -> None:
    last = head(length=len(BODY), headers={"connection": "close"}) + BODY
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=len(BODY)) + BODY + last)
        received = await connection.rest()
    assert received.count(b"HTTP/1.1 200 OK") == 2


BROKEN_HTTP = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60),
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
    b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: a\rb\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-request-id: a\x00b\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("data", BROKEN_HTTP, ids=range(len(BROKEN_HTTP)))
async def test_what_is_no_http_is_a_400_and_the_end_of_the_connection(
    proxy: Proxy, data: bytes
) -> None:
    status, headers, body = await _raw(proxy, data)
    assert (status, headers["connection"]) == (400, "close")
    assert_error_object(body["error"])
    assert body["error"]["code"] == "invalid_http"


async def test_broken_chunks_end_the_connection(proxy: Proxy, upstream: Upstream) -> None:
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=None) + b"zz\r\nhello\r\n")
        assert (await connection.rest()).startswith(b"HTTP/1.1 400 ")
    assert await upstream.count("started") == 0


@pytest.mark.parametrize(
    "given", ["a b", "ü", "x" * 129, "", "<script>", "a\tb", "a;b", "a,b", "%0d%0ax: y"]
)
async def test_a_request_id_that_is_none_is_replaced(proxy: Proxy, given: str) -> None:
    headers = {"x-request-id": given.encode("latin-1")}
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, json=body_of("openai_only"), headers=headers)  # pyright: ignore[reportArgumentType]
    assert answer.status_code == 200
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_good_request_id_is_kept(proxy: Proxy) -> None:
    answer = await chat(proxy, "openai_only", headers={"x-request-id": "my-Id_1.2"})
    assert answer.headers.get_list("x-request-id") == ["my-Id_1.2"]
    answer = await chat(proxy, "nobody", headers={"x-request-id": "my-Id_1.3"})
    assert answer.headers.get_list("x-request-id") == ["my-Id_1.3"]


async def test_an_upgrade_to_something_else_is_not_taken(proxy: Proxy) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-key": "x"}
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=0, method="GET", headers=headers))
        await connection.until(b"\r\n\r\n")
    assert connection.received.startswith(b"HTTP/1.1 405 ")

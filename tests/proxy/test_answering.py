"""What an application sends, byte by byte, over a real socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.connection import Connection


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncGenerator[Callable[..., Any]]:
    """Serve an application; yield what asks it and returns all that comes back, in its pieces."""
    config = uvicorn.Config(
        app, http=Connection, ws="none", lifespan="off", log_config=None, server_header=False
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.lifespan.state = {"settings": SimpleNamespace(body_timeout=5)}
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    await server.startup(sockets=[listener])

    async def ask(method: str = "GET", version: str = "1.1") -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} / HTTP/{version}\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        pieces: list[bytes] = []
        async with asyncio.timeout(5):
            while piece := await reader.read(100_000):
                pieces.append(piece)
        writer.close()
        await writer.wait_closed()
        return pieces

    try:
        yield ask
    finally:
        await server.shutdown(sockets=[listener])


def _app(*messages: dict[str, Any]) -> ASGIApp:
    """Return an application that sends these messages, a moment apart."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        for message in messages:
            await send(message)
            await asyncio.sleep(0.02)

    return app


def _start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _body(data: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_a_head_leaves_with_the_first_of_its_body() -> None:
    app = _app(_start((b"content-length", b"2")), _body(b"ok"))
    async with _served(app) as ask:
        pieces = await ask()
    assert len(pieces) == 1
    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 2\r\nconnection: close" in head
    assert body == b"ok"


async def test_a_body_of_unknown_length_comes_in_chunks() -> None:
    app = _app(_start(), _body(b"one", more=True), _body(b"", more=True), _body(b"two"))
    async with _served(app) as ask:
        pieces = await ask()
    assert pieces[0].endswith(b"\r\n\r\n3\r\none\r\n")
    assert b"transfer-encoding: chunked\r\n" in pieces[0]
    assert pieces[1:] == [b"3\r\ntwo\r\n0\r\n\r\n"]


async def test_the_end_may_come_by_itself() -> None:
    async with _served(_app(_start(), _body(b"one", more=True), _body())) as ask:
        pieces = await ask()
    assert pieces[1:] == [b"0\r\n\r\n"]


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_has_no_length(status: int) -> None:
    async with _served(_app(_start(status=status), _body())) as ask:
        answer = b"".join(await ask())
    assert answer.endswith(b"\r\n\r\n")
    assert b"transfer-encoding" not in answer


async def test_a_head_request_is_answered_without_the_body() -> None:
    async with _served(_app(_start((b"content-length", b"2")), _body(b"ok"))) as ask:
        answer = b"".join(await ask("HEAD"))
    assert b"content-length: 2\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b", b"\x01", b"\x7f"]
)
async def test_a_field_that_would_begin_another_is_not_sent(value: bytes) -> None:
    """The application's fault, and answered as one."""
    app = _app(_start((b"x-ours", value), (b"content-length", b"2")), _body(b"ok"))
    async with _served(app) as ask:
        answer = b"".join(await ask())
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"x-ours" not in answer
    assert b"set-cookie" not in answer


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"more than two", b""), (b"1", b"content-length: 2\r\nconnection: close\r\n\r\n1")],
)
async def test_a_length_that_is_wrong_ends_the_connection(body: bytes, told: bytes) -> None:
    """Nobody can take what came for a whole answer."""
    async with _served(_app(_start((b"content-length", b"2")), _body(body))) as ask:
        answer = b"".join(await ask())
    assert answer.endswith(told)
    assert bool(answer) == bool(told)


@pytest.mark.parametrize(
    "messages",
    [
        [_body(b"ok")],
        [_start(), _start(), _body(b"ok")],
        [_start(), {"type": "http.nonsense"}],
    ],
    ids=["no start", "two starts", "no message"],
)
async def test_what_breaks_the_order_is_no_whole_answer(messages: list[dict[str, Any]]) -> None:
    async with _served(_app(*messages)) as ask:
        answer = b"".join(await ask())
    assert answer == b"" or answer.startswith(b"HTTP/1.1 500 ")


async def test_a_connection_that_the_answer_ends_says_so() -> None:
    app = _app(_start((b"content-length", b"2"), (b"connection", b"close")), _body(b"ok"))
    async with _served(app) as ask:
        answer = b"".join(await ask())
    assert answer.count(b"connection: close") == 1

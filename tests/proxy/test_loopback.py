"""The server on a loopback port, as far as its host's event loop is concerned."""

import asyncio
import logging

import pytest
from starlette.types import Receive, Scope, Send

from proxy.loopback import LoopbackServer


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await asyncio.Event().wait()


async def host() -> None:
    server = LoopbackServer(endless)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
    await reader.readuntil(b"begun")
    # As `asyncio.run` does it at the end.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    async with asyncio.timeout(5):
        rest = await reader.read()
    assert b"0\r\n\r\n" not in rest, "the answer ended as if it were whole"
    writer.close()
    await server.aclose()


def test_a_loop_that_ends_in_the_middle_of_a_request_breaks_its_connection_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        asyncio.run(host())
    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []

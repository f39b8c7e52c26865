"""Requests that a client sends before their turn, and a client that leaves behind them."""

import json
from typing import Any

import pytest

from tests.http.wire import Connection, Upstream, body_of, eventually, head
from tests.serving import Proxy


def _post(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    return head(length=len(data)) + data


GET = head(length=None, method="GET", path="/healthz")
SLOW = "[sandbox delay=30]"


async def _ended(upstream: Upstream, proxy: Proxy, before: int) -> None:
    async def logged() -> bool:
        return len(proxy.decisions()) > before

    await upstream.aborted("openai")
    await eventually(logged, 2.0, "the line of the request")
    assert proxy.decisions()[-1]["end"] == "client_disconnect"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("later", [True, False], ids=["later", "at once"])
async def test_leaving_behind_a_second_request_ends_the_first(
    proxy: Proxy, upstream: Upstream, stream: bool, later: bool
) -> None:
    before, log = len(proxy.decisions()), len(proxy.log())
    first = _post(body_of("openai_only", SLOW, stream=stream))

    async def started() -> bool:
        return await upstream.count("started", "openai") == 1

    async with await Connection.open(proxy) as client:
        await client.send(first if later else first + GET)
        await eventually(started, what="the first request")
        if later:
            await client.send(GET)
    await _ended(upstream, proxy, before)
    # A client that leaves is nobody's error.
    assert not [line for line in proxy.log()[log:].splitlines() if "ERROR" in line.upper()]


async def test_many_requests_that_wait_are_answered_in_their_turn(proxy: Proxy) -> None:
    """More than are read before their turn."""
    async with await Connection.open(proxy) as client:
        for number in range(40):
            await client.send(_post(body_of("openai_only", f"number {number}.")))
        await client.until(b"number 39.")
    places = [client.received.index(b"number %d." % number) for number in range(40)]
    assert places == sorted(places)


async def test_an_answer_to_http_1_0_ends_with_the_connection(proxy: Proxy) -> None:
    request = _post(body_of("openai_only", "Hi", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with await Connection.open(proxy) as client:
        await client.send(request)
        answer = await client.rest()
    assert b"transfer-encoding" not in answer
    assert b"connection: close\r\n" in answer
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"data: {")
    assert answer.endswith(b"data: [DONE]\n\n")


async def test_what_is_no_http_does_not_get_into_an_answer(proxy: Proxy) -> None:
    body = body_of("openai_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"the proxy")
        await client.send(b"\x01\x02 no HTTP\r\n\r\n")
        answer = await client.rest()
    assert answer.count(b"HTTP/1.1 ") == 1

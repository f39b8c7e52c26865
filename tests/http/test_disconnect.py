"""A client that leaves ends the work done for it, in every phase: within a second."""

import asyncio
import json

import pytest

from tests.http.wire import Connection, Upstream, body_of, eventually, head, unique
from tests.serving import Proxy

AT_ONCE = 1.0
"""Seconds until the provider's connection must be closed."""


async def _started(upstream: Upstream, dialect: str, count: int = 1) -> None:
    async def reached() -> bool:
        return await upstream.count("started", dialect) == count

    await eventually(reached, what="the request")


async def _assert_aborted(upstream: Upstream, dialect: str) -> None:
    await upstream.aborted(dialect, AT_ONCE)
    await upstream.closed(dialect)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_89_leaving_before_the_providers_headers_ends_its_request(
    proxy: Proxy, upstream: Upstream, dialect: str, stream: bool
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox delay=30]", stream=stream)
    async with await Connection.ask(proxy, body) as client:
        await _started(upstream, dialect)
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_before_the_first_token_ends_the_request(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox first=30]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await _started(upstream, dialect)
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_in_mid_stream_ends_the_request(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"the proxy")
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_between_two_slow_chunks_ends_the_request(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox gap=0.1 words=2000]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"the proxy")
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_with_unread_data_in_the_way_ends_the_request(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox words=400000 stall=190000]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        client.pause()
        await _started(upstream, dialect)
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_half_a_goodbye_is_one(proxy: Proxy, upstream: Upstream, dialect: str) -> None:
    """A client that closes its sending side is gone: nobody speaks HTTP with such a client."""
    body = body_of(f"{dialect}_only", "[sandbox first=30]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await _started(upstream, dialect)
        client.writer.write_eof()
        await _assert_aborted(upstream, dialect)


async def test_leaving_behind_a_large_body_ends_the_request(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    """The server stops to read where so much comes at once; it has to notice all the same."""
    body = body_of(f"{dialect}_only", "[sandbox first=30] " + "x" * 500_000, stream=True)
    data = json.dumps(body).encode()
    async with await Connection.open(proxy) as client:
        # It waits for the body when that comes, in a few large pieces.
        await client.send(head(length=len(data)))
        await asyncio.sleep(0.05)
        await client.send(data)
        await _started(upstream, dialect)
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_after_heartbeats_ends_the_request(
    pinging: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox delay=30]", stream=True)
    async with await Connection.ask(pinging, body) as client:
        await client.until(b": ping\n\n")
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_row_63_leaving_between_two_heartbeats_in_mid_stream_ends_the_request(
    pinging: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(pinging, body) as client:
        await client.until(b"the proxy")
        await client.until(b": ping\n\n")
        await client.close()
        await _assert_aborted(upstream, dialect)


async def test_leaving_during_the_wait_before_a_retry_ends_the_retries(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    marker = unique()
    text = f"[sandbox fail=429 retry_after=3] {marker}"
    async with await Connection.ask(proxy, body_of(f"{dialect}_only", text)) as client:
        await _started(upstream, dialect)
        await client.close()

    async def logged() -> bool:
        return any(line["end"] == "client_disconnect" for line in proxy.decisions()[-1:])

    await eventually(logged, AT_ONCE, "the end of the wait")
    assert len(await upstream.requests(marker)) == 1


async def test_leaving_during_the_second_providers_attempt_ends_it(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    second = {"openai": "anthropic", "anthropic": "openai"}[dialect]
    text = f"[sandbox provider={dialect} fail=500] [sandbox provider={second} delay=30]"
    body = body_of(f"{dialect}_first", text, stream=True)
    async with await Connection.ask(proxy, body) as client:
        await _started(upstream, second)
        await client.close()
        await _assert_aborted(upstream, second)


async def test_a_client_that_left_is_in_the_decision_log(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"the proxy")
        answer_head = client.received.decode()
        await client.close()
        await _assert_aborted(upstream, dialect)
    start = answer_head.index("x-request-id: ") + len("x-request-id: ")
    request_id = answer_head[start:].partition("\r\n")[0]
    line = proxy.decision(request_id)
    assert line["end"] == "client_disconnect"
    assert line["status"] == 200
    assert "error" not in line


async def test_row_64_a_hundred_clients_that_left_leave_no_connection_behind(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    clients = [
        await Connection.ask(proxy, body_of(f"{dialect}_only", "[sandbox first=30]", stream=True))
        for _ in range(100)
    ]
    await _started(upstream, dialect, 100)
    for client in clients:
        await client.close()

    async def none_open() -> bool:
        return await upstream.count("open", dialect) == 0

    await eventually(none_open, 3.0, "the end of all requests")
    assert await upstream.count("aborted_by_client", dialect) == 100

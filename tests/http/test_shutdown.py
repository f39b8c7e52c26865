"""SIGTERM: what is open may finish, up to a limit; nothing new is begun."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import httpx
import pytest

from tests.http.wire import (
    CHAT,
    Connection,
    Upstream,
    assert_error_object,
    body_of,
    chat,
    events_of,
    eventually,
    text_of,
)
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

Start = Callable[..., Proxy]


@pytest.fixture
def start(providers: SandboxProcess) -> Iterator[Start]:
    """Starts servers of this test's own: it is going to stop them."""
    with ExitStack() as stack:

        def start(*arguments: str, **env: str) -> Proxy:
            env["UPSTREAM_KEY"] = UPSTREAM_KEY
            policy = standard_policy(providers)
            return stack.enter_context(Proxy(*arguments, env=env, policy=policy))

        yield start


def _payload(raw: bytes) -> str:
    """Return the body of a chunked answer."""
    _, _, rest = raw.partition(b"\r\n\r\n")
    found = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        found, rest = found + rest[:length], rest[length + 2 :]
        if length == 0:
            return found.decode()
    raise AssertionError("the body has no end")


async def _refuses(proxy: Proxy) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def _stopped(proxy: Proxy) -> None:
    async def ended() -> bool:
        return not proxy.running

    await eventually(ended, 10, "the end of the process")


async def test_an_idle_server_stops_at_once(start: Start) -> None:
    proxy = start()
    async with httpx.AsyncClient(base_url=proxy.url, trust_env=False, verify=False) as client:
        # A connection kept alive is no work.
        assert (await client.post(CHAT, json=body_of("openai_only"))).status_code == 200
        assert proxy.stop(signal.SIGTERM, 5) in (0, -signal.SIGTERM)
    assert proxy.tracebacks() == []


async def test_open_streams_and_requests_finish_and_nobody_new_is_let_in(
    start: Start, dialect: str
) -> None:
    proxy = start()
    text = "[sandbox gap=0.1 chunks=15 words=15]"
    stream = body_of(f"{dialect}_only", text, stream=True)
    whole = asyncio.create_task(chat(proxy, f"{dialect}_only", "[sandbox delay=1.2]"))
    async with await Connection.ask(proxy, stream) as client:
        await client.until(b"proxy")
        proxy.send(signal.SIGTERM)
        await eventually(partial(_refuses, proxy), 2, "the refusal of new connections")
        assert b"[DONE]" not in client.received
        events = events_of(_payload(await client.rest()))
    assert events[-1] == "[DONE]"
    assert len(text_of(events).split()) == 15
    assert (await whole).json()["choices"][0]["finish_reason"] == "stop"
    await _stopped(proxy)
    assert proxy.wait() in (0, -signal.SIGTERM)
    assert proxy.tracebacks() == []


async def test_a_stream_that_outlasts_the_limit_ends_with_an_error_event(
    start: Start, dialect: str
) -> None:
    proxy = start(EP_DRAIN_TIMEOUT="1", EP_HEARTBEAT="0.2")
    stream = body_of(f"{dialect}_only", "[sandbox gap=0.1 words=4000]", stream=True)
    silent = body_of(f"{dialect}_only", "[sandbox first=60]", stream=True)
    async with (
        await Connection.ask(proxy, stream) as client,
        await Connection.ask(proxy, silent) as pinged,
    ):
        await client.until(b"proxy")
        await pinged.until(b": ping")
        proxy.send(signal.SIGTERM)
        events = events_of(_payload(await client.rest()))
        other = events_of(_payload(await pinged.rest()))
    await _stopped(proxy)
    assert "[DONE]" not in events
    assert text_of(events)
    assert_error_object(events[-1]["error"])
    assert events[-1]["error"]["code"] == "server_shutdown"
    assert [event["error"]["code"] for event in other] == ["server_shutdown"]
    assert {line["end"] for line in proxy.decisions()} == {"server_shutdown"}
    assert proxy.tracebacks() == []


@pytest.mark.parametrize(("dialect", "stream"), [("openai", True), ("anthropic", False)])
async def test_an_answer_that_did_not_begin_within_the_limit_is_a_503(
    start: Start, upstream: Upstream, dialect: str, stream: bool
) -> None:
    proxy = start(EP_DRAIN_TIMEOUT="1")
    body = body_of(f"{dialect}_only", "[sandbox delay=60]", stream=stream)
    async with await Connection.ask(proxy, body) as client:

        async def arrived() -> bool:
            return await upstream.count("started", dialect) == 1

        await eventually(arrived)
        proxy.send(signal.SIGTERM)
        top, _, answer = (await client.rest()).partition(b"\r\n\r\n")
    await _stopped(proxy)
    assert top.startswith(b"HTTP/1.1 503 "), top
    error = json.loads(answer)["error"]
    assert_error_object(error)
    assert error["code"] == "server_shutdown"
    assert proxy.tracebacks() == []


async def test_a_client_that_does_not_read_cannot_hold_the_server(start: Start) -> None:
    proxy = start(EP_DRAIN_TIMEOUT="1")
    body = body_of("openai_only", "[sandbox words=200000]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"proxy")
        client.pause()
        began = time.monotonic()
        proxy.send(signal.SIGTERM)
        await _stopped(proxy)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_does_no_harm(start: Start, second: signal.Signals) -> None:
    proxy = start(EP_DRAIN_TIMEOUT="3")
    body = body_of("openai_only", "[sandbox gap=0.05 words=20 chunks=20]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"proxy")
        proxy.send(signal.SIGTERM)
        await asyncio.sleep(0.1)
        proxy.send(second)
        await client.rest()
    await _stopped(proxy)
    assert proxy.wait() in (0, -signal.SIGTERM, -second, 130)


async def test_sigint_drains_as_well(start: Start) -> None:
    proxy = start()
    body = body_of("openai_only", "[sandbox gap=0.05 words=20 chunks=20]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"proxy")
        proxy.send(signal.SIGINT)
        assert events_of(_payload(await client.rest()))[-1] == "[DONE]"
    await _stopped(proxy)
    assert proxy.wait() in (0, 130, -signal.SIGINT)
    assert proxy.tracebacks() == []


async def test_several_workers_serve_and_drain(start: Start) -> None:
    dialect = "anthropic"
    proxy = start("--workers", "2")

    async def serves() -> bool:
        try:
            return (await chat(proxy, f"{dialect}_only")).status_code == 200
        except httpx.ConnectError:
            return False

    await eventually(serves, 30, "the start of the workers")
    answers = await asyncio.gather(*(chat(proxy, f"{dialect}_only") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    body = body_of(f"{dialect}_only", "[sandbox gap=0.1 words=30 chunks=30]", stream=True)
    async with await Connection.ask(proxy, body) as client:
        await client.until(b"proxy")
        proxy.send(signal.SIGTERM)
        await eventually(partial(_refuses, proxy), 2, "the refusal of new connections")
        assert b"[DONE]" not in client.received
        assert events_of(_payload(await client.rest()))[-1] == "[DONE]"
    await _stopped(proxy)
    assert proxy.wait() in (0, -signal.SIGTERM)
    assert len(proxy.decisions()) >= 22
    assert proxy.tracebacks() == []

"""The server over either HTTP client: the one that was named is used, and serves as the other."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.http_client.options import CLIENTS, ClientKind
from tests.http.wire import (
    Connection,
    Upstream,
    assert_error_object,
    body_of,
    chat,
    events_of,
    text_of,
)
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> ClientKind:
    return request.param


@pytest.fixture(scope="module")
def server(client: ClientKind, providers: SandboxProcess) -> Iterator[Proxy]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_HTTP_CLIENT": client}
    with Proxy(env=env, policy=standard_policy(providers)) as proxy:
        yield proxy


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is read in /proc")
async def test_the_client_that_was_named_asks_and_the_other_is_not_loaded(
    server: Proxy, client: ClientKind
) -> None:
    assert (await chat(server, "openai_only")).status_code == 200
    assert ("/aiohttp/" in mapped(server.pid)) == (client == "aiohttp")


def mapped(pid: int) -> str:
    """Return which files a process has loaded: extension modules are among them."""
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


async def test_answers_whole_and_streamed(server: Proxy, dialect: str) -> None:
    say = "[sandbox say=either]"
    whole = (await chat(server, f"{dialect}_only", say)).json()
    assert whole["choices"][0]["message"]["content"] == "either"
    *chunks, last = events_of((await chat(server, f"{dialect}_only", say, stream=True)).content)
    assert (text_of(chunks), last) == ("either", "[DONE]")


async def test_a_stream_that_is_cut_ends_with_an_error(server: Proxy, dialect: str) -> None:
    answer = await chat(server, f"{dialect}_only", "[sandbox words=60 cut=6]", stream=True)
    *chunks, last = events_of(answer.content)
    assert text_of(chunks)
    assert_error_object(last["error"])
    assert last["error"]["code"] == "upstream_error"


async def test_leaving_ends_the_providers_request(
    server: Proxy, upstream: Upstream, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox stall=6 words=40]", stream=True)
    async with await Connection.ask(server, body) as client:
        await client.until(b"the proxy")
        await client.close()
        await upstream.aborted(dialect)
        await upstream.closed(dialect)


async def test_connections_are_used_again(server: Proxy, upstream: Upstream) -> None:
    before = await upstream.connections()
    for _ in range(3):
        answers = await asyncio.gather(*(chat(server, "openai_only") for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}
    assert await upstream.count("started", "openai") == 30
    # The journal's own reader has one, too.
    assert await upstream.connections() - before <= 11

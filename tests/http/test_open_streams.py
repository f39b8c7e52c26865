"""What an open stream holds, and what it does not."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest

from tests.http.scripted import ENDINGS, OPENINGS, Stage, delta, scripted
from tests.http.wire import Connection, body_of, chat, head
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

KIB = 1024
STREAMS = 200
# As many as the official SDKs send.
HEADERS = {f"x-stainless-field-{number}": "a value of some length" for number in range(16)}


@pytest.fixture
def fresh(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_HTTP_CLIENT": "native"}
    with Proxy(env=env, policy=standard_policy(providers, scripted=scripted_port)) as server:
        yield server


class Held:
    """Answers that have begun and go on when they may."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self.go_on = asyncio.Event()

    async def play(self, stage: Stage) -> None:
        """Begin, wait, end."""
        await stage.start()
        await stage.send(OPENINGS[self._dialect] + delta(self._dialect, "begun "))
        await self.go_on.wait()
        await stage.send(delta(self._dialect, "ended") + ENDINGS[self._dialect])
        await stage.finish()


@asynccontextmanager
async def opened(proxy: Proxy, dialect: str) -> AsyncGenerator[list[Connection]]:
    """Open streams, ten at a time, up to their first text."""
    data = httpx.Request("POST", "http://x", json=body_of(f"endless_{dialect}_only", stream=True))
    request = head(length=len(data.content), headers=HEADERS) + data.content

    async def one(stack: AsyncExitStack) -> Connection:
        client = await stack.enter_async_context(await Connection.open(proxy))
        await client.send(request)
        await client.until(b"begun")
        return client

    async with AsyncExitStack() as stack:
        clients: list[Connection] = []
        for _ in range(STREAMS // 10):
            clients += await asyncio.gather(*(one(stack) for _ in range(10)))
        yield clients


async def test_an_open_stream_holds_no_more_than_it_needs(
    fresh: Proxy, scripted_port: int, dialect: str
) -> None:
    # Once through all the code, so that nothing is loaded later.
    await asyncio.gather(
        *(chat(fresh, f"{dialect}_only", "[sandbox words=60]", stream=True) for _ in range(4))
    )
    held = Held(dialect)
    async with scripted(scripted_port, held.play):
        before = fresh.rss()
        async with opened(fresh, dialect) as clients:
            taken = (fresh.rss() - before) / STREAMS
            held.go_on.set()
            for client in clients:
                await client.until(b"[DONE]")
    # Measured: 15.4 and 17.2 KiB; 23.5 and 25.2 with uvicorn's own parts and the request's head.
    assert taken < 20 * KIB, f"{taken / KIB:.1f} KiB"


async def test_requests_of_one_connection_are_answered_in_turn(proxy: Proxy) -> None:
    texts = [f"[sandbox words={words}]" for words in (40, 3, 1)]
    requests = b""
    for text in texts:
        data = httpx.Request("POST", "http://x", json=body_of("openai_only", text)).content
        requests += head(length=len(data)) + data
    async with await Connection.open(proxy) as client:
        # All at once: a client that pipelines waits for no answer.
        await client.send(
            requests + b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        answers = (await client.rest()).split(b"HTTP/1.1 200 OK")[1:]
    assert len(answers) == 4
    sizes = [len(answer) for answer in answers]
    assert sizes == sorted(sizes, reverse=True)
    assert b'"object":"chat.completion"' in answers[2]
    assert b"status" in answers[3]

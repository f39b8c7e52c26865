"""Many at once: nobody gets another's answer, and connections to providers are used again."""

import asyncio
import json

import httpx

from tests.http.wire import CHAT, Upstream, body_of, chat, events_of, new_client, text_of, unique
from tests.serving import Proxy


async def _marked(client: httpx.AsyncClient, number: int) -> None:
    """Ask in one of eight ways, and check that everything in the answer is this request's."""
    marker = unique()
    dialect = ("openai", "anthropic")[number % 2]
    stream = number % 4 < 2
    fails = number % 8 < 2
    text = f"say {marker} again" + (f" [sandbox provider={dialect} fail=500]" if fails else "")
    persona = f"{dialect}_first"
    answer = await client.post(
        CHAT, json=body_of(persona, text, stream=stream), headers={"x-request-id": marker}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-request-id"] == marker
    assert answer.headers["x-ep-persona"] == persona
    assert answer.headers["x-ep-attempts"] == ("2" if fails else "1")
    if stream:
        events = events_of(answer.content)
        assert events[-1] == "[DONE]"
        said = text_of(events)
    else:
        said = answer.json()["choices"][0]["message"]["content"]
    assert f"say {marker} again" in said.replace("\n> ", "\n")


async def test_a_hundred_mixed_requests_at_once_are_not_mixed_up(
    proxy: Proxy, upstream: Upstream
) -> None:
    async with new_client(proxy) as client:
        await asyncio.gather(*(_marked(client, number) for number in range(100)))
    await upstream.closed()
    assert await upstream.count("started") == 126


async def test_a_hundred_requests_over_one_connection_are_not_mixed_up(proxy: Proxy) -> None:
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        base_url=proxy.url, trust_env=False, verify=False, limits=limits, timeout=60
    ) as client:
        await asyncio.gather(*(_marked(client, number) for number in range(100)))


async def test_connections_to_providers_are_used_again(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    await chat(proxy, f"{dialect}_only", stream=True)
    before = await upstream.connections()
    for number in range(30):
        answer = await chat(proxy, f"{dialect}_only", stream=number % 2 == 0)
        assert answer.status_code == 200
    # Nothing but these 30 requests, one after the other.
    assert await upstream.connections() - before <= 2


async def test_connections_are_used_again_after_errors_and_refusals(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    await chat(proxy, f"{dialect}_only")
    before = await upstream.connections()
    for _ in range(20):
        await chat(proxy, f"{dialect}_only", "[sandbox fail=400]", stream=True)
    assert await upstream.connections() - before <= 2


async def test_row_64_an_abandoned_stream_does_not_poison_the_next_request(
    proxy: Proxy, dialect: str
) -> None:
    async def abandon() -> None:
        async with new_client(proxy) as client:
            body = body_of(f"{dialect}_only", "[sandbox words=500 gap=0.01]", stream=True)
            async with client.stream("POST", CHAT, json=body) as answer:
                async for _ in answer.aiter_bytes():
                    return

    for _ in range(10):
        marker = unique()
        await abandon()
        answer = await chat(proxy, f"{dialect}_only", marker)
        assert marker in answer.json()["choices"][0]["message"]["content"]


async def test_an_open_stream_holds_up_nobody(proxy: Proxy, dialect: str) -> None:
    async with new_client(proxy) as client:
        body = body_of(f"{dialect}_only", "[sandbox words=40 stall=8]", stream=True)
        async with client.stream("POST", CHAT, json=body) as slow:
            first = await anext(slow.aiter_lines())
            assert json.loads(first.removeprefix("data: "))["object"] == "chat.completion.chunk"
            assert (await client.get("/healthz")).status_code == 200
            assert (await chat(proxy, f"{dialect}_only")).status_code == 200

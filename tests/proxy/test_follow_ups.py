"""Answers that take more than one request: one answer for the client, whatever lies behind it."""

import asyncio
import json
from typing import Any

import pytest

from proxy.call import Call
from proxy.provider import AnswerStream
from tests.proxy.played_provider import Item, ask, played
from translators.errors import ProviderError
from translators.fold import fold
from translators.protocol import MAX_FOLLOW_UPS

Json = dict[str, Any]

PARTS: list[list[Item]] = [
    [("text", "one "), ("usage", 10), ("more", "a")],
    [("text", "two "), ("usage", 20), ("more", "b")],
    [("text", "three"), ("usage", 30), ("end", "stop")],
]


async def chunks_of(answer: AnswerStream) -> list[Json]:
    return [json.loads(chunk.data) async for batch in answer for chunk in batch]


def text_of(chunks: list[Json]) -> str:
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


async def test_a_streamed_answer_goes_on_with_the_next_request():
    provider, transport = played(*PARTS)
    call = Call()
    answer = await ask(provider).open(call)
    chunks = await chunks_of(answer)
    assert text_of(chunks) == "one two three"
    reasons = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]
    roles = [c["choices"][0]["delta"].get("role") for c in chunks if c["choices"]]
    assert [role for role in roles if role] == ["assistant"]
    assert [request.get("rest") for request in transport.requests] == [None, "a", "b"]
    assert call.follow_ups == 2


async def test_each_part_is_let_go_before_the_next_is_asked_for():
    gate = asyncio.Event()
    provider, transport = played(PARTS[0], [gate, *PARTS[2]])
    answer = await ask(provider).open(Call())
    reading = asyncio.create_task(chunks_of(answer))
    await transport.reached(2)
    assert transport.sources[0].closed is True
    gate.set()
    await reading
    await answer.aclose()
    assert [source.closed for source in transport.sources] == [True, True]


async def test_an_answer_that_is_not_streamed_is_joined():
    provider, transport = played(*PARTS)
    call = Call()
    completion = await ask(provider).complete(call)
    body = json.loads(completion.data)
    assert body["choices"][0]["message"]["content"] == "one two three"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] == 60
    assert completion.outcome.usage is not None
    assert completion.outcome.usage.total_tokens == 63
    assert [request.get("rest") for request in transport.requests] == [None, "a", "b"]
    assert call.follow_ups == 2


async def test_an_answer_in_one_piece_takes_one_request():
    provider, transport = played(PARTS[2])
    call = Call()
    await ask(provider).complete(call)
    await chunks_of(await ask(provider).open(call))
    assert len(transport.requests) == 2
    assert call.follow_ups == 0


async def test_an_answer_without_an_end_is_given_up_after_so_many_requests():
    provider, transport = played([("text", "x"), ("more", "a")])
    call = Call()
    completion = await ask(provider).complete(call)
    (choice,) = json.loads(completion.data)["choices"]
    assert choice["message"]["content"] == "x" * (MAX_FOLLOW_UPS + 1)
    assert choice["finish_reason"] == "length"
    assert (len(transport.requests), call.follow_ups) == (MAX_FOLLOW_UPS + 1, MAX_FOLLOW_UPS)


@pytest.mark.parametrize("error", [OSError("gone"), ProviderError("full", kind="overloaded")])
async def test_a_follow_up_that_fails_breaks_the_answer_off(error: Exception):
    provider, _ = played(PARTS[0], [error])
    answer = await ask(provider).open(Call())
    chunks: list[Json] = []
    with pytest.raises(ProviderError) as caught:
        async for batch in answer:
            chunks += [json.loads(chunk.data) for chunk in batch]
    assert caught.value.kind in ("network", "overloaded")
    with pytest.raises(ProviderError) as again:
        await anext(answer)
    assert again.value is caught.value
    assert text_of(chunks) == "one "
    assert all(c["choices"][0]["finish_reason"] is None for c in chunks)
    with pytest.raises(ProviderError):
        await ask(provider).complete(Call())


async def test_a_client_that_leaves_between_two_parts_ends_the_second_request():
    provider, transport = played(PARTS[0], [asyncio.Event(), *PARTS[2]])
    answer = await ask(provider).open(Call())
    reading = asyncio.create_task(chunks_of(answer))
    await transport.reached(2)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await answer.aclose()
    assert (transport.waiting, transport.given_up, transport.open_sources) == (0, 1, 0)


async def test_whole_answer_says_what_the_stream_says():
    hops: list[list[Item]] = [
        [("text", "one "), ("call", "1"), ("usage", 10), ("more", "a")],
        [("call", "2"), ("usage", 20), ("end", "tool_calls")],
    ]
    provider, _ = played(*hops)
    answer = await ask(provider).open(Call())
    chunks = [chunk.data async for batch in answer for chunk in batch]
    whole = await ask(played(*hops)[0]).complete(Call())
    assert whole.data == fold(chunks)
    assert whole.outcome == answer.outcome

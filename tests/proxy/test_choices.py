"""Several choices from an API that gives one answer for each request."""

import asyncio
import json
from typing import Any

import pytest

from proxy.call import Call
from proxy.choices import Choices
from proxy.provider import AnswerStream
from tests.proxy.played_provider import Item, PlayedTransport, ask, context, played
from tests.translators.streams import accumulate_data
from translators.errors import ProviderError
from translators.fold import fold

Json = dict[str, Any]


def answer_of(word: str, prompt: int, *, wait: asyncio.Event | None = None) -> list[Item]:
    """Return an answer of two words and a call."""
    held: list[Item] = [] if wait is None else [wait]
    end: list[Item] = [("call", f"call_{word}"), ("usage", prompt), ("end", "tool_calls")]
    return [("text", word), *held, ("text", f" {word}"), *end]


def three(*answers: list[Item], usage: bool = True, n: int = 3) -> tuple[Choices, PlayedTransport]:
    """Return a request for three choices."""
    provider, transport = played(*answers)
    prepared = ask(provider, n=n, usage=usage)
    assert prepared.choices == n
    return Choices(prepared, context(include_usage=usage)), transport


ABC = [answer_of("a", 10), answer_of("b", 20), answer_of("c", 30)]


async def read(answer: AnswerStream) -> list[Json]:
    chunks = [json.loads(chunk.data) async for batch in answer for chunk in batch]
    await answer.aclose()
    return chunks


def of_choice(chunks: list[Json], index: int) -> list[Json]:
    return [part for chunk in chunks for part in chunk["choices"] if part["index"] == index]


async def test_row_54_every_choice_is_an_answer_of_its_own_under_its_index():
    request, transport = three(*ABC)
    chunks = await read(await request.open(Call()))
    assert len(transport.requests) == 3
    for index, word in enumerate("abc"):
        parts = of_choice(chunks, index)
        roles = [part["delta"].get("role") for part in parts]
        assert roles == ["assistant"] + [None] * (len(parts) - 1)
        assert "".join(part["delta"].get("content") or "" for part in parts) == f"{word} {word}"
        reasons = [part["finish_reason"] for part in parts]
        assert reasons == [None] * (len(parts) - 1) + ["tool_calls"]


async def test_row_54_all_chunks_are_of_one_answer():
    request, _ = three(*ABC)
    chunks = await read(await request.open(Call()))
    heads = {(c["id"], c["created"], c["model"], c["object"]) for c in chunks}
    assert heads == {("chatcmpl-own", 1_700_000_000, "played-1", "chat.completion.chunk")}


async def test_row_59_one_usage_chunk_comes_last_and_counts_all():
    request, _ = three(*ABC)
    chunks = await read(await request.open(Call()))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 60,
        "completion_tokens": 3,
        "total_tokens": 63,
    }
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


async def test_usage_is_not_told_unasked():
    request, _ = three(*ABC, usage=False)
    chunks = await read(await request.open(Call()))
    assert all(chunk["choices"] for chunk in chunks)
    assert not any("usage" in chunk for chunk in chunks)


async def test_providers_that_count_nothing_make_no_usage_chunk():
    request, _ = three([("text", "x"), ("end", "stop")])
    chunks = await read(await request.open(Call()))
    assert all(chunk["choices"] for chunk in chunks)


async def test_streamed_or_not_it_is_the_same_answer():
    streamed = (await three(*ABC)[0].open(Call()), await three(*ABC)[0].complete(Call()))
    chunks = [chunk.data async for batch in streamed[0] for chunk in batch]
    assert json.loads(fold(chunks)) == json.loads(streamed[1].data)
    told = accumulate_data(chunks)
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    assert [choice.message.content for choice in told.choices] == ["a a", "b b", "c c"]


async def test_a_slow_choice_does_not_hold_up_the_others():
    gate = asyncio.Event()
    request, _ = three(answer_of("a", 1, wait=gate), *ABC[1:])
    answer = await request.open(Call())
    chunks: list[Json] = []
    while len([c for c in chunks if c["choices"][0]["finish_reason"]]) < 2:
        chunks += [json.loads(chunk.data) for chunk in await anext(answer)]
    assert [part["delta"].get("content") for part in of_choice(chunks, 0)] == ["", "a"]
    gate.set()
    chunks += await read(answer)
    assert of_choice(chunks, 0)[-1]["finish_reason"] == "tool_calls"


async def test_all_requests_are_sent_at_once():
    gate = asyncio.Event()
    for stream in (True, False):
        request, transport = three(*([gate, *answer] for answer in ABC))
        work = asyncio.create_task(_go(request, stream))
        await transport.reached(3)
        assert transport.waiting == 3
        gate.set()
        await work
        gate.clear()


async def test_whole_answers_stand_in_the_order_of_their_index_not_of_their_coming():
    gates = [asyncio.Event() for _ in range(3)]
    request, transport = three(*([g, *a] for g, a in zip(gates, ABC, strict=True)))
    work = asyncio.create_task(request.complete(Call()))
    await transport.reached(3)
    for gate in reversed(gates):
        gate.set()
        for _ in range(50):
            await asyncio.sleep(0)
    completion = await work
    body = json.loads(completion.data)
    assert [c["index"] for c in body["choices"]] == [0, 1, 2]
    assert [c["message"]["content"] for c in body["choices"]] == ["a a", "b b", "c c"]
    assert body["usage"]["total_tokens"] == 63
    assert body["id"] == "chatcmpl-own"


async def _go(request: Choices, stream: bool) -> Any:
    return await read(await request.open(Call())) if stream else await request.complete(Call())


@pytest.mark.parametrize("stream", [True, False])
async def test_a_choice_that_is_refused_ends_the_others(stream: bool):
    error = ProviderError("full", kind="overloaded")
    request, transport = three(ABC[0], [error], [asyncio.Event(), *ABC[2]])
    with pytest.raises(ProviderError) as caught:
        await _go(request, stream)
    assert caught.value is error
    assert (transport.waiting, transport.given_up, transport.open_sources) == (0, 1, 0)
    assert all(source.closed is False for source in transport.sources)


async def test_what_came_before_a_failure_is_told_and_then_the_failure():
    error = ProviderError("broke", kind="network")
    request, transport = three([*ABC[0][:1], asyncio.Event()], [("text", "b"), error], n=2)
    answer = await request.open(Call())
    chunks: list[Json] = []
    with pytest.raises(ProviderError) as caught:
        async for batch in answer:
            chunks += [json.loads(chunk.data) for chunk in batch]
    assert caught.value is error
    assert "b" in [part["delta"].get("content") for part in of_choice(chunks, 1)]
    assert not any(part["finish_reason"] for c in chunks for part in c["choices"])
    assert all(chunk["choices"] for chunk in chunks)
    # Before anybody has closed the answer: the rest would be paid for, and for nothing.
    assert transport.open_sources == 0
    with pytest.raises(ProviderError):
        await anext(answer)
    await answer.aclose()


async def test_a_bug_in_one_choice_is_no_silence():
    request, _ = three(ABC[0], [("text", "b"), KeyError("bug")], n=2)
    answer = await request.open(Call())
    with pytest.raises(KeyError):
        await read(answer)
    await answer.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_cancelled_before_the_answers_begin_nothing_is_left(stream: bool):
    request, transport = three(ABC[0], [asyncio.Event(), *ABC[1]], [asyncio.Event(), *ABC[2]])
    before = asyncio.all_tasks()
    work = asyncio.create_task(_go(request, stream))
    await transport.reached(3)
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (transport.waiting, transport.given_up, transport.open_sources) == (0, 2, 0)
    assert asyncio.all_tasks() == before


async def test_cancelled_in_mid_stream_nothing_is_left():
    held = answer_of("a", 1, wait=asyncio.Event())
    request, transport = three(held)
    answer = await request.open(Call())

    async def go_on() -> None:
        async for _ in answer:
            pass

    before = asyncio.all_tasks()
    work = asyncio.create_task(go_on())
    for _ in range(50):
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await answer.aclose()
    assert transport.open_sources == 0
    assert asyncio.all_tasks() == before
    await answer.aclose()


async def test_nothing_is_read_ahead_but_one_batch_of_each():
    long: list[Item] = [*[("text", "x")] * 100, ("end", "stop")]
    request, transport = three(long)
    answer = await request.open(Call())
    told = 0
    for _ in range(5):
        told += len([c for c in await anext(answer) if c.payload])
        for _ in range(50):
            await asyncio.sleep(0)
        assert sum(source.given for source in transport.sources) <= told + 3
    await answer.aclose()


async def test_the_outcome_is_that_of_all_at_any_time():
    gate = asyncio.Event()
    request, _ = three(answer_of("a", 10, wait=gate), *ABC[1:])
    answer = await request.open(Call())
    outcome = answer.outcome
    assert outcome.usage is None
    while outcome.usage is None or outcome.usage.prompt_tokens < 50:
        await anext(answer)
    assert list(outcome.reasoning) == ["call_b", "call_c"]
    assert outcome.finish_reason is None
    gate.set()
    await read(answer)
    assert outcome.usage.prompt_tokens == 60
    # What is new comes last: who has seen the first two looks at the rest only.
    assert list(outcome.reasoning) == ["call_b", "call_c", "call_a"]
    assert (outcome.finish_reason, outcome.model) == ("tool_calls", "played-1")


async def test_follow_ups_of_a_choice_are_its_own():
    provider, transport = played(
        [("text", "a "), ("more", "m")],
        [("text", "b"), ("end", "stop")],
        [("text", "z"), ("end", "stop")],
    )
    call = Call()
    chunks = await read(await Choices(ask(provider, n=2), context()).open(call))
    texts = ["".join(p["delta"].get("content") or "" for p in of_choice(chunks, i)) for i in (0, 1)]
    assert texts == ["a z", "b"]
    assert (len(transport.requests), call.follow_ups) == (3, 1)


async def test_finished_choices_let_their_connection_go_at_once():
    gate = asyncio.Event()
    request, transport = three(answer_of("a", 1, wait=gate), ABC[1], n=2)
    answer = await request.open(Call())
    reading = asyncio.create_task(read(answer))
    for _ in range(50):
        await asyncio.sleep(0)
    assert [source.closed for source in transport.sources] == [None, True]
    gate.set()
    await reading
    assert [source.closed for source in transport.sources] == [True, True]

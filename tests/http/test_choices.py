"""Several choices over real sockets, from providers that give one answer for each request."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.http.structured import FANNED_OUT, structured_policy
from tests.http.wire import (
    Connection,
    Upstream,
    assert_error,
    body_of,
    chat,
    events_of,
    eventually,
    new_sdk,
    unique,
)
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

AT_ONCE = 1.0
"""Seconds until the provider's connections must be closed."""


@pytest.fixture(scope="module")
def server(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    policy = structured_policy(providers, scripted=scripted_port)
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


@pytest.mark.parametrize("persona", [*FANNED_OUT, "openai"])
async def test_row_54_three_choices_are_three_answers(
    sdk: AsyncOpenAI, upstream: Upstream, persona: str
):
    marker = unique()
    messages: Any = [{"role": "user", "content": f"Hi {marker}"}]
    one = await sdk.chat.completions.create(model=persona, messages=messages)
    three = await sdk.chat.completions.create(model=persona, messages=messages, n=3)
    assert [choice.index for choice in three.choices] == [0, 1, 2]
    assert [choice.finish_reason for choice in three.choices] == ["stop"] * 3
    for choice in three.choices:
        assert choice.message.content == one.choices[0].message.content
    assert one.usage is not None
    assert three.usage is not None
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    sent = len(await upstream.requests(marker)) - 1
    assert sent == (1 if persona == "openai" else 3)


@pytest.mark.parametrize("persona", [*FANNED_OUT, "openai"])
async def test_row_54_three_streamed_choices_are_what_the_sdk_expects(
    sdk: AsyncOpenAI, persona: str
):
    messages: Any = [{"role": "user", "content": "Hi"}]
    whole = await sdk.chat.completions.create(model=persona, messages=messages, n=3)
    async with sdk.chat.completions.stream(
        model=persona, messages=messages, n=3, stream_options={"include_usage": True}
    ) as stream:
        told = await stream.get_final_completion()
    assert [c.index for c in told.choices] == [0, 1, 2]
    assert [c.message.content for c in told.choices] == [c.message.content for c in whole.choices]
    assert [c.finish_reason for c in told.choices] == ["stop"] * 3
    assert told.usage is not None
    assert whole.usage is not None
    assert told.usage.total_tokens == whole.usage.total_tokens


@pytest.mark.parametrize("persona", FANNED_OUT)
async def test_row_59_all_chunks_are_of_one_answer_and_the_usage_comes_last(
    server: Proxy, persona: str
):
    options = {"include_usage": True}
    answer = await chat(server, persona, "Hi", stream=True, n=3, stream_options=options)
    *chunks, done = events_of(answer.content)
    assert done == "[DONE]"
    assert len({(c["id"], c["created"], c["model"]) for c in chunks}) == 1
    assert [c["choices"] for c in chunks].count([]) == 1
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert all(c["usage"] is None for c in chunks[:-1])
    parts = [part for c in chunks for part in c["choices"]]
    for index in range(3):
        own = [part for part in parts if part["index"] == index]
        assert [part["delta"].get("role") for part in own].count("assistant") == 1
        assert own[0]["delta"]["role"] == "assistant"
        assert [part["finish_reason"] for part in own if part["finish_reason"]] == ["stop"]
        assert own[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize("persona", FANNED_OUT)
async def test_calls_of_different_choices_have_different_ids(sdk: AsyncOpenAI, persona: str):
    function: Any = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    answer = await sdk.chat.completions.create(
        model=persona,
        messages=[{"role": "user", "content": "[sandbox tool=look]"}],
        tools=[{"type": "function", "function": function}],
        n=3,
    )
    ids = [call.id for choice in answer.choices for call in choice.message.tool_calls or ()]
    assert len(set(ids)) == len(ids) == 3


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_choice_that_fails_before_the_first_word_is_a_failure_of_all(
    server: Proxy, upstream: Upstream, stream: bool
):
    marker = unique()
    text = f"{marker} [sandbox provider=anthropic fail=529 times=1 key={marker}]"
    answer = await chat(server, "anthropic_first", text, stream=stream, n=3)
    assert answer.status_code == 200
    assert answer.headers["x-ep-provider"] == "openai"
    assert answer.headers["x-ep-attempts"] == "2"
    if stream:
        indexes = [p["index"] for c in events_of(answer.content)[:-1] for p in c["choices"]]
        assert set(indexes) == {0, 1, 2}
    else:
        assert [c["index"] for c in answer.json()["choices"]] == [0, 1, 2]
    await upstream.closed()


@pytest.mark.parametrize("persona", FANNED_OUT)
async def test_row_66_a_choice_that_breaks_off_breaks_all_of_them(
    server: Proxy, upstream: Upstream, persona: str
):
    marker = unique()
    text = f"[sandbox words=4000 gap=0.02] [sandbox cut=9 times=1 key={marker}]"
    answer = await chat(server, persona, text, stream=True, n=3)
    assert answer.status_code == 200
    events = events_of(answer.content)
    assert "error" in events[-1]
    assert "[DONE]" not in events
    assert not any(p["finish_reason"] for c in events[:-1] for p in c["choices"])
    await upstream.closed()


@pytest.mark.parametrize("persona", FANNED_OUT)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_63_leaving_before_the_answers_begin_ends_all_requests(
    server: Proxy, upstream: Upstream, persona: str, stream: bool
):
    body = body_of(persona, "[sandbox delay=30]", stream=stream, n=3)
    async with await Connection.ask(server, body) as client:
        await _aborted_after(client, upstream)


@pytest.mark.parametrize("persona", FANNED_OUT)
async def test_row_63_leaving_in_mid_stream_ends_all_requests(
    server: Proxy, upstream: Upstream, persona: str
):
    body = body_of(persona, "[sandbox words=400 stall=9]", stream=True, n=3)
    async with await Connection.ask(server, body) as client:
        for index in range(3):
            await client.until(b'"choices":[{"index":%d,' % index)
        await _aborted_after(client, upstream)


async def _aborted_after(client: Connection, upstream: Upstream) -> None:
    """Leave when three requests are under way; they must all end at once."""

    async def reached() -> bool:
        return await upstream.count("started") == 3

    async def aborted() -> bool:
        return await upstream.count("aborted_by_client") == 3

    await eventually(reached, what="the requests")
    await client.close()
    await eventually(aborted, AT_ONCE, "the end of the upstream requests")
    await upstream.closed()


async def test_more_choices_than_openai_gives_are_refused(server: Proxy):
    answer = await chat(server, "anthropic", "Hi", n=129)
    error = assert_error(answer, 400, param="n", type="invalid_request_error")
    assert "128" in error["message"]


@pytest.mark.parametrize("persona", FANNED_OUT)
async def test_one_choice_is_the_plain_answer(server: Proxy, upstream: Upstream, persona: str):
    marker = unique()
    answer = await chat(server, persona, marker, n=1)
    assert len(answer.json()["choices"]) == 1
    assert len(await upstream.requests(marker)) == 1

"""The provider against the sandbox, over a socket: both sides of the wire at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gemini_api import FIXED, NEW, OLD, WEATHER

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.http import HttpClient
from proxy.providers.gemini_generate import create
from proxy.providers.over_http import HttpProvider
from proxy.sandbox.server import SandboxServer
from proxy.ticker import Ticker
from tests.translators.chat_requests import calls, chat_of, context_for, result, user
from tests.translators.streams import Json, accumulate
from translators.errors import ProviderError, StreamTruncated

MODELS = [OLD, NEW, FIXED]


@pytest.fixture
async def gemini() -> AsyncIterator[HttpProvider]:
    async with SandboxServer() as server:
        row = {"dialect": "gemini_generate", "model": OLD, "base_url": server.gemini_base_url}
        client = HttpClient(Ticker())
        yield create(ProviderRow.model_validate(row), key="k", client=client)
        await client.aclose()


async def answer(
    gemini: HttpProvider, model: str, *messages: Json, stream: bool, **fields: Any
) -> Json:
    """Ask the sandbox; return the message and how it ended."""
    chat = chat_of({"model": "p", "messages": list(messages), "stream": stream, **fields})
    prepared = gemini.prepare(chat, model=model, context=context_for(chat))
    if not stream:
        completion = await prepared.complete(Call())
        return json.loads(completion.data)["choices"][0]
    source = await prepared.open(Call())
    try:
        chunks = [chunk async for some in source for chunk in some]
    finally:
        await source.aclose()
    return json.loads(accumulate(chunks).choices[0].to_json(warnings=False))


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
every = pytest.mark.parametrize("model", MODELS)


@both
@every
async def test_text(gemini: HttpProvider, model: str, stream: bool):
    choice = await answer(gemini, model, user("Why?"), stream=stream)
    assert "Why?" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


@both
@every
async def test_tool_turns_keep_their_signatures(gemini: HttpProvider, model: str, stream: bool):
    first = user("[sandbox tools=2] Oslo?")
    choice = await answer(gemini, model, first, stream=stream, tools=[WEATHER])
    assert choice["finish_reason"] == "tool_calls"
    message = choice["message"]
    found: list[Json] = message["tool_calls"]
    assert len({call["id"] for call in found}) == len(found) == 2
    results = [result(call["id"]) for call in found]
    for call in found:
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    again = {"role": "assistant", "content": message["content"], "tool_calls": found}
    for history in ([first, again, *results], [user("Oslo?"), calls("toolu_1"), result("toolu_1")]):
        last = await answer(gemini, model, *history, stream=stream, tools=[WEATHER])
        assert last["finish_reason"] == "stop"
        assert last["message"]["content"]


@both
async def test_thoughts(gemini: HttpProvider, stream: bool):
    ask = user("[sandbox think=Hmm] Why?")
    choice = await answer(gemini, NEW, ask, stream=stream, reasoning_effort="high")
    assert "Hmm" in choice["message"]["reasoning_content"]


@both
async def test_refused_prompt(gemini: HttpProvider, stream: bool):
    choice = await answer(gemini, NEW, user("[sandbox refuse] x"), stream=stream)
    assert choice["finish_reason"] == "content_filter"
    assert choice["message"]["refusal"]


@both
@pytest.mark.parametrize(
    ("cause", "kind"),
    [("429", "rate_limit"), ("500", "server"), ("503", "overloaded"), ("context", "invalid")],
)
async def test_failures(gemini: HttpProvider, stream: bool, cause: str, kind: str):
    with pytest.raises(ProviderError) as caught:
        await answer(gemini, NEW, user(f"[sandbox fail={cause}] x"), stream=stream)
    assert caught.value.kind == kind
    if cause == "context":
        assert caught.value.code == "context_length_exceeded"


async def test_broken_stream_is_no_answer(gemini: HttpProvider):
    with pytest.raises(StreamTruncated):
        await answer(gemini, NEW, user("[sandbox eof=1 words=50] x"), stream=True)


async def test_row_66_error_in_the_stream_keeps_its_cause(gemini: HttpProvider):
    """The API writes it as bare JSON between events."""
    for place in (0, 1, 5):
        with pytest.raises(ProviderError) as caught:
            await answer(gemini, NEW, user(f"[sandbox error={place} words=50] x"), stream=True)
        assert (caught.value.kind, caught.value.native_type) == ("overloaded", "UNAVAILABLE")
        assert "high demand" in caught.value.message


@both
async def test_custom_tool_and_schema(gemini: HttpProvider, stream: bool):
    custom = {"type": "custom", "custom": {"name": "9 shells"}}
    choice = await answer(
        gemini, NEW, user("Go"), stream=False, tools=[custom], tool_choice="required"
    )
    (call,) = choice["message"]["tool_calls"]
    assert call["custom"]["name"] == "9 shells"
    schema = {"type": "object", "properties": {"a": {"const": "x"}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    choice = await answer(gemini, FIXED, user("Go"), stream=stream, response_format=form)
    assert json.loads(choice["message"]["content"]) == {"a": "x"}

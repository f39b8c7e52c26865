import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from proxy.sandbox.server import SandboxServer

_WEATHER: Any = {
    "name": "get_weather",
    "parameters_json_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
        "required": ["city"],
    },
}
_TIME: Any = {"name": "get_time"}
_TOOLS: Any = [{"function_declarations": [_WEATHER, _TIME]}]
_OLD, _NEW = "gemini-2.5-flash", "gemini-3.6-flash"


def _client(server: SandboxServer, client: httpx.AsyncClient | None, **options: Any) -> Any:
    http: Any = {"base_url": server.gemini_base_url, "httpx_async_client": client, **options}
    return genai.Client(api_key="sandbox", http_options=http)


@pytest.fixture
async def gemini(sandbox: SandboxServer) -> AsyncIterator[Any]:
    # Not aiohttp, which the SDK would take: it warns about the SDK's way of using it.
    async with httpx.AsyncClient(trust_env=False) as client:
        yield _client(sandbox, client).aio.models


async def _whole(gemini: Any, text: Any, *, model: str = _OLD, **config: Any) -> Any:
    return await gemini.generate_content(model=model, contents=text, config=config)


async def _chunks(gemini: Any, text: Any, *, model: str = _OLD, **config: Any) -> list[Any]:
    stream = await gemini.generate_content_stream(model=model, contents=text, config=config)
    return [chunk async for chunk in stream]


def _parts(*answers: Any) -> list[Any]:
    parts: list[Any] = []
    for answer in answers:
        parts += answer.candidates[0].content.parts or ()
    return parts


def _calls(*answers: Any) -> list[Any]:
    return [part.function_call for part in _parts(*answers) if part.function_call]


async def test_plain_answer_quotes_the_question_and_the_persona(gemini: Any) -> None:
    answer = await _whole(gemini, "Why?", system_instruction="You are an architect.")
    assert "Sandbox answer from gemini-2.5-flash to:" in answer.text
    assert "> Why?" in answer.text
    assert "You are an architect." in answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version == _OLD
    assert answer.response_id.startswith("Sandbox")
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


async def test_the_synchronous_client_is_served(sandbox: SandboxServer) -> None:
    def ask() -> tuple[str, str]:
        with httpx.Client(trust_env=False) as http:
            models = _client(sandbox, None, httpx_client=http).models
            whole = models.generate_content(model=_OLD, contents="Hi")
            stream = models.generate_content_stream(model=_OLD, contents="Hi")
            return whole.text, "".join(chunk.text for chunk in stream)

    # In a thread of its own, for it blocks.
    whole, streamed = await asyncio.to_thread(ask)
    assert whole == streamed
    assert "> Hi" in whole


@pytest.mark.parametrize("model", ["gemini-2.0-flash", _OLD, _NEW])
@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello [sandbox words=40]",
        "hello [sandbox words=40 chunks=5]",
        "hello [sandbox tools=3]",
        "hello [sandbox tool=get_time]",
        "hello [sandbox noargs]",
        'hello [sandbox tool=get_time say="Let me look."]',
        "hello [sandbox bytes=3]",
        "hello [sandbox think redacted]",
        "hello [sandbox first=0.01 unknown]",
    ],
)
async def test_a_stream_says_what_the_whole_answer_says(gemini: Any, model: str, text: str) -> None:
    whole = await _whole(gemini, text, model=model, tools=_TOOLS)
    chunks = await _chunks(gemini, text, model=model, tools=_TOOLS)

    def said(*answers: Any) -> Any:
        parts = _parts(*answers)
        thought = "".join(p.text for p in parts if p.text and p.thought)
        text = "".join(p.text for p in parts if p.text and not p.thought)
        calls = [(call.name, call.args) for call in _calls(*answers)]
        signatures = [bool(p.thought_signature) for p in parts if p.function_call]
        return thought, text, calls, signatures, any(p.thought_signature for p in parts)

    assert said(whole) == said(*chunks)
    assert chunks[-1].usage_metadata == whole.usage_metadata
    assert [c.candidates[0].finish_reason for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].candidates[0].finish_reason == whole.candidates[0].finish_reason


async def test_counts_are_running_totals(gemini: Any) -> None:
    text = "Hi [sandbox words=6 chunks=3 cached=2]"
    chunks = await _chunks(gemini, text, thinking_config={"thinking_budget": -1})
    counts = [chunk.usage_metadata for chunk in chunks]
    assert [c.candidates_token_count for c in counts] == [2, 4, 6]
    assert [c.thoughts_token_count for c in counts] == [16, 16, 16]
    assert counts[-1].total_token_count == counts[-1].prompt_token_count + 22
    assert counts[-1].cached_content_token_count == 2


async def test_calls_by_generation(gemini: Any) -> None:
    text = "[sandbox tools=2]"
    old = await _chunks(gemini, text, tools=_TOOLS)
    assert len(old) == 1
    assert [call.id for call in _calls(*old)] == [None, None]
    assert [bool(p.thought_signature) for p in _parts(*old)] == [True, False]
    new = await _chunks(gemini, text, model=_NEW, tools=_TOOLS)
    assert len(new) == 3
    assert len({call.id for call in _calls(*new)}) == 2
    assert [bool(p.thought_signature) for p in _parts(*new)] == [True, False, False]
    oldest = await _whole(gemini, text, model="gemini-2.0-flash", tools=_TOOLS)
    assert not any(p.thought_signature for p in _parts(oldest))


@pytest.mark.parametrize("model", [_OLD, _NEW])
async def test_tool_call_and_its_summary(gemini: Any, model: str) -> None:
    answer = await _whole(gemini, "Call get_weather", model=model, tools=_TOOLS)
    (call,) = _calls(answer)
    assert call.args == {"city": "sample city", "days": 3}
    response = {"id": call.id, "name": call.name, "response": {"output": "12 degrees"}}
    history: list[Any] = [
        {"role": "user", "parts": [{"text": "Call get_weather"}]},
        answer.candidates[0].content,
        {"role": "user", "parts": [{"function_response": response}]},
    ]
    after = await _whole(gemini, history, model=model, tools=_TOOLS)
    assert "`get_weather` returned: 12 degrees" in after.text
    if model == _NEW:
        history[1].parts[0].thought_signature = None
        with pytest.raises(errors.ClientError, match="is missing a thought_signature"):
            await _whole(gemini, history, model=model, tools=_TOOLS)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"mode": "ANY"}, ["get_weather"]),
        ({"mode": "ANY", "allowed_function_names": ["get_time"]}, ["get_time"]),
        ({"mode": "ANY", "allowed_function_names": ["get_time", "get_weather"]}, ["get_weather"]),
        ({"mode": "NONE"}, []),
        ({"mode": "AUTO"}, []),
        ({"mode": "VALIDATED", "allowed_function_names": ["get_time"]}, []),
    ],
)
async def test_tool_choice(gemini: Any, choice: Any, names: list[str]) -> None:
    config = {"function_calling_config": choice}
    answer = await _whole(gemini, "Hi", tools=_TOOLS, tool_config=config)
    assert [call.name for call in _calls(answer)] == names


async def test_given_arguments_are_sent(gemini: Any) -> None:
    text = '[sandbox tool=get_weather args={"city": "Oslo <N>", "nested": {"a": [1, 2]}}]'
    for answer in (
        await _whole(gemini, text, tools=_TOOLS),
        *await _chunks(gemini, text, tools=_TOOLS),
    ):
        (call,) = _calls(answer)
        assert call.args == {"city": "Oslo <N>", "nested": {"a": [1, 2]}}


async def test_arguments_that_are_no_object_spoil_the_call(gemini: Any) -> None:
    answer = await _whole(gemini, r'[sandbox tool=get_time args="{\"a\":"]', tools=_TOOLS)
    assert answer.candidates[0].finish_reason == types.FinishReason.MALFORMED_FUNCTION_CALL
    assert _parts(answer) == []


async def test_thinking(gemini: Any) -> None:
    shown = await _whole(gemini, "Hi", thinking_config={"include_thoughts": True})
    first = _parts(shown)[0]
    assert first.thought
    assert shown.usage_metadata.thoughts_token_count == 9
    level = {"thinking_level": "LOW"}
    hidden = await _whole(gemini, "Hi", model=_NEW, thinking_config=level)
    assert not any(part.thought for part in _parts(hidden))
    assert hidden.usage_metadata.thoughts_token_count == 8
    off = await _whole(gemini, "Hi", thinking_config={"thinking_budget": 0})
    assert off.usage_metadata.thoughts_token_count is None
    told = await _whole(gemini, 'Hi [sandbox think="I see."]')
    assert _parts(told)[0].text == "I see."


async def test_thoughts_use_up_the_limit(gemini: Any) -> None:
    config: Any = {"thinking_config": {"thinking_budget": 512}, "max_output_tokens": 5}
    for answer in (await _whole(gemini, "Hi", **config), *await _chunks(gemini, "Hi", **config)):
        assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
        assert answer.candidates[0].content.parts is None
        assert answer.usage_metadata.thoughts_token_count == 5


async def test_refusals(gemini: Any) -> None:
    for answer in (
        await _whole(gemini, "[sandbox refuse]"),
        *await _chunks(gemini, "[sandbox refuse]"),
    ):
        assert not answer.candidates
        assert answer.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT
        assert answer.usage_metadata.candidates_token_count is None
    late = await _whole(gemini, "[sandbox refuse stop_reason=SAFETY]")
    assert late.candidates[0].finish_reason == types.FinishReason.SAFETY
    assert _parts(late) == []


_DAY = {"type": "string", "format": "date"}


@pytest.mark.parametrize(
    "config",
    [
        {
            "response_json_schema": {
                "type": "object",
                "properties": {"kind": {"enum": ["a", "b"]}, "when": {"$ref": "#/$defs/day"}},
                "required": ["kind", "when"],
                "$defs": {"day": _DAY},
            }
        },
        {
            "response_schema": {
                "type": "OBJECT",
                "properties": {
                    "kind": {"type": "STRING", "enum": ["a", "b"]},
                    "when": {"any_of": [{"type": "STRING", "format": "date"}]},
                },
                "required": ["kind", "when"],
            }
        },
    ],
)
async def test_structured_answer_follows_the_schema(gemini: Any, config: Any) -> None:
    answer = await _whole(gemini, "Hi", response_mime_type="application/json", **config)
    assert json.loads(answer.text) == {"kind": "a", "when": "2026-01-02"}


async def test_json_without_a_schema(gemini: Any) -> None:
    answer = await _whole(gemini, "Hi", response_mime_type="application/json")
    assert json.loads(answer.text)["to"] == "Hi"


async def test_limits_and_stop_sequences(gemini: Any) -> None:
    cut = await _whole(gemini, "Hi [sandbox words=50]", max_output_tokens=7)
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert cut.usage_metadata.candidates_token_count == 7
    stopped = await _whole(
        gemini, 'Hi [sandbox say="one two STOP three"]', stop_sequences=["nine", "STOP"]
    )
    assert (stopped.text, stopped.candidates[0].finish_reason) == ("one two ", "STOP")


async def test_a_call_that_the_limit_cuts_is_left_out(gemini: Any) -> None:
    text = '[sandbox tool=get_time args={"a": "one two three four five six"}]'
    answer = await _whole(gemini, text, tools=_TOOLS, max_output_tokens=3)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert _calls(answer) == []


async def test_several_candidates(gemini: Any) -> None:
    config: Any = {"candidate_count": 2, "response_logprobs": True, "logprobs": 1}
    answer = await _whole(gemini, "Hi [sandbox words=4]", **config)
    assert [candidate.index for candidate in answer.candidates] == [0, 1]
    assert answer.usage_metadata.candidates_token_count == 8
    chosen = answer.candidates[0].logprobs_result.chosen_candidates
    assert [token.token for token in chosen] == ["the", " proxy", " sends", " this"]
    chunks = await _chunks(gemini, "Hi [sandbox words=4]", **config)
    assert [c.candidates[0].index for c in chunks] == [0, 0, 1, 1]
    assert chunks[-1].usage_metadata.candidates_token_count == 8


async def test_continuation_is_taken_up(gemini: Any) -> None:
    """The SDK asks again with the token, and joins both answers."""
    chunks = await _chunks(gemini, "Hi [sandbox words=2 stop_reason=CONTINUATION]")
    assert "".join(chunk.text or "" for chunk in chunks) == "the proxythe proxy"
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


@pytest.mark.parametrize("hops", [2, 4])
async def test_answer_in_hops_adds_up_to_the_answer(gemini: Any, hops: int) -> None:
    """The SDK follows the tokens, and adds up the usage."""
    alone = await _whole(gemini, "Hi [sandbox words=9 think=Hm]")
    many = await _whole(gemini, f"Hi [sandbox words=9 think=Hm hops={hops}]")
    chunks = await _chunks(gemini, f"Hi [sandbox words=9 think=Hm hops={hops}]")
    assert many.text == "".join(chunk.text or "" for chunk in chunks) == alone.text
    for usage in (many.usage_metadata, chunks[-1].usage_metadata):
        counted = alone.usage_metadata
        assert usage.candidates_token_count == counted.candidates_token_count
        assert usage.thoughts_token_count == counted.thoughts_token_count
        # A sentence that says `hops=N` is a token longer; each request reads the whole of it.
        assert usage.prompt_token_count == hops * (counted.prompt_token_count + 1)


async def test_images_are_read(gemini: Any) -> None:
    image: Any = {"inline_data": {"mime_type": "image/png", "data": b"\x89PNG"}}
    answer = await _whole(gemini, [{"role": "user", "parts": [image, {"text": "What is it?"}]}])
    assert "> What is it?" in answer.text


async def test_models(sandbox: SandboxServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        stable = _client(sandbox, http).aio.models
        beta = _client(sandbox, http, api_version="v1beta").aio.models
        names = [model.name async for model in await stable.list()]
        assert "models/gemini-3.6-flash" in names
        assert "models/gemini-flash-latest" not in names
        assert "models/gemini-flash-latest" in [m.name async for m in await beta.list()]
        model = await stable.get(model=_NEW)
        assert (model.input_token_limit, model.output_token_limit) == (1_048_576, 65_536)
        assert model.thinking
        answer = await beta.generate_content(model="gemini-flash-latest", contents="Hi")
        assert answer.model_version == _NEW
        with pytest.raises(errors.ClientError, match="not found for API version v1,") as caught:
            await stable.generate_content(model="gemini-flash-latest", contents="Hi")
        assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")

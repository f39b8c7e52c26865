"""The counting endpoints, asked by the vendors' own SDKs: they count what an answer is billed."""

from typing import Any, cast

import anthropic as claude
import httpx
import openai as gpt
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message
from google import genai
from openai import AsyncOpenAI
from openai.types.responses import Response

from proxy.sandbox.server import SandboxServer

from .conftest import Wire

_SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
_TOOL: Any = {"name": "get_weather", "description": "Tell it.", "input_schema": _SCHEMA}
_HI: Any = [{"role": "user", "content": "How warm is it in Oslo?"}]
_CLAUDE, _GEMINI, _GPT = "claude-sonnet-4-6", "gemini-2.5-flash", "gpt-4.1"


async def _post(wire: Wire, url: str, body: Any, **headers: str) -> httpx.Response:
    keys = {"x-api-key": "k", "anthropic-version": "2026-10-21", "x-goog-api-key": "k"}
    all_headers = {**keys, "authorization": "Bearer k", **headers}
    return await wire.client.post(wire.server.base_url + url, json=body, headers=all_headers)


# Anthropic


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"system": "You are an architect."},
        {"tools": [_TOOL], "tool_choice": {"type": "any"}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        {"thinking": {"type": "enabled", "budget_tokens": 10_000}},
    ],
)
async def test_claude_counts_what_an_answer_is_billed(
    anthropic: AsyncAnthropic, more: dict[str, Any]
) -> None:
    wanted: Any = {"model": _CLAUDE, "messages": _HI, **more}
    count = await anthropic.messages.count_tokens(**wanted)
    answer = cast("Message", await anthropic.messages.create(max_tokens=20_000, **wanted))
    assert count.input_tokens == answer.usage.input_tokens > 0
    assert count.model_dump() == {"input_tokens": count.input_tokens}


async def test_claude_needs_what_the_sdk_sends_in_headers(wire: Wire) -> None:
    body = {"model": _CLAUDE, "messages": _HI}
    path = "/anthropic/v1/messages/count_tokens"
    answer = await _post(wire, path, body, **{"x-api-key": "invalid", "authorization": ""})
    assert answer.status_code == 401
    answer = await _post(wire, path, body, **{"anthropic-version": "2020-01-01"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert (await _post(wire, path, body, **{"content-type": "text/plain"})).status_code == 400
    assert (await wire.client.get(wire.server.base_url + path)).status_code != 200


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"max_tokens": 10}, "max_tokens: Extra inputs are not permitted"),
        ({"stream": True}, "stream: Extra inputs are not permitted"),
        ({"temperature": 0.5}, "temperature: Extra inputs are not permitted"),
        ({"messages": None}, "messages: Input should be a valid list"),
        ({"model": "claude-does-not-exist"}, "claude-does-not-exist"),
        ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while providing"),
        ({"tools": [{"name": "x y", "input_schema": _SCHEMA}]}, "tools.0.custom.name: "),
    ],
)
async def test_claude_refuses_what_makes_no_prompt(
    anthropic: AsyncAnthropic, more: dict[str, Any], words: str
) -> None:
    body = {"model": _CLAUDE, "messages": _HI, **more}
    with pytest.raises(claude.APIStatusError) as refusal:
        await anthropic.messages.count_tokens(model=_CLAUDE, messages=_HI, extra_body=body)
    assert words in refusal.value.message
    assert refusal.value.status_code in (400, 404)


async def test_directives_hold_for_counts_too(anthropic: AsyncAnthropic) -> None:
    busy: Any = [{"role": "user", "content": "Hi [sandbox fail=529]"}]
    with pytest.raises(claude.APIStatusError) as failure:
        await anthropic.messages.count_tokens(model=_CLAUDE, messages=busy)
    assert failure.value.status_code == 529


# Gemini


async def test_gemini_counts_contents(sandbox: SandboxServer, wire: Wire) -> None:
    options: Any = {"base_url": sandbox.gemini_base_url, "httpx_async_client": wire.client}
    models: Any = genai.Client(api_key="k", http_options=options).aio.models
    count = await models.count_tokens(model=_GEMINI, contents="How warm is it in Oslo?")
    answer = await models.generate_content(model=_GEMINI, contents="How warm is it in Oslo?")
    assert count.total_tokens == answer.usage_metadata.prompt_token_count > 0
    with pytest.raises(genai.errors.ClientError, match="countTokens"):
        await models.count_tokens(model="gemini-does-not-exist", contents="Hi")
    model = await models.get(model=_GEMINI)
    assert model.supported_actions == ["generateContent", "countTokens"]


async def test_gemini_counts_a_whole_request(wire: Wire) -> None:
    request: Any = {
        "contents": [{"role": "user", "parts": [{"text": "How warm is it in Oslo?"}]}],
        "systemInstruction": {"parts": [{"text": "You are an architect."}]},
        "tools": [
            {"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": _SCHEMA}]}
        ],
        "generationConfig": {"maxOutputTokens": 100, "temperature": 1},
    }
    place = f"/gemini/v1beta/models/{_GEMINI}"
    answer = (await _post(wire, f"{place}:generateContent", request)).json()
    whole = {"model": f"models/{_GEMINI}", **request}
    count = (await _post(wire, f"{place}:countTokens", {"generateContentRequest": whole})).json()
    tokens = answer["usageMetadata"]["promptTokenCount"]
    assert count == {
        "totalTokens": tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
    }
    bare = {"contents": request["contents"]}
    assert (await _post(wire, f"{place}:countTokens", bare)).json()["totalTokens"] < tokens


_CONTENTS: Any = [{"role": "user", "parts": [{"text": "Hi"}]}]
_NAMED: Any = {"model": f"models/{_GEMINI}", "contents": _CONTENTS}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "CountTokens requires generate_content_request or contents to be set."),
        ({"contents": []}, "CountTokens requires generate_content_request or contents"),
        ({"contents": _CONTENTS, "generateContentRequest": _NAMED}, "only one of"),
        (
            {"generateContentRequest": {"contents": _CONTENTS}},
            "* CountTokensRequest.generate_content_request.model: unexpected model name format",
        ),
        ({"generateContentRequest": {**_NAMED, "model": _GEMINI}}, "unexpected model name format"),
        ({"contents": _CONTENTS, "tools": []}, 'Unknown name "tools"'),
        (
            {"generateContentRequest": {**_NAMED, "temperature": 1}},
            "Unknown name \"temperature\" at 'generate_content_request'",
        ),
    ],
)
async def test_gemini_refuses_what_it_cannot_count(wire: Wire, body: Any, words: str) -> None:
    answer = await _post(wire, f"/gemini/v1beta/models/{_GEMINI}:countTokens", body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


# OpenAI


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"instructions": "You are an architect."},
        {"tools": [{"type": "function", "name": "f", "parameters": _SCHEMA, "strict": False}]},
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": _SCHEMA}}},
    ],
)
async def test_gpt_counts_what_an_answer_is_billed(
    openai: AsyncOpenAI, more: dict[str, Any]
) -> None:
    wanted: Any = {"model": _GPT, "input": _HI, **more}
    count = await openai.responses.input_tokens.count(**wanted)
    answer = cast("Response", await openai.responses.create(**wanted))
    assert answer.usage is not None
    assert count.input_tokens == answer.usage.input_tokens > 0
    assert count.object == "response.input_tokens"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_output_tokens": 100}, "max_output_tokens"),
        ({"stream": True}, "stream"),
        ({"messages": _HI}, "messages"),
        ({"input": None}, "input"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ({"personality": 1}, "personality"),
    ],
)
async def test_gpt_refuses_what_makes_no_input(
    openai: AsyncOpenAI, more: dict[str, Any], param: str
) -> None:
    body = {"model": _GPT, "input": _HI, **more}
    with pytest.raises(gpt.BadRequestError) as refusal:
        await openai.responses.input_tokens.count(extra_body=body)
    assert refusal.value.param == param


async def test_gpt_takes_a_personality(openai: AsyncOpenAI) -> None:
    counting = openai.responses.input_tokens
    plain = await counting.count(model=_GPT, input="Hi")
    assert await counting.count(model=_GPT, input="Hi", personality="friendly") == plain


async def test_a_count_is_no_answer_of_the_model(wire: Wire) -> None:
    """Nothing is played: it comes in one piece, whatever is said of streams."""
    body = {"model": _CLAUDE, "messages": [{"role": "user", "content": "Hi [sandbox words=500]"}]}
    answer = await _post(wire, "/anthropic/v1/messages/count_tokens", body)
    assert list(answer.json()) == ["input_tokens"]

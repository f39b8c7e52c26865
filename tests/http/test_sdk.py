"""The OpenAI SDK, as its users use it, against personas of both providers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import (
    APIStatusError,
    AsyncOpenAI,
    AuthenticationError,
    BadRequestError,
    DefaultHttpxClient,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.http.wire import Upstream, new_sdk, unique
from tests.providers import PROMPT, UPSTREAM_KEY
from tests.serving import Proxy

TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name} of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "get_time")
]
MODELS = {"openai": "gpt-4.1", "anthropic": "claude-sonnet-4-6"}


def _user(text: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": text}


@pytest.fixture
async def sdk(proxy: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(proxy) as client:
        yield client


async def test_row_62_model_is_the_one_that_answered_streamed_or_not(
    sdk: AsyncOpenAI, dialect: str
) -> None:
    persona = f"{dialect}_only"
    whole = await sdk.chat.completions.create(model=persona, messages=[_user("Hi")])
    stream = await sdk.chat.completions.create(model=persona, messages=[_user("Hi")], stream=True)
    models = {chunk.model async for chunk in stream}
    assert models == {whole.model}
    assert whole.model.startswith(MODELS[dialect])


async def test_a_whole_answer_is_complete(sdk: AsyncOpenAI, dialect: str) -> None:
    answer = await sdk.chat.completions.create(
        model=f"{dialect}_only", messages=[_user("[sandbox say=Hello]")], max_tokens=100
    )
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.created > 1_700_000_000
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", "Hello")
    assert choice.message.tool_calls is None
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 1
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 1


@pytest.mark.parametrize("usage", [True, False], ids=["usage", "none"])
async def test_rows_58_59_usage_comes_once_last_and_only_when_asked_for(
    sdk: AsyncOpenAI, dialect: str, usage: bool
) -> None:
    stream = await sdk.chat.completions.create(
        model=f"{dialect}_only",
        messages=[_user("[sandbox words=30]")],
        stream=True,
        stream_options={"include_usage": usage},
    )
    chunks = [chunk async for chunk in stream]
    with_usage = [chunk for chunk in chunks if chunk.usage is not None]
    if not usage:
        assert not with_usage
        assert all(chunk.choices for chunk in chunks)
        return
    assert with_usage == chunks[-1:]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 30


async def test_rows_10_91_a_stream_begins_with_the_role_and_ends_with_one_reason(
    sdk: AsyncOpenAI, dialect: str
) -> None:
    stream = await sdk.chat.completions.create(
        model=f"{dialect}_only", messages=[_user("[sandbox words=30]")], stream=True
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons[-1] == "stop"
    assert set(reasons[:-1]) == {None}
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("count", [1, 2])
async def test_rows_1_to_9_tools_are_called_and_their_results_answered(
    sdk: AsyncOpenAI, dialect: str, count: int, stream: bool
) -> None:
    names = ",".join(tool["function"]["name"] for tool in TOOLS[:count])
    messages: list[ChatCompletionMessageParam] = [_user(f"[sandbox tool={names}]")]
    answer = await _answer(sdk, f"{dialect}_only", messages, stream=stream)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    calls: list[Any] = choice.message.tool_calls or []
    assert len(calls) == count
    assert len({call.id for call in calls}) == count
    made = [{"id": call.id, "type": call.type, "function": _function(call)} for call in calls]
    said = {"role": "assistant", "content": choice.message.content, "tool_calls": made}
    messages.append(said)  # pyright: ignore[reportArgumentType]
    for call in calls:
        assert call.type == "function"
        assert call.function.arguments.startswith('{"city":')
        result = {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: fine"}
        messages.append(result)  # pyright: ignore[reportArgumentType]
    final = await _answer(sdk, f"{dialect}_only", messages, stream=stream)
    assert final.choices[0].finish_reason == "stop"
    for call in calls:
        assert call.type == "function"
        assert f"{call.function.name}: fine" in (final.choices[0].message.content or "")


def _function(call: Any) -> dict[str, str]:
    return {"name": call.function.name, "arguments": call.function.arguments}


async def _answer(
    sdk: AsyncOpenAI, model: str, messages: list[ChatCompletionMessageParam], *, stream: bool
) -> Any:
    """Return a completion; a streamed one as the SDK's own accumulator has it."""
    if not stream:
        return await sdk.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    state = ChatCompletionStreamState(input_tools=TOOLS)
    async for chunk in await sdk.chat.completions.create(
        model=model, messages=messages, tools=TOOLS, stream=True
    ):
        state.handle_chunk(chunk)
    return state.get_final_completion()


async def test_the_personas_prompt_comes_first_and_the_callers_after_it(
    sdk: AsyncOpenAI, upstream: Upstream, dialect: str
) -> None:
    marker = unique()
    await sdk.chat.completions.create(
        model=f"{dialect}_only",
        messages=[{"role": "system", "content": f"Mine: {marker}"}, _user("Hi")],
    )
    request = await upstream.request(marker)
    body = request["body"]
    said = body["system"] if dialect == "anthropic" else body["messages"][0]["content"]
    text = said if isinstance(said, str) else " ".join(part["text"] for part in said)
    assert text.startswith(PROMPT)
    assert body["model"] == MODELS[dialect]
    key = {"openai": "authorization", "anthropic": "x-api-key"}[dialect]
    assert request["headers"][key].endswith(UPSTREAM_KEY)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_the_headers_say_who_answered_and_at_what_cost(
    sdk: AsyncOpenAI, dialect: str, stream: bool
) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model=f"{dialect}_first",
        messages=[_user("Hi")],
        stream=stream,
        seed=5,
        extra_headers={"x-request-id": "sdk-test-1"},
    )
    headers = raw.headers
    assert headers["x-request-id"] == "sdk-test-1"
    assert headers["x-ep-persona"] == f"{dialect}_first"
    assert headers["x-ep-provider"] == dialect
    assert headers["x-ep-attempts"] == "1"
    assert 0 <= float(headers["x-ep-overhead-ms"]) < 1000
    if dialect == "anthropic":
        assert "seed" in headers["x-ep-ignored-params"]
    else:
        assert "x-ep-ignored-params" not in headers
    kind = "text/event-stream" if stream else "application/json"
    assert headers["content-type"].startswith(kind)


async def test_what_is_emulated_is_reported(sdk: AsyncOpenAI) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="anthropic_only",
        messages=[_user("Hi")],
        tools=[{"type": "custom", "custom": {"name": "write"}}],
    )
    assert "tools" in raw.headers["x-ep-emulated-params"]


async def test_strict_refuses_what_would_be_ignored(sdk: AsyncOpenAI) -> None:
    strict = {"x-ep-strict": "true"}
    with pytest.raises(BadRequestError) as caught:
        await sdk.chat.completions.create(
            model="anthropic_only", messages=[_user("Hi")], seed=5,
            extra_headers=strict,
        )  # fmt: skip
    assert caught.value.param == "seed"
    assert caught.value.code == "unsupported_parameter"
    await sdk.chat.completions.create(
        model="openai_only", messages=[_user("Hi")], seed=5, extra_headers=strict
    )


async def test_strict_moves_on_to_a_provider_that_ignores_nothing(sdk: AsyncOpenAI) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="anthropic_first", messages=[_user("Hi")], seed=5,
        extra_headers={"x-ep-strict": "true"},
    )  # fmt: skip
    assert raw.headers["x-ep-provider"] == "openai"
    assert raw.headers["x-ep-attempts"] == "1"


async def test_row_97_errors_are_the_sdks_own_classes(sdk: AsyncOpenAI, dialect: str) -> None:
    with pytest.raises(NotFoundError) as missing:
        await sdk.chat.completions.create(model="opnai_only", messages=[_user("Hi")])
    assert missing.value.code == "model_not_found"
    assert "`openai_only`" in missing.value.message
    said = "No provider satisfies requirements for persona 'opnai_only'"
    assert said in missing.value.message and "`personas:`" in missing.value.message
    assert missing.value.request_id
    with pytest.raises(BadRequestError):
        await sdk.chat.completions.create(model=f"{dialect}_only", messages=[])
    with pytest.raises(RateLimitError) as limited:
        text = "[sandbox fail=429 retry_after=30]"
        await sdk.chat.completions.create(model=f"{dialect}_only", messages=[_user(text)])
    assert limited.value.response.headers["retry-after"] == "30"


async def test_the_providers_refusal_of_our_key_is_not_the_clients(
    sdk: AsyncOpenAI, dialect: str
) -> None:
    try:
        await sdk.chat.completions.create(
            model=f"{dialect}_only", messages=[_user("[sandbox fail=401]")]
        )
    except AuthenticationError:
        pytest.fail("the client would look for its own key")
    except APIStatusError as error:
        assert error.status_code == 502
        assert UPSTREAM_KEY not in str(error)


async def test_models_are_the_personas(sdk: AsyncOpenAI) -> None:
    models = [model async for model in sdk.models.list()]
    assert {"openai_only", "anthropic_first"} <= {model.id for model in models}
    assert {model.object for model in models} == {"model"}
    one = await sdk.models.retrieve("openai_first")
    extra = one.model_extra or {}
    assert extra["providers"] == ["openai", "anthropic"]
    assert "tool_calling" in extra["capabilities"]
    with pytest.raises(NotFoundError):
        await sdk.models.retrieve("nobody")


@pytest.mark.parametrize("persona", ["architect", "architect_openai"])
def test_the_shipped_personas_work_with_the_synchronous_sdk(shipped: Proxy, persona: str) -> None:
    http = DefaultHttpxClient(trust_env=False, verify=False)
    with OpenAI(base_url=f"{shipped.url}/v1", api_key="x", http_client=http) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=persona, messages=[_user("Design a REST API")]
        )
        provider = "openai" if persona.endswith("openai") else "anthropic"
        assert raw.headers["x-ep-provider"] == provider
        whole = raw.parse().choices[0].message.content or ""
        assert "Design a REST API" in whole
        with client.chat.completions.stream(
            model=persona, messages=[_user("Design a REST API")]
        ) as stream:
            for _ in stream:
                pass
            assert stream.get_final_completion().choices[0].message.content == whole
        called = client.chat.completions.create(
            model=persona, messages=[_user("What about get_weather?")], tools=TOOLS
        )
        assert called.choices[0].finish_reason == "tool_calls"
        assert len(list(client.models.list())) == 7

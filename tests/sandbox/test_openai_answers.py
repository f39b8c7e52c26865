import json
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.sandbox.server import SandboxServer

_WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
            "required": ["city"],
        },
    },
}
_TIME: Any = {"type": "function", "function": {"name": "get_time"}}


def _asked(text: str) -> list[Any]:
    return [
        {"role": "system", "content": "You are an architect who answers in plain words."},
        {"role": "user", "content": text},
    ]


async def _streamed(client: AsyncOpenAI, text: str, **fields: Any) -> ChatCompletion:
    """Stream an answer and let the SDK's own accumulator put it together."""
    state = ChatCompletionStreamState()
    options = {"include_usage": True}
    fields = {"model": "gpt-4.1", "stream_options": options, **fields}
    stream = await client.chat.completions.create(messages=_asked(text), stream=True, **fields)
    async for chunk in stream:
        state.handle_chunk(chunk)
    # The final completion would raise at `length`; the snapshot is the same object.
    return state.current_completion_snapshot


async def test_plain_answer_quotes_the_question_and_the_persona(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="gpt-4.1", messages=_asked("Why is it?"))
    text = answer.choices[0].message.content or ""
    assert "Sandbox answer from gpt-4.1 to:" in text
    assert "> Why is it?" in text
    assert "You are an architect" in text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4.1-2025-04-14"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def _compared(completion: ChatCompletion) -> Any:
    dumped = completion.model_dump(exclude_none=True)
    for choice in dumped["choices"]:
        choice["message"].pop("annotations", None)
        choice["message"].pop("parsed", None)
        for call in choice["message"].get("tool_calls", []):
            call.pop("id")
            call.pop("index", None)
            call["function"].pop("parsed_arguments", None)
    return dumped["choices"], dumped["usage"]


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "hello [sandbox words=40]",
        "hello [sandbox words=40 chunks=7]",
        "hello [sandbox refuse]",
        "hello [sandbox tools=3]",
        'hello [sandbox tool=get_time say="Let me look."]',
        "hello [sandbox bytes=3]",
        "hello [sandbox unknown]",
        "hello [sandbox think]",
    ],
)
async def test_a_stream_says_what_the_whole_answer_says(openai: AsyncOpenAI, text: str) -> None:
    fields: Any = {"model": "gpt-4.1", "tools": [_WEATHER, _TIME], "max_completion_tokens": 500}
    whole = await openai.chat.completions.create(messages=_asked(text), stream=False, **fields)
    streamed = await _streamed(openai, text, **fields)
    a, b = _compared(whole), _compared(streamed)
    if "unknown" in text:
        b[0][0]["message"].pop("sandbox_future_delta")
    assert a == b


async def test_the_same_request_is_answered_alike(openai: AsyncOpenAI) -> None:
    first, second = [
        await openai.chat.completions.create(model="gpt-4.1", messages=_asked("Hi"), n=2)
        for _ in range(2)
    ]
    assert _compared(first) == _compared(second)
    assert first.id != second.id


async def _chunks(client: AsyncOpenAI, text: str, **fields: Any) -> list[ChatCompletionChunk]:
    fields = {"model": "gpt-4.1", **fields}
    stream = await client.chat.completions.create(messages=_asked(text), stream=True, **fields)
    return [chunk async for chunk in stream]


async def test_stream_has_the_recorded_order(openai: AsyncOpenAI) -> None:
    chunks = await _chunks(openai, "Hi", stream_options={"include_usage": True})
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.content == ""
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all(isinstance(chunk.obfuscation, str) for chunk in chunks)


async def test_obfuscation_can_be_switched_off(openai: AsyncOpenAI) -> None:
    chunks = await _chunks(openai, "Hi", stream_options={"include_obfuscation": False})
    assert all(chunk.obfuscation is None for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


async def test_tool_named_in_the_message_is_called(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(
        model="gpt-4.1", messages=_asked("Please get weather for Oslo"), tools=[_WEATHER, _TIME]
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "sample city", "unit": "celsius"}
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        ("none", []),
        ("auto", []),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [_TIME]},
            },
            ["get_time"],
        ),
    ],
)
async def test_tool_choice(openai: AsyncOpenAI, choice: Any, names: list[str]) -> None:
    answer = await _streamed(openai, "Hi", tools=[_WEATHER, _TIME], tool_choice=choice)
    calls: list[Any] = list(answer.choices[0].message.tool_calls or [])
    assert [call.function.name for call in calls] == names


async def test_parallel_calls_differ_and_can_be_forbidden(openai: AsyncOpenAI) -> None:
    text = "Hi [sandbox tool=get_weather tools=3]"
    several = await _streamed(openai, text, tools=[_WEATHER])
    calls: list[Any] = list(several.choices[0].message.tool_calls or [])
    assert len({call.id for call in calls}) == 3
    assert len({call.function.arguments for call in calls}) == 3
    single = await _streamed(openai, text, tools=[_WEATHER], parallel_tool_calls=False)
    assert len(single.choices[0].message.tool_calls or []) == 1


async def test_answer_after_tool_results_tells_them(openai: AsyncOpenAI) -> None:
    history = _asked("[sandbox tool=get_weather]")
    first = await openai.chat.completions.create(
        model="gpt-4.1", messages=history, tools=[_WEATHER]
    )
    message = first.choices[0].message
    history.append(message)
    calls = message.tool_calls or []
    history += [{"role": "tool", "tool_call_id": c.id, "content": "12 degrees"} for c in calls]
    second = await openai.chat.completions.create(
        model="gpt-4.1", messages=history, tools=[_WEATHER]
    )
    assert "`get_weather` returned: 12 degrees" in (second.choices[0].message.content or "")


async def test_custom_tools_get_text(openai: AsyncOpenAI) -> None:
    tool: Any = {"type": "custom", "custom": {"name": "run_code"}}
    answer = await openai.chat.completions.create(
        model="gpt-4.1", messages=_asked("run code please"), tools=[tool]
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "custom"
    assert call.custom.input == "sample input 1"


async def test_deprecated_functions_are_answered_in_kind(openai: AsyncOpenAI) -> None:
    functions: Any = [_WEATHER["function"]]
    fields: Any = {"functions": functions}
    answer = await _streamed(openai, "get_weather", **fields)
    assert answer.choices[0].finish_reason == "function_call"
    assert answer.choices[0].message.function_call is not None
    assert answer.choices[0].message.function_call.name == "get_weather"


async def test_structured_answer_follows_the_schema(openai: AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/step"}}},
        "required": ["steps"],
        "additionalProperties": False,
        "$defs": {
            "step": {
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
                "additionalProperties": False,
            }
        },
    }
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "plan", "strict": True, "schema": schema},
    }
    answer = await _streamed(openai, "Hi", response_format=form)
    assert json.loads(answer.choices[0].message.content or "") == {"steps": [{"n": 1}]}


async def test_json_mode_gives_an_object(openai: AsyncOpenAI) -> None:
    form: Any = {"type": "json_object"}
    answer = await _streamed(openai, "Answer in JSON", response_format=form)
    assert json.loads(answer.choices[0].message.content or "")["to"] == "Answer in JSON"


async def test_limits_and_stop_sequences(openai: AsyncOpenAI) -> None:
    cut = await _streamed(openai, "Hi [sandbox words=50]", max_completion_tokens=7)
    assert cut.choices[0].finish_reason == "length"
    assert len((cut.choices[0].message.content or "").split()) == 7
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 7
    stopped = await _streamed(openai, 'Hi [sandbox say="one two STOP three"]', stop=["STOP"])
    assert stopped.choices[0].message.content == "one two "
    assert stopped.choices[0].finish_reason == "stop"
    call = await _streamed(
        openai, "Hi [sandbox tools=2]", tools=[_WEATHER], max_completion_tokens=3
    )
    assert call.choices[0].finish_reason == "length"


async def test_several_choices(openai: AsyncOpenAI) -> None:
    answer = await _streamed(openai, "Hi", n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in answer.choices)


async def test_reasoning_is_counted_and_not_shown(openai: AsyncOpenAI) -> None:
    answer = await _streamed(openai, "Hi", model="gpt-5", reasoning_effort="high")
    assert answer.usage is not None
    details = answer.usage.completion_tokens_details
    assert details is not None
    assert details.reasoning_tokens == 32
    assert not hasattr(answer.choices[0].message, "reasoning_content")
    starved = await _streamed(
        openai, "Hi", model="gpt-5", reasoning_effort="high", max_completion_tokens=10
    )
    assert starved.choices[0].finish_reason == "length"
    assert not starved.choices[0].message.content


async def test_reasoning_content_by_directive(openai: AsyncOpenAI) -> None:
    answer = await _streamed(openai, 'Hi [sandbox think="First this, then that."]')
    assert answer.choices[0].message.model_dump()["reasoning_content"] == "First this, then that."


async def test_refusal_is_in_its_own_field(openai: AsyncOpenAI) -> None:
    answer = await _streamed(openai, "Hi [sandbox refuse]")
    assert answer.choices[0].message.refusal
    assert not answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


async def test_logprobs_cover_the_text(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(
        model="gpt-4.1", messages=_asked("Hi"), logprobs=True
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    tokens = "".join(token.token for token in logprobs.content or [])
    assert tokens == answer.choices[0].message.content


async def test_cached_tokens_by_directive(openai: AsyncOpenAI) -> None:
    answer = await _streamed(openai, "Hi [sandbox cached=4 cache_write=2]")
    assert answer.usage is not None
    details = answer.usage.prompt_tokens_details
    assert details is not None
    assert (details.cached_tokens, details.cache_write_tokens) == (4, 2)


async def test_models(openai: AsyncOpenAI) -> None:
    listed = [model.id async for model in openai.models.list()]
    assert "gpt-4.1" in listed
    assert (await openai.models.retrieve("gpt-4.1")).id == "gpt-4.1"


async def test_vendor_headers(openai: AsyncOpenAI) -> None:
    raw = await openai.chat.completions.with_raw_response.create(
        model="gpt-4.1", messages=_asked("Hi")
    )
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"]


async def test_synchronous_client(sandbox: SandboxServer) -> None:
    import asyncio

    def ask() -> str | None:
        with OpenAI(api_key="k", base_url=sandbox.openai_base_url) as client:
            answer = client.chat.completions.create(model="gpt-4.1", messages=_asked("Hi"))
            return answer.choices[0].message.content

    assert "Sandbox answer" in (await asyncio.to_thread(ask) or "")

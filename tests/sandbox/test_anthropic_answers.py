import json
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message

_WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
        "required": ["city"],
    },
}
_TIME: Any = {"name": "get_time", "input_schema": {"type": "object"}}
_OLD: Any = {"anthropic-version": "2023-06-01"}


def _fields(text: str, **fields: Any) -> Any:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": text}],
        **fields,
    }


async def _streamed(client: AsyncAnthropic, text: str, **fields: Any) -> Message:
    async with client.messages.stream(**_fields(text, **fields)) as stream:
        return await stream.get_final_message()


async def _events(client: AsyncAnthropic, text: str, **fields: Any) -> list[Any]:
    stream = await client.messages.create(stream=True, **_fields(text, **fields))
    return [event async for event in stream]


def _kinds(message: Message) -> list[str]:
    return [block.type for block in message.content]


async def test_plain_answer_quotes_the_question_and_the_persona(anthropic: AsyncAnthropic) -> None:
    answer = await anthropic.messages.create(
        stream=False, **_fields("Why?", system="You are an architect.")
    )
    (block,) = answer.content
    assert block.type == "text"
    assert "Sandbox answer from claude-sonnet-4-6 to:" in block.text
    assert "> Why?" in block.text
    assert "You are an architect." in block.text
    assert answer.stop_reason == "end_turn"


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
    ],
)
async def test_a_stream_says_what_the_whole_answer_says(
    anthropic: AsyncAnthropic, text: str
) -> None:
    whole = await anthropic.messages.create(stream=False, **_fields(text, tools=[_WEATHER, _TIME]))
    streamed = await _streamed(anthropic, text, tools=[_WEATHER, _TIME])
    a, b = whole.model_dump(), streamed.model_dump()
    for dumped in (a, b):
        dumped.pop("id")
        for block in dumped["content"]:
            block.pop("id", None)
            block.pop("parsed_output", None)
            if block["type"] == "redacted_thinking":
                block.pop("data")
            if block["type"] == "text":
                block.pop("citations", None)
    a["usage"]["output_tokens_details"] = b["usage"]["output_tokens_details"]
    b.pop("parsed_output", None)
    assert a == b


async def test_stream_has_the_recorded_order(anthropic: AsyncAnthropic) -> None:
    events = await _events(anthropic, "Hi [sandbox chunks=2 say='a']".replace("'", '"'))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


async def test_tool_call_and_its_summary(anthropic: AsyncAnthropic) -> None:
    answer = await _streamed(anthropic, "Call get_weather", tools=[_WEATHER, _TIME])
    (call,) = answer.content
    assert call.type == "tool_use"
    assert call.input == {"city": "sample city", "days": 3}
    assert answer.stop_reason == "tool_use"
    history = [
        {"role": "user", "content": "Call get_weather"},
        {"role": "assistant", "content": answer.content},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "12 degrees"}],
        },
    ]
    after = await _streamed(anthropic, "", tools=[_WEATHER], messages=history)
    (text,) = after.content
    assert text.type == "text"
    assert "`get_weather` returned: 12 degrees" in text.text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "any"}, ["get_weather"]),
        ({"type": "tool", "name": "get_time"}, ["get_time"]),
        ({"type": "none"}, []),
        ({"type": "auto"}, []),
    ],
)
async def test_tool_choice(anthropic: AsyncAnthropic, choice: Any, names: list[str]) -> None:
    answer = await _streamed(anthropic, "Hi", tools=[_WEATHER, _TIME], tool_choice=choice)
    assert [block.name for block in answer.content if block.type == "tool_use"] == names


async def test_parallel_calls_can_be_forbidden(anthropic: AsyncAnthropic) -> None:
    text = "[sandbox tools=2]"
    several = await _streamed(anthropic, text, tools=[_WEATHER])
    assert _kinds(several) == ["tool_use", "tool_use"]
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    single = await _streamed(anthropic, text, tools=[_WEATHER], tool_choice=choice)
    assert _kinds(single) == ["tool_use"]


async def test_a_call_without_arguments_sends_no_input_at_all(anthropic: AsyncAnthropic) -> None:
    events = await _events(anthropic, "[sandbox noargs]", tools=[_WEATHER])
    assert not [event for event in events if event.type == "content_block_delta"]


async def test_given_arguments_are_sent(anthropic: AsyncAnthropic) -> None:
    text = '[sandbox tool=get_weather args={"city": "Oslo [N]", "nested": {"a": [1, 2]}}]'
    (call,) = (await _streamed(anthropic, text, tools=[_WEATHER])).content
    assert call.type == "tool_use"
    assert call.input == {"city": "Oslo [N]", "nested": {"a": [1, 2]}}


@pytest.mark.parametrize(
    ("model", "thinking", "shown"),
    [
        ("claude-sonnet-4-6", {"type": "adaptive"}, True),
        ("claude-opus-5", {"type": "adaptive"}, False),
        ("claude-opus-5", {"type": "adaptive", "display": "summarized"}, True),
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-sonnet-4-6", {"type": "adaptive", "display": "omitted"}, False),
    ],
)
async def test_thinking(anthropic: AsyncAnthropic, model: str, thinking: Any, shown: bool) -> None:
    answer = await _streamed(anthropic, "Hi", model=model, thinking=thinking)
    first = answer.content[0]
    assert first.type == "thinking"
    assert bool(first.thinking) is shown
    assert first.signature
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.thinking_tokens > 0


async def test_thinking_comes_back_and_a_changed_signature_is_refused(
    anthropic: AsyncAnthropic,
) -> None:
    answer = await anthropic.messages.create(stream=False, **_fields("Hi [sandbox think redacted]"))
    assert _kinds(answer) == ["thinking", "redacted_thinking", "text"]
    content: list[Any] = [block.model_dump(exclude_none=True) for block in answer.content]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "And?"},
    ]
    await anthropic.messages.create(stream=False, **_fields("", messages=turns))
    content[0]["signature"] = "A" + content[0]["signature"][1:]
    from anthropic import BadRequestError

    with pytest.raises(BadRequestError, match="Invalid `signature` in `thinking` block"):
        await anthropic.messages.create(stream=False, **_fields("", messages=turns))


async def test_refusal(anthropic: AsyncAnthropic) -> None:
    answer = await _streamed(anthropic, "Hi [sandbox refuse]")
    assert answer.stop_reason == "refusal"
    assert answer.stop_details is not None
    assert answer.stop_details.explanation


async def test_structured_answer_follows_the_schema(anthropic: AsyncAnthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}, "when": {"type": "string", "format": "date"}},
        "required": ["kind", "when"],
        "additionalProperties": False,
    }
    form = {"format": {"type": "json_schema", "schema": schema}}
    answer = await _streamed(anthropic, "Hi", output_config=form)
    (block,) = answer.content
    assert block.type == "text"
    assert json.loads(block.text) == {"kind": "a", "when": "2026-01-02"}


async def test_limits_and_stop_sequences(anthropic: AsyncAnthropic) -> None:
    cut = await _streamed(anthropic, "Hi [sandbox words=50]", max_tokens=7)
    assert cut.stop_reason == "max_tokens"
    assert cut.usage.output_tokens == 7
    stopped = await _streamed(
        anthropic, 'Hi [sandbox say="one two STOP three"]', stop_sequences=["nine", "STOP"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "STOP")
    (block,) = stopped.content
    assert block.type == "text"
    assert block.text == "one two "


async def test_cache_counts_by_directive(anthropic: AsyncAnthropic) -> None:
    usage = (await _streamed(anthropic, "Hi [sandbox cached=4 cache_write=2]")).usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (4, 2)


async def test_unknown_events_and_blocks(anthropic: AsyncAnthropic) -> None:
    events = await _events(anthropic, "Hi [sandbox unknown]")
    started = [e.content_block.type for e in events if e.type == "content_block_start"]
    assert started == ["sandbox_future_block", "text"]


async def test_models(anthropic: AsyncAnthropic) -> None:
    listed = [model.id async for model in anthropic.models.list()]
    assert "claude-sonnet-5-5" in listed
    model = await anthropic.models.retrieve("claude-opus-5-5")
    assert model.max_tokens == 128_000
    assert model.capabilities is not None
    assert model.capabilities.thinking.types.disabled.supported is False
    assert model.capabilities.effort.xhigh is not None


async def test_system_turn_in_the_middle(anthropic: AsyncAnthropic) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be terse."}]
    answer = await _streamed(anthropic, "", model="claude-opus-5", messages=turns)
    (block,) = answer.content
    assert block.type == "text"
    assert "Be terse." in block.text


async def test_vendor_headers(anthropic: AsyncAnthropic) -> None:
    raw = await anthropic.messages.with_raw_response.create(stream=False, **_fields("Hi"))
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-ratelimit-requests-limit"]

import json
from typing import Any, cast

import httpx
import pytest
from openai import APIError, AsyncOpenAI
from openai.types.responses import Response

from .conftest import Wire

_WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
        "required": ["city"],
    },
    "strict": False,
}
_NOTE: Any = {"type": "custom", "name": "take_note"}
_SUMMARY: Any = {"effort": "low", "summary": "auto"}
_ENCRYPTED: Any = ["reasoning.encrypted_content"]
_THOUGHT = "The sandbox thinks about the question before it answers."


async def _whole(client: AsyncOpenAI, text: str, /, **fields: Any) -> Response:
    wanted: Any = {"model": "gpt-6-sol", "input": text, **fields}
    return cast("Response", await client.responses.create(**wanted))


async def _events(client: AsyncOpenAI, text: str, /, **fields: Any) -> list[Any]:
    wanted: Any = {"model": "gpt-6-sol", "input": text, **fields}
    return [event async for event in await client.responses.create(stream=True, **wanted)]


async def test_plain_answer_quotes_the_question_and_the_instructions(openai: AsyncOpenAI) -> None:
    answer = await _whole(openai, "Why is it?", instructions="You are an architect.")
    assert "Sandbox answer from gpt-6-sol to:" in answer.output_text
    assert "> Why is it?" in answer.output_text
    assert "You are an architect" in answer.output_text
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    # A reasoning model reasons unless it is told not to, whether or not anybody sees it.
    assert answer.usage.output_tokens_details.reasoning_tokens == 16
    assert [item.type for item in answer.output] == ["reasoning", "message"]


_SAYINGS = [
    "hello",
    "hello [sandbox words=40 chunks=7]",
    "hello [sandbox refuse]",
    "hello [sandbox tools=3]",
    'hello [sandbox tool=get_weather say="Let me look."]',
    "hello [sandbox tool=take_note]",
    "hello [sandbox tool=get_weather noargs]",
    "hello [sandbox bytes=3]",
    'hello [sandbox think="Let me see: 東京."]',
    "hello [sandbox stop_reason=content_filter]",
]


def _compared(response: Response) -> Any:
    found = response.model_dump(exclude_none=True)
    for item in found["output"]:
        for key in ("id", "call_id", "encrypted_content", "parsed_arguments"):
            item.pop(key, None)
        for part in item.get("content", ()):
            part.pop("parsed", None)
    return found["output"], found["usage"], found["status"], found.get("incomplete_details")


@pytest.mark.parametrize("text", _SAYINGS)
async def test_a_stream_says_what_the_whole_answer_says(openai: AsyncOpenAI, text: str) -> None:
    fields: Any = {
        "model": "gpt-6-sol",
        "tools": [_WEATHER, _NOTE],
        "reasoning": _SUMMARY,
        "include": _ENCRYPTED,
    }
    whole = await _whole(openai, text, **fields)
    # The SDK's own accumulator puts the events together, and checks that they fit.
    async with openai.responses.stream(input=text, **fields) as stream:
        seen: list[Any] = [event async for event in stream]
    last = seen[-1]
    assert last.type in {"response.completed", "response.incomplete"}
    assert _compared(whole) == _compared(last.response)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))


async def test_events_come_in_the_recorded_order(openai: AsyncOpenAI) -> None:
    text = 'Hi [sandbox tool=get_weather say="ok" args={}]'
    events = await _events(openai, text, tools=[_WEATHER], reasoning=_SUMMARY)
    kinds = [event.type.removeprefix("response.") for event in events]
    assert [kind for i, kind in enumerate(kinds) if kinds[i - 1 : i] != [kind]] == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done"),
        *("output_item.done", "completed"),
    ]
    places = [event.output_index for event in events[2:-1]]
    assert places == sorted(places)
    assert set(places) == {0, 1, 2}


async def test_the_wire_names_each_event_twice_and_has_no_done(wire: Wire) -> None:
    answer = await wire.client.post(
        f"{wire.server.openai_base_url}/responses",
        headers={"authorization": "Bearer k"},
        json={"model": "gpt-4.1", "input": "Hi", "stream": True},
    )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    blocks = answer.text.removesuffix("\n\n").split("\n\n")
    for block in blocks:
        name, data = block.split("\n")
        assert json.loads(data.removeprefix("data: "))["type"] == name.removeprefix("event: ")
    assert blocks[-1].startswith("event: response.completed")
    deltas = [json.loads(b.split("\ndata: ")[1]) for b in blocks if ".delta\n" in b]
    assert deltas
    assert all("obfuscation" in delta for delta in deltas)


async def test_obfuscation_can_be_switched_off(openai: AsyncOpenAI) -> None:
    events = await _events(openai, "Hi", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in event.model_dump() for event in events)


async def test_reasoning_shows_what_is_asked_for_and_no_more(openai: AsyncOpenAI) -> None:
    bare = (await _whole(openai, "Hi")).output[0].model_dump(exclude_none=True)
    assert bare["summary"] == []
    assert "encrypted_content" not in bare
    full = await _whole(openai, "Hi", reasoning=_SUMMARY, include=_ENCRYPTED)
    item = full.output[0].model_dump(exclude_none=True)
    assert [part["text"] for part in item["summary"]] == [_THOUGHT]
    assert item["encrypted_content"].startswith("gAAAAA")
    none = await _whole(openai, "Hi", reasoning={"effort": "none"})
    assert [item.type for item in none.output] == ["message"]


async def test_encrypted_reasoning_differs_in_each_event_that_shows_it(openai: AsyncOpenAI) -> None:
    events: list[Any] = await _events(openai, "Hi", include=_ENCRYPTED)
    shown = [e.item for e in events if e.type.startswith("response.output_item.")]
    sealed = [item.encrypted_content for item in shown if item.type == "reasoning"]
    sealed.append(events[-1].response.output[0].encrypted_content)
    assert len(set(sealed)) == 3
    for content in sealed:
        back: Any = {
            "type": "reasoning",
            "id": shown[0].id,
            "summary": [],
            "encrypted_content": content,
        }
        said = {"role": "assistant", "content": "ok"}
        again = {"role": "user", "content": "And?"}
        assert (await _whole(openai, "", input=[back, said, again])).status == "completed"


async def test_an_answer_cut_by_its_limit_is_incomplete(openai: AsyncOpenAI) -> None:
    fields: Any = {"model": "gpt-4.1", "max_output_tokens": 16}
    events: list[Any] = await _events(openai, "Hi [sandbox words=40]", **fields)
    assert events[-1].type == "response.incomplete"
    response = events[-1].response
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"
    assert response.usage.output_tokens == 16
    # Reasoning may take all of it.
    eaten = await _whole(openai, "Hi", max_output_tokens=16, reasoning={"effort": "high"})
    assert eaten.status == "incomplete"
    assert [item.type for item in eaten.output] == ["reasoning"]


async def test_the_format_is_followed(openai: AsyncOpenAI) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    answer = await _whole(openai, "Hi", text={"format": form})
    assert json.loads(answer.output_text) == {"n": 1}


async def test_a_tool_round_trip_sends_everything_back(openai: AsyncOpenAI) -> None:
    asked: Any = {"role": "user", "content": "Oslo? [sandbox tool=get_weather tools=2 rounds=2]"}
    fields: Any = {"tools": [_WEATHER], "include": _ENCRYPTED, "store": False}
    items: list[Any] = [asked]
    for _ in range(2):
        answer = await _whole(openai, "", input=items, **fields)
        assert [i.type for i in answer.output] == ["reasoning", "function_call", "function_call"]
        for item in answer.output:
            items.append(item.model_dump(exclude_none=True))
        items += [
            {"type": "function_call_output", "call_id": item.call_id, "output": "rain"}
            for item in answer.output
            if item.type == "function_call"
        ]
    last = await _whole(openai, "", input=items, **fields)
    assert "`get_weather` returned: rain" in last.output_text


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("[sandbox fail=429]", 429, "rate_limit_exceeded"),
        ("[sandbox fail=500]", 500, None),
        ("[sandbox fail=context]", 400, "context_length_exceeded"),
        ("[sandbox fail=quota]", 429, "insufficient_quota"),
        ("[sandbox error=0]", 500, None),
    ],
)
async def test_failures(wire: Wire, text: str, status: int, code: str | None) -> None:
    answer = await _post(wire, input=text)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


async def test_an_error_in_mid_stream_has_the_recorded_shape(wire: Wire) -> None:
    answer = await _post(wire, input="Hi [sandbox error=3]", stream=True)
    name, data = answer.text.removesuffix("\n\n").split("\n\n")[-1].split("\n")
    assert name == "event: error"
    event = json.loads(data.removeprefix("data: "))
    assert event["type"] == "error"
    assert event["sequence_number"] == 3
    assert event["error"]["code"] == "server_error"


async def test_the_sdk_raises_an_error_in_mid_stream(openai: AsyncOpenAI) -> None:
    with pytest.raises(APIError):
        await _events(openai, "Hi [sandbox error=3]")


async def test_a_response_that_failed_says_why(openai: AsyncOpenAI) -> None:
    events: list[Any] = await _events(openai, "Hi [sandbox stop_reason=failed]")
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"
    whole = await _whole(openai, "Hi [sandbox stop_reason=failed]")
    assert whole.status == "failed"


async def test_a_broken_stream_has_no_end(wire: Wire) -> None:
    answer = await _post(wire, input="Hi [sandbox eof=4]", stream=True)
    assert answer.text.count("event: ") == 4
    assert "response.completed" not in answer.text
    with pytest.raises(httpx.NetworkError):
        await _post(wire, input="Hi [sandbox cut=4]", stream=True)
    garbage = await _post(wire, input="Hi [sandbox garbage=4]", stream=True)
    assert '"delta":"br\n\n' in garbage.text
    assert "response.completed" in garbage.text


async def test_what_no_client_knows_yet(wire: Wire) -> None:
    answer = await _post(wire, input="Hi [sandbox unknown]")
    assert answer.json()["output"][-1]["type"] == "sandbox_future_item"
    stream = await _post(wire, input="Hi [sandbox unknown]", stream=True)
    assert "event: response.sandbox_future.delta" in stream.text


async def _post(wire: Wire, **fields: Any) -> httpx.Response:
    return await wire.client.post(
        f"{wire.server.openai_base_url}/responses",
        headers={"authorization": "Bearer k"},
        json={"model": "gpt-4.1", "input": "Hi", **fields},
    )

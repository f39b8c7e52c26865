"""What a client asks reaches the API through the real CLI; what the API answers comes back."""

import base64
import json
from copy import deepcopy
from typing import Any

import pytest

from tests.claude_agent.running import NEEDS_CLI, Agent

pytestmark = NEEDS_CLI

Json = dict[str, Any]

WAYS = pytest.mark.parametrize("way", ["whole", "streamed"])
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF").decode()
TOOLS: list[Json] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Tells the {name}. " + "Long words. " * 500,
            "parameters": {
                "type": "object",
                "properties": {"city": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/place"}]}},
                "required": ["city"],
                "$defs": {"place": {"type": "object", "additionalProperties": {"type": "null"}}},
            },
        },
    }
    for name in ("weather", "Bash", "a-time")
]


def unmarked(messages: list[Json]) -> list[Json]:
    """Return messages without the CLI's own cache marks."""
    messages = deepcopy(messages)
    for message in messages:
        for block in message["content"]:
            block.pop("cache_control", None)
    return messages


@WAYS
async def test_a_question_is_answered(agent: Agent, way: str):
    answer = await getattr(agent, way)(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": 'Why? [sandbox say="Because."]'},
        ]
    )
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", "Because.")
    assert choice.finish_reason == "stop"
    assert answer.model == "claude-sonnet-5"
    assert answer.usage is not None and answer.usage.completion_tokens > 0
    assert answer.usage.prompt_tokens > 0
    body = agent.body
    assert unmarked(body["messages"]) == [
        {"role": "user", "content": [{"type": "text", "text": 'Why? [sandbox say="Because."]'}]}
    ]
    texts = [block["text"] for block in body["system"]]
    assert texts == ["You are a Claude agent, built on Anthropic's Claude Agent SDK.", "Be brief."]


async def test_nothing_else_is_in_the_call(agent: Agent):
    await agent.whole("Hi")
    body = agent.body
    assert set(body) == {
        *("model", "messages", "system", "tools", "metadata", "max_tokens", "stream"),
        "output_config",
    }
    assert body["tools"] == []
    assert body["output_config"] == {"effort": "high"}  # What the API takes it for anyway.
    (call,) = agent.calls
    assert call["path"] == "/anthropic/v1/messages"
    betas = call["headers"]["anthropic-beta"]
    assert "context-management" not in betas and "thinking-token-count" not in betas


async def test_text_streams_as_it_comes(agent: Agent):
    texts = [
        choice["delta"]["content"]
        async for chunk in agent.chunks("Go on [sandbox words=30 chunks=12]")
        for choice in chunk["choices"]
        if choice["delta"].get("content")
    ]
    assert len(texts) == 12


@WAYS
async def test_a_conversation_reaches_the_api_turn_by_turn(agent: Agent, way: str):
    messages = [{"role": "system", "content": "Be kind."}]
    expected: list[Json] = []
    for number in range(4):
        question, reply = f"Question {number}\n  with  spaces ", f"Answer {number}"
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": reply},
        ]
        expected += [
            {"role": "user", "content": [{"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": reply}]},
        ]
    last = "And now? [sandbox words=3]"
    await getattr(agent, way)(messages=[*messages, {"role": "user", "content": last}])
    expected.append({"role": "user", "content": [{"type": "text", "text": last}]})
    assert unmarked(agent.body["messages"]) == expected


@WAYS
async def test_three_calls_side_by_side_in_three_rounds(agent: Agent, way: str):
    messages: list[Json] = [
        {"role": "user", "content": "Tell me all. [sandbox tools=3 rounds=3 think]"}
    ]
    kinds: list[list[str]] = []
    for number in range(3):
        answer = await getattr(agent, way)(messages=messages, tools=TOOLS, reasoning_effort="high")
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        calls = choice.message.tool_calls
        assert [call.function.name for call in calls] == ["weather", "Bash", "a-time"]
        assert all(json.loads(call.function.arguments)["city"] for call in calls)
        assert len({call.id for call in calls}) == 3
        messages.append(choice.message.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"result {number} of {call.id}"}
            for call in reversed(calls)
        ]
        assert len(agent.calls) == number + 1
    answer = await getattr(agent, way)(messages=messages, tools=TOOLS, reasoning_effort="high")
    assert answer.choices[0].finish_reason == "stop"
    assert len(agent.calls) == 4
    body = agent.calls[-1]["body"]
    for turn in body["messages"]:
        kinds.append([turn["role"], *(block["type"] for block in turn["content"])])
    round = [["assistant", "thinking", *["tool_use"] * 3], ["user", *["tool_result"] * 3]]
    assert kinds == [["user", "text"], *round * 3]
    results = [block for turn in body["messages"][2::2] for block in turn["content"]]
    assert [block["content"][0]["text"] for block in results] == [
        message["content"] for message in messages if message["role"] == "tool"
    ]


async def test_tools_reach_the_model_as_the_client_describes_them(agent: Agent):
    await agent.whole("Hi [sandbox words=2]", tools=TOOLS)
    assert agent.body["tools"] == [
        {
            "name": tool["function"]["name"],
            "description": tool["function"]["description"],
            "input_schema": tool["function"]["parameters"],
        }
        for tool in TOOLS
    ]


@pytest.mark.parametrize("arguments", ['"{\\"town\\": 1}"', '"no json"', '""'])
async def test_calls_are_handed_on_whatever_the_arguments(agent: Agent, arguments: str):
    """The CLI would answer a call that does not fit its schema itself, and call the API again."""
    answer = await agent.whole(f"Hi [sandbox tool=weather args={arguments}]", tools=TOOLS)
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.arguments == json.loads(arguments) or call.function.arguments == "{}"
    assert len(agent.calls) == 1


@WAYS
async def test_images_and_documents_arrive(agent: Agent, way: str):
    await getattr(agent, way)(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look. [sandbox words=2]"},
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PIXEL}"},
                    },
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {
                        "type": "file",
                        "file": {
                            "filename": "a.pdf",
                            "file_data": f"data:application/pdf;base64,{PDF}",
                        },
                    },
                ],
            }
        ]
    )
    (turn,) = unmarked(agent.body["messages"])
    assert [block["type"] for block in turn["content"]] == ["text", "image", "image", "document"]
    sources = [block["source"] for block in turn["content"][1:]]
    assert sources[0] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert sources[1] == {"type": "url", "url": "https://example.com/a.png"}
    assert sources[2] == {"type": "base64", "media_type": "application/pdf", "data": PDF}


@WAYS
async def test_an_answer_keeps_to_a_schema(agent: Agent, way: str):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    answer = await getattr(agent, way)("Where?", response_format=form)
    assert set(json.loads(answer.choices[0].message.content)) == {"city"}
    assert agent.body["output_config"]["format"]["type"] == "json_schema"


@WAYS
async def test_stop_sequences_are_sent(agent: Agent, way: str):
    answer = await getattr(agent, way)(
        'Count. [sandbox say="one two three four"]', stop=["three", "END"]
    )
    assert agent.body["stop_sequences"] == ["three", "END"]
    assert answer.choices[0].finish_reason == "stop"


@WAYS
async def test_an_answer_ends_at_its_limit(agent: Agent, way: str):
    text = "Tell me more. [sandbox words=200]"
    answer = await getattr(agent, way)(text, max_tokens=10)
    assert answer.choices[0].finish_reason == "length"
    assert agent.body["max_tokens"] == 10


@WAYS
async def test_thoughts_come_as_text(agent: Agent, way: str):
    answer = await getattr(agent, way)(
        'Why? [sandbox think="Let me see." say="So."]', reasoning_effort="low"
    )
    message = answer.choices[0].message
    assert message.reasoning_content == "Let me see."
    assert message.content == "So."
    body = agent.body
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"]["effort"] == "low"
    assert "context_management" not in body


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-4-5", "claude-sonnet-4-6"])
async def test_thoughts_go_back_as_they_came(agent: Agent, model: str):
    question = {"role": "user", "content": 'Why? [sandbox tool=weather think="Hm."]'}
    first = await agent.whole(
        messages=[question], tools=TOOLS, reasoning_effort="high", model=model
    )
    message = first.choices[0].message
    calls = message.tool_calls or []
    await agent.whole(
        messages=[
            question,
            message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": calls[0].id, "content": "rain"},
        ],
        tools=TOOLS,
        reasoning_effort="high",
        model=model,
    )
    turn = agent.calls[-1]["body"]["messages"][1]
    assert turn["content"][0]["type"] == "thinking"
    assert turn["content"][0]["thinking"] == "Hm."
    assert len(agent.calls) == 2


async def test_models_are_sampled_as_far_as_they_can_be(agent: Agent):
    await agent.whole("Hi [sandbox words=2]", temperature=0.3, model="claude-sonnet-4-6")
    assert agent.body["temperature"] == 0.3
    agent.prepare("Hi", temperature=0.3)
    assert agent.report.ignored == ("temperature",)


@pytest.mark.parametrize(
    ("choice", "native"),
    [
        ("required", {"type": "any"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "Bash"}}, {"type": "tool", "name": "Bash"}),
    ],
)
async def test_the_choice_of_a_tool_is_kept(agent: Agent, choice: Any, native: Json):
    answer = await agent.whole("Hi", tools=TOOLS, tool_choice=choice, model="claude-sonnet-4-6")
    assert agent.body["tool_choice"] == native
    called = answer.choices[0].message.tool_calls or []
    assert bool(called) is (choice != "none")


async def test_a_large_request_arrives(agent: Agent):
    """One environment variable holds 128 KB at most, and so does one argument."""
    long = "word " * 60_000
    tool = {"type": "function", "function": {"name": "long", "description": long}}
    await agent.whole(
        messages=[
            {"role": "system", "content": long},
            {"role": "user", "content": long + "[sandbox words=2]"},
        ],
        tools=[tool],
    )
    assert agent.body["tools"][0]["description"] == long
    assert agent.body["system"][1]["text"] == long

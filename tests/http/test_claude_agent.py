"""The OpenAI SDK, the proxy, the Claude Agent SDK, its real CLI and the native wire: end to end."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.agent_cli import NEEDS_CLI
from tests.claude_agent.test_chat import PDF, PIXEL, TOOLS
from tests.http.agent_server import PROMPT, Json, Served, ask, client_of, serving, user
from tests.providers import UPSTREAM_KEY
from tests.serving import SandboxProcess, wait_until

pytestmark = NEEDS_CLI

WAYS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def served(providers: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(providers, tmp_path_factory.mktemp("files"), pool=1) as found:
        yield found


@pytest.fixture
async def sdk(served: Served) -> AsyncIterator[AsyncOpenAI]:
    served.forget()
    async with client_of(served) as client:
        yield client


@WAYS
async def test_a_conversation(served: Served, sdk: AsyncOpenAI, stream: bool) -> None:
    messages = [user("Hello"), {"role": "assistant", "content": "Hi."}]
    text = 'And @/etc/hostname /context ../ ? [sandbox say="All is well."]'
    answer = await ask(sdk, stream, [*messages, user(text)])
    assert answer.choices[0].message.content == "All is well."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "claude-sonnet-5"
    (call,) = served.calls
    assert [block["text"] for block in call["body"]["system"]][1:] == [PROMPT]
    texts = [turn["content"][0]["text"] for turn in call["body"]["messages"]]
    assert texts == ["Hello", "Hi.", text]
    assert os.uname().nodename not in json.dumps(call["body"]).replace(text, "")


@WAYS
async def test_parallel_tools_over_three_rounds(
    served: Served, sdk: AsyncOpenAI, stream: bool
) -> None:
    messages: list[Json] = [user("Tell me all. [sandbox tools=3 rounds=3 think]")]
    fields: Json = {"tools": TOOLS, "reasoning_effort": "high"}
    for number in range(3):
        answer = await ask(sdk, stream, messages, **fields)
        message = answer.choices[0].message
        calls = message.tool_calls or []
        assert answer.choices[0].finish_reason == "tool_calls"
        assert [c.function.name for c in calls if c.type == "function"] == [
            tool["function"]["name"] for tool in TOOLS
        ]
        messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"result {number}"}
            for call in calls
        ]
    answer = await ask(sdk, stream, messages, **fields)
    assert answer.choices[0].finish_reason == "stop"
    assert len(served.calls) == 4
    results = [
        block["content"][0]["text"]
        for turn in served.calls[-1]["body"]["messages"][2::2]
        for block in turn["content"]
    ]
    assert results == ["result 0"] * 3 + ["result 1"] * 3 + ["result 2"] * 3


async def test_tools_go_on_at_another_server(
    served: Served, sdk: AsyncOpenAI, providers: SandboxProcess, tmp_path: Path
) -> None:
    """Nothing of a round is kept: after a restart, or on another replica, it goes on."""
    messages: list[Json] = [user("Weather? [sandbox tool=weather]")]
    first = await ask(sdk, True, messages, tools=TOOLS)
    message = first.choices[0].message
    (call,) = message.tool_calls or []
    messages.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "Rain."})
    with serving(providers, tmp_path) as other:
        async with client_of(other) as client:
            answer = await ask(client, False, messages, tools=TOOLS)
    assert answer.choices[0].finish_reason == "stop"
    (block,) = served.calls[-1]["body"]["messages"][-1]["content"]
    assert block["tool_use_id"] == call.id
    assert block["content"][0]["text"] == "Rain."


@WAYS
async def test_images_schema_stop_and_limit(served: Served, sdk: AsyncOpenAI, stream: bool) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
    content = [{"type": "text", "text": "Where?"}, image, {"type": "file", "file": file}]
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    form: Json = {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": schema, "strict": True},
    }
    answer = await ask(sdk, stream, [user(content)], response_format=form, stop=["END"])
    assert set(json.loads(answer.choices[0].message.content or "")) == {"city"}
    (call,) = served.calls
    kinds = [block["type"] for block in call["body"]["messages"][0]["content"]]
    assert kinds == ["text", "image", "document"]
    assert call["body"]["stop_sequences"] == ["END"]
    if stream:
        # The SDK's own accumulator raises where an answer ends at its limit.
        client: Any = sdk.chat.completions
        chunks: Any = await client.create(
            model="claude", messages=[user("[sandbox words=90]")], max_tokens=5, stream=True
        )
        reasons = [chunk.choices[0].finish_reason async for chunk in chunks if chunk.choices]
        assert reasons[-1] == "length"
    else:
        answer = await ask(sdk, stream, [user("[sandbox words=90]")], max_tokens=5)
        assert answer.choices[0].finish_reason == "length"
    assert len(served.calls) == 2


@WAYS
async def test_thinking_is_told(served: Served, sdk: AsyncOpenAI, stream: bool) -> None:
    text = 'Why? [sandbox think="Let me see." say="So."]'
    answer = await ask(sdk, stream, [user(text)], reasoning_effort="low")
    message: Any = answer.choices[0].message
    assert (message.reasoning_content, message.content) == ("Let me see.", "So.")
    assert len(served.calls) == 1


async def test_what_is_ignored_is_reported(served: Served, sdk: AsyncOpenAI) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="claude", messages=[{"role": "user", "content": "Hi"}], seed=7, n=2
    )
    assert len(raw.parse().choices) == 2
    assert raw.headers["x-ep-ignored-params"] == "seed"
    assert raw.headers["x-ep-emulated-params"] == "n"
    assert raw.headers["x-ep-provider"] == "agent"
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.chat.completions.create(
            model="claude",
            messages=[{"role": "user", "content": "Hi"}],
            seed=7,
            extra_headers={"x-ep-strict": "true"},
        )
    assert caught.value.param == "seed"
    assert "claude_agent" in caught.value.message or "`agent`" in caught.value.message


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (529, openai.InternalServerError),
    ],
)
async def test_an_error_of_the_api_is_openais(
    served: Served, sdk: AsyncOpenAI, fail: int, error: type[openai.APIStatusError]
) -> None:
    # Longer than anybody would wait, so that nothing is tried twice.
    with pytest.raises(error) as caught:
        await ask(sdk, False, [user(f"Hi [sandbox fail={fail} retry_after=600]")])
    assert UPSTREAM_KEY not in str(caught.value.body)
    if fail == 429:
        assert caught.value.response.headers["retry-after"] == "600"
    assert len(served.calls) == 1


async def test_a_broken_answer_never_looks_finished(served: Served, sdk: AsyncOpenAI) -> None:
    chunks = await sdk.chat.completions.create(
        model="claude",
        messages=[{"role": "user", "content": "Hi [sandbox words=60 gap=0.02 cut=8]"}],
        stream=True,
    )
    seen: list[Any] = []
    with pytest.raises(openai.APIError):
        async for chunk in chunks:
            seen.append(chunk.choices[0].finish_reason)
    assert seen and set(seen) == {None}
    assert len(served.calls) == 1


async def test_a_failure_goes_on_to_the_next_provider(served: Served, sdk: AsyncOpenAI) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="either",
        messages=[{"role": "user", "content": "Hi [sandbox fail=529 times=1 key=agent-next]"}],
    )
    assert raw.headers["x-ep-provider"] == "anthropic"
    assert raw.headers["x-ep-attempts"] == "2"


@pytest.mark.parametrize("text", ["[sandbox delay=30]", "[sandbox words=9 stall=3]"])
async def test_a_client_that_leaves_ends_the_process_and_the_call(
    served: Served, sdk: AsyncOpenAI, text: str
) -> None:
    asked = asyncio.create_task(ask(sdk, True, [user(f"Hi {text}")]))
    await asyncio.to_thread(wait_until, lambda: served.open == 1, 20)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await asyncio.to_thread(wait_until, lambda: served.open == 0, 1.0)
    await asyncio.to_thread(wait_until, lambda: len(served.agents) <= 1, 5)


def test_readyz_says_whose_credential_it_is(served: Served) -> None:
    providers = httpx.get(f"{served.proxy.url}/readyz").json()["providers"]
    assert providers["agent"]["credential"] == "the key in UPSTREAM_KEY"

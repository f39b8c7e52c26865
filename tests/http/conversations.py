"""Conversations with tool calls and thinking, by clients that send back more or less of them."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from openai import AsyncOpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionMessage

from tests.providers import PROMPT
from tests.serving import SandboxProcess

__all__ = [
    "CLIENTS",
    "MODELS",
    "NAMES",
    "TOOLS",
    "VENDORS",
    "Json",
    "answer_to",
    "ask",
    "call_extras",
    "reasoning_policy",
    "results_of",
    "user",
]

Json = dict[str, Any]

VENDORS = {
    "anthropic": "anthropic",
    "gemini": "google",
    "openai": "openai",
    "referred": "openai",
}
"""Persona to the key under which its provider's reasoning stands in `extra_content`."""

MODELS = {
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-3.6-flash",
    "openai": "gpt-5.6",
    "referred": "gpt-5.6",
}
"""Persona to a model that thinks."""

NAMES = ("get_weather", "get_time")

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Calls {name}.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in NAMES
]


def reasoning_policy(sandbox: SandboxProcess) -> Json:
    """Return a policy with a persona for each provider; they demand reasoning of their models.

    `openai` is the Responses API, `chat` the older one, which refers `referred` to Responses.
    """
    capabilities = ["system_prompts", "streaming", "tool_calling", "reasoning"]
    both: Json = {"api_key_env": "UPSTREAM_KEY", "capabilities": capabilities}
    rows: dict[str, Json] = {
        "anthropic": {"dialect": "anthropic_messages", "base_url": sandbox.anthropic},
        "gemini": {"dialect": "gemini_generate", "base_url": f"{sandbox.url}/gemini"},
        "openai": {"dialect": "openai_responses", "base_url": sandbox.openai},
        "chat": {"dialect": "openai_chat", "base_url": sandbox.openai},
        "referred": {"dialect": "openai_chat", "base_url": sandbox.openai},
    }
    providers = {
        name: {"model": MODELS.get(name, "gpt-4.1"), **both, **row} for name, row in rows.items()
    }
    personas = {
        name: {"provider_preferences": [name], "system_prompt": PROMPT} for name in providers
    }
    return {"providers": providers, "personas": personas}


def _everything(message: ChatCompletionMessage) -> Json:
    # As the SDK does with a message that is itself put into `messages`.
    return message.to_dict()


def _dumped(message: ChatCompletionMessage) -> Json:
    # With null for what the answer does not have.
    return message.model_dump()


def _tool_calls(message: ChatCompletionMessage) -> Json:
    return _kept(message, [call.model_dump() for call in message.tool_calls or ()])


def _ids(message: ChatCompletionMessage) -> Json:
    calls: list[Json] = []
    for call in message.tool_calls or ():
        assert call.type == "function"
        function = {"name": call.function.name, "arguments": call.function.arguments}
        calls.append({"id": call.id, "type": "function", "function": function})
    return _kept(message, calls)


def _kept(message: ChatCompletionMessage, calls: list[Json]) -> Json:
    kept: Json = {"role": "assistant", "content": message.content}
    return {**kept, "tool_calls": calls} if calls else kept


CLIENTS: Mapping[str, Callable[[ChatCompletionMessage], Json]] = {
    "everything": _everything,
    "dumped": _dumped,
    "tool_calls": _tool_calls,
    "ids": _ids,
}
"""What clients send back of an answer."""


def user(text: str, *, calls: int = 0, think: str = "") -> Json:
    """Return a message that has the simulated model think, and call tools in its first answer."""
    directives = f' think="{think}"' if think else ""
    directives += f" tool={','.join(NAMES[:calls])}" if calls else ""
    return {"role": "user", "content": f"{text} [sandbox{directives}]"}


def results_of(message: ChatCompletionMessage) -> list[Json]:
    """Return the results of a message's calls."""
    return [
        {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
        for call in message.tool_calls or ()
    ]


async def ask(
    sdk: AsyncOpenAI,
    persona: str,
    messages: list[Json],
    *,
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
) -> ChatCompletionMessage:
    """Return an answer; a streamed one as OpenAI's accumulator has it."""
    wire = cast("Any", messages)
    if not stream:
        completion = await sdk.chat.completions.create(
            model=persona, messages=wire, tools=TOOLS, extra_headers=headers
        )
        return completion.choices[0].message
    state = ChatCompletionStreamState()
    async for chunk in await sdk.chat.completions.create(
        model=persona, messages=wire, tools=TOOLS, extra_headers=headers, stream=True
    ):
        state.handle_chunk(chunk)
    message = state.get_final_completion().choices[0].message.model_dump()
    # What the SDK itself adds to an accumulated message is not part of the answer.
    message.pop("parsed", None)
    for call in message["tool_calls"] or ():
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    told = {name: value for name, value in message.items() if value is not None}
    return ChatCompletionMessage.model_validate({"content": None, **told})


async def answer_to(
    sdk: AsyncOpenAI, persona: str, messages: list[Json], *, stream: bool = False
) -> ChatCompletionMessage:
    """Return an answer that calls a tool."""
    message = await ask(sdk, persona, messages, stream=stream)
    assert message.tool_calls, message
    return message


def call_extras(message: ChatCompletionMessage) -> list[Any]:
    """Return the `extra_content` of a message's calls, or None for those without."""
    return [(call.model_extra or {}).get("extra_content") for call in message.tool_calls or ()]

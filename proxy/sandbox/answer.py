"""What the sandbox answers, before any dialect gives it a shape.

`compose` is a pure function of the conversation and the directives: the same request is answered
by the same text, calls and counts every time, on every dialect.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec

from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.schema import instance
from proxy.sandbox.tokens import count_tokens, filler, truncate

__all__ = ["Answer", "Call", "Conversation", "Finish", "Result", "Tool", "ToolMissing", "compose"]

Finish: TypeAlias = Literal["stop", "stop_sequence", "length", "tool_calls", "refusal"]

_REFUSAL = "I can't help with that. (The sandbox was told to refuse.)"
_QUOTED = 600
_SCHEMA = re.compile(r"\bJSON schema:\s*(?=\{)")
_OBJECT = re.compile(r"\bJSON object and nothing else\b")
_REASONS = "The sandbox thinks about the question before it answers."


class ToolMissing(Exception):
    """A directive names a tool that the request does not offer."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the request offers; `schema` is `None` for tools of free text."""

    name: str
    schema: object


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool returned, in the turn just before this answer."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a request says, in no dialect's terms."""

    model: str
    system: str = ""
    user: str = ""
    results: tuple[Result, ...] = ()
    # How many times tools have answered since the user last spoke.
    rounds: int = 0
    tools: tuple[Tool, ...] = ()
    choice: Literal["auto", "none", "required"] = "auto"
    # With `required`: the only tool that may be called.
    named: str | None = None
    parallel: bool = True
    # The schema of a structured answer; `{}` asks for any JSON object.
    structure: JsonObject | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    prompt_tokens: int = 0
    thinks: bool = False
    # Thinking that is counted but not shown.
    hidden_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is JSON text, or what a directive gave instead of it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, thought and called, why it ended, and what it cost."""

    text: str = ""
    thinking: str | None = None
    redacted: bool = False
    refusal: str | None = None
    calls: tuple[Call, ...] = ()
    finish: Finish = "stop"
    stop_sequence: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    thinking_tokens: int = 0


def compose(conversation: Conversation, directives: Directives) -> Answer:
    """Answer `conversation` as `directives` want it.

    Raises:
        ToolMissing: a directive names a tool that is not offered.
    """
    thinking = directives.think or (_REASONS if conversation.thinks else None)
    answer = Answer(
        thinking=thinking,
        redacted=directives.redacted,
        prompt_tokens=conversation.prompt_tokens,
        cached_tokens=min(directives.cached, conversation.prompt_tokens),
        cache_write_tokens=min(directives.cache_write, conversation.prompt_tokens),
    )
    if directives.refuse:
        answer = replace(answer, refusal=_REFUSAL, finish="refusal")
    else:
        calls = _calls(conversation, directives)
        said = directives.say if directives.say is not None else None
        text = said or ("" if calls else _text(conversation, directives))
        answer = replace(answer, text=text, calls=calls, finish="tool_calls" if calls else "stop")
        answer = _stopped(answer, conversation.stop)
    return _limited(answer, conversation)


def _calls(conversation: Conversation, directives: Directives) -> tuple[Call, ...]:
    chosen = _chosen_tools(conversation, directives)
    if not conversation.parallel:
        chosen = chosen[:1]
    return tuple(
        Call(tool.name, _arguments(tool, directives, seed)) for seed, tool in enumerate(chosen)
    )


def _chosen_tools(conversation: Conversation, directives: Directives) -> list[Tool]:
    tools = conversation.tools
    if conversation.choice == "none":
        return []
    if directives.wants_call and conversation.rounds < directives.rounds:
        return _directed_tools(tools, directives)
    if conversation.choice == "required":
        wanted = [t for t in tools if conversation.named in (None, t.name)]
        return wanted[:1]
    if conversation.rounds:
        return []
    return [tool for tool in tools if _is_named(tool.name, conversation.user)]


def _directed_tools(tools: tuple[Tool, ...], directives: Directives) -> list[Tool]:
    names = directives.tool.split(",") if directives.tool else []
    pool = [_found(tools, name) for name in names] or list(tools)
    if not pool:
        raise ToolMissing("sandbox: a tool call is asked for, and the request offers no tool")
    count = directives.tools or max(len(names), 1)
    return [pool[i % len(pool)] for i in range(count)]


def _found(tools: tuple[Tool, ...], name: str) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    offered = ", ".join(tool.name for tool in tools) or "none"
    raise ToolMissing(f"sandbox: tool `{name}` is not offered by this request; offered: {offered}")


def _is_named(name: str, text: str) -> bool:
    spoken = re.escape(name).replace("_", "[_ ]")
    return re.search(rf"(?<![\w-]){spoken}(?![\w-])", text, re.IGNORECASE) is not None


def _arguments(tool: Tool, directives: Directives, seed: int) -> str:
    if directives.noargs:
        return ""
    if isinstance(directives.args, str):
        return directives.args
    if directives.args is not None:
        return msgspec.json.encode(directives.args).decode()
    if tool.schema is None:
        return f"sample input {seed + 1}"
    made = instance(tool.schema, seed=seed)
    return msgspec.json.encode(made if isinstance(made, dict) else {}).decode()


def _text(conversation: Conversation, directives: Directives) -> str:
    if directives.words is not None:
        return filler(directives.words)
    structure = _structure(conversation)
    if structure is not None:
        return _structured(conversation, structure)
    text = _summary(conversation) if conversation.results else _default(conversation)
    if directives.chunks is not None and directives.chunks > count_tokens(text):
        return filler(directives.chunks)
    return text


def _structure(conversation: Conversation) -> JsonObject | None:
    """Return the schema that the answer is to have: the user's word is the last."""
    wanted = prompted(conversation.user)
    if wanted is None:
        wanted = conversation.structure
    return prompted(conversation.system) if wanted is None else wanted


def prompted(text: str) -> JsonObject | None:
    """Return the schema that a prompt asks for in words, as a model that obeys would read it."""
    if (found := _SCHEMA.search(text)) is not None:
        with suppress(ValueError):
            return as_object(json.JSONDecoder().raw_decode(text, found.end())[0])
    return {} if _OBJECT.search(text) is not None else None


def _structured(conversation: Conversation, schema: JsonObject) -> str:
    made = instance(schema) if schema else {"answer": "Sandbox answer", "to": conversation.user}
    return msgspec.json.encode(made).decode()


def _summary(conversation: Conversation) -> str:
    lines = "\n".join(f"- `{r.name}` returned: {r.text[:_QUOTED]}" for r in conversation.results)
    return f"Sandbox answer from {conversation.model}, with what the tools returned:\n\n{lines}"


def _default(conversation: Conversation) -> str:
    quote = conversation.user[:_QUOTED].replace("\n", "\n> ")
    lines = [f"Sandbox answer from {conversation.model} to:", "", f"> {quote}", ""]
    if conversation.system:
        start = " ".join(conversation.system.split()[:12])
        lines.append(f'- My instructions begin with: "{start}"')
    if conversation.tools:
        lines.append(f"- Tools on offer: {', '.join(tool.name for tool in conversation.tools)}")
    lines.append("- No model was asked: this text is computed from the request.")
    return "\n".join(lines)


def _stopped(answer: Answer, stop: tuple[str, ...]) -> Answer:
    found = [(answer.text.find(s), s) for s in stop if s and s in answer.text]
    if not found:
        return answer
    position, sequence = min(found)
    # The model stops at the sequence, before it comes to call a tool.
    return replace(
        answer,
        text=answer.text[:position],
        calls=(),
        finish="stop_sequence",
        stop_sequence=sequence,
    )


def _limited(answer: Answer, conversation: Conversation) -> Answer:
    """Cut thinking, then text, then arguments to the limit, and count what is left."""
    budget = conversation.max_tokens if conversation.max_tokens is not None else 1 << 60
    hidden = min(conversation.hidden_tokens, budget)
    cut = conversation.hidden_tokens > budget
    left = budget - hidden
    parts = [answer.thinking or "", answer.refusal or answer.text]
    for i, part in enumerate(parts):
        parts[i], short = truncate(part, left)
        cut = cut or short
        left -= count_tokens(parts[i])
    thought = hidden + count_tokens(parts[0])
    calls: list[Call] = []
    for call in answer.calls:
        if cut or left <= 0:
            cut = True
            break
        arguments, cut = truncate(call.arguments, left - 1)
        calls.append(Call(call.name, arguments))
        left -= count_tokens(arguments) + 1
    refused = answer.refusal is not None
    return replace(
        answer,
        thinking=None if answer.thinking is None else parts[0],
        text="" if refused else parts[1],
        refusal=parts[1] if refused else None,
        calls=tuple(calls),
        finish="length" if cut else answer.finish,
        stop_sequence=None if cut else answer.stop_sequence,
        completion_tokens=budget - left,
        thinking_tokens=thought,
    )

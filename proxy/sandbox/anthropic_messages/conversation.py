"""Reads an accepted Messages body into the sandbox's own terms."""

from typing import Literal

import msgspec

from proxy.sandbox.answer import Conversation, Result, Tool
from proxy.sandbox.anthropic_messages.blocks import Message, Text, ToolResult, ToolUse
from proxy.sandbox.anthropic_messages.wire import Body, CustomTool
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.tokens import count_tokens

__all__ = ["conversation"]


def conversation(body: Body, payload: JsonObject) -> Conversation:
    """Return what the request says."""
    asked = _last_asked(body.messages)
    mode, named, parallel = _choice(body)
    output = body.output_config
    return Conversation(
        model=body.model,
        system=_system(body),
        user=_said(body.messages[asked]) if asked >= 0 else "",
        results=_results(body.messages),
        rounds=sum(1 for m in body.messages[asked + 1 :] if m.role == "user"),
        tools=tuple(
            Tool(tool.name, payload["tools"][i]["input_schema"])
            for i, tool in enumerate(body.tools or [])
            if isinstance(tool, CustomTool)
        ),
        choice=mode,
        named=named,
        parallel=parallel,
        structure=output.format.json_schema if output and output.format else None,
        stop=tuple(body.stop_sequences or ()),
        max_tokens=body.max_tokens,
        prompt_tokens=_prompt_tokens(body, payload),
        thinks=body.thinking is not None and body.thinking.type in {"enabled", "adaptive"},
    )


def _said(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(block.text for block in message.content if isinstance(block, Text))


def _system(body: Body) -> str:
    system = body.system or ""
    parts = [system] if isinstance(system, str) else [block.text for block in system]
    return "\n".join([*parts, *(_said(m) for m in body.messages if m.role == "system")]).strip()


def _last_asked(messages: list[Message]) -> int:
    """Find the last user turn with words in it; one with tool results only asks nothing."""
    return max((i for i, m in enumerate(messages) if m.role == "user" and _said(m)), default=-1)


def _results(messages: list[Message]) -> tuple[Result, ...]:
    """Collect the results at the end of the conversation."""
    names: dict[str, str] = {}
    results: list[Result] = []
    for message in messages:
        if message.role == "system" or isinstance(message.content, str):
            results = results if message.role == "system" else []
            continue
        results = []
        for block in message.content:
            if isinstance(block, ToolUse):
                names[block.id] = block.name
            elif isinstance(block, ToolResult):
                results.append(Result(names.get(block.tool_use_id, "tool"), _returned(block)))
    return tuple(results)


def _returned(block: ToolResult) -> str:
    if isinstance(block.content, list):
        return "\n".join(part.text for part in block.content if isinstance(part, Text))
    return block.content or ""


def _choice(body: Body) -> tuple[Literal["auto", "none", "required"], str | None, bool]:
    choice = body.tool_choice
    if choice is None:
        return "auto", None, True
    if choice.type == "none":
        return "none", None, True
    parallel = not choice.disable_parallel_tool_use
    if choice.type == "auto":
        return "auto", None, parallel
    return "required", choice.name if choice.type == "tool" else None, parallel


def _prompt_tokens(body: Body, payload: JsonObject) -> int:
    """Count the text of the turns, calls and results, and the tools as JSON."""
    total = count_tokens(_system(body))
    for message in body.messages:
        total += 3 + count_tokens(_said(message))
        if isinstance(message.content, str):
            continue
        for block in message.content:
            if isinstance(block, ToolUse):
                total += count_tokens(msgspec.json.encode(block.input).decode())
            elif isinstance(block, ToolResult):
                total += count_tokens(_returned(block))
    if payload.get("tools"):
        total += count_tokens(msgspec.json.encode(payload["tools"]).decode())
    return total

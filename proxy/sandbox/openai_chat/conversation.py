"""Reads an accepted Chat Completions body into the sandbox's own terms."""

from typing import Any, Literal

import msgspec

from proxy.sandbox.answer import Conversation, Result, Tool
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object, as_text, objects
from proxy.sandbox.openai_chat.models import traits
from proxy.sandbox.tokens import count_tokens

__all__ = ["EFFORT_TOKENS", "conversation"]

# Tokens of reasoning that the sandbox counts for each effort.
EFFORT_TOKENS = {"minimal": 4, "low": 8, "medium": 16, "high": 32, "xhigh": 64, "max": 128}


def conversation(body: JsonObject) -> Conversation:
    """Return what the request says; `body` has been validated."""
    messages: list[JsonObject] = body["messages"]
    asked = _last_user(messages)
    since = messages[asked + 1 :]
    mode, named, tools = _tools(body)
    stop = body.get("stop")
    effort = body.get("reasoning_effort")
    reasons = effort is not None and traits(body["model"]).is_reasoning(effort)
    return Conversation(
        model=body["model"],
        system="\n".join(_said(m) for m in messages if m["role"] in {"system", "developer"}),
        user=_said(messages[asked]) if asked >= 0 else "",
        results=_results(messages),
        rounds=sum(1 for m in since if m.get("tool_calls") or m.get("function_call")),
        tools=tools,
        choice=mode,
        named=named,
        parallel=body.get("parallel_tool_calls") is not False and not body.get("functions"),
        structure=_structure(body.get("response_format")),
        stop=tuple(as_list(stop) or ([stop] if isinstance(stop, str) else [])),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        prompt_tokens=_prompt_tokens(body),
        hidden_tokens=EFFORT_TOKENS.get(str(effort), 0) if reasons else 0,
    )


def _said(message: JsonObject) -> str:
    content = message.get("content")
    parts = as_list(content)
    if parts is None:
        return as_text(content)
    return "\n".join(part["text"] for part in parts if part.get("type") == "text")


def _last_user(messages: list[JsonObject]) -> int:
    return max((i for i, m in enumerate(messages) if m["role"] == "user"), default=-1)


def _results(messages: list[JsonObject]) -> tuple[Result, ...]:
    """Collect the tool messages at the end of the conversation."""
    names: dict[str, str] = {}
    for message in messages:
        for call in objects(message.get("tool_calls")):
            names[call["id"]] = call[call["type"]]["name"]
    results: list[Result] = []
    for message in reversed(messages):
        if message["role"] == "tool":
            name = names.get(message["tool_call_id"], "tool")
        elif message["role"] == "function":
            name = message["name"]
        else:
            break
        results.append(Result(name, _said(message)))
    return tuple(reversed(results))


def _tools(
    body: JsonObject,
) -> tuple[Literal["auto", "none", "required"], str | None, tuple[Tool, ...]]:
    tools = [Tool(tool[tool["type"]]["name"], _schema(tool)) for tool in objects(body.get("tools"))]
    tools += [Tool(f["name"], f.get("parameters") or {}) for f in objects(body.get("functions"))]
    choice: Any = body.get("tool_choice") or body.get("function_call") or "auto"
    if isinstance(choice, str):
        mode = "required" if choice == "required" else "none" if choice == "none" else "auto"
        return mode, None, tuple(tools)
    if choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        names = {t.get(t.get("type"), {}).get("name") or t.get("name") for t in allowed["tools"]}
        mode = "required" if allowed["mode"] == "required" else "auto"
        return mode, None, tuple(t for t in tools if t.name in names)
    named = choice.get("name") or choice[choice["type"]]["name"]
    return "required", named, tuple(tools)


def _schema(tool: JsonObject) -> object:
    if tool["type"] == "custom":
        return None
    return tool["function"].get("parameters") or {"type": "object", "properties": {}}


def _structure(wanted: Any) -> JsonObject | None:
    form = as_object(wanted) or {"type": "text"}
    match form["type"]:
        case "json_schema":
            return form["json_schema"].get("schema") or {}
        case "json_object":
            return {}
        case _:
            return None


def _prompt_tokens(body: JsonObject) -> int:
    """Count the text of the messages, what was called, and the tools as JSON."""
    total = 0
    for message in body["messages"]:
        total += 3 + count_tokens(_said(message))
        for call in objects(message.get("tool_calls")):
            total += count_tokens(msgspec.json.encode(call).decode())
    for key in ("tools", "functions"):
        if body.get(key):
            total += count_tokens(msgspec.json.encode(body[key]).decode())
    return total

"""Reads an accepted Responses body into the sandbox's own terms."""

from typing import Any, Literal

import msgspec

from proxy.sandbox.answer import Conversation, Result, Tool
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object, as_text, objects
from proxy.sandbox.openai_chat.conversation import EFFORT_TOKENS
from proxy.sandbox.openai_chat.models import traits
from proxy.sandbox.tokens import count_tokens

__all__ = ["conversation", "wants_summary"]

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def conversation(body: JsonObject) -> Conversation:
    """Return what the request says; `body` has been validated."""
    items: list[JsonObject] = body["input"]
    asked = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
    mode, named, tools = _tools(body)
    model = traits(body["model"])
    effort = (as_object(body.get("reasoning")) or {}).get("effort")
    reasons = model.is_reasoning(effort)
    return Conversation(
        model=body["model"],
        system="\n".join(
            text
            for text in (
                as_text(body.get("instructions")),
                *(_said(i) for i in items if i.get("role") in {"system", "developer"}),
            )
            if text
        ),
        user=_said(items[asked]) if asked >= 0 else "",
        results=_results(items),
        rounds=_rounds(items[asked + 1 :]),
        tools=tools,
        choice=mode,
        named=named,
        parallel=body.get("parallel_tool_calls") is not False,
        structure=_structure(body),
        max_tokens=body.get("max_output_tokens"),
        prompt_tokens=_prompt_tokens(body),
        thinks=reasons and wants_summary(body),
        hidden_tokens=EFFORT_TOKENS.get(effort or model.default_effort or "", 0) if reasons else 0,
    )


def wants_summary(body: JsonObject) -> bool:
    """Whether the reasoning is to be told in short."""
    reasoning: JsonObject = body.get("reasoning") or {}
    return bool(reasoning.get("summary") or reasoning.get("generate_summary"))


def _said(item: JsonObject) -> str:
    """Return the text of a message, or of a tool's output."""
    content = item.get("content", item.get("output"))
    parts = as_list(content)
    if parts is None:
        return as_text(content)
    return "\n".join(as_text(part.get("text")) for part in parts if "text" in part)


def _results(items: list[JsonObject]) -> tuple[Result, ...]:
    """Collect the outputs at the end of the input."""
    names = {item["call_id"]: item["name"] for item in items if item["type"] in _CALLS}
    results: list[Result] = []
    for item in reversed(items):
        if item["type"] not in _OUTPUTS:
            break
        results.append(Result(names[item["call_id"]], _said(item)))
    return tuple(reversed(results))


def _rounds(items: list[JsonObject]) -> int:
    """Count the turns with calls: calls in a row are one turn."""
    rounds = 0
    calling = False
    for item in items:
        if item["type"] in _CALLS:
            rounds += not calling
            calling = True
        elif item["type"] in _OUTPUTS:
            calling = False
    return rounds


def _tools(
    body: JsonObject,
) -> tuple[Literal["auto", "none", "required"], str | None, tuple[Tool, ...]]:
    tools = [
        Tool(tool["name"], None if tool["type"] == "custom" else _schema(tool))
        for tool in objects(body.get("tools"))
        if tool["type"] in {"function", "custom"}
    ]
    choice: Any = body.get("tool_choice") or "auto"
    if isinstance(choice, str):
        mode = "required" if choice == "required" else "none" if choice == "none" else "auto"
        return mode, None, tuple(tools)
    if choice["type"] == "allowed_tools":
        names = {tool.get("name") for tool in choice["tools"]}
        mode = "required" if choice["mode"] == "required" else "auto"
        return mode, None, tuple(tool for tool in tools if tool.name in names)
    if choice["type"] not in {"function", "custom"}:
        return "auto", None, tuple(tools)
    return "required", choice["name"], tuple(tools)


def _schema(tool: JsonObject) -> object:
    return tool.get("parameters") or {"type": "object", "properties": {}}


def _structure(body: JsonObject) -> JsonObject | None:
    text = as_object(body.get("text")) or {}
    form: JsonObject = text.get("format") or {"type": "text"}
    match form["type"]:
        case "json_schema":
            return form["schema"]
        case "json_object":
            return {}
        case _:
            return None


def _prompt_tokens(body: JsonObject) -> int:
    """Count the text of the messages, what was called, and the tools as JSON."""
    total = count_tokens(as_text(body.get("instructions")))
    for item in body["input"]:
        if item["type"] in {"message", *_OUTPUTS}:
            total += 3 + count_tokens(_said(item))
        elif item["type"] in _CALLS:
            total += count_tokens(as_text(item.get("arguments", item.get("input"))))
    if body.get("tools"):
        total += count_tokens(msgspec.json.encode(body["tools"]).decode())
    return total

"""Reads an accepted body into the sandbox's own terms."""

from typing import Literal

import msgspec

from proxy.sandbox.answer import Conversation, Result, Tool
from proxy.sandbox.gemini_generate.models import Traits
from proxy.sandbox.gemini_generate.rules import declarations
from proxy.sandbox.gemini_generate.schemas import as_json_schema
from proxy.sandbox.gemini_generate.turns import asks, calls, responses
from proxy.sandbox.jsontypes import JsonObject, as_object, objects
from proxy.sandbox.tokens import count_tokens

__all__ = ["conversation"]

# Tokens of thinking that the sandbox counts for each level; a budget counts as MEDIUM at most.
_LEVEL_TOKENS = {"MINIMAL": 4, "LOW": 8, "MEDIUM": 16, "HIGH": 32, "XHIGH": 64}


def conversation(model: str, body: JsonObject, traits: Traits) -> Conversation:
    """Return what the request says; `body` has canonical names and has been validated."""
    contents = objects(body["contents"])
    asked = max((i for i, content in enumerate(contents) if asks(content)), default=-1)
    config: JsonObject = body.get("generation_config", {})
    mode, named, tools = _tools(body)
    shown, hidden = _thinking(config.get("thinking_config", {}), traits)
    return Conversation(
        model=model,
        system=_said(body.get("system_instruction", {})).strip(),
        user=_said(contents[asked]) if asked >= 0 else "",
        results=tuple(Result(r["name"], _returned(r)) for r in responses(contents[-1])),
        rounds=sum(1 for content in contents[asked + 1 :] if responses(content)),
        tools=tools,
        choice=mode,
        named=named,
        structure=_structure(config),
        stop=tuple(config.get("stop_sequences", ())),
        max_tokens=config.get("max_output_tokens"),
        prompt_tokens=_prompt_tokens(body),
        thinks=shown,
        hidden_tokens=hidden,
    )


def _said(content: JsonObject) -> str:
    parts = objects(content.get("parts"))
    return "\n".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def _returned(response: JsonObject) -> str:
    """Show a response; the one text of `output`, `result` or `error` stands for itself."""
    found: JsonObject = response.get("response", {})
    if len(found) == 1:
        ((key, value),) = found.items()
        if key in {"output", "result", "error"} and isinstance(value, str):
            return value
    return msgspec.json.encode(found).decode()


def _tools(
    body: JsonObject,
) -> tuple[Literal["auto", "none", "required"], str | None, tuple[Tool, ...]]:
    tools = tuple(Tool(declared["name"], _schema(declared)) for declared in declarations(body))
    config: JsonObject = body.get("tool_config", {}).get("function_calling_config", {})
    mode = config.get("mode")
    if mode == "NONE":
        return "none", None, tools
    allowed: list[str] = config.get("allowed_function_names", [])
    if allowed:
        tools = tuple(tool for tool in tools if tool.name in allowed)
    if mode != "ANY":
        return "auto", None, tools
    return "required", allowed[0] if len(allowed) == 1 else None, tools


def _schema(declared: JsonObject) -> JsonObject:
    if "parameters" in declared:
        return as_json_schema(declared["parameters"])
    return as_object(declared.get("parameters_json_schema")) or {"type": "object"}


def _structure(config: JsonObject) -> JsonObject | None:
    if config.get("response_mime_type") != "application/json":
        return None
    if "response_schema" in config:
        return as_json_schema(config["response_schema"])
    return as_object(config.get("response_json_schema")) or {}


def _thinking(config: JsonObject, traits: Traits) -> tuple[bool, int]:
    """Say whether thoughts are shown, and how many tokens of hidden ones are counted."""
    budget = config.get("thinking_budget")
    if not traits.thinks or budget == 0:
        return False, 0
    if config.get("include_thoughts"):
        return True, 0
    level = config.get("thinking_level")
    if level is not None:
        return False, _LEVEL_TOKENS.get(level, 0)
    if budget is None:
        return False, 0
    return False, 16 if budget < 0 else min(budget, 16)


def _prompt_tokens(body: JsonObject) -> int:
    """Count the text of the turns, calls and responses, and the tools as JSON."""
    total = count_tokens(_said(body.get("system_instruction", {})))
    for content in objects(body["contents"]):
        total += 3 + count_tokens(_said(content))
        for call in calls(content):
            total += count_tokens(msgspec.json.encode(call.get("args", {})).decode())
        total += sum(count_tokens(_returned(response)) for response in responses(content))
    if body.get("tools"):
        total += count_tokens(msgspec.json.encode(body["tools"]).decode())
    return total

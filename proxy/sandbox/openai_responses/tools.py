"""Validation of `tools`, `tool_choice` and `text.format`."""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_chat.fields import Check
from proxy.sandbox.openai_chat.strict import check_strict

__all__ = ["check_choice", "check_format", "tools"]

_NAME = fields.string(r"^[a-zA-Z0-9_-]+$", 64)
_ANYTHING = fields.nullable(fields.open_object)
_SHARED: Mapping[str, Check] = {
    "type": fields.text,
    "name": _NAME,
    "description": fields.nullable(fields.text),
    "defer_loading": fields.nullable(fields.boolean),
    "allowed_callers": fields.nullable(fields.array),
    "async": fields.nullable(fields.boolean),
}
_OWN: Mapping[str, Mapping[str, Check]] = {
    "function": {
        **_SHARED,
        "parameters": _ANYTHING,
        "strict": fields.nullable(fields.boolean),
        "output_schema": _ANYTHING,
    },
    "custom": {**_SHARED, "format": _ANYTHING},
}
# The service's own tools: known by name, not simulated.
_SERVER_TOOLS = (
    *("file_search", "web_search", "web_search_2025_08_26", "web_search_preview"),
    *("web_search_preview_2025_03_11", "computer", "computer_use", "computer_use_preview"),
    *("mcp", "code_interpreter", "image_generation", "local_shell", "shell", "apply_patch"),
    *("namespace", "tool_search", "programmatic_tool_calling"),
)
_MOST_TOOLS = 128


def tools(value: Any, path: str) -> None:
    """Check the list of tools; unlike on Chat Completions it may be empty, and a tool is flat."""
    for i, tool in enumerate(fields.array(value, path, most=_MOST_TOOLS)):
        _tool(tool, f"{path}[{i}]")


def _tool(value: Any, path: str) -> None:
    tool = fields.open_object(value, path)
    fields.required(tool, path, "type")
    fields.of_words(*_OWN, *_SERVER_TOOLS)(tool["type"], f"{path}.type")
    kind: str = tool["type"]
    if kind not in _OWN:
        return
    # Before the unknown: a tool in the shape of Chat Completions is told that its name is missing.
    fields.required(tool, path, "name")
    fields.shaped(_OWN[kind])(tool, path)
    schema = as_object(tool.get("parameters"))
    if schema is not None:
        _parameters(tool, schema, f"{path}.parameters")


def _parameters(tool: JsonObject, schema: JsonObject, where: str) -> None:
    prefix = f"Invalid schema for function '{tool['name']}': "
    kind = schema.get("type")
    if schema and kind != "object":
        shown = "None" if kind is None else kind
        message = (
            f"{prefix}schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{shown}\"'."
        )
        raise refusals.refuse(message, where, "invalid_function_parameters")
    if tool.get("strict"):
        check_strict(schema, prefix, param=where, code="invalid_function_parameters")


def check_choice(choice: Any, offered: list[JsonObject]) -> None:
    """Check `tool_choice` against the tools that are offered.

    Raises:
        Rejection: as the service words it.
    """
    if isinstance(choice, str):
        fields.of_words("none", "auto", "required")(choice, "tool_choice")
        if choice == "required" and not offered:
            raise refusals.refuse(
                "Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice"
            )
        return
    chosen = as_object(choice)
    if chosen is None:
        raise refusals.invalid_type("tool_choice", "one of an object or string", choice)
    fields.required(chosen, "tool_choice", "type")
    kind: str = chosen["type"]
    fields.of_words("function", "custom", "allowed_tools", *_SERVER_TOOLS)(kind, "tool_choice.type")
    if kind == "allowed_tools":
        _ALLOWED(chosen, "tool_choice")
        for allowed in chosen["tools"]:
            _among(fields.open_object(allowed, "tool_choice.tools"), offered)
    elif kind in _OWN:
        fields.required(chosen, "tool_choice", "name")
        fields.shaped({"type": fields.text, "name": fields.text})(chosen, "tool_choice")
        _among(chosen, offered)


_ALLOWED = fields.shaped(
    {"type": fields.text, "mode": fields.of_words("auto", "required"), "tools": fields.array},
    "mode",
    "tools",
)


def _among(chosen: JsonObject, offered: list[JsonObject]) -> None:
    kind, name = chosen.get("type"), chosen.get("name")
    if kind not in _OWN:
        return
    if not any(tool["type"] == kind and tool["name"] == name for tool in offered):
        raise refusals.refuse(
            f"Tool choice '{name}' not found in 'tools' parameter.",
            "tool_choice",
        )


_FORMATS: Mapping[str, tuple[Mapping[str, Check], tuple[str, ...]]] = {
    "text": ({"type": fields.text}, ()),
    "json_object": ({"type": fields.text}, ()),
    "json_schema": (
        {
            "type": fields.text,
            "name": _NAME,
            "description": fields.nullable(fields.text),
            "schema": fields.open_object,
            "strict": fields.nullable(fields.boolean),
        },
        ("name", "schema"),
    ),
}


def check_format(value: Any, path: str) -> None:
    """Check `text.format`, which is flat: the schema's name stands beside its type."""
    found = fields.open_object(value, path)
    fields.required(found, path, "type")
    fields.of_words(*_FORMATS)(found["type"], f"{path}.type")
    known, needed = _FORMATS[found["type"]]
    fields.required(found, path, *needed)
    fields.shaped(known)(found, path)
    if found["type"] == "json_schema" and found.get("strict"):
        prefix = f"Invalid schema for response_format '{found['name']}': "
        check_strict(found["schema"], prefix, param=f"{path}.schema", code="invalid_json_schema")

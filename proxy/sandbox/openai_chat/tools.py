"""Validation of `tools`, `tool_choice`, `functions` and `response_format`."""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_chat.fields import Check
from proxy.sandbox.openai_chat.strict import check_strict

__all__ = ["check_choice", "check_function_choice", "check_response_format", "functions", "tools"]

_NAME = fields.string(r"^[a-zA-Z0-9_-]+$", 64)
_FUNCTION = fields.shaped(
    {
        "name": _NAME,
        "description": fields.nullable(fields.text),
        "parameters": fields.nullable(fields.open_object),
        "strict": fields.nullable(fields.boolean),
    },
    "name",
)
_LEGACY_FUNCTION = fields.shaped(
    {"name": _NAME, "description": fields.text, "parameters": fields.open_object}, "name"
)
_CUSTOM = fields.shaped(
    {"name": _NAME, "description": fields.text, "format": fields.open_object}, "name"
)
_NAMED = fields.shaped({"name": fields.text}, "name")
_MOST_TOOLS = 128


def tools(value: Any, path: str) -> None:
    """Check the list of tools."""
    for i, tool in enumerate(fields.array(value, path, least=1, most=_MOST_TOOLS)):
        _tool(tool, f"{path}[{i}]")


def _tool(value: Any, path: str) -> None:
    tool = fields.open_object(value, path)
    fields.required(tool, path, "type")
    fields.of_words("function", "custom")(tool["type"], f"{path}.type")
    kind: str = tool["type"]
    check = _FUNCTION if kind == "function" else _CUSTOM
    fields.shaped({"type": fields.text, kind: check}, kind)(tool, path)
    if kind == "function":
        _parameters(tool["function"], path)


def _parameters(function: JsonObject, path: str) -> None:
    schema = as_object(function.get("parameters"))
    if schema is None:
        return
    where, name = f"{path}.function.parameters", function["name"]
    prefix = f"Invalid schema for function '{name}': "
    kind = schema.get("type")
    if schema and kind != "object":
        shown = "None" if kind is None else kind
        message = (
            f"{prefix}schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{shown}\"'."
        )
        raise refusals.refuse(message, where, "invalid_function_parameters")
    if function.get("strict"):
        check_strict(schema, prefix, param=where, code="invalid_function_parameters")


def functions(value: Any, path: str) -> None:
    """Check the deprecated list of functions."""
    for i, function in enumerate(fields.array(value, path, least=1)):
        _LEGACY_FUNCTION(function, f"{path}[{i}]")


def check_choice(choice: Any, offered: list[JsonObject] | None) -> None:
    """Check `tool_choice` against the tools that are offered.

    Raises:
        Rejection: as the service words it.
    """
    if not offered:
        raise refusals.refuse(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are "
            "specified.",
            "tool_choice",
        )
    if isinstance(choice, str):
        fields.of_words("none", "auto", "required")(choice, "tool_choice")
        return
    chosen = as_object(choice)
    if chosen is None:
        raise refusals.invalid_type("tool_choice", "one of a string or object", choice)
    fields.required(chosen, "tool_choice", "type")
    fields.of_words(*_CHOICES)(chosen["type"], "tool_choice.type")
    kind: str = chosen["type"]
    known: Mapping[str, Check] = {"type": fields.text, kind: _CHOICES[kind]}
    fields.shaped(known, kind)(chosen, "tool_choice")
    if kind != "allowed_tools":
        _among(kind, chosen[kind]["name"], offered)


_CHOICES: Mapping[str, Check] = {
    "function": _NAMED,
    "custom": _NAMED,
    "allowed_tools": fields.shaped(
        {"mode": fields.of_words("auto", "required"), "tools": fields.array}, "mode", "tools"
    ),
}


def _among(kind: str, name: str, offered: list[JsonObject]) -> None:
    if not any(tool["type"] == kind and tool[kind]["name"] == name for tool in offered):
        raise refusals.refuse(
            f"Invalid value for 'tool_choice': no {kind} named '{name}' was specified in the "
            "'tools' parameter.",
            "tool_choice",
        )


def check_function_choice(choice: Any, offered: list[JsonObject] | None) -> None:
    """Check the deprecated `function_call` against the functions that are offered.

    Raises:
        Rejection: as the service words it.
    """
    if not offered:
        raise refusals.refuse(
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' "
            "are specified.",
            "function_call",
        )
    if isinstance(choice, str):
        fields.of_words("none", "auto")(choice, "function_call")
    else:
        _NAMED(choice, "function_call")


_SCHEMA_NAME = fields.string(r"^[a-zA-Z0-9_-]+$", 64)
_JSON_SCHEMA = fields.shaped(
    {
        "name": _SCHEMA_NAME,
        "description": fields.nullable(fields.text),
        "schema": fields.open_object,
        "strict": fields.nullable(fields.boolean),
    },
    "name",
)
_FORMATS: Mapping[str, Mapping[str, Check]] = {
    "text": {},
    "json_object": {},
    "json_schema": {"json_schema": _JSON_SCHEMA},
}


def check_response_format(value: Any, messages: list[JsonObject]) -> None:
    """Check `response_format`, and that JSON mode is spoken of in the messages.

    Raises:
        Rejection: as the service words it.
    """
    found = fields.open_object(value, "response_format")
    fields.required(found, "response_format", "type")
    fields.of_words(*_FORMATS)(found["type"], "response_format.type")
    own = _FORMATS[found["type"]]
    fields.shaped({"type": fields.text, **own}, *own)(found, "response_format")
    if found["type"] == "json_object" and not _speaks_of_json(messages):
        raise refusals.refuse(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            "messages",
        )
    schema = as_object(found.get("json_schema")) or {}
    if schema.get("strict"):
        prefix = f"Invalid schema for response_format '{schema['name']}': "
        check_strict(schema.get("schema") or {}, prefix, param="response_format", code=None)


def _speaks_of_json(messages: list[JsonObject]) -> bool:
    return any("json" in str(message.get("content")).lower() for message in messages)

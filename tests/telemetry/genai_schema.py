"""The JSON schemas of captured content, written after those of the GenAI conventions.

Source: model/gen-ai/gen-ai-{input-messages,output-messages,system-instructions,tool-definitions}
.json in open-telemetry/semantic-conventions-genai, as of 2026-11. Stricter in one place: there a
part that has a known `type` and lacks what belongs to it still passes as a `GenericPart`, and here
it does not; of types that are not known, only those that we write ourselves pass.
"""

import json
from typing import Any, Final

from jsonschema import Draft202012Validator

__all__ = ["checked", "instructions", "messages", "tools"]

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_MEDIUM: Final[Schema] = {"modality": _TEXT, "mime_type": _MAYBE_TEXT}


def _part(type: str, required: list[str], **properties: Any) -> Schema:
    return {
        "if": {"properties": {"type": {"const": type}}},
        "then": {"properties": properties, "required": required},
    }


PART: Final[Schema] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {
            "enum": [
                *("text", "reasoning", "tool_call", "tool_call_response", "blob", "uri", "file"),
                # Ours, as `GenericPart`s.
                *("refusal", "omitted", "future_part"),
            ]
        }
    },
    "allOf": [
        _part("text", ["content"], content=_TEXT),
        _part("reasoning", ["content"], content=_TEXT),
        _part("tool_call", ["name"], name=_TEXT, id=_MAYBE_TEXT),
        _part("tool_call_response", ["response"], id=_MAYBE_TEXT),
        # `content` is base64.
        _part(
            "blob",
            ["modality", "content"],
            **_MEDIUM,
            content={"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$"},
            transcript=_MAYBE_TEXT,
        ),
        _part("uri", ["modality", "uri"], **_MEDIUM, uri={**_TEXT, "pattern": "^(?!data:)"}),
        _part("file", ["modality", "file_id"], **_MEDIUM, file_id=_TEXT),
    ],
}  # fmt: skip

_MESSAGE: Final[Schema] = {
    "type": "object",
    "required": ["role", "parts"],
    "properties": {
        "role": _TEXT,
        "parts": {"type": "array", "items": PART},
        "name": _MAYBE_TEXT,
        "finish_reason": _MAYBE_TEXT,
    },
}

MESSAGES: Final[Schema] = {"type": "array", "items": _MESSAGE}

INSTRUCTIONS: Final[Schema] = {"type": "array", "items": PART}

TOOLS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "name"],
        "properties": {"type": _TEXT, "name": _TEXT, "description": _MAYBE_TEXT},
        "if": {"properties": {"type": {"const": "function"}}},
        "then": {
            "properties": {"parameters": {"type": ["object", "boolean", "null"]}},
        },
    },
}


def checked(data: Any, schema: Schema) -> Any:
    """Return what `data`, which is JSON, says; it must be as the schema has it."""
    value: Any = json.loads(data) if isinstance(data, str) else data
    validator: Any = Draft202012Validator(schema)
    validator.validate(value)
    return value


def messages(data: Any) -> Any:
    """Return input or output messages."""
    return checked(data, MESSAGES)


def instructions(data: Any) -> Any:
    """Return system instructions."""
    return checked(data, INSTRUCTIONS)


def tools(data: Any) -> Any:
    """Return tool definitions."""
    return checked(data, TOOLS)

"""Custom tools and broken arguments, for APIs that know nothing but functions on JSON objects.

1. A custom tool takes free text; here it is a function with the one string `input`. A grammar
   goes into the description, where nobody enforces it.
2. Arguments that are no JSON object (a model may have got them wrong, or been cut off) are kept
   as the text they are, in an object of one field.
"""

from typing import Any, cast

import msgspec

from translators.fidelity import ReportBuilder
from translators.json import UNREADABLE
from translators.wire.content import CustomCall, ToolCall
from translators.wire.request import CustomTool

__all__ = ["custom_call", "custom_description", "custom_schema", "parse_arguments", "parse_object"]


def custom_schema() -> dict[str, Any]:
    """Return the schema of a function that stands for a custom tool."""
    return {
        "type": "object",
        "properties": {"input": {"type": "string"}},
        "required": ["input"],
    }


def custom_description(tool: CustomTool, *, path: str, report: ReportBuilder) -> str:
    """Return the description of a function that stands for `tool`, or nothing.

    Raises:
        TranslationError: The tool's grammar is not one.
    """
    custom = tool.custom
    report.emulated("tools[].custom")
    report.ignored_fields("tools[].custom", custom.model_extra or {})
    description = custom.description or ""
    if custom.format and custom.format.get("type") == "grammar":
        report.ignored("tools[].custom.format")
        grammar = custom.format.get("grammar")
        if not isinstance(grammar, dict):
            raise report.reject(f"{path}.format.grammar", "a grammar is an object.")
        grammar = cast("dict[str, Any]", grammar)
        description += (
            f"\n\nThe input must match this {grammar.get('syntax', '')} grammar:\n"
            f"{grammar.get('definition', '')}"
        )
    return description.strip()


def custom_call(call: ToolCall) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of an earlier call of a custom tool."""
    # `parse_request` has seen to it that a call is of a function or of a custom tool.
    custom = call.custom or CustomCall(name="", input="")
    return custom.name, {"input": custom.input}


def parse_arguments(text: str, report: ReportBuilder) -> dict[str, Any]:
    """Return the arguments of an earlier call as an object; see rule 2."""
    if not text.strip():
        return {}
    value = parse_object(text)
    if value is not None:
        return value
    report.emulated("messages[].tool_calls[].function.arguments")
    return {"_raw": text}


def parse_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that `text` is, or None where it is none."""
    try:
        value = msgspec.json.decode(text)
    except UNREADABLE:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None

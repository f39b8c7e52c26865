"""Tools, and the choice among them.

https://developers.openai.com/api/docs/guides/function-calling

1. A function is strict there unless it says otherwise, and on chat completions the other way
   round: it always says.
2. The server's own tools whose results are in the text may stand in `tools`, as they stand.
"""

from collections.abc import Mapping
from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.openai_responses.content import Item
from translators.wire.request import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    NamedToolChoice,
    Tool,
)

__all__ = ["to_tool_choice", "to_tools"]

_SERVER_TOOLS = (
    *("web_search", "web_search_2025_08_26", "web_search_preview", "file_search"),
    "code_interpreter",
)


def to_tools(chat: ChatCompletionRequest, report: ReportBuilder) -> list[Item]:
    """Return the native tools.

    Raises:
        TranslationError: A tool has no counterpart there.
    """
    tools = [_tool(tool, index, report) for index, tool in enumerate(chat.tools or ())]
    tools += [_function(function, "functions[]", report) for function in chat.functions or ()]
    if chat.web_search_options is not None:
        tools.append(_web_search(chat.web_search_options, report))
    return tools


def to_tool_choice(chat: ChatCompletionRequest, report: ReportBuilder) -> str | Item | None:
    """Return the native tool choice, or None where none is made.

    Raises:
        TranslationError: An entry of `allowed_tools` names no tool.
    """
    if not (chat.tools or chat.functions):
        return None
    choice = chat.tool_choice if chat.tool_choice is not None else chat.function_call
    if choice is None or isinstance(choice, str):
        return choice
    if not isinstance(choice, NamedToolChoice):
        return {"type": "function", "name": choice.name}
    report.ignored_fields("tool_choice", choice.model_extra or {})
    if choice.type == "allowed_tools" and (allowed := choice.allowed_tools) is not None:
        tools = [_allowed(entry, report) for entry in allowed.tools]
        return {"type": "allowed_tools", "mode": allowed.mode, "tools": tools}
    named = choice.custom if choice.type == "custom" else choice.function
    # `parse_request` has seen to it that the field of the type is there.
    return {"type": choice.type, "name": "" if named is None else named.name}


def _allowed(entry: Item, report: ReportBuilder) -> Item:
    """Return an entry of `allowed_tools`, which is written in two ways."""
    kind = entry.get("type")
    if kind in _SERVER_TOOLS:
        return {"type": kind}
    inner = entry.get(str(kind))
    name = cast("Item", inner).get("name") if isinstance(inner, dict) else entry.get("name")
    if not isinstance(name, str) or kind not in ("function", "custom"):
        raise report.reject("tool_choice.allowed_tools.tools", "an entry names no tool.")
    return {"type": kind, "name": name}


def _tool(tool: Tool, index: int, report: ReportBuilder) -> Item:
    if isinstance(tool, FunctionTool):
        report.ignored_fields("tools[]", tool.model_extra or {})
        return _function(tool.function, "tools[].function", report)
    if isinstance(tool, CustomTool):
        report.ignored_fields("tools[]", tool.model_extra or {})
        return _custom(tool, f"tools[{index}].custom", report)
    if tool.type in _SERVER_TOOLS:
        return tool.model_dump(exclude_unset=True)
    raise report.reject(f"tools[{index}].type", f"tools of type `{tool.type[:40]}` are not known.")


def _function(function: FunctionDefinition, general: str, report: ReportBuilder) -> Item:
    report.ignored_fields(general, function.model_extra or {})
    native: Item = {"type": "function", "name": function.name}
    if function.description is not None:
        native["description"] = function.description
    native["parameters"] = function.parameters or {"type": "object", "properties": {}}
    native["strict"] = bool(function.strict)
    return native


def _custom(tool: CustomTool, path: str, report: ReportBuilder) -> Item:
    custom = tool.custom
    report.ignored_fields("tools[].custom", custom.model_extra or {})
    native: Item = {"type": "custom", "name": custom.name}
    if custom.description is not None:
        native["description"] = custom.description
    if custom.format is not None:
        native["format"] = _format(custom.format, f"{path}.format", report)
    return native


def _format(form: Item, path: str, report: ReportBuilder) -> Item:
    """Return the form of a custom tool's input: there a grammar lies flat."""
    if form.get("type") == "text":
        return {"type": "text"}
    grammar: Any = form.get("grammar")
    if form.get("type") != "grammar" or not isinstance(grammar, dict):
        raise report.reject(path, "it is neither `text` nor a `grammar`.")
    fields = cast("Item", grammar)
    known = {name: fields.get(name) for name in ("syntax", "definition")}
    if not all(isinstance(value, str) for value in known.values()):
        raise report.reject(f"{path}.grammar", "it needs a `syntax` and a `definition`.")
    report.ignored_fields("tools[].custom.format.grammar", fields, known=frozenset(known))
    return {"type": "grammar", **known}


_LOCATION = ("city", "country", "region", "timezone")


def _web_search(options: Mapping[str, Any], report: ReportBuilder) -> Item:
    """Return the tool that stands for `web_search_options`: there the location lies flat."""
    report.emulated("web_search_options")
    known = frozenset({"search_context_size", "user_location"})
    report.ignored_fields("web_search_options", options, known=known)
    tool: Item = {"type": "web_search"}
    if options.get("search_context_size") is not None:
        tool["search_context_size"] = options["search_context_size"]
    location: Any = options.get("user_location")
    if location is None:
        return tool
    place: Any = cast("Item", location).get("approximate") if isinstance(location, dict) else None
    if not isinstance(place, dict):
        raise report.reject("web_search_options.user_location", "it needs `approximate`.")
    fields = cast("Item", place)
    path = "web_search_options.user_location.approximate"
    report.ignored_fields(path, fields, known=frozenset(_LOCATION))
    kept = {name: fields[name] for name in _LOCATION if fields.get(name) is not None}
    return {**tool, "user_location": {"type": "approximate", **kept}}

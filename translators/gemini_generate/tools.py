"""Tools, and the choice among them.

https://ai.google.dev/gemini-api/docs/function-calling

1. Custom tools are as in `translators.functions`.
2. There is no mark for a strict tool: in the mode `VALIDATED` every call keeps to its schema and
   none is forced, so one strict tool among them asks for that.
3. A search of the web is a tool of the server's own. From generation 3 on it stands beside
   functions, if the request takes what it did into the conversation
   (https://ai.google.dev/gemini-api/docs/tool-combination, on the Gemini API only);
   that is in the calls' `extra_content.google.server_tools`.
4. A choice among some tools is a mode of its own, which models before 2.5 do not have: they are
   told of no others.
"""

from collections.abc import Iterator
from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.functions import custom_description, custom_schema
from translators.gemini_generate.models import ModelProfile
from translators.gemini_generate.names import MAX_LENGTH, encode_name
from translators.gemini_generate.plain import is_plain
from translators.gemini_generate.schema import to_schema
from translators.wire.request import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    NamedToolChoice,
    Tool,
)

__all__ = ["serves_search", "to_tool_config", "to_tools"]

_Object = dict[str, Any]


def to_tools(
    chat: ChatCompletionRequest, *, profile: ModelProfile, report: ReportBuilder
) -> list[_Object]:
    """Return the native tools.

    Raises:
        TranslationError: A tool has no counterpart there.
    """
    functions = [_tool(tool, index, report) for index, tool in enumerate(chat.tools or ())]
    functions += [
        _function(function, "functions[]", index, report)
        for index, function in enumerate(chat.functions or ())
    ]
    if (told := _only(chat, profile, report)) is not None:
        functions = [function for function in functions if function["name"] in told]
    declared: list[_Object] = [{"functionDeclarations": functions}] if functions else []
    if chat.web_search_options is None:
        return declared
    if declared and not profile.search_beside_functions:
        raise report.reject(
            "web_search_options",
            "its search does not stand beside functions here; from Gemini 3 on, that of the "
            "Gemini API does, which is not Vertex.",
        )
    report.emulated("web_search_options")
    report.ignored_fields("web_search_options", chat.web_search_options)
    return [{"googleSearch": {}}, *declared]


def serves_search(chat: ChatCompletionRequest) -> bool:
    """Whether a search of the web stands beside functions."""
    return chat.web_search_options is not None and bool(chat.tools or chat.functions)


def to_tool_config(
    chat: ChatCompletionRequest, *, profile: ModelProfile, report: ReportBuilder
) -> _Object | None:
    """Return the native tool choice, or None where the default says the same.

    Raises:
        TranslationError: The choice names a tool that is not there.
    """
    if not (chat.tools or chat.functions):
        return None
    config: _Object = {}
    if (calling := _calling(chat, profile, report)) is not None:
        config["functionCallingConfig"] = calling
    if serves_search(chat):
        config["includeServerSideToolInvocations"] = True
    return config or None


def _calling(
    chat: ChatCompletionRequest, profile: ModelProfile, report: ReportBuilder
) -> _Object | None:
    mode, names = _choice(chat, report)
    if mode == "VALIDATED" and not profile.validated:
        mode, names = "AUTO", None  # See `_only`.
    if any(function.strict for function in _functions(chat)):
        if mode in (None, "AUTO") and profile.validated:
            mode = "VALIDATED"
        elif mode in (None, "AUTO"):
            report.ignored("tools[].function.strict")
    if mode is None:
        return None
    config: _Object = {"mode": mode}
    if names is not None:
        config["allowedFunctionNames"] = [_known(name, chat, report) for name in names]
    return config


def _only(
    chat: ChatCompletionRequest, profile: ModelProfile, report: ReportBuilder
) -> set[str] | None:
    """Return the names of the tools that are told to a model which could not choose among them."""
    choice = chat.tool_choice
    if not isinstance(choice, NamedToolChoice) or choice.type != "allowed_tools":
        return None
    allowed = choice.allowed_tools
    if profile.validated or allowed is None or allowed.mode == "required":
        return None
    report.emulated("tool_choice")
    return {_known(_allowed_name(entry, report), chat, report) for entry in allowed.tools}


def _choice(chat: ChatCompletionRequest, report: ReportBuilder) -> tuple[str | None, Any]:
    choice = chat.tool_choice if chat.tool_choice is not None else chat.function_call
    if choice is None:
        return None, None
    if isinstance(choice, str):
        return {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice], None
    if not isinstance(choice, NamedToolChoice):
        return "ANY", [choice.name]
    report.ignored_fields("tool_choice", choice.model_extra or {})
    if (allowed := choice.allowed_tools) is not None and choice.type == "allowed_tools":
        names = [_allowed_name(entry, report) for entry in allowed.tools]
        if not names and allowed.mode == "auto":
            return "NONE", None  # No names there would mean no limits.
        if not names:
            raise report.reject("tool_choice.allowed_tools.tools", "it has to allow one.")
        return ("ANY" if allowed.mode == "required" else "VALIDATED"), names
    named = choice.custom if choice.type == "custom" else choice.function
    # `parse_request` has seen to it that the field of the type is there.
    return "ANY", [] if named is None else [named.name]


def _allowed_name(entry: _Object, report: ReportBuilder) -> str:
    """Return the name in an entry of `allowed_tools`, which is written in two ways."""
    inner = entry.get(str(entry.get("type")))
    name = cast("_Object", inner).get("name") if isinstance(inner, dict) else entry.get("name")
    if not isinstance(name, str):
        raise report.reject("tool_choice.allowed_tools.tools", "an entry names no tool.")
    return name


def _known(name: str, chat: ChatCompletionRequest, report: ReportBuilder) -> str:
    known = {function.name for function in _functions(chat)} | chat.custom_tool_names
    if name not in known:
        path = "function_call" if chat.tool_choice is None else "tool_choice"
        raise report.reject(path, f"there is no tool `{name[:64]}` to choose.")
    return encode_name(name)


def _functions(chat: ChatCompletionRequest) -> Iterator[FunctionDefinition]:
    yield from (tool.function for tool in chat.tools or () if isinstance(tool, FunctionTool))
    yield from chat.functions or ()


def _tool(tool: Tool, index: int, report: ReportBuilder) -> _Object:
    if extra := tool.model_extra:
        report.ignored_fields("tools[]", extra)
    if isinstance(tool, FunctionTool):
        return _function(tool.function, "tools[].function", index, report)
    if isinstance(tool, CustomTool):
        return _custom(tool, index, report)
    raise report.reject(f"tools[{index}].type", f"tools of type `{tool.type[:40]}` are not known.")


def _function(
    function: FunctionDefinition, general: str, index: int, report: ReportBuilder
) -> _Object:
    """Return function number `index`; `general` is its path without that."""
    if extra := function.model_extra:
        report.ignored_fields(general, extra)
    native: _Object = {"name": _name(function.name, general, index, report)}
    if function.description:
        native["description"] = function.description
    if not (parameters := function.parameters):
        return native
    if is_plain(parameters):
        native["parametersJsonSchema"] = parameters
        return native
    native["parametersJsonSchema"] = to_schema(
        parameters,
        path=f"{_at(general, index)}.parameters",
        general=f"{general}.parameters",
        report=report,
        root_is_object=True,
    )
    return native


def _custom(tool: CustomTool, index: int, report: ReportBuilder) -> _Object:
    general = "tools[].custom"
    description = custom_description(tool, path=_at(general, index), report=report)
    native: _Object = {"name": _name(tool.custom.name, general, index, report)}
    if description:
        native["description"] = description
    return {**native, "parametersJsonSchema": custom_schema()}


def _name(name: str, general: str, index: int, report: ReportBuilder) -> str:
    native = encode_name(name)
    if len(native) > MAX_LENGTH:
        path = f"{_at(general, index)}.name"
        raise report.reject(path, f"a name has at most {MAX_LENGTH} characters there.")
    if native != name:
        report.emulated(f"{general}.name")
    return native


def _at(general: str, index: int) -> str:
    """Return a path with its index."""
    return general.replace("[]", f"[{index}]", 1)

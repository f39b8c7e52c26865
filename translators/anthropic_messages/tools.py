"""Tools, the choice among them, and the calls and results of earlier turns.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview

1. Custom tools and broken arguments are as in `translators.functions`.
2. Ids of calls must match `^[a-zA-Z0-9_-]+$` and be unique in a conversation. Foreign ids are
   mapped in the order of their appearance, so a longer conversation maps them alike.
"""

import re
from collections import defaultdict, deque
from collections.abc import Hashable

from translators.anthropic_messages.content import CACHE_FIELDS, Block, cache_mark
from translators.anthropic_messages.models import ModelProfile
from translators.fidelity import ReportBuilder
from translators.functions import (
    custom_call,
    custom_description,
    custom_schema,
    parse_arguments,
)
from translators.wire.content import FunctionCall, ToolCall
from translators.wire.request import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    NamedToolChoice,
    Tool,
)

__all__ = [
    "CallIds",
    "call_block",
    "function_call_block",
    "to_tool_choice",
    "to_tools",
]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


def to_tools(chat: ChatCompletionRequest, called: list[str], report: ReportBuilder) -> list[Block]:
    """Return the native tools; `called` are the names in the history's calls.

    The API refuses a history with calls when no tool is defined, so stubs stand in.

    Raises:
        TranslationError: A tool has no counterpart there.
    """
    tools = [_tool(tool, index, report) for index, tool in enumerate(chat.tools or ())]
    tools += [
        _function(function, f"functions[{index}]", report)
        for index, function in enumerate(chat.functions or ())
    ]
    if not tools and called:
        report.emulated("tools")
        tools = [
            {"name": name, "input_schema": {"type": "object"}} for name in dict.fromkeys(called)
        ]
    return tools


def to_tool_choice(
    chat: ChatCompletionRequest, *, profile: ModelProfile, report: ReportBuilder
) -> Block | None:
    """Return the native tool choice, or None where the default says the same.

    Raises:
        TranslationError: The model cannot be forced, or the choice has no counterpart.
    """
    if not (chat.tools or chat.functions):
        return None
    choice = _choice(chat, report)
    if choice is not None and choice["type"] in ("any", "tool") and not profile.forced_tools:
        raise report.reject(
            "tool_choice" if chat.tool_choice is not None else "function_call",
            "the model can no longer be forced to call a tool; "
            'use "auto" and say in the prompt what is to be called.',
        )
    # The legacy form of an answer holds one call.
    single = chat.parallel_tool_calls is False or (bool(chat.functions) and not chat.tools)
    if not single or (choice is not None and choice["type"] == "none"):
        return choice
    return {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}


def _choice(chat: ChatCompletionRequest, report: ReportBuilder) -> Block | None:
    choice = chat.tool_choice if chat.tool_choice is not None else chat.function_call
    if choice is None:
        return None
    if choice == "auto" or choice == "none":
        return {"type": choice}
    if choice == "required":
        return {"type": "any"}
    if not isinstance(choice, NamedToolChoice):
        return {"type": "tool", "name": choice.name}
    report.ignored_fields("tool_choice", choice.model_extra or {})
    named = choice.function or choice.custom
    if named is not None:
        report.ignored_fields(f"tool_choice.{choice.type}", named.model_extra or {})
    if choice.type == "allowed_tools" or named is None:
        raise report.reject("tool_choice", "a choice of `allowed_tools` is not translated yet.")
    return {"type": "tool", "name": named.name}


def _tool(tool: Tool, index: int, report: ReportBuilder) -> Block:
    path = f"tools[{index}]"
    if isinstance(tool, FunctionTool):
        native = _function(tool.function, f"{path}.function", report)
    elif isinstance(tool, CustomTool):
        native = _custom(tool, f"{path}.custom", report)
    else:
        raise report.reject(f"{path}.type", f"tools of type `{tool.type[:40]}` are not known.")
    extra = tool.model_extra or {}
    report.ignored_fields("tools[]", extra, known=CACHE_FIELDS)
    if mark := cache_mark(extra):
        native["cache_control"] = mark
    return native


def _function(function: FunctionDefinition, path: str, report: ReportBuilder) -> Block:
    extra = function.model_extra or {}
    report.ignored_fields("tools[].function", extra, known=CACHE_FIELDS)
    if function.strict:
        report.ignored("tools[].function.strict")
    native: Block = {"name": _name(function.name, f"{path}.name", report)}
    if function.description:
        native["description"] = function.description
    schema = function.parameters or {"properties": {}}
    # The API wants the root's type said: "tools.0.custom.input_schema.type: Field required".
    native["input_schema"] = schema if "type" in schema else {"type": "object", **schema}
    if mark := cache_mark(extra):
        native["cache_control"] = mark
    return native


def _custom(tool: CustomTool, path: str, report: ReportBuilder) -> Block:
    description = custom_description(tool, path=path, report=report)
    native: Block = {"name": _name(tool.custom.name, f"{path}.name", report)}
    if description:
        native["description"] = description
    return {**native, "input_schema": custom_schema()}


def _name(name: str, path: str, report: ReportBuilder) -> str:
    if not _NAME.fullmatch(name):
        raise report.reject(
            path, "a name has at most 128 letters, digits, underscores and dashes there."
        )
    return name


class CallIds:
    """Gives each call of a conversation its native id, and finds it again for the result."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._open: defaultdict[Hashable, deque[str]] = defaultdict(deque)

    def open(self, key: Hashable, wanted: str) -> str:
        """Return the native id, like `wanted`, of a new call whose result will name `key`."""
        plain = _FOREIGN.sub("_", wanted)
        native, number = plain, 1
        while native in self._used:
            number += 1
            native = f"{plain}_{number}"
        self._used.add(native)
        self._open[key].append(native)
        return native

    def close(self, key: Hashable) -> str | None:
        """Return the native id that a result for `key` answers, or None where no call waits."""
        waiting = self._open.get(key)
        return waiting.popleft() if waiting else None

    def unanswered(self) -> str | None:
        """Return the native id of a call that still waits, or None."""
        return next((waiting[0] for waiting in self._open.values() if waiting), None)


def call_block(call: ToolCall, *, id: str, report: ReportBuilder) -> Block:
    """Return the block of an earlier call."""
    extra = {name: value for name, value in (call.model_extra or {}).items() if name != "index"}
    report.ignored_fields("messages[].tool_calls[]", extra)
    told = call.function or call.custom
    if told is not None:
        report.ignored_fields(f"messages[].tool_calls[].{call.type}", told.model_extra or {})
    if call.function is not None:
        return function_call_block(call.function, id=id, report=report)
    name, arguments = custom_call(call)
    return _call(name, arguments, id=id, report=report)


def function_call_block(call: FunctionCall, *, id: str, report: ReportBuilder) -> Block:
    """Return the block of an earlier call of a function."""
    return _call(call.name, parse_arguments(call.arguments, report), id=id, report=report)


def _call(name: str, arguments: Block, *, id: str, report: ReportBuilder) -> Block:
    native = _FOREIGN.sub("_", name)[:128] or "_"
    if native != name:
        report.emulated("messages[].tool_calls[].function.name")
    return {"type": "tool_use", "id": id, "name": native, "input": arguments}

"""The tools on offer.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview

1. Custom tools are as in `translators.functions`; names as in `translators.names`.
2. A strict tool has its schema in the form of `translators.anthropic_messages.schema`. Where
   that is not possible the tool is offered all the same, without a promise, and reported.
3. The API takes any schema for a tool that is not strict, but its root: that is an object, and
   has no `anyOf`, `oneOf` or `allOf`.
"""

import re
from typing import Final

from translators.anthropic_messages.content import CACHE_FIELDS, Block, cache_mark
from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.schema import StrictBudget, to_strict
from translators.anthropic_messages.tool_schema import open_root
from translators.fidelity import ReportBuilder
from translators.functions import custom_description, custom_schema
from translators.names import encode_name
from translators.wire.request import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionTool,
    Tool,
)

__all__ = ["LEGAL_NAME", "MAX_NAME", "to_tools"]

LEGAL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
"""What the name of a tool is made of."""

MAX_NAME: Final = 128
"""Characters of a name, as it is sent."""


def to_tools(
    chat: ChatCompletionRequest,
    *,
    called: list[str],
    allowed: frozenset[str] | None,
    profile: ModelProfile,
    budget: StrictBudget,
    report: ReportBuilder,
) -> list[Block]:
    """Return the native tools.

    The API refuses a history with calls when no tool is defined, so stubs stand in.

    Args:
        chat: The request.
        called: The names in the history's calls.
        allowed: The names of the tools that may be called; None: all.
        profile: What the model accepts.
        budget: What the strict schemas of the request may still have.
        report: Where to say what was not carried over as it stood.

    Raises:
        TranslationError: A tool has no counterpart there.
    """
    writer = _Writer(profile, budget, report)
    tools: list[Block] = []
    for index, tool in enumerate(chat.tools or ()):
        if allowed is None or _plain_name(tool) in allowed:
            tools.append(writer.tool(tool, index))
    for index, function in enumerate(chat.functions or ()):
        if allowed is None or function.name in allowed:
            tools.append(writer.function(function, "functions[]", index))
    # A tool of the server's own is one, too.
    if not tools and called and chat.web_search_options is None:
        report.emulated("tools")
        stubs = dict.fromkeys(called)
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in stubs]
    return tools


def _plain_name(tool: Tool) -> str | None:
    if isinstance(tool, FunctionTool):
        return tool.function.name
    return tool.custom.name if isinstance(tool, CustomTool) else None


class _Writer:
    """Writes tools in the API's form."""

    def __init__(self, profile: ModelProfile, budget: StrictBudget, report: ReportBuilder) -> None:
        self._profile = profile
        self._budget = budget
        self._report = report

    def tool(self, tool: Tool, index: int) -> Block:
        """Return tool number `index`."""
        if isinstance(tool, FunctionTool):
            native = self.function(tool.function, "tools[].function", index)
        elif isinstance(tool, CustomTool):
            native = self._custom(tool, index)
        else:
            raise self._report.reject(
                f"tools[{index}].type", f"tools of type `{tool.type[:40]}` are not known."
            )
        if extra := tool.model_extra:
            self._report.ignored_fields("tools[]", extra, known=CACHE_FIELDS)
            _mark(native, extra)
        return native

    def function(self, function: FunctionDefinition, general: str, index: int) -> Block:
        """Return a function; `general` is its path without the index."""
        extra = function.model_extra
        if extra:
            self._report.ignored_fields(general, extra, known=CACHE_FIELDS)
        native: Block = {"name": self._name(function.name, general, index)}
        if function.description:
            native["description"] = function.description
        self._add_parameters(native, function, general, index)
        if extra:
            _mark(native, extra)
        return native

    def _add_parameters(
        self, native: Block, function: FunctionDefinition, general: str, index: int
    ) -> None:
        parameters = function.parameters or {"properties": {}}
        try:
            if function.strict and self._profile.structured_outputs:
                strict = to_strict(parameters, arguments=True)
                if strict is not None and self._budget.take(strict):
                    if strict.changed:
                        self._report.emulated(f"{general}.parameters")
                    native["input_schema"], native["strict"] = strict.schema, True
                    return
            if function.strict:
                self._report.ignored(f"{general}.strict")
            native["input_schema"], changed = open_root(parameters)
        except ValueError as error:
            path = f"{_at(general, index)}.parameters"
            raise self._report.reject(path, f"{error}.") from None
        if changed:
            self._report.emulated(f"{general}.parameters")

    def _custom(self, tool: CustomTool, index: int) -> Block:
        general = "tools[].custom"
        description = custom_description(tool, path=_at(general, index), report=self._report)
        native: Block = {"name": self._name(tool.custom.name, general, index)}
        if description:
            native["description"] = description
        return {**native, "input_schema": custom_schema()}

    def _name(self, name: str, general: str, index: int) -> str:
        native = encode_name(name, LEGAL_NAME)
        if len(native) > MAX_NAME:
            raise self._report.reject(
                f"{_at(general, index)}.name", f"a name has at most {MAX_NAME} characters there."
            )
        if native != name:
            self._report.emulated(f"{general}.name")
        return native


def _mark(native: Block, extra: Block) -> None:
    """Carry over the cache mark among a tool's unknown fields."""
    if mark := cache_mark(extra):
        native["cache_control"] = mark


def _at(general: str, index: int) -> str:
    """Return a path with its index."""
    return general.replace("[]", f"[{index}]", 1)

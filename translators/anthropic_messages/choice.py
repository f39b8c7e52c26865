"""The choice among the tools.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#forcing-tool-use

1. The newest models cannot be forced to call a tool any more, and none can be while it thinks
   within a budget: they are told to, in the last words before the answer. Nothing before those
   words changes, so what is cached of the conversation stays so.
2. A choice of some of the tools leaves the others out of the request.
"""

from dataclasses import dataclass
from typing import Any, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.tools import LEGAL_NAME
from translators.fidelity import ReportBuilder
from translators.names import encode_name
from translators.wire.request import (
    ChatCompletionRequest,
    FunctionTool,
    NamedToolChoice,
    OtherTool,
)

__all__ = ["Choice", "to_tool_choice"]

_ANY = "You must call at least one of the tools now; do not answer in words alone."
_ONE = "You must call the tool `{}` now; do not answer in words alone."


@dataclass(frozen=True, slots=True)
class Choice:
    """A tool choice.

    Attributes:
        native: As the API has it; None where the default says the same.
        instruction: What to tell a model that cannot be forced.
        allowed: The names of the tools that may be called; None: all.
    """

    native: Block | None = None
    instruction: str | None = None
    allowed: frozenset[str] | None = None

    @property
    def forced(self) -> bool:
        """Whether a call is forced."""
        return self.native is not None and self.native["type"] in ("any", "tool")


_NO_CHOICE = Choice()


def to_tool_choice(
    chat: ChatCompletionRequest, *, profile: ModelProfile, thinks: bool, report: ReportBuilder
) -> Choice:
    """Return the tool choice; `thinks`: the model thinks in a way that excludes a forced call.

    Raises:
        TranslationError: The choice names a tool that is not there.
    """
    if not (chat.tools or chat.functions):
        return _NO_CHOICE
    native, allowed = _choice(chat, report)
    instruction = None
    path = "tool_choice" if chat.tool_choice is not None else "function_call"
    excluded = thinks or not profile.forced_tools
    if excluded and native is not None and native["type"] in ("any", "tool"):
        report.emulated(path)
        instruction = _ANY if native["type"] == "any" else _ONE.format(native["name"])
        native = {"type": "auto"}
    # The legacy form of an answer holds one call.
    single = chat.parallel_tool_calls is False or (bool(chat.functions) and not chat.tools)
    if single and (native is None or native["type"] != "none"):
        native = {**(native or {"type": "auto"}), "disable_parallel_tool_use": True}
    return Choice(native, instruction, allowed)


def _choice(
    chat: ChatCompletionRequest, report: ReportBuilder
) -> tuple[Block | None, frozenset[str] | None]:
    choice = chat.tool_choice if chat.tool_choice is not None else chat.function_call
    if choice is None:
        return None, None
    if choice == "auto" or choice == "none":
        return {"type": choice}, None
    if choice == "required":
        return {"type": "any"}, None
    if not isinstance(choice, NamedToolChoice):
        return _named(choice.name, "function_call", chat, report), None
    report.ignored_fields("tool_choice", choice.model_extra or {})
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return _allowed(choice, chat, report)
    named = choice.custom if choice.type == "custom" else choice.function
    if named is None:  # `parse_request` has seen to it that the field of the type is there.
        raise report.reject("tool_choice", "it names no tool.")
    report.ignored_fields(f"tool_choice.{choice.type}", named.model_extra or {})
    return _named(named.name, "tool_choice", chat, report), None


def _named(name: str, path: str, chat: ChatCompletionRequest, report: ReportBuilder) -> Block:
    if name not in _names(chat):
        raise report.reject(path, f"there is no tool `{name[:64]}` to choose.")
    return {"type": "tool", "name": encode_name(name, LEGAL_NAME)}


def _allowed(
    choice: NamedToolChoice, chat: ChatCompletionRequest, report: ReportBuilder
) -> tuple[Block, frozenset[str]]:
    path = "tool_choice.allowed_tools.tools"
    allowed = choice.allowed_tools
    entries = allowed.tools if allowed is not None else []
    names = frozenset(_entry_name(entry, path, report) for entry in entries)
    known = _names(chat)
    if not names:
        raise report.reject(path, "it is empty.")
    if missing := names - known:
        raise report.reject(path, f"`{min(missing)[:64]}` is not among the tools.")
    required = allowed is not None and allowed.mode == "required"
    if names != known:
        report.emulated("tool_choice")
    return {"type": "any" if required else "auto"}, names


def _entry_name(entry: Block, path: str, report: ReportBuilder) -> str:
    """Return the name in an entry of `allowed_tools`, which is written in two ways."""
    inner: Any = entry.get(str(entry.get("type")))
    name = cast("Block", inner).get("name") if isinstance(inner, dict) else entry.get("name")
    if not isinstance(name, str):
        raise report.reject(path, "an entry names no tool.")
    return name


def _names(chat: ChatCompletionRequest) -> frozenset[str]:
    names = {function.name for function in chat.functions or ()}
    for tool in chat.tools or ():
        if isinstance(tool, FunctionTool):
            names.add(tool.function.name)
        elif not isinstance(tool, OtherTool):
            names.add(tool.custom.name)
    return frozenset(names)

"""The calls of earlier turns, and their ids.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview

Ids of calls must match `^[a-zA-Z0-9_-]+$` and be unique in a conversation. Foreign ids are
mapped in the order of their appearance, so a longer conversation maps them alike. Calls of
custom tools and broken arguments are as in `translators.functions`.
"""

import re
from collections import defaultdict, deque
from collections.abc import Hashable

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.tools import LEGAL_NAME, MAX_NAME
from translators.fidelity import ReportBuilder
from translators.functions import custom_call, parse_arguments
from translators.names import encode_name
from translators.wire.content import FunctionCall, ToolCall

__all__ = ["CallIds", "call_block", "function_call_block"]

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_READ = frozenset({"index", "extra_content"})


class CallIds:
    """Gives each call of a conversation its native id, and finds it again for the result."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        # Of each id that came again, the last number it got.
        self._numbers: dict[str, int] = {}
        self._open: defaultdict[Hashable, deque[str]] = defaultdict(deque)

    def open(self, key: Hashable, wanted: str) -> str:
        """Return the native id, like `wanted`, of a new call whose result will name `key`."""
        plain = _FOREIGN.sub("_", wanted)
        native, number = plain, self._numbers.get(plain, 1)
        while native in self._used:
            number += 1
            native = f"{plain}_{number}"
        self._numbers[plain] = number
        self._used.add(native)
        self._open[key].append(native)
        return native

    def close(self, key: Hashable) -> str | None:
        """Return the native id that a result for `key` answers, or None where no call waits."""
        waiting = self._open.get(key)
        if waiting is None:
            return None
        native = waiting.popleft()
        if not waiting:
            del self._open[key]
        return native

    def unanswered(self) -> str | None:
        """Return the native id of a call that still waits, or None."""
        if not self._open:
            return None
        return next(iter(self._open.values()))[0]


def call_block(call: ToolCall, *, id: str, report: ReportBuilder) -> Block:
    """Return the block of an earlier call."""
    report.ignored_fields("messages[].tool_calls[]", call.model_extra or {}, known=_READ)
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
    # A name that the model made up may be of any length; it only has to see it again.
    native = encode_name(name, LEGAL_NAME)[:MAX_NAME]
    if native != name:
        report.emulated("messages[].tool_calls[].function.name")
    return {"type": "tool_use", "id": id, "name": native, "input": arguments}

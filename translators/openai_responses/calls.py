"""The calls of earlier turns, and their results.

`response_function_tool_call_param.py` and `response_custom_tool_call_param.py` of openai 3.54.
A `call_id` has at most 64 characters there, and pairs a result with its call: ids are the
client's, longer ones by their hash, made unique in the order of their appearance.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Hashable
from typing import Final, NamedTuple

from translators.fidelity import ReportBuilder
from translators.openai_responses.content import Item
from translators.wire.content import CustomCall, FunctionCall, ToolCall

__all__ = ["MAX_CALL_ID", "Calls"]

MAX_CALL_ID: Final = 64
"""Characters of a `call_id`."""

_READ = frozenset({"index", "extra_content"})


class _Open(NamedTuple):
    """A call that waits for its result."""

    id: str
    output: str


class Calls:
    """Writes the calls of a conversation, and finds each again for its result."""

    def __init__(self, report: ReportBuilder) -> None:
        self._report = report
        self._used: set[str] = set()
        self._numbers: dict[tuple[str, int], int] = {}
        self._open: defaultdict[Hashable, deque[_Open]] = defaultdict(deque)

    def call(self, call: ToolCall) -> Item:
        """Return the item of an earlier call."""
        self._report.ignored_fields("messages[].tool_calls[]", call.model_extra or {}, known=_READ)
        told = call.function or call.custom
        if told is not None:
            path = f"messages[].tool_calls[].{call.type}"
            self._report.ignored_fields(path, told.model_extra or {})
        if call.function is not None:
            return self.function(call.id, call.id, call.function)
        # `parse_request` has seen to it that a call is of a function or of a custom tool.
        custom = call.custom or CustomCall(name="", input="")
        id = self._start(call.id, call.id, "custom_tool_call_output")
        return {
            "type": "custom_tool_call",
            "call_id": id,
            "name": custom.name,
            "input": custom.input,
        }

    def function(self, key: Hashable, wanted: str, call: FunctionCall) -> Item:
        """Return the item of an earlier call of a function, whose result will name `key`."""
        id = self._start(key, wanted, "function_call_output")
        # Broken arguments are sent as they are: the API takes any text.
        arguments = call.arguments if call.arguments.strip() else "{}"
        return {"type": "function_call", "call_id": id, "name": call.name, "arguments": arguments}

    def result(self, key: Hashable, output: str | list[Item]) -> Item | None:
        """Return the item of a result; None where no call with `key` waits for one."""
        waiting = self._open.get(key)
        if not waiting:
            return None
        call = waiting.popleft()
        if not waiting:
            # `unanswered` looks at every key: only those of one turn may be left.
            del self._open[key]
        return {"type": call.output, "call_id": call.id, "output": output}

    def unanswered(self) -> str | None:
        """Return the id of a call that still waits, or None."""
        return next((waiting[0].id for waiting in self._open.values() if waiting), None)

    def _start(self, key: Hashable, wanted: str, output: str) -> str:
        plain = wanted
        if len(wanted) > MAX_CALL_ID:
            plain = "call_" + hashlib.sha256(wanted.encode(errors="replace")).hexdigest()[:48]
            self._report.emulated("messages[].tool_calls[].id")
        id = self._unused(plain) if plain in self._used else plain
        self._used.add(id)
        self._open[key].append(_Open(id, output))
        return id

    def _unused(self, wanted: str) -> str:
        """Return `wanted` with the first number, from 2 on, that makes an id nobody has.

        The numbers tried are kept for each stem: a client may name thousands of calls alike.
        """
        digits = 1
        while True:
            stem = wanted[: MAX_CALL_ID - digits - 1]
            first = self._numbers.get((stem, digits), max(2, 10 ** (digits - 1)))
            for number in range(first, 10**digits):
                self._numbers[stem, digits] = number + 1
                if (id := f"{stem}_{number}") not in self._used:
                    return id
            digits += 1

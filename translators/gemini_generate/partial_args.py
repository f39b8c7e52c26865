"""A call whose arguments come in pieces, put together again.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/function-calling#streaming-fc

Each piece has a JSON path (`$.rooms[0].name`) and a value; a string may be continued by further
pieces of the same path. The client gets the call when it is whole: OpenAI streams arguments as
text from left to right, which pieces at paths are not.
"""

import re
from typing import Any, cast

from translators.gemini_generate.events import FunctionCall, PartialArg

__all__ = ["PartialCall"]

_STEP = re.compile(
    r"\.([^.\[\]]+)|\[(\d{1,4})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
)
_MAX_DEPTH = 64


class PartialCall:
    """A call that is not whole yet.

    Attributes:
        call: What began it.
        signature: Its thought signature.
    """

    __slots__ = ("_arguments", "_continued", "_parts", "_steps", "call", "signature")

    def __init__(self, call: FunctionCall, signature: str | None) -> None:
        self.call = call
        self.signature = signature
        self._arguments: dict[str, Any] = {}
        self._continued: str | None = None
        # The parts of the last text, and where it is: they are joined once, at its end.
        self._parts: list[str] = []
        self._steps: list[str | int] = []

    @property
    def arguments(self) -> dict[str, Any]:
        """Those that came so far."""
        self._settle()
        return self._arguments

    def add(self, pieces: list[PartialArg]) -> bool:
        """Take the next pieces; return whether all of them had a place."""
        return all([self._add(piece) for piece in pieces])

    def _add(self, piece: PartialArg) -> bool:
        path = piece.json_path or ""
        continued = self._continued == path
        self._continued = path if piece.will_continue else None
        value = _value(piece)
        if continued and self._parts and isinstance(value, str):
            self._parts.append(value)
            return True
        self._settle()
        steps = _steps(path)
        if not steps:
            return False
        if isinstance(value, str):
            self._parts, self._steps = [value], steps
        return _put(self._arguments, steps, value)

    def _settle(self) -> None:
        if len(self._parts) > 1:
            _put(self._arguments, self._steps, "".join(self._parts))
        self._parts = []


def _value(piece: PartialArg) -> Any:
    if piece.string_value is not None:
        return piece.string_value
    if piece.bool_value is not None:
        return piece.bool_value
    number = piece.number_value
    return int(number) if number is not None and number.is_integer() else number


def _steps(path: str) -> list[str | int] | None:
    """Return the steps of a path, or None where it is none of ours."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    place = 1
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None or len(steps) == _MAX_DEPTH:
            return None
        name, index, *quoted = found.groups()
        text = name if name is not None else next((q for q in quoted if q is not None), "")
        steps.append(int(index) if index is not None else re.sub(r"\\(.)", r"\1", text))
        place = found.end()
    return steps


def _put(root: dict[str, Any], steps: list[str | int], value: Any) -> bool:
    """Set what is at a path; return False where the path contradicts another."""
    place: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if not _has_room(place, step):
            return False
        if following is None:
            place[step] = value
        elif place[step] is None:
            place[step] = [] if isinstance(following, int) else {}
        place = place[step]
    return True


def _has_room(place: Any, step: str | int) -> bool:
    """Make sure that there is an entry for `step`, if `place` is of the right kind."""
    if isinstance(step, str) and isinstance(place, dict):
        cast("dict[str, Any]", place).setdefault(step, None)
        return True
    if isinstance(step, int) and isinstance(place, list):
        entries = cast("list[Any]", place)
        entries += [None] * (step + 1 - len(entries))
        return True
    return False

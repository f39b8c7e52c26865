"""A streamed answer of any length, of which the beginning is kept and the rest measured."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, cast

import msgspec

from proxy.gathering import Gathering
from proxy.telemetry.content.redaction import Head
from translators.protocol import Chunk

__all__ = ["BoundedAnswer"]

JSONObject = dict[str, Any]

_TEXTS: Final = ("content", "reasoning_content", "reasoning", "refusal")


class BoundedAnswer:
    """The choices of an answer that is being told, with texts that are perhaps `Head`s.

    Args:
        most: Characters that are kept; of a single text, and roughly of all together.
    """

    __slots__ = ("_choices", "_gathering", "_more", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._gathering: Gathering | None = Gathering(most)
        self._choices: dict[int, JSONObject] = {}
        # By choice, and the name of a text or the place of a call.
        self._more: Counter[tuple[int, str | int]] = Counter()

    def add(self, batch: Sequence[Chunk]) -> None:
        """Take the next chunks.

        Raises:
            UNFOLDABLE: One of them is not as OpenAI has them.
        """
        if self._gathering is None:
            for chunk in batch:
                self._measure(chunk)
            return
        self._gathering.add(batch)
        if self._gathering.over:
            choices = self._gathering.fold().choices()
            self._choices = {c["index"]: _shortened(c, self._most) for c in choices}
            self._gathering = None

    def choices(self) -> list[JSONObject]:
        """Return the choices so far; nothing is added after that.

        Raises:
            UNFOLDABLE: A chunk is not as OpenAI has them.
        """
        if self._gathering is not None:
            return self._gathering.fold().choices()
        for (index, place), more in self._more.items():
            _lengthen(self._choices[index]["message"], place, more)
        return list(self._choices.values())

    def _measure(self, chunk: Chunk) -> None:
        for part in cast("list[JSONObject]", msgspec.json.decode(chunk.data)["choices"]):
            index: int = part["index"]
            # One that begins only now has its length alone, as have calls.
            choice = self._choices.get(index)
            if choice is None:
                continue
            if part.get("finish_reason") is not None:
                choice["finish_reason"] = part["finish_reason"]
            delta: JSONObject = part.get("delta") or {}
            for name in _TEXTS:
                if isinstance(text := delta.get(name), str):
                    self._more[index, name] += len(text)
            for call in cast("list[JSONObject]", delta.get("tool_calls") or []):
                if call["index"] < len(choice["message"].get("tool_calls") or ()):
                    called, field = _called(call)
                    self._more[index, call["index"]] += len(called.get(field) or "")


def _lengthen(message: JSONObject, place: str | int, more: int) -> None:
    if isinstance(place, str):
        message[place] = _longer(message.get(place), more)
    else:
        called, field = _called(message["tool_calls"][place])
        called[field] = _longer(called.get(field), more)


def _longer(text: str | None, more: int) -> str:
    begun = text or ""
    full = begun.full if isinstance(begun, Head) else len(begun)
    return Head(begun, full + more) if more else begun


def _called(call: JSONObject) -> tuple[JSONObject, str]:
    """Return what holds the arguments of a call, and the field."""
    if call.get("custom") is not None:
        return call["custom"], "input"
    return call.get("function") or {}, "arguments"


def _shortened(value: Any, most: int) -> Any:
    """Return JSON without what of its texts is beyond `most` characters."""
    if isinstance(value, str):
        return Head(value[:most], len(value)) if len(value) > most else value
    if isinstance(value, dict):
        items = cast("JSONObject", value).items()
        return {name: _shortened(entry, most) for name, entry in items}
    if isinstance(value, list):
        return [_shortened(entry, most) for entry in cast("list[Any]", value)]
    return value

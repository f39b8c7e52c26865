"""The chunks of a streamed answer to one completion."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from translators.errors import StreamTruncated
from translators.json import encode

__all__ = ["Fold", "fold"]

JSONObject = dict[str, Any]

MOST_GAP = 1000
"""Between the index of an entry and those that came before it."""

_ENTRY = 64
"""Bytes that an entry or a choice counts by itself."""

MOST_ENTRIES = 100_000
"""Of a list. A list is filled up to an entry's index, which is whatever a server says."""


def fold(chunks: Iterable[bytes]) -> bytes:
    """Return the `chat.completion` that the chunks (their JSON) add up to.

    Raises:
        StreamTruncated: A choice has no finish reason, or there is no choice.
    """
    folded = Fold()
    for data in chunks:
        folded.add(data)
    return folded.completion()


class Fold:
    """Adds chunks up to a completion, as they come.

    Strings are joined, lists are merged by their entries' `index`, anything else is replaced,
    as the OpenAI SDK's accumulator does; `index` is left out of the merged entries, as OpenAI
    leaves it out of whole answers.

    Attributes:
        size: Characters of the choices so far, in round numbers.
    """

    __slots__ = ("_choices", "_head", "size")

    def __init__(self) -> None:
        self.size = 0
        self._head: JSONObject = {}
        self._choices: dict[int, JSONObject] = {}

    def add(self, data: bytes) -> None:
        """Take the next chunk, as its JSON."""
        chunk: JSONObject = msgspec.json.decode(data)
        for part in cast("list[JSONObject]", chunk.pop("choices")):
            self.take(part)
            if part.get("logprobs"):
                self.size += len(data)
        self.tell(chunk)

    def take(self, part: JSONObject) -> None:
        """Take what a chunk has among its `choices`; it is not changed."""
        self.size += _add_choice(self._choices, part)

    def tell(self, fields: JSONObject) -> None:
        """Take what a chunk has beside its `choices`."""
        for key, value in fields.items():
            if value is not None:
                self.size += 0 if key in self._head else len(key) + _ENTRY
                self._head[key] = value

    def choices(self) -> list[JSONObject]:
        """Return the choices so far, by index; those that go on have no `finish_reason` yet."""
        return [self._choices[index] for index in sorted(self._choices)]

    def completion(self) -> bytes:
        """Return the JSON of the completion; nothing is added after that.

        Raises:
            StreamTruncated: A choice has no finish reason, or there is no choice.
        """
        head, ordered = self._head, self.choices()
        if not ordered or any(choice["finish_reason"] is None for choice in ordered):
            raise StreamTruncated("The chunks end before a finish reason.")
        usage = head.pop("usage", None)
        head.pop("obfuscation", None)
        for choice in ordered:
            _drop_empty_content(choice["message"])
        body = {**head, "object": "chat.completion", "choices": ordered}
        if usage is not None:
            body["usage"] = usage
        return encode(body)


def _joined(before: JSONObject | None, more: JSONObject) -> JSONObject:
    """Return the token probabilities of two parts of an answer together."""
    joined = dict(before or {})
    for name, entries in more.items():
        joined[name] = [*(joined.get(name) or []), *entries] if entries else joined.get(name)
    return joined


def _add_choice(choices: dict[int, JSONObject], part: JSONObject) -> int:
    index = cast("int", part["index"])
    choice, size = choices.get(index), 0
    if choice is None:
        size = _ENTRY
        choice = choices[index] = {
            "index": index,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    if delta := part.get("delta"):
        size += _merge(choice["message"], delta)
    if part.get("logprobs"):
        choice["logprobs"] = _joined(choice["logprobs"], part["logprobs"])
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]
    return size


def _drop_empty_content(message: JSONObject) -> None:
    """Whole answers have `content: null` where calls or a refusal are all there is."""
    others = ("tool_calls", "function_call", "refusal")
    if message["content"] == "" and any(message.get(name) for name in others):
        message["content"] = None


def _merge(target: JSONObject, delta: JSONObject) -> int:
    """Merge a delta into what came before; return how many characters came."""
    size = 0
    for name, value in delta.items():
        if name == "role" or value is None:
            continue
        before = target.get(name)
        size += len(name) if before is None else 0
        if isinstance(value, str):
            size += len(value)
            joins = isinstance(before, str) and name not in ("type", "id")
            target[name] = cast("str", before) + value if joins else value
        elif isinstance(value, dict):
            size += _merge(target.setdefault(name, {}), cast("JSONObject", value))
        elif isinstance(value, list):
            size += _merge_list(target.setdefault(name, []), cast("list[Any]", value))
        else:
            target[name] = value
    return size


def _merge_list(target: list[Any], entries: list[Any]) -> int:
    size = 0
    for entry in entries:
        if not isinstance(entry, dict) or "index" not in entry:
            data = encode(entry)
            # A copy: what is taken is not ours, and what follows may be merged into the entry.
            target.append(msgspec.json.decode(data))
            size += len(data)
            continue
        fields = dict(cast("JSONObject", entry))
        index = cast("int", fields.pop("index"))
        if index > MOST_ENTRIES:
            raise ValueError("the index of an entry is larger than that of any answer")
        if index > len(target) + MOST_GAP:
            raise ValueError("the index of an entry is far behind those that came before")
        while len(target) <= index:
            target.append({})
            size += _ENTRY
        size += _merge(target[index], fields)
    return size

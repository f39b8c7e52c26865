"""JSON of captured content within a limit, and valid whatever is left out of it.

Long texts are cut first, all at the same length, with a mark that says how long they were. Where
that is not enough, entries are left out: the first stays, which says what it is all about, and as
many of the last as there is room for; how many are missing stands in their place.

Work is bounded as the result is: of a conversation of any length no more entries are looked at
than could find room.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

import msgspec

from proxy.telemetry.content.redaction import Head
from translators.json import encode

__all__ = ["LeftOut", "Opaque", "cut", "fitted"]

JSONObject = dict[str, Any]
LeftOut = Callable[[int], JSONObject]
"""What stands in the place of so many entries."""

FLOOR: Final = 16
"""The part of the limit that a text has at least: below that, entries are left out."""

LEAST: Final = 64
"""Bytes that every text has: no word of the conventions, such as a `type`, is ever cut."""

TRIES: Final = 6
"""To find the length at which texts are cut: it is right to a sixty-fourth of the limit."""


class Opaque:
    """JSON of any shape, redacted: shown as it is, or where it is too large as a cut text.

    Attributes:
        value: The JSON.
        whole: Rather left out than cut: where a text would mean something else.
    """

    __slots__ = ("value", "whole")

    def __init__(self, value: Any, *, whole: bool = False) -> None:
        self.value = value
        self.whole = whole


def fitted(count: int, entry: Callable[[int], JSONObject], limit: int, left_out: LeftOut) -> str:
    """Return a JSON array of entries, in no more than `limit` bytes.

    Args:
        count: How many there are.
        entry: Makes one of them, by its index: JSON, redacted, with `Head` and `Opaque` in it. An
            entry may have `parts`, of which some are left out where it is too large.
        limit: Bytes; below 100 there may be nothing left but `[]`.
        left_out: Stands for those that are not there.
    """
    room = limit - 2
    floor = max(limit // FLOOR, LEAST)
    # In the order in which they are wanted: the first, the last, the one before it.
    taken: list[JSONObject] = []
    smallest: list[bytes] = []
    size = 0
    for place in range(count):
        taken.append(entry(0 if place == 0 else count - place))
        smallest.append(encode(rendered(taken[-1], floor)))
        size += len(smallest[-1]) + 1
        if size > room + 1:
            break
    if len(taken) == count and size <= room + 1:
        return _array(_in_order(_widest(taken, smallest, room, floor)))
    reserve = len(encode(left_out(count))) + 1
    share = (room - reserve) // min(count, 2) - 1
    smallest = [
        data if len(data) <= share else _shrunk(tree, floor, share)
        for tree, data in zip(taken, smallest, strict=True)
    ]
    return _array(_kept(smallest[0], smallest[1:], count, room, left_out))


def cut(text: str, most: int) -> str:
    """Return a text of which no more is left than `most` bytes of JSON, and how long it was."""
    more = isinstance(text, Head)
    # A character takes six bytes at most.
    if not more and (len(text) * 6 <= most or _size(text) <= most):
        return text
    full = text.full if more else len(text)
    mark = f"… [cut: {full} characters]"
    return _beginning(text, most - _size(mark)) + mark


def rendered(tree: Any, most: int) -> Any:
    """Return JSON in which no text, and nothing opaque, is larger than `most` bytes."""
    if isinstance(tree, str):
        return cut(tree, most)
    if isinstance(tree, Opaque):
        data = encode(tree.value)
        return tree.value if len(data) <= most else cut(data.decode(), most)
    if isinstance(tree, list):
        return [rendered(entry, most) for entry in cast("list[Any]", tree)]
    if not isinstance(tree, dict):
        return tree
    shown: JSONObject = {}
    for name, value in cast("JSONObject", tree).items():
        if isinstance(value, Opaque) and value.whole and (size := _bytes(value)) > most:
            shown[f"{name}_bytes"] = size
        else:
            shown[name] = rendered(value, most)
    return shown


def _widest(
    taken: Sequence[JSONObject], smallest: list[bytes], room: int, floor: int
) -> list[bytes]:
    """Return all entries, with as much of their texts as there is room for."""

    def entries(most: int) -> list[bytes] | None:
        made = [encode(rendered(tree, most)) for tree in taken]
        return made if sum(map(len, made)) + len(made) - 1 <= room else None

    if (whole := entries(room)) is not None:
        return whole
    fits, found, too_wide = floor, smallest, room
    for _ in range(TRIES):
        middle = (fits + too_wide) // 2
        if (made := entries(middle)) is None:
            too_wide = middle
        else:
            fits, found = middle, made
    return found


def _kept(
    first: bytes, last: Iterable[bytes], count: int, room: int, left_out: LeftOut
) -> list[bytes]:
    """Return what there is room for, in its order.

    Args:
        first: The first entry.
        last: The others, beginning with the last; perhaps not all of them.
        count: How many there are in all.
        room: Bytes.
        left_out: Stands for those that are not there.
    """
    left = room - len(encode(left_out(count)))
    if left < 0:
        return []
    front: list[bytes] = []
    if len(first) + 1 <= left:
        front.append(first)
        left -= len(first) + 1
    back: list[bytes] = []
    for data in last:
        if len(data) + 1 > left:
            break
        back.append(data)
        left -= len(data) + 1
    missing = count - len(front) - len(back)
    return [*front, *([encode(left_out(missing))] if missing else ()), *reversed(back)]


def _shrunk(tree: JSONObject, most: int, room: int) -> bytes:
    """Return an entry in `room` bytes, for which some of its parts are left out."""
    shown = rendered(tree, most)
    if "parts" not in shown:
        return encode(shown)
    parts: list[JSONObject] = shown["parts"]
    bare = encode({**shown, "parts": []})
    encoded = [encode(part) for part in parts]
    kept: list[bytes] = []
    if encoded:
        last = reversed(encoded[1:])
        kept = _kept(encoded[0], last, len(parts), room - len(bare), _parts_left_out)
    return encode({**shown, "parts": [msgspec.Raw(data) for data in kept]})


def _parts_left_out(count: int) -> JSONObject:
    return {"type": "omitted", "parts": count}


def _in_order(wanted: Sequence[bytes]) -> list[bytes]:
    return [*wanted[:1], *reversed(wanted[1:])]


def _array(entries: Sequence[bytes]) -> str:
    return (b"[" + b",".join(entries) + b"]").decode()


def _bytes(value: Opaque) -> int:
    return len(encode(value.value))


def _size(text: str) -> int:
    return len(encode(text)) - 2


def _beginning(text: str, room: int) -> str:
    """Return as much of a text as takes `room` bytes of JSON at most."""
    begin = text[: max(room, 0)]
    while begin and (size := _size(begin)) > room:
        # By as much as it is too large: nearly always once, for text is much alike.
        begin = begin[: min(len(begin) * room // size, len(begin) - 1)]
    return begin

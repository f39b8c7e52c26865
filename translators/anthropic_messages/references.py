"""What the references of a JSON schema point to.

https://json-schema.org/draft/2020-12/json-schema-core#section-8.2
"""

from typing import Any, cast
from urllib.parse import unquote

from translators.anthropic_messages.content import Block

__all__ = ["References"]


class References:
    """The references of one schema."""

    __slots__ = ("_anchors", "_root")

    def __init__(self, root: Block) -> None:
        self._root = root
        self._anchors: dict[str, Block] | None = None

    def resolve(self, reference: str) -> Any:
        """Return what a pointer of RFC 6901, or an anchor, points to.

        Raises:
            ValueError: It points to nothing inside the schema.
        """
        place: Any = self._root
        if not reference.startswith("#"):
            raise ValueError(f"its reference `{reference[:80]}` leads nowhere inside it")
        if reference != "#" and not reference.startswith("#/"):
            place = self._anchored(reference[1:])
        for step in reference[2:].split("/") if reference.startswith("#/") else ():
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            entries = cast("list[Any]", place) if isinstance(place, list) else []
            if key.isdecimal() and int(key) < len(entries):
                place = entries[int(key)]
            else:
                place = cast("Block", place).get(key) if isinstance(place, dict) else None
        if not isinstance(place, dict | bool):
            raise ValueError(f"its reference `{reference[:80]}` leads nowhere inside it")
        return cast("Any", place)

    def _anchored(self, name: str) -> Block | None:
        """Return the schema that has the anchor `name`."""
        if self._anchors is None:
            self._anchors = _anchors_in(self._root)
        return self._anchors.get(name)


def _anchors_in(root: Block) -> dict[str, Block]:
    """Return what has an anchor, by its name: of one name, what comes first."""
    found: dict[str, Block] = {}
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            fields = cast("Block", value)
            anchor, id = fields.get("$anchor"), fields.get("$id")
            if isinstance(anchor, str):
                found.setdefault(anchor, fields)
            if isinstance(id, str) and id.startswith("#"):
                found.setdefault(id[1:], fields)
            waiting += reversed(fields.values())
        elif isinstance(value, list):
            waiting += reversed(cast("list[Any]", value))
    return found

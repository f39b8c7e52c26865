"""The schema of a tool that is not strict: the API leaves all of it to the model, but its root.

"input_schema does not support oneOf, allOf, or anyOf at the top level", and its type is `object`.
"""

from collections.abc import Iterator
from typing import Any, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.references import References
from translators.anthropic_messages.schema_parts import annotate
from translators.json import encode

__all__ = ["open_root"]

_UNIONS = ("allOf", "anyOf", "oneOf")
_OPENED = frozenset({"$ref", *_UNIONS})
"""Keywords that a root is opened for."""

_MAX_DEPTH = 100
_MAX_ENTRIES = 100_000
"""What may be said of the properties in all branches: references can make much of little."""

_Said = dict[str, dict[bytes, Any]]


def open_root(schema: Block) -> tuple[Block, bool]:
    """Return the schema with an object for its root, and whether it had to be changed.

    A union at the root is told in the description; its properties are kept. Where its branches
    differ in one, as tagged unions do, it is as any of them says.

    Raises:
        ValueError: It describes no object, a reference in it leads nowhere, or the unions at its
            root are too large.
    """
    if _OPENED.isdisjoint(schema):
        kind = schema.get("type", "object")
        if kind == "object":
            return (schema if "type" in schema else {"type": "object", **schema}), False
        if not isinstance(kind, list) or "object" not in kind:
            raise ValueError("the arguments of a tool are an object")
        return {**schema, "type": "object"}, True
    references = References(schema)
    root: Block = {}
    told: Block = {}
    for part in _chain(schema, references):
        # What the root refers to is the root, too; the members of its unions are not.
        told = {**{name: part[name] for name in _UNIONS if name in part}, **told}
        rest = part.keys() - _OPENED
        root = {**{name: part[name] for name in part if name in rest}, **root}
    said = _Properties(references).of(schema)
    properties = {name: _one_schema(entries) for name, entries in said.items()}
    native: Block = {**root, "type": "object", "properties": properties}
    if told:
        annotate(native, root, told)
    return native, True


def _chain(schema: Block, references: References) -> Iterator[Block]:
    """Yield a schema, what it refers to, what that refers to, and so on."""
    seen: set[int] = set()
    found: Any = schema
    while isinstance(found, dict) and id(cast("Block", found)) not in seen:
        part = cast("Block", found)
        seen.add(id(part))
        yield part
        reference = part.get("$ref")
        found = references.resolve(reference) if isinstance(reference, str) else None


class _Properties:
    """Collects what a schema, its references and its unions say of the object's properties.

    Of a property there are one or more schemas, by their JSON: it is as any of them says.
    """

    __slots__ = ("_known", "_left", "_references")

    def __init__(self, references: References) -> None:
        self._references = references
        self._known: dict[int, _Said] = {}
        self._left = _MAX_ENTRIES

    def of(self, schema: Block, depth: int = 0) -> _Said:
        """Return what is said; of a schema that holds itself, what its outermost place says.

        Where all of several schemas hold, a property is as the first of them says: that allows
        no less than all of them together. Where one of them holds, it is as any of them says.

        Raises:
            ValueError: A reference leads nowhere, or there is too much of it.
        """
        if (known := self._known.get(id(schema))) is not None:
            return known
        if depth > _MAX_DEPTH:
            raise ValueError("its root is too deep: write out the properties of its object")
        found: _Said = {}
        self._known[id(schema)] = found
        own: Any = schema.get("properties")
        if isinstance(own, dict):
            for name, entry in cast("Block", own).items():
                found[name] = {encode(entry): entry}
        reference = schema.get("$ref")
        target = self._references.resolve(reference) if isinstance(reference, str) else None
        for part in (target, *_members(schema, "allOf")):
            if isinstance(part, dict):
                self._add(found, self.of(cast("Block", part), depth + 1))
        for keyword in ("anyOf", "oneOf"):
            anyone: _Said = {}
            for member in _members(schema, keyword):
                if isinstance(member, dict):
                    self._unite(anyone, self.of(cast("Block", member), depth + 1))
            self._add(found, anyone)
        return found

    def _add(self, found: _Said, more: _Said) -> None:
        self._spend(len(more))
        for name, entries in more.items():
            found.setdefault(name, entries)

    def _unite(self, found: _Said, more: _Said) -> None:
        for name, entries in more.items():
            self._spend(len(entries))
            found.setdefault(name, {}).update(entries)

    def _spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise ValueError("the unions at its root are too large: say less in them")


def _members(schema: Block, keyword: str) -> list[Any]:
    members = schema.get(keyword)
    return cast("list[Any]", members) if isinstance(members, list) else []


def _one_schema(entries: dict[bytes, Any]) -> Any:
    first, *others = entries.values()
    return {"anyOf": [first, *others]} if others else first

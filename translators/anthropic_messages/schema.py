"""JSON schemas in the part of JSON Schema that the API enforces.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations

1. Every object is closed, every schema has one type: a list of types, mixed enums and `oneOf`
   become `anyOf`, and what stands beside a union goes into each of its branches.
2. `allOf` is merged, for closed objects exclude each other. References to any place inside the
   schema become entries of `$defs`.
3. A bound without a keyword there is told to the model in the description: `exact` is then false.
4. What the API has no words for at all (recursion, maps of free keys, values of any kind, `not`)
   is never left out of the schema: there is no native schema then.

What it allows is what the original allows, but for bounds that are only told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.references import References
from translators.anthropic_messages.schema_parts import (
    ANNOTATIONS,
    BOUNDS,
    FORMATS,
    IMPOSSIBLE,
    KINDS,
    SILENT,
    Inexpressible,
    annotate,
    are_disjoint,
    both,
    check_shape,
    enum_of,
    inferred_kind,
    is_simple_pattern,
    kind_of,
    weight,
)

__all__ = ["Strict", "StrictBudget", "to_strict"]

MAX_OPTIONAL = 24
MAX_UNIONS = 16
"""Of all strict schemas of a request together; more are a 400 "Schema is too complex"."""

_MAX_DEPTH = 64
_MAX_NODES = 4000
_MAX_WEIGHT = 200_000
"""What may be read and written for one schema, in entries; references can make much of little."""

_FOR_BRANCHES = ANNOTATIONS | SILENT


@dataclass(frozen=True, slots=True)
class Strict:
    """A schema that the API enforces.

    Attributes:
        schema: The schema.
        exact: Whether whatever it allows is allowed by the original.
        changed: Whether it differs from the original in what it allows.
        optional: How many properties may be left out.
        unions: How many `anyOf` are in it.
    """

    schema: Block
    exact: bool
    changed: bool
    optional: int
    unions: int


class StrictBudget:
    """What the strict schemas of one request may have together.

    https://platform.claude.com/docs/en/build-with-claude/structured-outputs#schema-complexity-limits
    """

    def __init__(self) -> None:
        self._optional = MAX_OPTIONAL
        self._unions = MAX_UNIONS

    def take(self, strict: Strict) -> bool:
        """Return whether there is room for a schema, and take it."""
        if strict.optional > self._optional or strict.unions > self._unions:
            return False
        self._optional -= strict.optional
        self._unions -= strict.unions
        return True


def to_strict(schema: Block, *, arguments: bool = False) -> Strict | None:
    """Return `schema` as the API enforces it, or None where that cannot be.

    Args:
        schema: Of any draft of JSON Schema; it is left as it is.
        arguments: Whether it is that of a tool, which takes an object, perhaps an empty one.

    Raises:
        ValueError: A reference in it leads nowhere.
    """
    normaliser = _Normaliser(schema)
    try:
        native = normaliser.root(arguments=arguments)
    except Inexpressible:
        return None
    if arguments and native.get("type") != "object":
        return None
    return Strict(
        native, normaliser.exact, normaliser.changed, normaliser.optional, normaliser.unions
    )


class _Normaliser:
    """Writes one schema anew."""

    def __init__(self, root: Block) -> None:
        self.exact = True
        self.changed = False
        self.optional = self.unions = 0
        self._root = root
        self._references = References(root)
        self._nodes = 0
        self._open: set[int] = {id(root)}
        self._names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._weight = 0
        self._written: Block = {}

    def root(self, *, arguments: bool) -> Block:
        """Return the whole schema."""
        source = self._flat(self._root, 0)
        if arguments:
            source = {"type": "object", **source}
            if source["type"] == "object" and not source.get("properties"):
                # A function without parameters: there is nothing that it could be given.
                source.setdefault("additionalProperties", False)
        native = self._described(source, 0)
        if self._written:
            native["$defs"] = self._written
        return native

    def schema(self, value: Any, depth: int) -> Block:
        """Return a schema in the API's form."""
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES or not isinstance(value, dict):
            raise Inexpressible
        source = cast("Block", value)
        reference = source.get("$ref")
        if isinstance(reference, str) and source.keys() - {"$ref"} <= SILENT:
            return {"$ref": f"#/$defs/{self._definition(reference, depth)}"}
        return self._described(self._flat(source, depth), depth)

    def _described(self, source: Block, depth: int) -> Block:
        if source.keys() & IMPOSSIBLE:
            raise Inexpressible
        branches = self._branches(source, depth)
        if branches is None:
            return self._typed(source, depth)
        annotations = {name: source[name] for name in ANNOTATIONS if name in source}
        if len(branches) == 1:
            return self._described({**self._flat(branches[0], depth), **annotations}, depth + 1)
        if not branches:
            raise Inexpressible
        self.unions += 1
        native: Block = {"anyOf": [self.schema(branch, depth + 1) for branch in branches]}
        annotate(native, annotations, {})
        self._spend(len(native.get("description", "")) // 64)
        return native

    def _branches(self, source: Block, depth: int) -> list[Block] | None:
        """Return the members of the union that `source` is, or None where it is none."""
        if depth > _MAX_DEPTH:
            raise Inexpressible
        for keyword in ("anyOf", "oneOf"):
            if isinstance(source.get(keyword), list):
                return self._distributed(source, keyword, depth)
        if source.get("nullable") is True:
            known = _FOR_BRANCHES | {"nullable"}
            rest = {name: entry for name, entry in source.items() if name not in known}
            return [rest, {"type": "null"}]
        kind = source.get("type")
        if kind is None and ("enum" in source or "const" in source):
            kind = list(dict.fromkeys(kind_of(value) for value in enum_of(source)))
        if not isinstance(kind, list):
            return None
        named = dict.fromkeys(cast("list[str]", kind))
        found = {kind_of(value) for value in enum_of(source)}
        kinds = [n for n in named if not found or not found.isdisjoint(KINDS.get(n, ()))]
        rest = {name: entry for name, entry in source.items() if name not in _FOR_BRANCHES}
        return [{**rest, "type": name} for name in kinds]

    def _distributed(self, source: Block, keyword: str, depth: int) -> list[Block]:
        members = [member for member in cast("list[Any]", source[keyword]) if member is not False]
        if not all(isinstance(member, dict) for member in members):
            raise Inexpressible
        rest = {
            name: entry
            for name, entry in source.items()
            if name != keyword and name not in _FOR_BRANCHES
        }
        branches = cast("list[Block]", members)
        if rest:
            self._spend(weight(rest) * len(branches))
            branches = [both(rest, self._flat(branch, depth)) for branch in branches]
        if keyword == "oneOf":
            flat = [self._flat(branch, depth) for branch in branches]
            if not are_disjoint(flat):
                self.exact, self.changed = False, True
        return branches

    def _flat(self, source: Block, depth: int) -> Block:
        """Return a schema with its own reference and its `allOf` taken into it."""
        for _ in range(_MAX_DEPTH):
            self._nodes += 1
            if self._nodes > _MAX_NODES:
                raise Inexpressible
            self._spend(weight(source))
            check_shape(source)
            reference, parts = source.get("$ref"), source.get("allOf")
            if isinstance(reference, str):
                target = self._references.resolve(reference)
                if not isinstance(target, dict):
                    raise Inexpressible
                source = both(cast("Block", target), _without(source, "$ref"))
            elif isinstance(parts, list):
                source = _without(source, "allOf")
                for part in cast("list[Any]", parts):
                    if part is True:
                        continue
                    if not isinstance(part, dict) or depth > _MAX_DEPTH:
                        raise Inexpressible
                    source = both(self._flat(cast("Block", part), depth + 1), source)
            else:
                return source
        raise Inexpressible

    def _definition(self, reference: str, depth: int) -> str:
        """Return the name of what a reference points to; write it at the first time."""
        target = self._references.resolve(reference)
        key = id(target)
        if key in self._open:
            raise Inexpressible  # It holds itself.
        if key not in self._names:
            last = reference.rpartition("/")[2].strip("#")
            plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in last) or "value"
            self._names[key] = name = self._new_name(plain)
            self._open.add(key)
            self._written[name] = self.schema(target, depth + 1)
            self._open.discard(key)
        return self._names[key]

    def _new_name(self, plain: str) -> str:
        name, number = plain, self._numbers.get(plain, 1)
        while name in self._written:
            number += 1
            name = f"{plain}_{number}"
        self._numbers[plain] = number
        self._written[name] = {}  # Taken, until it is written.
        return name

    def _spend(self, amount: int) -> None:
        self._weight += amount
        if self._weight > _MAX_WEIGHT:
            raise Inexpressible

    def _typed(self, source: Block, depth: int) -> Block:
        kind = source.get("type") or inferred_kind(source)
        if kind not in KINDS:
            raise Inexpressible
        native: Block = {"type": kind}
        told: Block = {}
        values = enum_of(source)
        if values:
            native["enum"] = [value for value in values if kind_of(value) in KINDS[kind]]
            if not native["enum"] or kind in ("object", "array"):
                raise Inexpressible
        if kind == "object":
            self._object(source, native, depth)
        elif kind == "array":
            native["items"] = self.schema(source.get("items"), depth + 1)
        for name, entry in _bounds(source, str(kind)):
            if not _is_native(name, entry):
                told[name] = entry
                self.exact, self.changed = False, True
            if name == "minItems" and isinstance(entry, int):
                native[name] = min(entry, 1)
            elif name not in told:
                native[name] = entry
        annotate(native, source, told)
        # What is told can be long, and comes anew wherever a reference is written out.
        self._spend(len(native.get("description", "")) // 64)
        return native

    def _object(self, source: Block, native: Block, depth: int) -> None:
        properties = cast("Block", source.get("properties") or {})
        extra = source.get("additionalProperties", source.get("unevaluatedProperties"))
        required = cast("list[Any]", source.get("required") or [])
        closed = extra is False
        if not closed:
            self.changed = True
            # Without the free keys nothing would be left of it, or less than was asked for.
            if not properties or (isinstance(extra, dict) and extra):
                raise Inexpressible
        possible = {name: entry for name, entry in properties.items() if entry is not False}
        if any(name not in possible for name in required):
            raise Inexpressible
        native["properties"] = {
            name: self.schema(entry, depth + 1) for name, entry in possible.items()
        }
        if required:
            native["required"] = list(dict.fromkeys(required))
        native["additionalProperties"] = False
        self.optional += len(possible) - len(set(required))


def _bounds(source: Block, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the bounds that say something of values of this kind."""
    return ((name, source[name]) for name in BOUNDS[kind] if name in source)


def _is_native(name: str, entry: Any) -> bool:
    if name == "format":
        return isinstance(entry, str) and entry in FORMATS
    if name == "pattern":
        return isinstance(entry, str) and is_simple_pattern(entry)
    return name == "minItems" and entry in (0, 1)


def _without(source: Block, keyword: str) -> Block:
    return {name: entry for name, entry in source.items() if name != keyword}

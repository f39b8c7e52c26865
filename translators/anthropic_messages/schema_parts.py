"""What `translators.anthropic_messages.schema` knows of JSON Schema's keywords and values.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

import re
from collections.abc import Hashable
from itertools import combinations
from typing import Any, Final, cast

import msgspec

from translators.anthropic_messages.content import Block
from translators.json import encode

__all__ = [
    "ANNOTATIONS",
    "BOUNDS",
    "FORMATS",
    "IMPOSSIBLE",
    "KINDS",
    "SILENT",
    "Inexpressible",
    "annotate",
    "are_disjoint",
    "both",
    "check_shape",
    "enum_of",
    "inferred_kind",
    "is_simple_pattern",
    "kind_of",
    "weight",
]


class Inexpressible(Exception):
    """The API has no words for this schema."""


ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples"})
"""Keywords that speak to people and models, and allow everything."""

SILENT: Final = frozenset(
    {
        *("$schema", "$comment", "$vocabulary", "$id", "$anchor", "$dynamicAnchor", "$defs"),
        *("definitions", "deprecated", "readOnly", "writeOnly", "discriminator"),
    }
)
"""Keywords that are not needed, or dealt with where they are referred to."""

IMPOSSIBLE: Final = frozenset(
    {
        *("not", "if", "then", "else", "contains", "prefixItems", "additionalItems"),
        *("patternProperties", "dependentSchemas", "dependentRequired", "dependencies"),
        *("unevaluatedItems", "$dynamicRef", "$recursiveRef"),
    }
)
"""Keywords without which a schema would mean something else, and which a text cannot replace."""

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "object": ("object",),
    "array": ("array",),
    "string": ("string",),
    "integer": ("integer",),
    "number": ("number", "integer"),
    "boolean": ("boolean",),
    "null": ("null",),
}
"""For each type of a schema, what `kind_of` says of its values."""

_NUMBER = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
BOUNDS: Final[dict[str, tuple[str, ...]]] = {
    "object": ("minProperties", "maxProperties", "propertyNames"),
    "array": ("minItems", "maxItems", "uniqueItems", "minContains", "maxContains"),
    "string": ("format", "pattern", "minLength", "maxLength", "contentEncoding"),
    "integer": _NUMBER,
    "number": _NUMBER,
    "boolean": (),
    "null": (),
}
"""For each type, the keywords that narrow it."""

FORMATS: Final = frozenset(
    {
        *("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6"),
        "uuid",
    }
)
"""The formats of strings that the API enforces."""

_GREATEST = frozenset(
    {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"},
)
_LEAST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_HINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("object", ("properties", "required", "additionalProperties", *BOUNDS["object"])),
    ("array", ("items", *BOUNDS["array"])),
    ("string", BOUNDS["string"]),
    ("number", BOUNDS["number"]),
)
_MAX_COMPARED = 32
"""Branches of a union that are compared, each with each."""

# Look-around, references to groups, and the edges of words have no automaton.
_HARD = re.compile(r"\(\?(?!:)|\\[1-9bBkK]")


_SHAPES: tuple[tuple[frozenset[str], type | tuple[type, ...]], ...] = (
    (frozenset({"properties", "$defs", "definitions"}), dict),
    (frozenset({"required", "enum", "allOf", "anyOf", "oneOf", "examples"}), list),
    (frozenset({"additionalProperties", "unevaluatedProperties"}), (dict, bool)),
    (frozenset({"type"}), (str, list)),
    (_GREATEST | _LEAST, (int, float)),
)


def check_shape(source: Block) -> None:
    """Check that the keywords are what JSON Schema says they are, as far as they are read.

    Raises:
        Inexpressible: One is not.
    """
    for names, kinds in _SHAPES:
        for name in names & source.keys():
            if not isinstance(source[name], kinds):
                raise Inexpressible
    for name in ("required", "type"):
        listed = source.get(name)
        entries = cast("list[Any]", listed) if isinstance(listed, list) else []
        if not all(isinstance(entry, str) for entry in entries):
            raise Inexpressible


def kind_of(value: Any) -> str:
    """Return the type of a JSON value, `integer` for a number without a fraction."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    return {str: "string", list: "array"}.get(cast("Any", type(value)), "object")


def inferred_kind(source: Block) -> str | None:
    """Return the type that the keywords speak of where none is said, or None."""
    return next((kind for kind, names in _HINTS if source.keys() & set(names)), None)


def weight(source: Block) -> int:
    """Return about how much work it is to read a schema, without the schemas inside it."""
    found = len(source)
    for entry in source.values():
        if isinstance(entry, list):
            values = cast("list[Any]", entry)
            found += sum(1 + len(v) // 64 if isinstance(v, str) else 1 for v in values)
        elif isinstance(entry, dict):
            found += len(cast("Block", entry))
        elif isinstance(entry, str):
            found += len(entry) // 64
    return found


def enum_of(source: Block) -> list[Any]:
    """Return the values that `const` and `enum` leave; empty where there is neither.

    Raises:
        Inexpressible: They leave none.
    """
    listed = source.get("enum")
    values = cast("list[Any]", listed) if isinstance(listed, list) else None
    if "const" in source:
        wanted = source["const"]
        if values is not None and not any(_same(wanted, value) for value in values):
            raise Inexpressible
        return [wanted]
    if values is not None and not values:
        raise Inexpressible
    return values or []


def is_simple_pattern(pattern: str) -> bool:
    """Return whether a regular expression can be enforced token by token."""
    return _HARD.search(pattern) is None


def annotate(native: Block, source: Block, told: Block) -> None:
    """Carry over what a schema says to people, and tell what it cannot enforce."""
    if isinstance(source.get("title"), str):
        native["title"] = source["title"]
    description = source.get("description")
    said = [description] if isinstance(description, str) and description else []
    # JSON, for the model has seen a lot of it.
    notes = {name: source[name] for name in ("default", "examples") if name in source}
    if notes:
        said.append(f"For example: {encode(notes).decode()}")
    if told:
        said.append(f"It must also satisfy this JSON Schema: {encode(told).decode()}")
    if said:
        native["description"] = "\n\n".join(said)


def are_disjoint(branches: list[Block]) -> bool:
    """Return whether no value can fit two of the branches, as far as can be seen."""
    if _by_tag(branches):
        return True
    if len(branches) > _MAX_COMPARED:
        return False
    known = [_Branch(branch) for branch in branches]
    return all(one.is_apart(other) for one, other in combinations(known, 2))


def both(one: Block, other: Block) -> Block:
    """Return a schema of what fits both schemas.

    Raises:
        Inexpressible: There is no such schema without `allOf`.
    """
    check_shape(one)
    check_shape(other)
    merged = dict(one)
    for name, entry in other.items():
        if name in merged and not _same(merged[name], entry):
            merged[name] = _both(name, merged[name], entry)
        else:
            merged[name] = entry
    for closed, more in ((one, other), (other, one)):
        if closed.get("additionalProperties", True) is True:
            continue
        if (more.get("properties") or {}).keys() - (closed.get("properties") or {}).keys():
            raise Inexpressible
    return merged


def _both(name: str, before: Any, after: Any) -> Any:
    if name in ANNOTATIONS or name in SILENT:
        return after
    if name in _GREATEST:
        return max(before, after)
    if name in _LEAST:
        return min(before, after)
    if name == "additionalProperties" and (before is True or after is True):
        return after if before is True else before
    if name == "type":
        return _common_types(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        return _both_objects(name, cast("Block", before), cast("Block", after))
    if isinstance(before, list) and isinstance(after, list):
        return _both_lists(name, cast("list[Any]", before), cast("list[Any]", after))
    raise Inexpressible


def _both_objects(name: str, before: Block, after: Block) -> Block:
    if name == "properties":
        shared = {key: {"allOf": [before[key], after[key]]} for key in before if key in after}
        return {**before, **after, **shared}
    if name == "items":
        return {"allOf": [before, after]}
    raise Inexpressible


def _both_lists(name: str, before: list[Any], after: list[Any]) -> list[Any]:
    if name == "required":
        return list(dict.fromkeys([*before, *after]))
    shared = _keys(after)
    common = [value for value in before if _key(value) in shared]
    if name != "enum" or not common:
        raise Inexpressible
    return common


def _common_types(before: Any, after: Any) -> Any:
    common: list[Any] = []
    others = _kinds_named(after)
    for first in _kinds_named(before):
        for second in others:
            if first == second:
                common.append(first)
            elif {first, second} == {"integer", "number"}:
                common.append("integer")
    common = list(dict.fromkeys(common))
    if not common:
        raise Inexpressible
    return common[0] if len(common) == 1 else common


def _by_tag(branches: list[Block]) -> bool:
    """Return whether a property of fixed values, which each branch demands, tells them apart."""
    if not branches or not all(_kinds(branch) == {"object"} for branch in branches):
        return False
    demanded = [frozenset[str](branch.get("required") or ()) for branch in branches]
    for name in sorted(frozenset[str].intersection(*demanded)):
        tags = [_tag(branch, name) for branch in branches]
        if all(tags) and sum(map(len, tags)) == len(frozenset[Hashable]().union(*tags)):
            return True
    return False


def _tag(branch: Block, name: str) -> frozenset[Hashable]:
    return _keys(enum_of(_object(_object(branch.get("properties")).get(name))))


class _Branch:
    """What tells a branch of a union apart from the others."""

    __slots__ = ("kinds", "tags", "values")

    def __init__(self, schema: Block) -> None:
        self.kinds = _kinds(schema)
        self.values = _keys(enum_of(schema))
        required = frozenset[str](schema.get("required") or ())
        # Such as the tag of a tagged union.
        found = ((name, _tag(schema, name)) for name in required)
        self.tags = {name: values for name, values in found if values}

    def is_apart(self, other: "_Branch") -> bool:
        """Return whether no value fits both."""
        if self.kinds and other.kinds and not self.kinds & other.kinds:
            return True
        if self.values and other.values and self.values.isdisjoint(other.values):
            return True
        if not self.kinds == other.kinds == {"object"}:
            return False
        shared = self.tags.keys() & other.tags.keys()
        return any(self.tags[name].isdisjoint(other.tags[name]) for name in shared)


def _object(value: Any) -> Block:
    return cast("Block", value) if isinstance(value, dict) else {}


def _kinds(schema: Block) -> set[str]:
    """Return the kinds of the values that fit; empty where nothing is said."""
    kinds = _listed(schema.get("type"))
    return {found for kind in kinds for found in KINDS.get(str(kind), ())}


def _kinds_named(kind: Any) -> list[str]:
    """Return the types that `type` names, each once, without those that are none."""
    return list(dict.fromkeys(name for name in _listed(kind) if name in KINDS))


def _listed(kind: Any) -> list[Any]:
    return cast("list[Any]", kind) if isinstance(kind, list) else [] if kind is None else [kind]


def _keys(values: list[Any]) -> frozenset[Hashable]:
    return frozenset(map(_key, values))


def _key(value: Any) -> Hashable:
    """Return what is the same for values that JSON holds for the same: true is not 1, 1.0 is."""
    kind = kind_of(value)
    if kind in ("object", "array"):
        return kind, msgspec.json.encode(value, order="deterministic")
    return ("number" if kind == "integer" else kind), value


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other

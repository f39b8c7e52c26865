"""What `translators.anthropic_messages.schema` knows of JSON Schema's keywords and values.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

import re
from itertools import combinations
from typing import Any, Final, cast
from urllib.parse import unquote

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
    "resolve",
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


def resolve(root: Block, reference: str) -> Any:
    """Return what a pointer of RFC 6901, or an anchor, points to.

    Raises:
        ValueError: It points to nothing inside `root`.
    """
    place: Any = root
    if not reference.startswith("#"):
        raise ValueError(f"its reference `{reference[:80]}` leads nowhere inside it")
    if reference != "#" and not reference.startswith("#/"):
        place = _anchored(root, reference[1:], 0)
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
    return all(_apart(one, other) for one, other in combinations(branches, 2))


def both(one: Block, other: Block) -> Block:
    """Return a schema of what fits both schemas.

    Raises:
        Inexpressible: There is no such schema without `allOf`.
    """
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
    common = [value for value in before if any(_same(value, item) for item in after)]
    if name != "enum" or not common:
        raise Inexpressible
    return common


def _common_types(before: Any, after: Any) -> Any:
    common: list[Any] = []
    for first in _listed(before):
        for second in _listed(after):
            if first == second:
                common.append(first)
            elif {first, second} == {"integer", "number"}:
                common.append("integer")
    common = list(dict.fromkeys(common))
    if not common:
        raise Inexpressible
    return common[0] if len(common) == 1 else common


def _apart(one: Block, other: Block) -> bool:
    first, second = _kinds(one), _kinds(other)
    if first and second and not first & second:
        return True
    if _differ(one, other):
        return True
    if not first == second == {"object"}:
        return False
    shared = set(one.get("required") or ()) & set(other.get("required") or ())
    told = cast("Block", one.get("properties") or {})
    asked = cast("Block", other.get("properties") or {})
    # Such as the tag of a tagged union.
    return any(_differ(_object(told.get(name)), _object(asked.get(name))) for name in shared)


def _object(value: Any) -> Block:
    return cast("Block", value) if isinstance(value, dict) else {}


def _differ(one: Block, other: Block) -> bool:
    first, second = enum_of(one), enum_of(other)
    return bool(first and second) and not any(_same(a, b) for a in first for b in second)


def _kinds(schema: Block) -> set[str]:
    """Return the kinds of the values that fit; empty where nothing is said."""
    kinds = _listed(schema.get("type"))
    return {found for kind in kinds for found in KINDS.get(str(kind), ())}


def _listed(kind: Any) -> list[Any]:
    return cast("list[Any]", kind) if isinstance(kind, list) else [] if kind is None else [kind]


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def _anchored(value: Any, name: str, depth: int) -> Any:
    """Return the schema inside `value` that has the anchor `name`."""
    if depth > 200:
        return None
    if isinstance(value, dict):
        fields = cast("Block", value)
        if fields.get("$anchor") == name or fields.get("$id") == f"#{name}":
            return fields
        value = list(fields.values())
    if not isinstance(value, list):
        return None
    found = (_anchored(entry, name, depth + 1) for entry in cast("list[Any]", value))
    return next((entry for entry in found if entry is not None), None)

"""Any schema, a checker of the rules for strict ones, and instances of those.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from collections.abc import Callable
from typing import Any, cast

from hypothesis import strategies as st

from tests.translators.streams import Json

__all__ = ["SCHEMAS", "instances", "strict_problems"]

_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"enum", "format", "pattern"},
    "integer": {"enum"},
    "number": {"enum"},
    "boolean": {"enum"},
    "null": {"enum"},
}
_SAID = {"title", "description"}


def strict_problems(native: Json) -> list[str]:
    """Return where a schema breaks the rules."""
    definitions = native.get("$defs", {})
    found = _problems(native, "#", definitions, root=True)
    for name, schema in definitions.items():
        found += _problems(schema, name, definitions)
    return found + [f"{name} holds itself" for name in definitions if _holds(name, definitions)]


def _problems(schema: Any, path: str, definitions: Json, *, root: bool = False) -> list[str]:
    if not isinstance(schema, dict) or not schema:
        return [f"{path}: empty"]
    schema = cast("Json", schema)
    names = schema.keys() - ({"$defs"} if root else set())
    if "$ref" in schema:
        known = schema["$ref"].removeprefix("#/$defs/") in definitions
        return [] if known and names == {"$ref"} else [f"{path}: {schema}"]
    if "anyOf" in schema:
        several = names <= {"anyOf", *_SAID} and len(schema["anyOf"]) > 1
        inner = (_problems(member, f"{path}|", definitions) for member in schema["anyOf"])
        return [problem for found in inner for problem in found] + [f"{path}"] * (not several)
    kind = schema.get("type")
    if kind not in _KEYWORDS or not names <= {"type", *_SAID, *_KEYWORDS[kind]}:
        return [f"{path}: {names}"]
    found: list[str] = []
    if kind == "object":
        found = _object_problems(schema, path, definitions)
    if kind == "array":
        if schema.get("minItems", 0) not in (0, 1):
            found.append(f"{path}: minItems")
        found += _problems(schema.get("items"), f"{path}[]", definitions)
    if any(isinstance(value, dict | list) for value in schema.get("enum", ())):
        found.append(f"{path}: enum")
    return found


def _object_problems(schema: Json, path: str, definitions: Json) -> list[str]:
    properties = schema["properties"]
    found = [] if schema["additionalProperties"] is False else [f"{path}: open"]
    if not set(schema.get("required", ())) <= properties.keys():
        found.append(f"{path}: requires what is not there")
    for name, entry in properties.items():
        found += _problems(entry, f"{path}.{name}", definitions)
    return found


def _holds(name: str, definitions: Json) -> bool:
    seen: set[str] = set()
    todo = _references(definitions[name])
    while todo:
        inner = todo.pop()
        if inner == name:
            return True
        if inner not in seen:
            seen.add(inner)
            todo += _references(definitions[inner])
    return False


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        entries = cast("list[Any]", value)
        return [found for entry in entries for found in _references(entry)]
    if not isinstance(value, dict):
        return []
    value = cast("Json", value)
    own = [value["$ref"].removeprefix("#/$defs/")] if isinstance(value.get("$ref"), str) else []
    return own + [found for entry in value.values() for found in _references(entry)]


# --- any schema --------------------------------------------------------------------------------

_NAMES = st.sampled_from(["a", "b", "c"])
_KINDS = st.sampled_from([kind for kind in _KEYWORDS if kind != "array"])
_VALUES: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-2, 2) | _NAMES
_POINTERS = st.sampled_from(["#", "#/$defs/A", "#/$defs/B", "#/definitions/C", "#/properties/a"])


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"properties": st.dictionaries(_NAMES, inner, min_size=1, max_size=3)},
        optional={
            "type": st.just("object"),
            "required": st.lists(_NAMES, max_size=2, unique=True),
            "additionalProperties": st.booleans() | st.just(False) | inner,
            "minProperties": st.integers(0, 2),
            "description": st.just("D"),
            "title": st.just("T"),
        },
    )


def _unions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    members = st.lists(inner, min_size=1, max_size=3)
    word = st.sampled_from(["anyOf", "oneOf", "allOf"])
    empty: Json = {}
    beside: st.SearchStrategy[Json] = st.just(empty) | inner.filter(_is_object)
    return st.builds(_union, word, members, beside)


def _is_object(schema: Any) -> bool:
    return isinstance(schema, dict)


def _union(name: str, entries: list[Any], more: Json) -> Json:
    return {**more, name: entries}


def _with(name: str) -> Callable[[Any], Json]:
    """Return what makes a schema of one keyword."""
    return lambda value: {name: value}


def _joined(root: Json, defs: Json, old: Json) -> Json:
    return {**root, **defs, **old}


_LEAVES: st.SearchStrategy[Any] = st.one_of(
    _KINDS.map(_with("type")),
    st.lists(_KINDS, min_size=1, max_size=3, unique=True).map(_with("type")),
    st.lists(_VALUES, min_size=1, max_size=3).map(_with("enum")),
    _VALUES.map(_with("const")),
    _POINTERS.map(_with("$ref")),
    st.integers(-2, 2).map(_with("minimum")),
    st.sampled_from(
        [
            {"type": "string", "format": "date"},
            {"type": "string", "maxLength": 3},
            {"type": "string", "nullable": True},
            {"type": "number", "enum": [1, 2.5, "a"]},
            {"not": {"type": "string"}},
            {},
            True,
            False,
        ]
    ),
)
_INNER: st.SearchStrategy[Any] = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        _objects(inner),
        _unions(inner),
        inner.map(_with("items")),
    ),
    max_leaves=8,
)
SCHEMAS: st.SearchStrategy[Json] = st.builds(
    _joined,
    _INNER.filter(_is_object),
    st.fixed_dictionaries({"$defs": st.fixed_dictionaries({"A": _INNER, "B": _INNER})}),
    st.fixed_dictionaries({"definitions": st.fixed_dictionaries({"C": _INNER})}),
)
"""Schemas of anything, most of them with references, some of them broken."""


@st.composite
def instances(draw: st.DrawFn, schema: Json, root: Json) -> Any:
    """Instances of a strict schema."""
    if "$ref" in schema:
        return draw(instances(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root))
    if "anyOf" in schema:
        return draw(instances(draw(st.sampled_from(schema["anyOf"])), root))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema["type"]:
        case "object":
            required = schema.get("required", ())
            chosen = [
                name for name in schema["properties"] if name in required or draw(st.booleans())
            ]
            return {name: draw(instances(schema["properties"][name], root)) for name in chosen}
        case "array":
            length = draw(st.integers(schema.get("minItems", 0), 2))
            return [draw(instances(schema["items"], root)) for _ in range(length)]
        case "string":
            return "2026-01-02" if schema.get("format") else draw(_NAMES)
        case "integer":
            return draw(st.integers(-3, 3))
        case "number":
            return draw(st.sampled_from([0, 1.5, -2]))
        case "boolean":
            return draw(st.booleans())
        case _:
            return None

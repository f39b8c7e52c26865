"""Two JSON schemas that must both hold, as one: the API has no `allOf`.

The rules are those of `translators.anthropic_messages.schema_parts.both`, but for what cannot be
one schema: there that refuses the schema, here it stays in an `allOf`, for the model to be told.
"""

from typing import Any, Final, cast

from translators.json import encode

__all__ = ["ANNOTATIONS", "SILENT", "both", "misshapen", "size"]

_Object = dict[str, Any]

SILENT: Final = frozenset(
    {
        *("$schema", "$comment", "$vocabulary", "$id", "$anchor", "$dynamicAnchor", "$defs"),
        *("definitions", "const", "allOf", "nullable", "$ref", "$recursiveAnchor"),
    }
)
"""Keywords that say nothing to a model, or that are dealt with on their own."""

ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
"""Keywords that speak to people and models, and allow everything."""

_LAST = (SILENT | ANNOTATIONS) - {"const", "allOf", "nullable"}
_GREATEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_LEAST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_OBJECTS = ("properties",)
_LISTS = ("required", "enum", "allOf", "anyOf", "oneOf", "prefixItems")
_NAMES = ("required", "type")


def misshapen(source: _Object) -> str | None:
    """Return the first keyword that is not what JSON Schema says it is, or None.

    Only what is read is looked at; null is as good as nothing.
    """
    shapes = ((_OBJECTS, dict), (_LISTS, list), (("type",), (str, list)), (("$ref",), str))
    for names, kinds in shapes:
        for name in names:
            if source.get(name) is not None and not isinstance(source[name], kinds):
                return name
    for name in _NAMES:
        listed = source.get(name)
        entries = cast("list[Any]", listed) if isinstance(listed, list) else []
        if not all(isinstance(entry, str) for entry in entries):
            return name
    return None


def size(schema: _Object) -> int:
    """Return how many entries there are to be merged one by one."""
    return sum(len(schema.get(name) or ()) for name in ("properties", "required", "enum", "allOf"))


def both(one: _Object, other: _Object) -> _Object:
    """Return a schema of what fits both schemas; what is left of them is in its `allOf`."""
    merged = dict(one)
    lost: list[Any] = []
    for name, entry in other.items():
        if name not in merged or name in _LAST or encode(merged[name]) == encode(entry):
            merged[name] = entry
        elif (found := _both(name, merged[name], entry)) is None:
            lost.append({name: entry})
        else:
            merged[name] = found
    if "nullable" in merged and not (one.get("nullable") and other.get("nullable")):
        del merged["nullable"]
    for closed, more in ((one, other), (other, one)):
        extra = closed.get("additionalProperties", True)
        names = _properties(closed).keys()
        if extra is not True and _properties(more).keys() - names:
            lost.append({"properties": dict.fromkeys(names, True), "additionalProperties": extra})
    if lost:
        merged["allOf"] = [*merged.get("allOf", ()), *lost]
    return merged


def _properties(schema: _Object) -> _Object:
    return cast("_Object", schema.get("properties") or {})


def _both(name: str, before: Any, after: Any) -> Any:
    """Return what a keyword is where both hold; None where there is no such thing."""
    if before is None or after is None:
        return after if before is None else before
    if name in _GREATEST | _LEAST:
        if not (_is_number(before) and _is_number(after)):
            return None
        return max(before, after) if name in _GREATEST else min(before, after)
    if name == "type":
        return _common_types(before, after)
    if name == "additionalProperties" and (isinstance(before, bool) or isinstance(after, bool)):
        strict = [entry for entry in (before, after) if entry is not True]
        return False if False in strict else strict[0]
    if isinstance(before, dict) and isinstance(after, dict):
        return _both_objects(name, cast("_Object", before), cast("_Object", after))
    if isinstance(before, list) and isinstance(after, list):
        return _both_lists(name, cast("list[Any]", before), cast("list[Any]", after))
    return None


def _both_objects(name: str, before: _Object, after: _Object) -> _Object | None:
    if name == "properties":
        shared = {key: {"allOf": [before[key], after[key]]} for key in before if key in after}
        return {**before, **after, **shared}
    if name in ("items", "additionalProperties"):
        return {"allOf": [before, after]}
    return None


def _both_lists(name: str, before: list[Any], after: list[Any]) -> list[Any] | None:
    if name == "required":
        return list(dict.fromkeys([*before, *after]))
    if name == "allOf":
        return [*before, *after]
    if name != "enum":
        return None
    # As JSON, where true is not 1.
    shared = {encode(value) for value in after}
    return [value for value in before if encode(value) in shared] or None


def _common_types(before: Any, after: Any) -> Any:
    common: dict[str, None] = {}
    others = set(_listed(after))
    for kind in _listed(before):
        if kind in others:
            common[kind] = None
        elif (kind, *(others & {"integer", "number"})) in _NARROWED:
            common["integer"] = None
    names = list(common)
    return names[0] if len(names) == 1 else names or None


_NARROWED = {("integer", "number"), ("number", "integer")}


def _listed(kind: Any) -> list[str]:
    return cast("list[str]", kind) if isinstance(kind, list) else [kind]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

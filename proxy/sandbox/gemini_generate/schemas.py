"""The two languages for schemas: JSON Schema, of which a part is known, and the older `Schema`."""

from collections.abc import Iterator
from typing import Any

from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object, objects

__all__ = ["as_json_schema", "check_json_schema", "check_schema"]

# Keywords that narrow a value and are not on the documented list. Others, such as `pattern` and
# `default`, are ignored without a word (recorded).
_UNSUPPORTED = (
    "allOf", "const", "contains", "dependencies", "dependentRequired", "dependentSchemas", "else",
    "if", "not", "patternProperties", "propertyNames", "then", "unevaluatedItems",
    "unevaluatedProperties",
)  # fmt: skip
_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")


def check_json_schema(schema: object) -> None:
    """Refuse a JSON Schema that the service cannot follow.

    Raises:
        Rejection: naming the place in the schema, as the service words it.
    """
    for path, node in _nodes(schema, ""):
        _check_node(node, schema, path or "top-level")
    _Cycles(schema).check(schema, ("#",), "")


def _check_node(node: object, root: object, at: str) -> None:
    rules = as_object(node)
    if rules is None:
        if not isinstance(node, bool):
            raise refusals.invalid(f"schema at {at} must be a boolean or an object")
        return
    reference = rules.get("$ref")
    if reference is not None:
        if any(not key.startswith("$") for key in rules):
            raise refusals.invalid(
                f"schema at {at} can only contain properties starting with '$' when $ref is present"
            )
        if _pointed(root, reference) is None:
            raise refusals.invalid(f"reference to undefined schema at {at}")
    for word in _UNSUPPORTED:
        if word in rules:
            raise refusals.invalid(f"schema at {at} contains the unsupported keyword '{word}'")
    _check_values(rules, at)


def _check_values(rules: JsonObject, at: str) -> None:
    kind = rules.get("type")
    for name in as_list(kind) or ([] if kind is None else [kind]):
        if name not in _TYPES:
            raise refusals.invalid(f"schema at {at} has an unknown type: {name}")
    choices = rules.get("enum")
    if choices is None:
        return
    for choice in as_list(choices) or [None]:
        if not isinstance(choice, str | int | float) or isinstance(choice, bool):
            raise refusals.invalid(f"schema at {at} may only have strings and numbers in enum")


def _nodes(schema: object, path: str) -> Iterator[tuple[str, object]]:
    yield path, schema
    rules = as_object(schema) or {}
    for step, child in _children(rules):
        yield from _nodes(child, f"{path}.{step}" if path else step)


def _children(rules: JsonObject) -> Iterator[tuple[str, object]]:
    for keyword in ("properties", "$defs"):
        for name, child in (as_object(rules.get(keyword)) or {}).items():
            yield f"{keyword}.{name}", child
    for keyword in ("anyOf", "oneOf", "prefixItems"):
        for i, child in enumerate(as_list(rules.get(keyword)) or []):
            yield f"{keyword}[{i}]", child
    for keyword in ("items", "additionalProperties"):
        if rules.get(keyword) is not None:
            yield keyword, rules[keyword]


def _pointed(root: object, reference: object) -> object:
    """Find what a reference names: the root itself, or one of its `$defs`."""
    if reference == "#":
        return root
    if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
        return None
    definitions = as_object((as_object(root) or {}).get("$defs")) or {}
    return definitions.get(reference.removeprefix("#/$defs/"))


class _Cycles:
    """Looks for a recursion that no optional property interrupts."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._done: set[str] = set()

    def check(self, schema: object, inside: tuple[str, ...], path: str) -> None:
        rules = as_object(schema) or {}
        reference = rules.get("$ref")
        if isinstance(reference, str):
            if reference in inside:
                raise refusals.invalid(
                    f"recursive reference at {path} is only allowed in properties that are not "
                    "required"
                )
            if reference not in self._done:
                self.check(_pointed(self._root, reference), (*inside, reference), path)
                self._done.add(reference)
        required = as_list(rules.get("required")) or []
        for step, child in _children(rules):
            keyword, _, name = step.partition(".")
            if keyword != "$defs" and (keyword != "properties" or name in required):
                self.check(child, inside, f"{path}.{step}" if path else step)


def check_schema(schema: JsonObject, path: str) -> None:
    """Refuse an incomplete `Schema`; `path` names it from the request.

    Raises:
        Rejection: naming the field, as the service words it.
    """
    kind = schema.get("type")
    properties: JsonObject = schema.get("properties", {})
    if kind == "ARRAY" and "items" not in schema:
        raise refusals.violated(f"{path}.items", "missing field.")
    if "enum" in schema and kind != "STRING":
        raise refusals.violated(f"{path}.enum", "only allowed for STRING type")
    for i, choice in enumerate(schema.get("enum", [])):
        if not choice:
            raise refusals.violated(f"{path}.enum[{i}]", "cannot be empty")
    for i, name in enumerate(schema.get("required", [])):
        if name not in properties:
            raise refusals.violated(f"{path}.required[{i}]", "property is not defined")
    for name, child in properties.items():
        check_schema(child, f"{path}.properties[{name}]")
    for i, child in enumerate(objects(schema.get("any_of"))):
        check_schema(child, f"{path}.any_of[{i}]")
    if "items" in schema:
        check_schema(schema["items"], f"{path}.items")


_RENAMED = {
    "max_items": "maxItems",
    "min_items": "minItems",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "min_length": "minLength",
    "max_length": "maxLength",
}


def as_json_schema(schema: JsonObject) -> JsonObject:
    """Return the JSON Schema that says what a `Schema` says."""
    made: JsonObject = {_RENAMED.get(key, key): value for key, value in schema.items()}
    kind: Any = made.pop("type", None)
    if kind is not None:
        made["type"] = str(kind).lower()
    made.pop("default", None)
    if "properties" in made:
        made["properties"] = {k: as_json_schema(v) for k, v in schema["properties"].items()}
    if "items" in made:
        made["items"] = as_json_schema(schema["items"])
    if "any_of" in made:
        made["anyOf"] = [as_json_schema(child) for child in made.pop("any_of")]
    return made

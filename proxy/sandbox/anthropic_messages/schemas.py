"""What the service accepts as schema: tool inputs, and the closed subset of structured output.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["Complexity", "check_closed", "check_input_schema"]

_UNIONS = ("oneOf", "allOf", "anyOf")
_KNOWN = frozenset(
    {
        *("type", "enum", "const", "anyOf", "allOf", "$defs", "definitions", "$ref", "items"),
        *("properties", "required", "additionalProperties", "format", "pattern", "minItems"),
        *("title", "description", "default", "examples", "$schema", "$id", "$comment"),
    }
)
_KINDS = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_FORMATS = frozenset(
    {
        *("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6"),
        "uuid",
    }
)
_MOST_OPTIONAL = 24
_MOST_UNIONS = 16


@dataclass(slots=True)
class Complexity:
    """What the closed schemas of one request have together."""

    optional: int = 0
    unions: int = 0

    def check(self) -> None:
        """Refuse a request whose schemas are too much.

        Raises:
            Rejection: as the service words it.
        """
        if self.optional > _MOST_OPTIONAL or self.unions > _MOST_UNIONS:
            raise refusals.invalid(
                "Schema is too complex. Try simplifying it or reducing the number of optional "
                "parameters and unions."
            )


def check_input_schema(
    schema: JsonObject, path: str, *, strict: bool, complexity: Complexity
) -> None:
    """Refuse a tool's schema that the service does not take.

    Raises:
        Rejection: naming the tool.
    """
    if any(word in schema for word in _UNIONS):
        raise refusals.invalid(
            f"{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the "
            "top level"
        )
    if strict:
        check_closed(schema, f"{path}.input_schema", complexity)


def check_closed(schema: JsonObject, path: str, complexity: Complexity) -> None:
    """Refuse a schema that cannot be enforced.

    Raises:
        Rejection: for an open object, an unsupported keyword, or a reference to itself.
    """
    _check_references(schema, path)
    for rules in _nodes(schema):
        _check_node(rules, path)
        properties = as_object(rules.get("properties")) or {}
        complexity.optional += len(properties) - len(as_list(rules.get("required")) or [])
        complexity.unions += "anyOf" in rules
    complexity.check()


def _check_node(rules: JsonObject, path: str) -> None:
    kind = rules.get("type")
    kinds = as_list(kind) or [kind]
    if "object" in kinds and rules.get("additionalProperties") is not False:
        raise refusals.invalid(
            f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    shown = kind if isinstance(kind, str) else "object"
    for word in rules:
        if word not in _KNOWN:
            raise refusals.invalid(
                f"{path}: For '{shown}' type, property '{word}' is not supported"
            )
    if (rules.get("minItems") or 0) not in (0, 1):
        raise refusals.invalid(
            f"{path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        )
    if not rules.keys() & {"type", "enum", "const", "anyOf", "allOf", "$ref"}:
        raise refusals.invalid(f"{path}: Schema must have a 'type', 'enum', 'anyOf' or '$ref'")
    if kind is not None and not set(kinds) <= _KINDS:
        raise refusals.invalid(f"{path}: '{kind}' is not a type")
    if "array" in kinds and as_object(rules.get("items")) is None:
        raise refusals.invalid(f"{path}: For 'array' type, 'items' is required")
    if "format" in rules and rules["format"] not in _FORMATS:
        raise refusals.invalid(f"{path}: format '{rules['format']}' is not supported")
    if any(isinstance(value, dict | list) for value in as_list(rules.get("enum")) or []):
        raise refusals.invalid(f"{path}: 'enum' values must be scalars")


def _check_references(schema: JsonObject, path: str) -> None:
    """Refuse a reference that leads nowhere, or back to where it stands."""
    definitions = {
        f"#/{place}/{name}": child
        for place in ("$defs", "definitions")
        for name, child in (as_object(schema.get(place)) or {}).items()
    }
    reached = {name: _pointers(child) for name, child in definitions.items()}
    for reference in _pointers({k: v for k, v in schema.items() if k not in _DEFINED}):
        seen: set[str] = set()
        todo = [(reference, frozenset[str]())]
        while todo:
            name, above = todo.pop()
            if name in above or name == "#":
                raise refusals.invalid(f"{path}: Circular reference detected: {name}")
            if name not in definitions:
                raise refusals.invalid(f"{path}: '{name}' does not point to a definition")
            if name not in seen:
                seen.add(name)
                todo += [(inner, above | {name}) for inner in reached[name]]


_DEFINED = ("$defs", "definitions")


def _pointers(schema: object) -> set[str]:
    return {str(rules["$ref"]) for rules in _nodes(schema) if "$ref" in rules}


def _nodes(schema: object) -> Iterator[JsonObject]:
    rules = as_object(schema)
    if rules is None:
        return
    yield rules
    for keyword in ("properties", "$defs", "definitions"):
        for child in (as_object(rules.get(keyword)) or {}).values():
            yield from _nodes(child)
    for keyword in ("anyOf", "allOf"):
        for child in as_list(rules.get(keyword)) or []:
            yield from _nodes(child)
    yield from _nodes(rules.get("items"))

"""What the service accepts as schema: tool inputs, and the closed subset of structured output."""

from collections.abc import Iterator

from proxy.sandbox.anthropic_messages import refusals
from proxy.sandbox.jsontypes import JsonObject, as_list, as_object

__all__ = ["check_closed", "check_input_schema"]

_UNIONS = ("oneOf", "allOf", "anyOf")
_UNSUPPORTED = (
    "oneOf",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "patternProperties",
    "propertyNames",
    "if",
    "not",
    "prefixItems",
)


def check_input_schema(schema: JsonObject, path: str, *, strict: bool) -> None:
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
        check_closed(schema, f"{path}.input_schema")


def check_closed(schema: JsonObject, path: str) -> None:
    """Refuse a schema that cannot be enforced.

    Raises:
        Rejection: for an open object or an unsupported keyword.
    """
    for rules in _nodes(schema):
        kind = rules.get("type")
        kinds = as_list(kind) or [kind]
        if "object" in kinds and rules.get("additionalProperties") is not False:
            raise refusals.invalid(
                f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false"
            )
        for word in _UNSUPPORTED:
            if word in rules:
                shown = kind if isinstance(kind, str) else "object"
                raise refusals.invalid(
                    f"{path}: For '{shown}' type, property '{word}' is not supported"
                )
        if (rules.get("minItems") or 0) not in (0, 1):
            raise refusals.invalid(
                f"{path}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
            )


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

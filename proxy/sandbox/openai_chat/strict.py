"""The rules for schemas with `strict: true`: closed objects, and every property required."""

from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_list, as_object
from proxy.sandbox.openai_chat import refusals

__all__ = ["check_strict"]

_UNPERMITTED = ("oneOf", "allOf", "not", "if", "then", "else", "patternProperties")


def check_strict(schema: JsonObject, prefix: str, *, param: str, code: str | None) -> None:
    """Refuse a schema that strict mode does not take.

    Raises:
        Rejection: with the place in the schema.
    """
    for place, fault in _faults(schema, ()):
        context = (
            "(" + ", ".join(f"'{key}'" for key in place) + ("," if len(place) == 1 else "") + ")"
        )
        raise refusals.refuse(f"{prefix}In context={context}, {fault}", param, code)


def _faults(schema: Any, place: tuple[str, ...]) -> "list[tuple[tuple[str, ...], str]]":
    rules = as_object(schema)
    if rules is None:
        return []
    faults = [(place, f"'{word}' is not permitted.") for word in _UNPERMITTED if word in rules]
    properties = as_object(rules.get("properties"))
    if rules.get("type") == "object" or properties is not None:
        faults += [(place, fault) for fault in _object_faults(rules, properties or {})]
    for name, child in (properties or {}).items():
        faults += _faults(child, (*place, "properties", name))
    for keyword in ("$defs", "definitions"):
        for name, child in (as_object(rules.get(keyword)) or {}).items():
            faults += _faults(child, (*place, keyword, name))
    for i, branch in enumerate(as_list(rules.get("anyOf")) or []):
        faults += _faults(branch, (*place, "anyOf", str(i)))
    faults += _faults(rules.get("items"), (*place, "items"))
    return faults


def _object_faults(rules: JsonObject, properties: JsonObject) -> list[str]:
    faults: list[str] = []
    if rules.get("additionalProperties") is not False:
        faults.append("'additionalProperties' is required to be supplied and to be false.")
    required = as_list(rules.get("required")) or []
    absent = [name for name in properties if name not in required]
    if absent:
        faults.append(
            "'required' is required to be supplied and to be an array including every key in "
            f"properties. Missing '{absent[0]}'."
        )
    return faults

"""JSON values as the sandbox passes them around, and narrowing for untrusted ones."""

from typing import Any, TypeAlias, cast

__all__ = ["JsonObject", "as_list", "as_object", "as_text", "objects"]

JsonObject: TypeAlias = dict[str, Any]


def as_object(value: object) -> JsonObject | None:
    """Return `value` when it is a JSON object."""
    return cast(JsonObject, value) if isinstance(value, dict) else None


def as_list(value: object) -> list[Any] | None:
    """Return `value` when it is a JSON array."""
    return cast(list[Any], value) if isinstance(value, list) else None


def objects(value: object) -> list[JsonObject]:
    """Return the items of a JSON array that is known to hold objects; of anything else, none."""
    return cast(list[JsonObject], value) if isinstance(value, list) else []


def as_text(value: object) -> str:
    """Return `value` when it is a string, otherwise the empty string."""
    return value if isinstance(value, str) else ""

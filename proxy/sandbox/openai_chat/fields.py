"""Checks of single values, each of them raising the service's refusal.

Every check takes the value and the path that the refusal names it by, such as `tools[0].type`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from proxy.sandbox.jsontypes import JsonObject, as_list, as_object
from proxy.sandbox.openai_chat import refusals

__all__ = [
    "Check",
    "array",
    "boolean",
    "decimal",
    "integer",
    "no_others",
    "nullable",
    "of_words",
    "open_object",
    "required",
    "shaped",
    "string",
    "text",
]

Check: TypeAlias = Callable[[Any, str], object]


def text(value: Any, path: str) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise refusals.invalid_type(path, "a string", value)
    return value


def boolean(value: Any, path: str) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise refusals.invalid_type(path, "a boolean", value)
    return value


def open_object(value: Any, path: str) -> JsonObject:
    """Accept an object with any content."""
    found = as_object(value)
    if found is None:
        raise refusals.invalid_type(path, "an object", value)
    return found


def array(value: Any, path: str, *, least: int = 0, most: int | None = None) -> list[Any]:
    """Accept an array of at least `least` items, and of at most `most`."""
    found = as_list(value)
    if found is None:
        raise refusals.invalid_type(path, "an array of objects", value)
    if len(found) < least:
        message = (
            f"Invalid '{path}': empty array. Expected an array with minimum length {least}, "
            "but got an empty array instead."
        )
        raise refusals.refuse(message, path, "empty_array")
    if most is not None and len(found) > most:
        message = (
            f"Invalid '{path}': array too long. Expected an array with maximum length {most}, "
            f"but got an array with length {len(found)} instead."
        )
        raise refusals.refuse(message, path, "array_above_max_length")
    return found


def nullable(check: Check) -> Check:
    """Accept null beside what `check` accepts."""

    def checked(value: Any, path: str) -> None:
        if value is not None:
            check(value, path)

    return checked


def of_words(*words: str) -> Check:
    """Accept one of `words`."""

    def checked(value: Any, path: str) -> None:
        if text(value, path) not in words:
            raise refusals.invalid_value(path, value, words)

    return checked


def integer(low: int | None = None, high: int | None = None) -> Check:
    """Accept a whole number within bounds."""

    def checked(value: Any, path: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise refusals.invalid_type(path, "an integer", value)
        _bounded(value, path, low, high)

    return checked


def decimal(low: float, high: float) -> Check:
    """Accept a number within bounds."""

    def checked(value: Any, path: str) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise refusals.invalid_type(path, "a decimal", value)
        _bounded(value, path, low, high)

    return checked


def _bounded(value: float, path: str, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        raise refusals.below_minimum(path, value, low)
    if high is not None and value > high:
        raise refusals.above_maximum(path, value, high)


def string(pattern: str, longest: int) -> Check:
    """Accept a string that matches the whole of `pattern` and is not too long."""
    expression = re.compile(pattern)

    def checked(value: Any, path: str) -> None:
        if not text(value, path):
            message = (
                f"Invalid '{path}': empty string. Expected a string with minimum length 1, "
                "but got an empty string instead."
            )
            raise refusals.refuse(message, path, "empty_string")
        if len(value) > longest:
            message = (
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{longest}, but got a string with length {len(value)} instead."
            )
            raise refusals.refuse(message, path, "string_above_max_length")
        if not expression.fullmatch(value):
            message = (
                f"Invalid '{path}': string does not match pattern. "
                f"Expected a string that matches the pattern '{pattern}'."
            )
            raise refusals.refuse(message, path, "invalid_value")

    return checked


def no_others(value: JsonObject, path: str, known: Iterable[str]) -> None:
    """Refuse fields that are not among `known`."""
    for key in value:
        if key not in known:
            raise refusals.unknown_parameter(f"{path}.{key}")


def required(value: JsonObject, path: str, *keys: str) -> None:
    """Refuse an object that lacks one of `keys`."""
    for key in keys:
        if key not in value:
            raise refusals.missing(f"{path}.{key}")


def shaped(known: Mapping[str, Check], *needed: str) -> Check:
    """Accept an object with these fields only, `needed` among them."""

    def checked(value: Any, path: str) -> None:
        found = open_object(value, path)
        no_others(found, path, known)
        required(found, path, *needed)
        for key, item in found.items():
            known[key](item, f"{path}.{key}")

    return checked

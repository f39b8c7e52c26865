"""Reading `OTEL_*` variables: a wrong one is an error with its name, never a quiet default.

As the specification has it, a variable that is empty counts as one that is not set.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["TelemetryError", "number", "switch", "text", "whole"]

_NO_BOUND: Final = 1e12
_LONGEST: Final = 12


class TelemetryError(ValueError):
    """An `OTEL_*` variable asks for something that is not there."""


def text(environment: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    """Return the first variable that is set, with its value; None: none is.

    Args:
        environment: The variables.
        names: The one that wins first.
    """
    for name in names:
        if value := environment.get(name, "").strip():
            return name, value
    return None


def number(
    environment: Mapping[str, str],
    *names: str,
    default: float,
    least: float = 0,
    most: float = 1e12,
) -> float:
    """Return the value of the first variable that is set.

    Raises:
        TelemetryError: It is no number, or not one from `least` to `most`.
    """
    if (found := text(environment, *names)) is None:
        return default
    name, value = found
    try:
        read = float(value)
    except ValueError:
        read = float("nan")
    if not least <= read <= most:
        bounds = f"from {least:g} to {most:g}" if most < _NO_BOUND else f"of {least:g} or more"
        raise TelemetryError(f"{name} is `{value}`; it must be a number {bounds}.")
    return read


def whole(environment: Mapping[str, str], *names: str, default: int, least: int = 0) -> int:
    """Return the value of the first variable that is set: a whole number of `least` or more.

    Raises:
        TelemetryError: It is none.
    """
    if (found := text(environment, *names)) is None:
        return default
    name, value = found
    digits = value.isascii() and value.isdecimal() and len(value) <= _LONGEST
    if not digits or int(value) < least:
        raise TelemetryError(f"{name} is `{value}`; it must be a whole number of {least} or more.")
    return int(value)


def switch(environment: Mapping[str, str], *names: str) -> bool:
    """Return whether the first variable that is set says `true`.

    Raises:
        TelemetryError: It says neither `true` nor `false`.
    """
    if (found := text(environment, *names)) is None:
        return False
    name, value = found
    if value.lower() not in ("true", "false"):
        raise TelemetryError(f"{name} is `{value}`; it must be `true` or `false`.")
    return value.lower() == "true"

"""How long what a client made up may be on a span, which is kept in memory until it is sent."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["LONGEST_NAME", "LONGEST_TEXT", "bounded", "bounded_all"]

LONGEST_TEXT: Final = 500
"""Characters of an attribute."""

LONGEST_NAME: Final = 64
"""Characters of a part of a span's name."""

_SHORT: Final = frozenset({str, int, float, bool})


def bounded(value: Any) -> Any:
    """Return an attribute's value, cut if it is a long text; one in a list, too."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT] if len(value) > LONGEST_TEXT else value
    if isinstance(value, list | tuple):
        return [bounded(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def bounded_all(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of attributes whose values are `bounded`."""
    copy = dict(attributes)
    for name, value in attributes.items():
        # Most values are short: to look takes a third of the time of a call for each.
        kind = value.__class__
        if (kind is str and len(value) > LONGEST_TEXT) or kind not in _SHORT:
            copy[name] = bounded(value)
    return copy

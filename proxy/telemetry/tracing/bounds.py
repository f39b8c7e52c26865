"""How long what a client made up may be on a span, which is kept in memory until it is sent."""

from typing import Any, Final

__all__ = ["LONGEST_NAME", "LONGEST_TEXT", "bounded"]

LONGEST_TEXT: Final = 500
"""Characters of an attribute."""

LONGEST_NAME: Final = 64
"""Characters of a part of a span's name."""


def bounded(value: Any) -> Any:
    """Return an attribute's value, cut if it is a long text; one in a list, too."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, list | tuple):
        return [bounded(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value

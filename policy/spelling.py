"""Near names, for the errors that say what was probably meant."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "listed", "near"]

# A name can come from a client: comparing is quadratic in its length.
_LONGEST = 64


def near(word: str, known: Iterable[str], *, most: int = 1) -> list[str]:
    """Return up to `most` known names that look like `word`, the nearest first."""
    folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(word[:_LONGEST].casefold(), list(folded), n=most)
    return [folded[name] for name in found]


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1) -> str:
    """Return "Did you mean `x`?", or nothing where no known name is near."""
    found = near(word, known, most=most)
    return f"Did you mean {' or '.join(f'`{name}`' for name in found)}?" if found else ""


def listed(names: Iterable[str]) -> str:
    """Return names as they stand in a sentence: "`a`, `b`"."""
    return ", ".join(f"`{name}`" for name in names)

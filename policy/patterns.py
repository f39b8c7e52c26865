r"""Regular expressions of an operator's own, which may be tried on whatever a client sends.

Python's engine tries every way to divide a text among nested or neighbouring repetitions: a
pattern as harmless as `(\d+\s*)+x` takes longer than anybody waits for some texts, and the one
who writes the text is not the one who wrote the pattern. To tell such patterns apart is no easier
than to match them, so they are compiled for RE2, whose time grows with the text and no faster. It
knows neither look-around nor back-references.
"""

import importlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from policy.rows import problem

__all__ = ["LONGEST", "LinearPattern", "check_pattern", "compiled"]

LONGEST: Final = 1000
"""Characters of a pattern: what it is compiled to grows with it."""

_SYNTAX: Final = "Write it as RE2 has it: https://github.com/google/re2/wiki/Syntax."


class LinearPattern(Protocol):
    """What is used of a compiled pattern."""

    def search(self, text: str, /) -> object | None:
        """Return something where the pattern occurs in a text."""
        ...

    def sub(self, replacement: Callable[[Any], str], text: str, /) -> str:
        """Return the text with each occurrence replaced."""
        ...


def compiled(pattern: str) -> LinearPattern:
    """Return a pattern that was checked, ready to be used."""
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    # It would write the pattern to standard error; who calls says what is wrong with it.
    options.log_errors = False
    return re2.compile(pattern, options)


def check_pattern(pattern: str) -> str:
    """Return a pattern that can be used.

    Raises:
        PydanticCustomError: It cannot, and why.
    """
    if len(pattern) > LONGEST:
        raise problem(f"the pattern is longer than {LONGEST} characters", "Write several.")
    try:
        found = compiled(pattern)
    except ImportError:
        raise problem(
            "patterns need the package `google-re2`, which is not installed",
            "Install it: pip install 'execution-platform[redact]', or remove the pattern.",
        ) from None
    except importlib.import_module("re2").error as error:
        raise problem(f"this is not a regular expression ({_said(error)})", _SYNTAX) from None
    if found.search("") is not None:
        raise problem(
            "the pattern matches the empty text, which is everywhere",
            "Let it match at least one character: `+` instead of `*`.",
        )
    return pattern


def _said(error: Exception) -> str:
    said: Any = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)

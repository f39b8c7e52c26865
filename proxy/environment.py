"""Environment variables: the process's own, and those of a `.env` file below them."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from policy.spelling import did_you_mean
from translators.errors import ExecutionPlatformError

__all__ = [
    "ConfigurationError",
    "is_key_name",
    "load_environment",
    "non_empty",
    "parse_env_file",
    "unknown_variables",
]


class ConfigurationError(ExecutionPlatformError):
    """The environment is wrong; the text names every variable at fault and what would be right.

    Attributes:
        problems: What is wrong, one text for each variable.
    """

    code = "invalid_configuration"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_environment(directory: Path | None = None) -> dict[str, str]:
    """Return the process's environment over the variables of `.env`.

    Args:
        directory: Where `.env` is; None: the working directory. It need not exist.

    Raises:
        ConfigurationError: `.env` cannot be read.
    """
    path = (directory or Path()) / ".env"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        # A directory of that name is somebody's virtual environment.
        return dict(os.environ)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path}: the file cannot be read: {why}.") from None
    return {**parse_env_file(text, source=str(path)), **os.environ}


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse_env_file(text: str, *, source: str = ".env") -> dict[str, str]:
    r"""Read `KEY=VALUE` lines.

    Empty lines and lines that begin with `#` are skipped, and so is `export ` before a name.
    Values may stand in double quotes, where `\n`, `\"` and `\\` are understood, or in single
    quotes, where nothing is. Without quotes ` #` begins a comment. Nothing is substituted:
    `$HOME` is five characters.

    Raises:
        ConfigurationError: A line is none of this. Its value is not repeated.
    """
    values: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, raw = entry.removeprefix("export ").partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            wrong.append(f"{source}:{number}: the line is not of the form NAME=VALUE.")
            continue
        value = _unquoted(raw.strip())
        if value is None:
            wrong.append(f"{source}:{number}: {name}: the quotes do not match.")
        else:
            values[name] = value
    if wrong:
        raise ConfigurationError(*wrong)
    return values


def _unquoted(raw: str) -> str | None:
    if raw.startswith('"'):
        match = _DOUBLE.fullmatch(raw)
        if match is None:
            return None
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), match[1])
    if raw.startswith("'"):
        match = _SINGLE.fullmatch(raw)
        return None if match is None else match[1]
    return re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].rstrip()


def is_key_name(name: str) -> bool:
    """Whether a variable is of the kind that a provider's `api_key_env` may name."""
    return name.endswith(("_KEY", "_TOKEN"))


def unknown_variables(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return what to say of each `EP_` variable that nothing reads: most are typing errors."""
    names = sorted(known)
    return [
        f"{name}: no such setting. "
        + (did_you_mean(name, names) or f"The settings are {', '.join(names)}.")
        for name in sorted(found)
        if name.startswith("EP_") and name not in names
    ]


def non_empty(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that have a value; an empty one counts as unset.

    Compose files and shells set variables to nothing when they mean "not given".
    """
    return {name: value.strip() for name, value in environ.items() if value.strip()}

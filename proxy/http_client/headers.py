"""Header fields of requests: checked, and encoded once where many requests share them."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from proxy import __version__
from translators.errors import ProviderError

__all__ = ["DEFAULTS", "HeaderBlock", "encoded", "merged", "names_of"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a field (RFC 9110, 5.6.2)."""

_OURS: Final = frozenset(
    {
        *("connection", "content-length", "expect", "keep-alive", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Fields about the connection and where a message ends: two opinions of these split requests."""


class HeaderBlock:
    """Fields that many requests share.

    Attributes:
        fields: As they were given, with what the client says of itself.
        names: Theirs, in lower case.
        encoded: As they are sent, each with its line end.

    Args:
        fields: They win over what the client says of itself.

    Raises:
        ProviderError: One of them cannot be sent.
    """

    __slots__ = ("encoded", "fields", "names")

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields: Mapping[str, str] = merged(_SELF, fields)
        self.names = names_of(tuple(self.fields))
        self.encoded = encoded(self.fields)


def merged(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of both; names that differ in case only are the same, and `above` wins."""
    names = {name.lower() for name in above}
    return {**{n: v for n, v in below.items() if n.lower() not in names}, **above}


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return fields as they are sent, each with its line end.

    Raises:
        ProviderError: A name is none or the connection's own, or a value holds a line end or
            half a character.
    """
    names_of(tuple(fields))
    text = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    lines = len(fields)
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        name = next(n for n, v in fields.items() if any(c in v for c in "\r\n\0"))
        raise _refused(name, "its value holds a line end")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        name = next(n for n, v in fields.items() if error.object[error.start] in v)
    # Outside, so that it is not the cause: it holds all values.
    raise _refused(name, "its value holds what is no character")


@lru_cache(maxsize=512)
def names_of(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names of fields in lower case; requests have the same ones again and again.

    Raises:
        ProviderError: A name is none or the connection's own.
    """
    for name in names:
        if _TOKEN.fullmatch(name) is None or name.lower() in _OURS:
            raise _refused(name, "the name is none, or the HTTP client sends it itself")
    return frozenset(name.lower() for name in names)


def _refused(name: str, why: str) -> ProviderError:
    # The value may be a key.
    return ProviderError(
        f"The header {name[:64]!r} cannot be sent to the provider: {why}.", kind="network"
    )


_SELF: Final[Mapping[str, str]] = {
    # Compressed streams are flushed rarely: tokens would arrive in clumps.
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": f"execution-platform/{__version__}",
}

DEFAULTS: Final = HeaderBlock({})
"""What the client says of itself, and no more."""

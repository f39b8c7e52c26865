"""URLs taken apart: where to connect to, and what to ask for there."""

from base64 import b64encode
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Origin", "Target", "ascii_host", "bracketed", "target_of"]

_PORTS: Final = {"http": 80, "https": 443}
_KEPT: Final = "/:@!$&'()*+,;=-._~%?[]"
"""What stands in a path or a query as it is; the rest is percent-encoded."""


class Origin(NamedTuple):
    """Whom to connect to.

    Attributes:
        scheme: `http` or `https`.
        host: A name in ASCII, or an address without brackets.
        port: Always given.
    """

    scheme: str
    host: str
    port: int

    @property
    def place(self) -> str:
        """Host and port as `CONNECT` has them."""
        return f"{bracketed(self.host)}:{self.port}"


class Target(NamedTuple):
    """A URL, taken apart.

    Attributes:
        origin: Whom to connect to.
        path: Path and query, in ASCII, never empty.
        authority: The value of `host`.
        authorization: Of a user and password in the URL; None: there are none.
    """

    origin: Origin
    path: str
    authority: str
    authorization: str | None


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Take a URL apart.

    Raises:
        ValueError: It is none of scheme `http` or `https` with a host.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme, parts.hostname
    if scheme not in _PORTS or not host or parts.port == 0:
        raise ValueError("not a URL of http or https")
    host = ascii_host(host)
    if any(c.isspace() or c in '/\\@%<>"' or not c.isprintable() for c in host):
        raise ValueError("not a host")
    port = parts.port or _PORTS[scheme]
    path = quote(parts.path or "/", safe=_KEPT)
    if parts.query:
        path += "?" + quote(parts.query, safe=_KEPT)
    authority = bracketed(host)
    if port != _PORTS[scheme]:
        authority += f":{port}"
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode('ascii')}"
    return Target(Origin(scheme, host, port), path, authority, authorization)


def ascii_host(host: str) -> str:
    """Return a host as it is looked up.

    Raises:
        ValueError: A part of the name is empty or longer than 63 bytes. Whoever looks it up would
            say the same, as an error of encoding.
    """
    return host.encode("idna").decode("ascii")


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host

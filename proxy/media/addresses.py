"""Where the server may go for media: public hosts by HTTPS, and what the operator allows.

The host's addresses are looked up once and checked, and the connection goes to an address that
was checked: a name whose second look-up says something else gains nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Destination", "MediaProblem", "Problem", "checked", "parse"]

Problem = Literal["address", "download", "too_large", "type"]

LONGEST_URL = 8192
LONGEST_HOST = 253
"""Characters of a host name (RFC 1035); the codec for international ones is quadratic."""

OPEN_PORTS = (443,)
"""Ports of hosts that the operator did not name."""

_PORTS = {"https": 443, "http": 80}


class MediaProblem(Exception):
    """Media cannot be had.

    Attributes:
        kind: What went wrong, for the error code.
        text: The same for the client: a clause that tells nothing of the network behind us.
    """

    def __init__(self, kind: Problem, text: str) -> None:
        super().__init__(text)
        self.kind: Problem = kind
        self.text = text


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart.

    Attributes:
        scheme: `https` or `http`.
        host: Name or address in lower case, without brackets.
        port: Of the server.
        target: Path and query.
        allowed: Whether the operator named the host: it may then be a private one.
    """

    scheme: str
    host: str
    port: int
    target: str
    allowed: bool

    @property
    def authority(self) -> str:
        """The value of the `host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse(url: str, allow_hosts: Collection[str]) -> Destination:
    """Take a URL apart and check what can be checked without asking anybody.

    Raises:
        MediaProblem: The server does not go there.
    """
    if len(url) > LONGEST_URL:
        raise _refused(f"the URL is longer than {LONGEST_URL} characters")
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise _refused("the URL holds spaces, backslashes or control characters")
    try:
        parts = urlsplit(url)
        host, port = _ascii(parts.hostname or ""), parts.port
    except ValueError:
        raise _refused("it is not a URL") from None
    if parts.scheme not in _PORTS or not host:
        raise _refused("it is not an `https:` URL")
    if parts.username is not None or parts.password is not None:
        raise _refused("the URL holds credentials")
    usual = port in (None, 80, 443)
    port = _PORTS[parts.scheme] if port is None else port
    name = f"[{host}]" if ":" in host else host
    allowed = f"{name}:{port}" in allow_hosts or (usual and name in allow_hosts)
    if not allowed and parts.scheme != "https":
        raise _refused("only `https:` URLs are fetched")
    if not allowed and port not in OPEN_PORTS:
        raise _refused("only the port 443 is allowed")
    query = f"?{parts.query}" if parts.query else ""
    return Destination(parts.scheme, host, port, f"{parts.path or '/'}{query}", allowed)


def _ascii(host: str) -> str:
    if len(host) > LONGEST_HOST or "%" in host:
        raise ValueError("no host name")
    return host if host.isascii() else host.encode("idna").decode()


def checked(found: Iterable[str], *, allowed: bool) -> list[str]:
    """Return a host's addresses, each once.

    Args:
        found: What the look-up said.
        allowed: Whether they may be private.

    Raises:
        MediaProblem: There is none, or a single one of them is not public. A name that does not
            exist and one that is private get the same words: the difference would tell about
            the network behind us.
    """
    addresses = list(dict.fromkeys(found))
    if not addresses or not (allowed or all(map(_is_public, addresses))):
        raise _refused("its host has no public address")
    return addresses


# Beside what `ipaddress` knows, whose knowledge differs between Python's versions.
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598), and metadata services
        "192.0.0.0/24",  # protocol assignments (RFC 6890), and metadata services
        "168.63.129.16/32",  # the host of a virtual machine at Azure
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "::/96",  # IPv4 in IPv6, as it was once written
        "::ffff:0:0/96",  # the same as it is written now
        "64:ff9b:1::/48",  # NAT64 within a network (RFC 8215)
        "100::/64",  # to be discarded (RFC 6666)
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation (RFC 9637)
        "5f00::/16",  # segment routing (RFC 9602)
        "fec0::/10",  # site-local
    )
)
_NAT64 = ip_network("64:ff9b::/96")


def _is_public(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            # A network without IPv4 reaches all of it so: what is behind it counts.
            address = IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not (address.is_private or address.is_loopback or address.is_link_local)
        and not any(address in network for network in _NOT_PUBLIC)
    )


def _refused(text: str) -> MediaProblem:
    return MediaProblem("address", text)

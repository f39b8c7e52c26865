"""Forward proxies, as the environment names them for a server.

`HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` by the server's scheme, the names in lower case first,
as curl and Python's own library read them. `NO_PROXY` holds exceptions, separated by commas: host
names, which stand for all below them, too; addresses and networks (`10.0.0.0/8`); any of them with
a port; `*` for everything. What is on this machine is never asked through a proxy.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from proxy.http_client.targets import Origin, ascii_host, bracketed
from translators.errors import ProviderError

__all__ = ["ForwardProxy", "Proxies"]


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """A proxy between us and servers; spoken to without TLS.

    Attributes:
        host: A name, or an address without brackets.
        port: Always given.
        authorization: The value of `proxy-authorization`, if it wants one. Never shown.
    """

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return f"http://{self.place}"


class Proxies:
    """The proxies of an environment; it is read once.

    Args:
        environment: The process's variables, and those of `.env`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._named = {
            scheme: found
            for scheme in ("http", "https")
            if (found := _first(environment, f"{scheme}_proxy", "all_proxy")) is not None
        }
        _, exceptions = _first(environment, "no_proxy") or ("", "")
        self._exceptions = [
            found for entry in exceptions.replace(",", " ").split() if (found := _exception(entry))
        ]

    def between(self, origin: Origin) -> ForwardProxy | None:
        """Return the proxy through which a server is to be asked; None: it is asked directly.

        Raises:
            ProviderError: The environment names one that cannot be used.
        """
        named = self._named.get(origin.scheme)
        if named is None:
            return None
        host = origin.host.lower().rstrip(".")
        address = _address(host)
        if host == "localhost" or host.endswith(".localhost") or _is_loopback(address):
            return None
        if any(one.covers(host, address, origin.port) for one in self._exceptions):
            return None
        return _proxy(*named)


@dataclass(frozen=True, slots=True)
class _Exception:
    """One entry of `NO_PROXY`: a name, an address or a network, and perhaps a port."""

    text: str
    port: int | None

    def covers(self, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.text == "*":
            return True
        if address is not None:
            try:
                return address in ip_network(self.text, strict=False)
            except ValueError:
                return False
        return host == self.text or host.endswith(f".{self.text}")


def _exception(entry: str) -> _Exception | None:
    text, port = entry.lower(), None
    if text.startswith("["):
        text, _, rest = text[1:].partition("]")
        digits = rest.removeprefix(":")
    elif text.count(":") == 1:
        text, _, digits = text.partition(":")
    else:
        digits = ""
    if digits:
        if not digits.isdecimal():
            return None
        port = int(digits)
    text = text.removeprefix("*.").strip(".") if text != "*" else text
    return _Exception(text, port) if text else None


def _first(environment: Mapping[str, str], *names: str) -> tuple[str, str] | None:
    """Return the first variable of these that has a value, and the value."""
    for name in names:
        for spelled in (name, name.upper()):
            if value := environment.get(spelled, "").strip():
                return spelled, value
    return None


def _proxy(variable: str, value: str) -> ForwardProxy:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if not host or port == 0 or any(c.isspace() for c in host):
        # Not repeated: there may be a password in it.
        raise _unusable(variable, "holds no address of a proxy")
    if parts.scheme != "http":
        raise _unusable(variable, f"names a proxy of the kind {parts.scheme[:16]}://")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        # Bytes of the environment that are no UTF-8 are sent as they are there.
        credentials = b64encode(user.encode(errors="surrogateescape"))
        authorization = f"Basic {credentials.decode('ascii')}"
    return ForwardProxy(host, port or 80, authorization)


def _unusable(variable: str, why: str) -> ProviderError:
    return ProviderError(
        f"{variable} {why}, which cannot be used: it must be such as http://proxy.example:3128. "
        "Correct it, or name the provider's host in NO_PROXY.",
        kind="network",
    )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _is_loopback(address: IPv4Address | IPv6Address | None) -> bool:
    return address is not None and address.is_loopback

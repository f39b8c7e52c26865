"""How far one gets to a server: its name, a connection, TLS, an answer and the time in it.

Sockets of the standard library: what is asked is where the way ends, and an HTTP client does not
say that. Nothing of it is authenticated.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from proxy import __version__
from proxy.http_client.proxies import ForwardProxy, Proxies
from proxy.http_client.targets import target_of
from proxy.media.look_up import LookUps
from translators.errors import ProviderError

__all__ = [
    "HEAD_SECONDS",
    "REACH_SECONDS",
    "Reach",
    "place_of",
    "provider_proxy",
    "proxy_for",
    "reach",
    "reach_provider",
    "remedy_for",
]

REACH_SECONDS: Final = 3.0
"""For name, connection and TLS together. All servers are tried at the same time."""

HEAD_SECONDS: Final = 2.0
"""For the head of an answer."""

_MOST_ADDRESSES: Final = 4
_MOST_HEAD: Final = 64 * 1024

Stage = Literal["name", "connection", "tls"]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one got.

    Attributes:
        place: Host and port.
        trouble: What kept us; empty where nothing did.
        stage: Where the way ended, if it did.
        seconds: How long it took until the connection was there, with TLS if there is any.
        tls: The version of TLS; empty without.
        offset: Seconds by which the server's clock is ahead of ours; None where it does not say.
        via: The forward proxy before it, which was tried in its stead; empty where there is none.
    """

    place: str
    trouble: str = ""
    stage: Stage = "name"
    seconds: float = 0.0
    tls: str = ""
    offset: float | None = None
    via: str = ""


UNREADABLE = "(an address that cannot be read)"


def place_of(url: str) -> tuple[str, int]:
    """Return host and port of an address; nothing else of it is ever printed.

    Of one that is none, such as one with a `/` in its password, it is no part at all.
    """
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return UNREADABLE, 0


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the forward proxy that the exporter of spans uses for an address, or None."""
    parts = urlsplit(url)
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        if found := environment.get(name) or environment.get(name.upper()):
            no = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
            bypassed = proxy_bypass(parts.netloc, {"no": no})
            return None if bypassed else found if "://" in found else f"http://{found}"
    return None


async def reach(url: str, *, head: bool = True, authorities: str | None = None) -> Reach:
    """Try to reach the server of an address.

    Args:
        url: Of scheme `http` or `https`; others are connected to without TLS.
        head: Whether to ask for something, for the time in the answer.
        authorities: A file with the certificates to trust instead of the system's.
    """
    host, port = place_of(url)
    if host == UNREADABLE:
        return Reach(
            host, "it is not the address of a server; signs in a password are written as %2F"
        )
    way = _Way(host, port, urlsplit(url).scheme == "https", authorities)
    began = time.monotonic()
    try:
        async with asyncio.timeout(REACH_SECONDS):
            reader, writer = await way.go()
    except TimeoutError:
        return way.ended(f"no {_WORDS[way.stage]} within {REACH_SECONDS:g} s")
    except ssl.SSLError as error:
        return way.ended(_tls_words(error))
    except OSError as error:
        return way.ended(os.strerror(error.errno) if error.errno else str(error))
    took = time.monotonic() - began
    try:
        tls = writer.get_extra_info("ssl_object")
        version = "" if tls is None else str(tls.version())
        offset = await _offset(reader, writer, url) if head else None
        return Reach(way.place, seconds=took, tls=version, offset=offset)
    finally:
        writer.transport.abort()


def provider_proxy(url: str, environment: Mapping[str, str]) -> ForwardProxy | None:
    """Return the forward proxy through which requests to a provider go, or None.

    Raises:
        ProviderError: The environment names one that cannot be used.
    """
    try:
        origin = target_of(url).origin
    except ValueError:
        # Nothing is asked there; trying to reach it says so.
        return None
    return Proxies(environment).between(origin)


async def reach_provider(url: str, environment: Mapping[str, str]) -> Reach:
    """Try to reach a provider, or the forward proxy through which requests to it go."""
    try:
        via = provider_proxy(url, environment)
    except ProviderError as error:
        host, port = place_of(url)
        return Reach(f"{host}:{port}", trouble=error.message.rstrip("."), stage="connection")
    if via is None:
        return await reach(url)
    host, port = place_of(url)
    return replace(await reach(via.url, head=False), place=f"{host}:{port}", via=via.place)


def remedy_for(found: Reach, called: str) -> str:
    """Return what to do about a server that cannot be reached.

    Args:
        found: How far one got.
        called: What names the address: `base_url`, a variable.
    """
    if found.via:
        return (
            "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, or name the host in NO_PROXY where it "
            "can be reached directly."
        )
    match found.stage:
        case "name":
            text = f"Correct the host in {called}, or this machine's name servers"
        case "connection":
            text = (
                f"Start the server there, let this machine's firewall pass it, or correct {called}"
            )
        case "tls":
            text = (
                "Have its certificate authority in SSL_CERT_FILE, see that this machine's clock is "
                f"right, or correct {called}"
            )
    return f"{text}."


_WORDS: Final[Mapping[Stage, str]] = {
    "name": "answer of the name servers",
    "connection": "connection",
    "tls": "TLS handshake",
}


@dataclass(slots=True)
class _Way:
    host: str
    port: int
    tls: bool
    authorities: str | None
    stage: Stage = "name"

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def ended(self, why: str) -> Reach:
        return Reach(self.place, trouble=why or "it failed", stage=self.stage)

    async def go(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        look_ups = LookUps()
        await look_ups.turn(self.host)
        addresses = await look_ups.find(self.host, self.host, self.port)
        if not addresses:
            raise OSError("no such host, or no name server that knows it")
        self.stage = "connection"
        connection = await _first(addresses[:_MOST_ADDRESSES], self.port)
        try:
            if not self.tls:
                return await asyncio.open_connection(sock=connection)
            self.stage = "tls"
            context = ssl.create_default_context(cafile=self.authorities)
            return await asyncio.open_connection(
                sock=connection, ssl=context, server_hostname=self.host
            )
        except BaseException:
            connection.close()
            raise


async def _first(addresses: Sequence[str], port: int) -> socket.socket:
    """Return the first connection that stands, of all addresses at the same time.

    Raises:
        OSError: None of them takes one.
    """
    attempts = [asyncio.create_task(_connected(address, port)) for address in addresses]
    won: socket.socket | None = None
    failure = OSError("it has no address")
    try:
        for next_one in asyncio.as_completed(attempts):
            try:
                won = await next_one
            except OSError as error:
                failure = error
            else:
                return won
        raise failure
    finally:
        for attempt in attempts:
            attempt.cancel()
        for other in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(other, socket.socket) and other is not won:
                other.close()


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    reason = str(error.reason or "it broke off").replace("_", " ").lower()
    if "wrong version number" in reason:
        return "it does not speak TLS there (the address may have to be http://)"
    return f"the TLS handshake failed: {reason}"


async def _offset(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str
) -> float | None:
    """Return how far the clock of a server is ahead of ours, as its answer has it."""
    host, port = place_of(url)
    shown = f"[{host}]" if ":" in host else host
    request = (
        f"HEAD / HTTP/1.1\r\nHost: {shown}:{port}\r\n"
        f"User-Agent: execution-platform/{__version__}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            writer.write(request.encode("ascii"))
            head = (await reader.readuntil(b"\r\n\r\n"))[:_MOST_HEAD]
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        # It is reached all the same; what it says shows with a request.
        return None
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            return _seconds(value.strip())
    return None


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None

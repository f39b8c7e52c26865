"""Our own HTTP/1.1 client: a third of aiohttp's CPU for a request, and no task or timer for any."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final

from proxy.http_client.connection import Connection
from proxy.http_client.decoding import PACKED, Unpacked
from proxy.http_client.dialing import Dialer
from proxy.http_client.failures import (
    PROXY_AUTHENTICATION,
    broken,
    garbled,
    refused_by_proxy,
    unusable_url,
)
from proxy.http_client.headers import encoded, merged, names_of
from proxy.http_client.options import ClientOptions
from proxy.http_client.pool import Pool
from proxy.http_client.proxies import ForwardProxy
from proxy.http_client.seam import Request
from proxy.http_client.targets import Origin, Target, target_of
from proxy.http_client.tls import client_context
from translators.errors import ProviderError

__all__ = ["NativeConnections"]

_KEPT_FOR: Final = re.compile(rb"timeout\s*=\s*\"?(\d{1,6})")
_MARGIN: Final = 1.0
"""Seconds before the end that a server announces for an idle connection."""

STALE_SECONDS: Final = 2.0
"""How soon after a request the end of a connection means that it was over before: some round trips.
Later it may be the end of work that has begun, and is paid for."""

_PLAIN: Final = frozenset({"", "identity"})


class NativeConnections:
    """The connections to any servers. Create it inside a running event loop.

    Args:
        options: Forward proxies, and whom to trust.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._proxies = options.proxies
        tls = options.tls
        self._dialer = Dialer(client_context if tls is None else lambda: tls)
        self._pools: dict[Origin, Pool] = {}
        self._closed = False

    async def request(self, request: Request) -> "NativeAnswer":
        """Send a request; return the answer as soon as its head is there.

        A connection that was kept may be closed by the other side at the moment at which it is
        used. Where one ends within `STALE_SECONDS` without a byte of an answer, the request is
        sent once more, on a new one. Whether it was read is not to be known: it is the one retry
        that is not the engine's, which would ask again after such an end, too.

        Raises:
            ProviderError: No answer came.
        """
        try:
            target = target_of(request.url)
        except ValueError as error:
            raise unusable_url(error) from error
        pool = self._pools.get(target.origin) or self._pool(target.origin)
        head = _head(target, request, pool.via)
        kept = pool.take()
        if kept is not None:
            until = self._loop.time() + STALE_SECONDS
            try:
                return _providers(pool, await _exchange(pool, kept, head, request.body))
            except ProviderError:
                if kept.heard or self._loop.time() > until:
                    raise
        connection = await pool.new(request.connect)
        return _providers(pool, await _exchange(pool, connection, head, request.body))

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        for pool in self._pools.values():
            await pool.aclose()

    def open_connections(self) -> int:
        """Return how many connections there are."""
        return sum(pool.open for pool in self._pools.values())

    def _pool(self, origin: Origin) -> Pool:
        if self._closed:
            raise ProviderError("The connections to the provider are closed.", kind="network")
        pool = self._pools[origin] = Pool(origin, self._proxies.between(origin), self._dialer)
        return pool


def _providers(pool: Pool, answer: "NativeAnswer") -> "NativeAnswer":
    """Return an answer that is the provider's.

    Raises:
        ProviderError: It is the forward proxy's.
    """
    if (
        answer.status == PROXY_AUTHENTICATION
        and pool.via is not None
        and pool.origin.scheme == "http"
    ):
        answer.close()
        raise refused_by_proxy(pool.via.place, answer.status)
    return answer


async def _exchange(
    pool: Pool, connection: Connection, head: bytes, body: bytes | None
) -> "NativeAnswer":
    try:
        connection.begin(head, body)
        await connection.answered()
        return NativeAnswer(pool, connection)
    except BaseException:
        connection.give_up()
        raise


def _head(target: Target, request: Request, via: ForwardProxy | None) -> bytes:
    common, own = request.common, request.headers
    names = names_of(tuple(own))
    if not own:
        fields = common.encoded
    elif common.names.isdisjoint(names):
        fields = common.encoded + encoded(own)
    else:
        fields = encoded(merged(common.fields, own))
    has_host = "host" in common.names or "host" in names
    has_key = "authorization" in common.names or "authorization" in names
    start = _start(target, request.method, has_host, has_key, via)
    if request.body is None:
        return b"%b%b\r\n" % (start, fields)
    return b"%b%bcontent-length: %d\r\n\r\n" % (start, fields, len(request.body))


@lru_cache(maxsize=1024)
def _start(
    target: Target, method: str, has_host: bool, has_key: bool, via: ForwardProxy | None
) -> bytes:
    """Return the request line, and the fields that follow from the URL."""
    path, plain = target.path, via is not None and target.origin.scheme == "http"
    if plain:
        # The proxy is told the whole address (RFC 9112, 3.2.2).
        path = f"http://{target.authority}{path}"
    lines = [f"{method} {path} HTTP/1.1"]
    if not has_host:
        lines.append(f"host: {target.authority}")
    if target.authorization is not None and not has_key:
        lines.append(f"authorization: {target.authorization}")
    if plain and via is not None and via.authorization is not None:
        lines.append(f"proxy-authorization: {via.authorization}")
    return "\r\n".join([*lines, ""]).encode("ascii")


class NativeAnswer:
    """An answer whose head is there.

    Raises:
        ProviderError: Its body is of a kind that is not understood.
    """

    __slots__ = ("_connection", "_fields", "_pool", "_read", "_unpacked", "_whole", "status")

    def __init__(self, pool: Pool, connection: Connection) -> None:
        self.status = connection.status
        self._fields = connection.fields
        self._pool = pool
        self._connection: Connection | None = connection
        self._read: Callable[[], Coroutine[Any, Any, bytes]] = connection.piece
        self._unpacked: Unpacked | None = None
        self._whole = False
        packed = self._fields.get(b"content-encoding")
        if packed is not None:
            encoding = packed.decode("latin-1").strip().lower()
            if encoding in PACKED:
                self._unpacked = Unpacked(connection.piece, encoding)
                self._read = self._unpacked.piece
            elif encoding not in _PLAIN:
                raise garbled("it is compressed in a way that nobody asked for")

    @property
    def headers(self) -> Mapping[str, str]:
        """Its header fields; names in lower case."""
        return {name.decode("latin-1"): _text(value) for name, value in self._fields.items()}

    def header(self, name: str) -> str | None:
        """Return the field of a name in lower case."""
        value = self._fields.get(name.encode("latin-1"))
        return None if value is None else _text(value)

    @property
    def content_type(self) -> str:
        """The type in lower case without parameters; of several the first."""
        value = self._fields.get(b"content-type", b"").partition(b";")[0].partition(b",")[0].strip()
        return value.decode("latin-1").lower() or "application/octet-stream"

    @property
    def complete(self) -> bool:
        """Whether all of the body has come and been read."""
        if self._connection is None:
            return self._whole
        return self._connection.complete and (self._unpacked is None or self._unpacked.complete)

    # No coroutine of its own around the one that it returns: 230 bytes of an open stream.
    def piece(self) -> Coroutine[Any, Any, bytes]:
        """Return what has arrived; empty at the end.

        Raises:
            ProviderError: The connection broke before the body's end, or was closed.
        """
        if self._connection is None:
            raise broken(ConnectionAbortedError("it was closed"))
        return self._read()

    def close(self) -> None:
        """Close the connection, unless the answer was complete: then it is free for another."""
        connection = self._connection
        if connection is None:
            return
        self._whole, self._connection = self.complete, None
        if connection.release():
            self._pool.put(connection, _kept_for(self._fields))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _kept_for(fields: Mapping[bytes, bytes]) -> float | None:
    """Return for how many seconds a server says that it keeps the connection."""
    kept = fields.get(b"keep-alive")
    found = None if kept is None else _KEPT_FOR.search(kept.lower())
    return None if found is None else float(found[1]) - _MARGIN

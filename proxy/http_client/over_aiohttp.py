"""aiohttp as the HTTP client: its connections given up at once, its errors ours."""

import asyncio
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from proxy.http_client.failures import (
    PROXY_AUTHENTICATION,
    broken,
    garbled,
    refused_by_proxy,
    unreachable,
    unusable_url,
)
from proxy.http_client.giving_up import drop_unsent, has_unsent
from proxy.http_client.headers import encoded, merged
from proxy.http_client.options import ClientOptions
from proxy.http_client.proxies import ForwardProxy
from proxy.http_client.seam import Request
from proxy.http_client.silence import probed_socket
from proxy.http_client.targets import target_of
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

__all__ = ["AiohttpConnections"]

PIECE: Final = 64 * 1024
"""Bytes of a request's body that are handed to the connection at a time."""

_NO_CAUSE: Final = aiohttp.ClientPayloadError("it is not known")

_UNPACKED: Final = frozenset({"", "identity", "gzip", "deflate"})
"""Encodings that aiohttp unpacks whatever is installed beside it."""


class AiohttpConnections:
    """The connections to any servers. Create it inside a running event loop.

    Args:
        options: Forward proxies, and whom to trust.
    """

    def __init__(self, options: ClientOptions) -> None:
        self._proxies = options.proxies
        self._tls = True if options.tls is None else options.tls
        self._session = aiohttp.ClientSession(
            connector=_Connector(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("accept", "user-agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
        )

    async def request(self, request: Request) -> "AiohttpAnswer":
        """Send a request; return the answer as soon as its head is there.

        Raises:
            ProviderError: No answer came.
        """
        headers = request.common.fields
        if request.headers:
            # Refuses what cannot be sent, in the words of both clients.
            encoded(request.headers)
            headers = merged(headers, request.headers)
        try:
            origin = target_of(request.url).origin
        except ValueError as error:
            raise unusable_url(error) from error
        via = self._proxies.between(origin)
        if via is not None and origin.scheme == "http":
            # The request itself goes to the proxy; with TLS it is a tunnel that is asked for.
            headers = {**headers, **_credentials(via)}
        try:
            answer = await self._session.request(
                request.method,
                request.url,
                data=None if request.body is None else _payload_of(request.body),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, connect=request.connect),
                # A redirect would carry our credentials to an address nobody configured.
                allow_redirects=False,
                ssl=self._tls,
                proxy=None if via is None else via.url,
                proxy_headers=_credentials(via),
            )
        except aiohttp.ClientHttpProxyError as error:
            # Its own exception has the request with our credentials for the proxy.
            raise refused_by_proxy("" if via is None else via.place, error.status) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _failure(error, request, via) from error
        if answer.status == PROXY_AUTHENTICATION and via is not None and origin.scheme == "http":
            # It is the proxy that says this, not the provider.
            answer.close()
            raise refused_by_proxy(via.place, answer.status)
        return AiohttpAnswer(answer)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


def _credentials(via: ForwardProxy | None) -> dict[str, str]:
    if via is None or via.authorization is None:
        return {}
    return {"proxy-authorization": via.authorization}


def _failure(error: Exception, request: Request, via: ForwardProxy | None) -> ProviderError:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ProviderTimeout("connect", request.connect)
        case aiohttp.ClientProxyConnectionError():
            return _not_reached(error, via)
        case aiohttp.ClientConnectorError():
            return _not_reached(error, None)
        case aiohttp.InvalidURL():
            return unusable_url(error)
        case aiohttp.ClientResponseError():
            return garbled("its head is not to be understood", error)
        case _:
            return broken(error)


def _not_reached(error: aiohttp.ClientConnectorError, via: ForwardProxy | None) -> ProviderError:
    certificate = getattr(error, "certificate_error", None)
    cause = certificate if isinstance(certificate, OSError) else error.os_error
    if via is not None:
        return unreachable(via.host, via.port, cause)
    return unreachable(error.host, error.port, cause)


def _text(value: str) -> str:
    """Return a header's value as text: aiohttp leaves halves of characters in what is not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


class AiohttpAnswer:
    """An answer whose head is there.

    Args:
        response: Whoever plays recorded answers has a class of its own for these.
    """

    __slots__ = ("_response", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Its header fields, by names in any case."""
        found = self._response.headers
        if all(value.isascii() for value in found.values()):
            return found
        mended = found.copy()
        mended.clear()
        mended.extend((name, _text(value)) for name, value in found.items())
        return mended

    def header(self, name: str) -> str | None:
        """Return the field of a name."""
        value = self._response.headers.get(name)
        return None if value is None else _text(value)

    @property
    def content_type(self) -> str:
        """The type in lower case without parameters."""
        return self._response.content_type

    @property
    def complete(self) -> bool:
        """Whether all of the body has come and been read."""
        return self._response.content.at_eof()

    async def piece(self) -> bytes:
        """Return what has arrived; empty at the end.

        Raises:
            ProviderError: The connection broke before the body's end, or was closed.
        """
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, ConnectionError) as error:
            raise broken(error) from error
        except RuntimeError as error:
            connection = self._response.connection
            if connection and connection.protocol and connection.protocol.is_connected():
                raise
            # What aiohttp makes of reading on after the client was closed.
            raise broken(error) from error

    def close(self) -> None:
        """Close the connection, unless the answer was complete: then it is free for another."""
        self._response.close()


class _Response(aiohttp.ClientResponse):
    """An answer that keeps its headers once: aiohttp keeps them twice, 2 KB for every stream."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head of the answer."""
        await super().start(connection)
        self._raw_headers = ()
        if self.status < 200:
            self.close()
            raise garbled(f"its status is {self.status}")
        packed = self.headers.get("content-encoding", "").strip().lower()
        if packed not in _UNPACKED:
            self.close()
            raise garbled("it is compressed in a way that nobody asked for")
        if self.headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
            self.close()
            raise garbled("it has a transfer encoding other than chunked")
        return self


class _Connector(aiohttp.TCPConnector):
    """Makes connections that can be given up. Create it inside a running event loop."""

    def __init__(self) -> None:
        # No limit here: admission is decided per request, not by a queue in the client.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            limit=0, keepalive_timeout=60.0, socket_factory=probed_socket
        )
        self._factory = functools.partial(_Protocol, loop=asyncio.get_running_loop())

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own
    ) -> Connection:
        """Return a connection on which nothing was said that nobody asked for.

        aiohttp would take it for the answer to the request that comes.
        """
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if not isinstance(protocol, _Protocol) or not protocol.has_spoken:
                return connection
            connection.close()


class _Protocol(ResponseHandler):
    @property
    def has_spoken(self) -> bool:
        """Whether something has come that nobody has taken yet."""
        return bool(self._buffer or self._tail)

    def set_exception(self, exc: BaseException, exc_cause: BaseException = _NO_CAUSE) -> None:
        """Tell whoever reads a body, too: of chunks that are none aiohttp would not tell them."""
        payload = self._payload
        super().set_exception(exc, exc_cause)
        if payload is not None and not payload.is_eof() and payload.exception() is None:
            payload.set_exception(aiohttp.ClientPayloadError("the body is not to be understood"))

    def close(self) -> None:
        """Close the connection; where a part of the request is not sent yet, reset it."""
        transport = self.transport
        if transport is None:
            super().close()
        elif has_unsent(transport):
            drop_unsent(transport)
            self.abort()
        elif transport.get_extra_info("ssl_object") is not None:
            # A polite end of TLS waits for the other side's.
            self.abort()
        else:
            super().close()


class _Pieces(aiohttp.Payload):
    """A body that is handed on in pieces, so that no connection has a copy of all of it."""

    _value: bytes

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self._size = len(value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the body as text."""
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the body; waits while the provider does not read."""
        for piece in self._each():
            await writer.write(piece)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the body, whose length is always the one that was announced."""
        await self.write(writer)

    def _each(self) -> Iterator[memoryview]:
        whole = memoryview(self._value)
        return (whole[start : start + PIECE] for start in range(0, len(whole), PIECE))


def _payload_of(body: bytes) -> bytes | aiohttp.Payload:
    """Return what to give aiohttp as the body of a request."""
    return body if len(body) <= PIECE else _Pieces(body)

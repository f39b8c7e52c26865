"""HTTP to providers: the only module that knows the client library of the data path.

That library is aiohttp: under 64 connections httpx costs twenty times its CPU, and the cost of
httpx grows with every open connection because its pool polls all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from policy.schema import Timeouts
from proxy import __version__
from proxy.call import Call
from translators.errors import ProviderError, StreamTruncated
from translators.errors import TimeoutError as ProviderTimeout
from translators.json import encode
from translators.openai_chat.errors import error_from_object, error_from_response
from translators.protocol import HttpRequest
from translators.sse import ServerSentEvent, SSEDecoder

__all__ = ["HttpClient", "HttpStatusError", "HttpTransport", "post_events"]

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed. More is a fault, not an answer."""

MAX_ERROR = 64 * 1024
"""Bytes of an error answer that are read."""

ERROR_IDLE = 10.0
"""Seconds to wait for more of an error answer; what came by then is enough to report it."""


class HttpStatusError(Exception):
    """A provider answered with a status that is not a success; its dialect says what it means."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class HttpClient:
    """The connections to all providers. Create it inside a running event loop."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            # No limit here: admission is decided per request, not by a queue in the client.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0),
            timeout=aiohttp.ClientTimeout(total=None),
            # Compressed streams are flushed rarely: tokens would arrive in clumps.
            headers={
                "accept-encoding": "identity",
                "content-type": "application/json",
                "user-agent": f"execution-platform/{__version__}",
            },
            skip_auto_headers=("accept",),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    @asynccontextmanager
    async def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str], connect: float
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send a request; leaving before the end of the answer closes the connection.

        Raises:
            ProviderError: No answer came.
        """
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),
                # A redirect would carry our credentials to an address nobody configured.
                allow_redirects=False,
            ) as response:
                yield response
        except aiohttp.ConnectionTimeoutError as error:
            raise ProviderTimeout("connect", connect) from error
        except aiohttp.ClientConnectorError as error:
            raise ProviderError(
                f"The provider at {error.host}:{error.port} cannot be reached: "
                f"{error.strerror or type(error.os_error).__name__}.",
                kind="network",
            ) from error
        except aiohttp.InvalidURL as error:
            raise ProviderError("The provider's base URL is not a URL.", kind="network") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise _broken(error) from error

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


def _broken(error: Exception) -> ProviderError:
    return ProviderError(
        f"The connection to the provider broke: {type(error).__name__}.", kind="network"
    )


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """Sends `HttpRequest`s to one provider.

    Attributes:
        client: Shared by all providers.
        base_url: Without a trailing slash.
        headers: Credentials, and what the provider's row adds.
        query: Encoded query string without `?`, or empty.
        timeouts: Seconds, from the provider's row.
    """

    client: HttpClient
    base_url: str
    headers: Mapping[str, str]
    query: str
    timeouts: Timeouts

    async def send(self, request: HttpRequest, call: Call) -> bytes:
        """Send a request; return the body of the answer.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it broke off.
        """
        async with self._exchange(request, call) as response:
            return await _read(response, MAX_ANSWER, self.timeouts)

    @asynccontextmanager
    async def open(
        self, request: HttpRequest, call: Call
    ) -> AsyncGenerator[AsyncIterator[list[ServerSentEvent]]]:
        """Send a request; yield the events of the answer, those that came together together.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, it is no event stream, or it broke off.
        """
        async with self._exchange(request, call) as response:
            if response.content_type == "application/json":
                # An error that a server forgot to give a status, or an answer in one piece.
                raise HttpStatusError(
                    response.status, _headers(response), await _read(response, MAX_ERROR, None)
                )
            yield _events(response, self.timeouts)

    async def aclose(self) -> None:
        """Nothing to close: the connections are the client's."""

    @asynccontextmanager
    async def _exchange(
        self, request: HttpRequest, call: Call
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        url = f"{self.base_url}{request.path}"
        if self.query:
            url = f"{url}?{self.query}"
        headers = {**self.headers, **request.headers, **call.carrier}
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(
                self.client.post(
                    url,
                    body=encode(request.body),
                    headers=headers,
                    connect=self.timeouts.connect,
                )
            )
            call.status = response.status
            call.request_id = response.headers.get("x-request-id") or response.headers.get(
                "request-id"
            )
            if response.status != 200:
                raise HttpStatusError(
                    response.status, _headers(response), await _read(response, MAX_ERROR, None)
                )
            yield response


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _read(response: aiohttp.ClientResponse, most: int, timeouts: Timeouts | None) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in _pieces(response, timeouts):
        size += len(piece)
        if size > most:
            if timeouts is None:
                break
            raise ProviderError(
                f"The provider's answer is larger than {most} bytes.", kind="protocol"
            )
        pieces.append(piece)
    return b"".join(pieces)


async def _events(
    response: aiohttp.ClientResponse, timeouts: Timeouts
) -> AsyncIterator[list[ServerSentEvent]]:
    decoder = SSEDecoder()
    async for piece in _pieces(response, timeouts):
        if events := decoder.feed(piece):
            yield events
    if events := decoder.end():
        yield events


async def _pieces(
    response: aiohttp.ClientResponse, timeouts: Timeouts | None
) -> AsyncIterator[bytes]:
    """Yield the body as it arrives; reading stops while the consumer does not ask."""
    loop = asyncio.get_running_loop()
    idle = timeouts.idle if timeouts else ERROR_IDLE
    deadline = loop.time() + timeouts.total if timeouts and timeouts.total else None
    content = response.content
    while True:
        until = loop.time() + idle
        phase, seconds = "idle", idle
        if deadline is not None and timeouts and timeouts.total and deadline < until:
            until, phase, seconds = deadline, "total", timeouts.total
        try:
            async with asyncio.timeout_at(until):
                piece = await content.readany()
        except TimeoutError as error:
            raise ProviderTimeout(phase, seconds) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            # Here, where it is read: who closes the connection afterwards does not say why.
            raise _broken(error) from error
        if not piece:
            return
        yield piece


@asynccontextmanager
async def post_events(
    url: str, body: bytes, headers: Mapping[str, str]
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Ask a running proxy, for the command line; yield the JSON of each chunk.

    Raises:
        ExecutionPlatformError: It cannot be reached, refused, or its stream broke off.
    """
    import httpx  # noqa: PLC0415  the server does without it: a tenth of its start-up

    timeout = httpx.Timeout(10.0, read=None)
    try:
        async with (
            httpx.AsyncClient(timeout=timeout) as client,
            client.stream(
                "POST", url, content=body, headers={"content-type": "application/json", **headers}
            ) as response,
        ):
            if response.status_code != 200:
                raise error_from_response(
                    response.status_code, dict(response.headers), await response.aread()
                )
            yield _chunks(response.aiter_bytes())
    except httpx.HTTPError as error:
        raise ProviderError(
            f"{url} cannot be reached: {error or type(error).__name__}. Is the server running? "
            "Start it with `execution-platform serve`.",
            kind="network",
        ) from error


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    decoder, done = SSEDecoder(), False
    async for piece in pieces:
        for event in decoder.feed(piece):
            if event.data == b"[DONE]":
                done = True
            elif event.data.startswith(b'{"error"'):
                raise error_from_object(event.data)
            else:
                yield event.data
    if not done:
        raise StreamTruncated("The answer broke off.")

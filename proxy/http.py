"""HTTP to providers: the only module that knows the client library of the data path.

That library is aiohttp: under 64 connections httpx costs twenty times its CPU, and the cost of
httpx grows with every open connection because its pool polls all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection

from policy.schema import Timeouts
from proxy import __version__
from proxy.call import Call
from proxy.remote import chunks, told
from proxy.ticker import Ticker
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout
from translators.json import encode
from translators.openai_chat.errors import error_from_response
from translators.protocol import HttpRequest
from translators.sse import ServerSentEvent, SSEDecoder

__all__ = ["Authorize", "HttpClient", "HttpStatusError", "HttpTransport", "post_events"]

Authorize = Callable[[str, bytes], Awaitable[Mapping[str, str]]]
"""From URL and body of a request to the headers that carry a credential made for it."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed. More is a fault, not an answer."""

MAX_ERROR = 64 * 1024
"""Bytes of an error answer that are read."""

END_SECONDS = 0.1
"""How long the end of a complete answer's body is waited for."""

ERROR_IDLE = 10.0
"""Seconds to wait for more of an error answer; what came by then is enough to report it."""


class HttpStatusError(Exception):
    """A provider answered with a status that is not a success; its dialect says what it means."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class _Response(aiohttp.ClientResponse):
    """An answer that keeps its headers once: aiohttp keeps them twice, 2 KB for every stream."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head of the answer."""
        await super().start(connection)
        self._raw_headers = ()
        return self


class HttpClient:
    """The connections to all providers. Create it inside a running event loop.

    Args:
        ticker: Tells open answers the time, for their limits.
    """

    def __init__(self, ticker: Ticker) -> None:
        self.ticker = ticker
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
            response_class=_Response,
        )

    async def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str], connect: float
    ) -> aiohttp.ClientResponse:
        """Send a request; return the answer as soon as its headers are there.

        Whoever takes the response closes it. Cancelling this closes the connection.

        Raises:
            ProviderError: No answer came.
        """
        return await self._request("POST", url, body, headers, connect)

    async def get(
        self, url: str, *, headers: Mapping[str, str], connect: float
    ) -> aiohttp.ClientResponse:
        """Ask for what stands at a URL; all else is as with `post`."""
        return await self._request("GET", url, None, headers, connect)

    async def _request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], connect: float
    ) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),
                # A redirect would carry our credentials to an address nobody configured.
                allow_redirects=False,
            )
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
        "The connection to the provider broke before the answer was complete.", kind="network"
    )


class _Body:
    """The body of an answer, as it arrives; nothing is read while nobody asks."""

    __slots__ = (
        *("_deadline", "_expired", "_idle", "_loop", "_response", "_since", "_ticker", "_total"),
    )

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        ticker: Ticker,
        *,
        idle: float | None,
        total: float | None,
        began: float | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._ticker = ticker
        self._idle = idle
        self._total = total
        self._deadline = None if total is None else (began or self._loop.time()) + total
        self._since: float | None = None
        self._expired: ProviderTimeout | None = None
        if idle is not None or total is not None:
            ticker.add(self)

    async def piece(self) -> bytes:
        """Return what has arrived; empty at the end.

        Raises:
            ProviderError: The connection broke, or a time limit ran out.
        """
        self._since = self._loop.time()
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, ConnectionError) as error:
            # Here, where it is read: who closes the connection afterwards does not say why.
            raise self._expired or _broken(error) from error
        finally:
            self._since = None

    async def await_end(self) -> None:
        """Wait a moment for the end of a body of which nothing is missing.

        It mostly comes with the last event. A server that forgets it costs this moment and its
        connection, not the answer.
        """
        if self._response.content.at_eof():
            return
        with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
            async with asyncio.timeout(END_SECONDS):
                while await self._response.content.readany():
                    pass

    def close(self) -> None:
        """Close the connection, unless the answer was complete: then it is free for another."""
        self._ticker.discard(self)
        self._response.close()

    def tick(self, now: float) -> None:
        """Close the connection if a limit has run out: whoever waits gets the reason."""
        if self._deadline is not None and now >= self._deadline:
            self._expired = ProviderTimeout("total", self._total or 0.0)
        elif self._since is not None and self._idle is not None and now >= self._since + self._idle:
            self._expired = ProviderTimeout("idle", self._idle)
        if self._expired is not None:
            self.close()

    async def all(self, most: int) -> tuple[bytes, bool]:
        """Return the rest, and whether it was more than `most` bytes; the excess is left."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.piece():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                return b"".join(pieces)[:most], True
        return b"".join(pieces), False


class HttpEvents:
    """The server-sent events of one answer: those that came together, together."""

    __slots__ = ("_body", "_decoder", "_over")

    def __init__(self, body: _Body) -> None:
        self._body = body
        self._decoder = SSEDecoder()
        self._over = False

    def __aiter__(self) -> "HttpEvents":
        return self

    async def __anext__(self) -> list[ServerSentEvent]:
        """Return the next events.

        Raises:
            ProviderError: The connection broke, or a time limit ran out.
        """
        while not self._over:
            piece = await self._body.piece()
            self._over = not piece
            if events := self._decoder.feed(piece) if piece else self._decoder.end():
                return events
        raise StopAsyncIteration

    async def aclose(self, *, complete: bool) -> None:
        """Close the connection, or leave it to the next request where the body has ended."""
        if complete:
            await self._body.await_end()
        self._body.close()


@dataclass(frozen=True, slots=True)
class HttpTransport:
    """Sends `HttpRequest`s to one provider.

    Attributes:
        client: Shared by all providers.
        base_url: Without a trailing slash.
        headers: Credentials, and what the provider's row adds.
        query: Encoded query string without `?`, or empty.
        timeouts: Seconds, from the provider's row.
        authorize: Makes the credential of each request; None: `headers` hold all that is needed.
    """

    client: HttpClient
    base_url: str
    headers: Mapping[str, str]
    query: str
    timeouts: Timeouts
    authorize: Authorize | None = None

    async def send(self, request: HttpRequest, call: Call) -> bytes:
        """Send a request; return the body of the answer.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it broke off.
        """
        return await self._whole(await self._post(request, call))

    async def get(self, path: str, headers: Mapping[str, str]) -> bytes:
        """Return what stands at a path below the base URL.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it broke off.
        """
        response = await self.client.get(
            self._url(path), headers={**self.headers, **headers}, connect=self.timeouts.connect
        )
        return await self._whole(await self._accepted(response, Call()))

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        # An answer in one piece is silent until it is there: the engine limits the whole.
        body = _Body(response, self.client.ticker, idle=None, total=None)
        try:
            data, excess = await body.all(MAX_ANSWER)
        finally:
            body.close()
        if excess:
            raise ProviderError(
                f"The provider's answer is larger than {MAX_ANSWER} bytes.", kind="protocol"
            )
        return data

    async def open(self, request: HttpRequest, call: Call) -> HttpEvents:
        """Send a request; return the events of the answer, to be closed by the caller.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it is no event stream.
        """
        response = await self._post(request, call)
        if response.content_type == "application/json":
            # An error that a server forgot to give a status, or an answer in one piece.
            raise await _refusal(response, self.client.ticker)
        # The limit is the answer's, however many follow-ups it takes.
        began = call.began = call.began or asyncio.get_running_loop().time()
        idle, total = self.timeouts.idle, self.timeouts.total
        return HttpEvents(_Body(response, self.client.ticker, idle=idle, total=total, began=began))

    async def aclose(self) -> None:
        """Nothing to close: the connections are the client's."""

    def _url(self, path: str) -> str:
        joint = "&" if "?" in path else "?"
        return f"{self.base_url}{path}{joint}{self.query}" if self.query else self.base_url + path

    async def _post(self, request: HttpRequest, call: Call) -> aiohttp.ClientResponse:
        url, body = self._url(request.path), encode(request.body)
        headers = {**self.headers, **request.headers, **call.carrier}
        if self.authorize is not None:
            headers |= await self.authorize(url, body)
        response = await self.client.post(
            url, body=body, headers=headers, connect=self.timeouts.connect
        )
        return await self._accepted(response, call)

    async def _accepted(
        self, response: aiohttp.ClientResponse, call: Call
    ) -> aiohttp.ClientResponse:
        headers = response.headers
        call.status = response.status
        call.request_id = headers.get("x-request-id") or headers.get("request-id")
        if response.status != 200:
            raise await _refusal(response, self.client.ticker)
        return response


async def _refusal(response: aiohttp.ClientResponse, ticker: Ticker) -> HttpStatusError:
    """Return the error that an answer stands for, after reading what it says."""
    body = _Body(response, ticker, idle=ERROR_IDLE, total=ERROR_IDLE)
    try:
        data, _ = await body.all(MAX_ERROR)
    except ProviderError:
        # The status alone says enough; the rest of the text never came.
        data = b""
    finally:
        body.close()
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpStatusError(response.status, headers, data)


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
                body = await response.aread()
                raise told(body) or error_from_response(
                    response.status_code, dict(response.headers), body
                )
            yield chunks(response.aiter_bytes())
    except httpx.HTTPError as error:
        raise ProviderError(
            f"{url} cannot be reached: {error or type(error).__name__}. Is the server running? "
            "Start it with `execution-platform serve`.",
            kind="network",
        ) from error

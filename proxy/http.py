"""HTTP to providers: what is sent, what is waited for, and what an answer stands for.

The client below is our own or aiohttp (`http_client/`). httpx is neither: under 64 connections it
costs twenty times aiohttp's CPU, and more with every open one because its pool polls all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from policy.schema import Timeouts
from proxy.call import Call
from proxy.http_answers import Body, HttpEvents
from proxy.http_client.headers import DEFAULTS, HeaderBlock, merged
from proxy.http_client.options import ClientOptions
from proxy.http_client.seam import Answer, Connections, Request
from proxy.remote import chunks, told
from proxy.ticker import Ticker
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout
from translators.openai_chat.errors import error_from_response
from translators.protocol import HttpRequest

__all__ = ["Authorize", "HttpClient", "HttpStatusError", "HttpTransport", "post_events"]

Authorize = Callable[[str, bytes], Awaitable[Mapping[str, str]]]
"""From URL and body of a request to the headers that carry a credential made for it."""

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
    """The connections to all providers. Create it inside a running event loop.

    Args:
        ticker: Tells open answers the time, for their limits.
        options: Which client, and through which forward proxies; None: as the process's
            environment says.
    """

    def __init__(self, ticker: Ticker, options: ClientOptions | None = None) -> None:
        self.ticker = ticker
        self._connections = _connections(options or ClientOptions.of())

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        connect: float,
        common: HeaderBlock = DEFAULTS,
    ) -> Answer:
        """Send a request; return the answer as soon as its headers are there.

        Whoever takes the answer closes it. Cancelling this closes the connection.

        Args:
            url: Where to.
            body: Of type JSON, unless `headers` say otherwise.
            headers: Of this request alone.
            connect: Seconds for a new connection.
            common: Headers that were made ready for many requests.

        Raises:
            ProviderError: No answer came.
        """
        request = Request("POST", url, common, connect, headers, body)
        return await self._connections.request(request)

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        connect: float,
        common: HeaderBlock = DEFAULTS,
    ) -> Answer:
        """Ask for what stands at a URL; all else is as with `post`."""
        return await self._connections.request(Request("GET", url, common, connect, headers))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._connections.aclose()


def _connections(options: ClientOptions) -> Connections:
    # Imported here: the one that is not used costs nothing; aiohttp is 8 MB and 0.2 s.
    if options.kind == "native":
        from proxy.http_client.native import NativeConnections  # noqa: PLC0415

        return NativeConnections(options)
    from proxy.http_client.over_aiohttp import AiohttpConnections  # noqa: PLC0415

    return AiohttpConnections(options)


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
        common: `headers`, made ready once.
    """

    client: HttpClient
    base_url: str
    headers: Mapping[str, str]
    query: str
    timeouts: Timeouts
    authorize: Authorize | None = None
    common: HeaderBlock = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the headers ready."""
        object.__setattr__(self, "common", HeaderBlock(self.headers))

    async def send(self, request: HttpRequest, call: Call) -> bytes:
        """Send a request; return the body of the answer.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it broke off.
        """
        return await _whole(await self._post(request, call))

    async def pass_on(self, path: str, headers: Mapping[str, str], body: bytes, call: Call) -> Body:
        """Send what somebody else has made; return the answer's body, to be closed by the caller.

        Nothing limits its time: whoever waits for it does.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came.
        """
        response = await self.client.post(
            self._url(path),
            body=body,
            headers=merged(headers, {**self.headers, **call.carrier}),
            connect=self.timeouts.connect,
        )
        accepted = await self._accepted(response, call)
        return Body(accepted, self.client.ticker, idle=None, total=None)

    async def get(self, path: str, headers: Mapping[str, str]) -> bytes:
        """Return what stands at a path below the base URL.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it broke off.
        """
        response = await self.client.get(
            self._url(path), headers=headers, connect=self.timeouts.connect, common=self.common
        )
        return await _whole(await self._accepted(response, Call()))

    async def open(self, request: HttpRequest, call: Call) -> HttpEvents:
        """Send a request; return the events of the answer, to be closed by the caller.

        Raises:
            HttpStatusError: The status is not a success.
            ProviderError: No answer came, or it is no event stream.
        """
        if call.began is None:
            # Who asks limits the wait for the beginning of an answer.
            response = await self._post(request, call)
        else:
            response = await self._post_in_time(request, call, call.began)
        if response.content_type == "application/json":
            # An error that a server forgot to give a status, or an answer in one piece.
            raise await _refusal(response, self.client.ticker)
        # The limit is the answer's, however many follow-ups it takes.
        began = call.began = call.began or asyncio.get_running_loop().time()
        idle, total = self.timeouts.idle, self.timeouts.total
        return HttpEvents(Body(response, self.client.ticker, idle=idle, total=total, began=began))

    async def aclose(self) -> None:
        """Nothing to close: the connections are the client's."""

    def _url(self, path: str) -> str:
        joint = "&" if "?" in path else "?"
        return f"{self.base_url}{path}{joint}{self.query}" if self.query else self.base_url + path

    async def _post(self, request: HttpRequest, call: Call) -> Answer:
        url, body = self._url(request.path), call.encode(request.body)
        headers = {**request.headers, **call.carrier}
        if self.authorize is not None:
            headers |= await self.authorize(url, body)
        response = await self.client.post(
            url, body=body, headers=headers, connect=self.timeouts.connect, common=self.common
        )
        return await self._accepted(response, call)

    async def _post_in_time(self, request: HttpRequest, call: Call, began: float) -> Answer:
        """Ask for more of an answer that a client may have a part of: nobody else limits that."""
        left, total = self.timeouts.first_token, self.timeouts.total
        expired = ProviderTimeout("first_token", left)
        if total is not None:
            whole = began + total - asyncio.get_running_loop().time()
            if whole < left:
                left, expired = whole, ProviderTimeout("total", total)
        if left <= 0:
            raise expired
        scope = asyncio.timeout(left)
        try:
            async with scope:
                return await self._post(request, call)
        except TimeoutError as error:
            if not scope.expired():
                # The connection's own limit is one of these, too.
                raise
            raise expired from error

    async def _accepted(self, response: Answer, call: Call) -> Answer:
        call.status = response.status
        call.request_id = response.header("x-request-id") or response.header("request-id")
        if response.status != 200:
            raise await _refusal(response, self.client.ticker)
        return response


async def _whole(response: Answer) -> bytes:
    """Return a body in one piece. It is silent until it is there: the engine limits the whole."""
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := await response.piece():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_ANSWER:
                raise ProviderError(
                    f"The provider's answer is larger than {MAX_ANSWER} bytes.",
                    kind="protocol",
                )
    finally:
        response.close()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _refusal(response: Answer, ticker: Ticker) -> HttpStatusError:
    """Return the error that an answer stands for, after reading what it says."""
    body = Body(response, ticker, idle=ERROR_IDLE, total=ERROR_IDLE)
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

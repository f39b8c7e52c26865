"""Answers from a running proxy, over HTTP: the same clients, the same errors.

All routers share one pool of connections for each event loop, whatever proxy they ask. What is
decided is decided there, so an unknown persona is told with the first chat.
"""

import asyncio
import builtins
from collections.abc import AsyncGenerator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from execution_platform import background
from execution_platform.asking import Asked, trace_context
from execution_platform.lifetime import Lifetime
from execution_platform.remote_errors import error_of_answer, error_of_event
from execution_platform.spi.answer import Served
from proxy.environment import ConfigurationError, load_environment
from proxy.http import HttpClient
from proxy.http_answers import Body, HttpEvents
from proxy.http_client.options import ClientOptions
from proxy.ticker import Ticker
from translators.errors import (
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    StreamTruncated,
    TimeoutError,
    UnknownPersona,
)
from translators.json import UNREADABLE

__all__ = ["Remote"]

CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 600.0
"""Longer than a proxy lets a provider think; its heartbeats come more often."""

LOOK_UP_SECONDS: Final = 30.0
"""For what a proxy knows without asking anybody."""

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of an answer in one piece, an error's included."""


ResponseT = TypeVar("ResponseT")


class _EveryProxy:
    """Owns the connections: they are the same for all of them."""


_EVERY_PROXY = _EveryProxy()


@dataclass(frozen=True, slots=True)
class _Connections:
    client: HttpClient
    ticker: Ticker


@asynccontextmanager
async def _connections() -> AsyncGenerator[_Connections]:
    ticker = Ticker()
    client = HttpClient(ticker, ClientOptions.of(load_environment()))
    try:
        yield _Connections(client, ticker)
    finally:
        await client.aclose()
        ticker.close()


class Remote:
    """A running proxy.

    Args:
        base_url: With or without `/v1` at its end.
        api_key: A client key; None: `EP_API_KEY`.
        timeout: The longest silence in seconds; None: `SILENCE_SECONDS`.

    Raises:
        ConfigurationError: The address is none, or the key cannot stand in a header.
    """

    def __init__(self, base_url: str, *, api_key: str | None, timeout: float | None) -> None:
        self._url = _root(base_url)
        key = api_key or load_environment().get("EP_API_KEY", "").strip() or "anything"
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise ConfigurationError(
                "`api_key` is not a key: it holds spaces, line ends or other odd characters."
            )
        if timeout is not None and not 0 < timeout < float("inf"):
            raise ConfigurationError("`timeout` must be a number of seconds above 0.")
        self._authorization = f"Bearer {key}"
        self._silence = timeout or SILENCE_SECONDS
        self._lifetime = Lifetime(_EVERY_PROXY, _connections)

    def check(self, persona: str) -> None:
        """Nothing is known before the proxy was asked."""

    def select_provider(self, persona: str) -> str:
        """Ask the proxy who would serve a persona."""
        return background.run(lambda: self._select(persona))

    async def whole(self, asked: Asked) -> bytes:
        """Return the JSON of a whole answer."""
        body = await self._post(asked, stream=False)
        try:
            return await self._all(body)
        finally:
            body.close()

    def answer(self, asked: Asked) -> "ProxyAnswer":
        """Return a streamed answer."""
        return ProxyAnswer(self, asked)

    async def open(self, asked: Asked) -> HttpEvents:
        """Return the events of a streamed answer, to be closed by the caller."""
        return HttpEvents(await self._post(asked, stream=True))

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._lifetime.aclose()

    def close(self) -> None:
        """Do the same from outside of an event loop."""
        self._lifetime.close()

    async def _select(self, persona: str) -> str:
        path = f"/v1/models/{quote(persona, safe='')}"
        connections = await self._lifetime.get()
        served = Served()
        response = await self._answered(
            connections.client.get(
                self._url + path, headers=self._headers(), connect=CONNECT_SECONDS
            ),
            LOOK_UP_SECONDS,
        )
        body = Body(response, connections.ticker, idle=None, total=LOOK_UP_SECONDS)
        try:
            data = await self._all(body)
        finally:
            body.close()
        if response.status != 200:
            error = error_of_answer(response.status, _lower(response.headers), data, served)
            if isinstance(error, UnknownPersona):
                shown = persona[:64]
                raise UnknownPersona(
                    f"No provider satisfies requirements for persona '{shown}': {error.message}"
                )
            raise error
        providers = _providers(data)
        if not providers:
            raise NoProvider(
                f"No provider satisfies requirements for persona '{persona[:64]}'. `GET /readyz` "
                "of the proxy says what each provider lacks.",
                unavailable=True,
            )
        return providers[0]

    async def _post(self, asked: Asked, *, stream: bool) -> Body:
        if asked.request.model is not None:
            raise InvalidRequest(
                "A running proxy takes the name of a persona and no model beside it: leave "
                "`model` out, or give the persona that model in the proxy's policy.",
                param="model",
            )
        data = asked.body(stream=stream)
        headers = self._headers()
        if asked.request.strict:
            headers["x-ep-strict"] = "true"
        if wanted := asked.wanted().header:
            headers["cache-control"] = wanted
        connections = await self._lifetime.get()
        asked.served.persona = asked.persona
        response = await self._answered(
            connections.client.post(
                f"{self._url}/v1/chat/completions",
                body=data,
                headers=headers,
                connect=CONNECT_SECONDS,
            ),
            self._silence,
        )
        body = Body(response, connections.ticker, idle=self._silence, total=None)
        found = _lower(response.headers)
        _tell(asked, found)
        if response.status == 200:
            return body
        try:
            said = await self._all(body)
        finally:
            body.close()
        raise error_of_answer(response.status, found, said, asked.served)

    async def _answered(self, asking: Coroutine[Any, Any, ResponseT], seconds: float) -> ResponseT:
        """Return the response to a request, once its headers are there."""
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except ProviderError as error:
            if isinstance(error, TimeoutError):
                raise
            # Its words are for providers, which have no command to start them.
            where = error.__cause__ or error
            raise ProviderError(
                f"The proxy at {self._url} cannot be reached ({type(where).__name__}). Is it "
                "running? Start it with `execution-platform serve`.",
                kind="network",
            ) from error
        except builtins.TimeoutError as expired:
            raise TimeoutError("first_token", seconds) from expired

    async def _all(self, body: Body) -> bytes:
        data, excess = await body.all(MAX_ANSWER)
        if excess:
            raise ProviderError(
                f"The proxy's answer is larger than {MAX_ANSWER} bytes.", kind="protocol"
            )
        return data

    def _headers(self) -> dict[str, str]:
        return {"authorization": self._authorization, **trace_context()}


class ProxyAnswer:
    """A streamed answer of a proxy's."""

    def __init__(self, remote: Remote, asked: Asked) -> None:
        self._remote = remote
        self._asked = asked
        self._events: HttpEvents | None = None
        self._failure: ExecutionPlatformError | None = None
        self._done = False

    async def next(self) -> list[bytes] | None:
        """Return the JSON of the next chunks."""
        events = self._events = self._events or await self._remote.open(self._asked)
        while not self._done:
            if self._failure is not None:
                raise self._failure
            try:
                batch = await anext(events)
            except StopAsyncIteration:
                raise StreamTruncated("The proxy's answer broke off.") from None
            if chunks := self._chunks(event.data for event in batch):
                return chunks
        return None

    def _chunks(self, events: Iterable[bytes]) -> list[bytes]:
        """Return the chunks among events; what ends the answer is kept for the next call."""
        chunks: list[bytes] = []
        for data in events:
            if data == b"[DONE]":
                self._done = True
                break
            if data.startswith(b'{"error"'):
                self._failure = error_of_event(data, self._asked.served)
                break
            chunks.append(data)
        return chunks

    async def close(self, error: BaseException | None) -> None:
        """Close the connection, or leave it to the next request where the answer is whole."""
        if self._events is not None:
            await self._events.aclose(complete=self._done)


def _root(base_url: str) -> str:
    """Return the address without `/v1` and without a slash at its end.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # Errors name the address.
        usable = usable and parts.username is None and parts.password is None
    except ValueError:
        usable = False
    if not usable or any(c.isspace() for c in base_url) or "?" in base_url or "#" in base_url:
        raise ConfigurationError(
            "`base_url` is not the address of a proxy; write for instance http://127.0.0.1:8080, "
            "and the key in `api_key`."
        )
    return base_url.rstrip("/").removesuffix("/v1").rstrip("/")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _tell(asked: Asked, headers: Mapping[str, str]) -> None:
    served = asked.served
    attempts = headers.get("x-ep-attempts", "")
    served.request_id = headers.get("x-request-id", "")
    served.persona = headers.get("x-ep-persona", asked.persona)
    served.provider = headers.get("x-ep-provider")
    served.cached = headers.get("x-ep-cache") == "hit"
    served.attempts = int(attempts) if attempts.isdecimal() else 0
    ignored, emulated = (
        [name for name in headers.get(f"x-ep-{kind}-params", "").split(", ") if name]
        for kind in ("ignored", "emulated")
    )
    served.report = asked.report(ignored, emulated)


def _providers(data: bytes) -> list[str]:
    try:
        return msgspec.json.decode(data, type=_Model).providers
    except UNREADABLE as error:
        raise ProviderError(
            "What answers at `base_url` is no Execution Platform: its models have no providers.",
            kind="protocol",
        ) from error


class _Model(msgspec.Struct):
    """What `GET /v1/models/{id}` says of a persona, as far as it is read."""

    providers: list[str]

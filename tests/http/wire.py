"""What the tests over HTTP share: requests, raw connections, answers taken apart."""

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httpx
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from tests.serving import ROOT, Proxy, SandboxProcess

__all__ = [
    "DIALECTS",
    "Connection",
    "Upstream",
    "assert_error",
    "body_of",
    "chat",
    "eventually",
    "events_of",
    "new_client",
    "new_sdk",
    "text_of",
    "unique",
]

DIALECTS = ("openai", "anthropic")
CHAT = "/v1/chat/completions"


def unique() -> str:
    """Return a word that stands in no other request."""
    return f"m{uuid.uuid4().hex}"


def body_of(persona: str, text: str = "Hi", *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return the body of a request."""
    body = {"model": persona, "messages": [{"role": "user", "content": text}], **more}
    return {**body, "stream": True} if stream else body


def new_client(proxy: Proxy) -> httpx.AsyncClient:
    """Return a client of a server, which no proxy setting of the machine redirects."""
    # Reading the certificates of the world takes longer than most tests.
    return httpx.AsyncClient(base_url=proxy.url, trust_env=False, verify=False, timeout=30)


def new_sdk(proxy: Proxy) -> AsyncOpenAI:
    """Return OpenAI's client of a server; it does not retry."""
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False, timeout=30)
    return AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="any", max_retries=0, http_client=http)


async def chat(
    proxy: Proxy,
    persona: str,
    text: str = "Hi",
    *,
    stream: bool = False,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    """Post a request; return the answer, read to its end."""
    async with new_client(proxy) as client:
        body = body_of(persona, text, stream=stream, **more)
        return await client.post(CHAT, json=body, headers=headers)


def events_of(body: bytes | str) -> list[Any]:
    """Return the events of a stream: JSON decoded, `[DONE]` as it is; comments are left out."""
    text = body if isinstance(body, str) else body.decode()
    assert text.endswith("\n\n"), text[-200:]
    found: list[Any] = []
    for block in text.split("\n\n"):
        if block.startswith("data: "):
            data = block.removeprefix("data: ")
            found.append(data if data == "[DONE]" else json.loads(data))
        else:
            assert block == "" or block.startswith(":"), block
    return found


def text_of(events: list[Any]) -> str:
    """Return the text that the chunks among the events hold."""
    choices = [
        choice for event in events if event != "[DONE]" for choice in event.get("choices", ())
    ]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def assert_error(answer: httpx.Response, status: int, **fields: Any) -> dict[str, Any]:
    """Check that an answer is an error of OpenAI's shape; return the error object."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert_error_object(error)
    for name, value in fields.items():
        assert error[name] == value, error
    return error


def assert_error_object(error: Any) -> None:
    """Check the shape of an error object, and that it tells nothing of our insides."""
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    assert error["param"] is None or isinstance(error["param"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    for leak in ("Traceback", str(ROOT), "site-packages", 'File "', "upstream-key", "pydantic"):
        assert leak not in error["message"]


async def eventually(
    condition: Callable[[], Awaitable[bool]], seconds: float = 5.0, what: str = "it"
) -> float:
    """Poll until a condition holds; return how long that took."""
    start = time.monotonic()
    while not await condition():
        assert time.monotonic() - start < seconds, f"{what} did not come to pass in {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


@dataclass(frozen=True)
class Upstream:
    """What reached the providers since a point in time."""

    client: httpx.AsyncClient
    process: SandboxProcess
    before: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    @classmethod
    async def open(cls, client: httpx.AsyncClient, process: SandboxProcess) -> Self:
        """Return the counters, from now on."""
        found = cls(client, process)
        found.before.update(await found._tallies())
        return found

    async def _tallies(self) -> dict[str, dict[str, int]]:
        stats = await self.client.get(f"{self.process.url}/_sandbox/stats")
        return stats.json()["dialects"]

    async def count(self, what: str, dialect: str | None = None) -> int:
        """Return a counter: `started`, `finished`, `open` or `aborted_by_client`."""
        now = await self._tallies()
        names = [dialect] if dialect else list(now)
        zero = {"open": 0}
        return sum(now[n][what] - self.before.get(n, zero).get(what, 0) for n in names)

    async def closed(self, dialect: str | None = None) -> None:
        """Wait until no request is open: the provider sees the end of one a moment later."""

        async def none() -> bool:
            return await self.count("open", dialect) == 0

        await eventually(none, 1.0, "the end of the upstream request")

    async def aborted(self, dialect: str, seconds: float = 1.0) -> None:
        """Wait until one request was ended by whoever asked, at once."""

        async def ended() -> bool:
            return await self.count("aborted_by_client", dialect) == 1

        await eventually(ended, seconds, "the end of the upstream request")

    async def connections(self) -> int:
        """Return how many connections were ever opened."""
        stats = await self.client.get(f"{self.process.url}/_sandbox/stats")
        return int(stats.json()["connections_opened"])

    async def request(self, marker: str) -> dict[str, Any]:
        """Return the one request that holds a marker, as it arrived."""
        found = [r for r in await self._requests() if marker in json.dumps(r["body"])]
        assert len(found) == 1, found
        return found[0]

    async def requests(self, marker: str) -> list[dict[str, Any]]:
        """Return the requests that hold a marker, in their order."""
        return [r for r in await self._requests() if marker in json.dumps(r["body"])]

    async def _requests(self) -> list[dict[str, Any]]:
        return (await self.client.get(f"{self.process.url}/_sandbox/requests")).json()


class Connection:
    """One connection to a server, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    @classmethod
    async def open(cls, proxy: Proxy) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    @classmethod
    async def ask(cls, proxy: Proxy, body: Mapping[str, Any]) -> Self:
        """Connect and send a whole chat request."""
        connection = await cls.open(proxy)
        data = json.dumps(body).encode()
        await connection.send(head(length=len(data)) + data)
        return connection

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def until(self, marker: bytes, seconds: float = 10.0) -> None:
        """Read until a marker has come."""
        async with asyncio.timeout(seconds):
            while marker not in self.received:
                data = await self.reader.read(65536)
                assert data, self.received
                self.received += data

    async def rest(self, seconds: float = 10.0) -> bytes:
        """Read until the connection ends; return all that came."""
        async with asyncio.timeout(seconds):
            try:
                while data := await self.reader.read(65536):
                    self.received += data
            except ConnectionError:
                pass
        return self.received

    async def close(self) -> None:
        """Leave, whatever is still under way."""
        self.writer.transport.abort()
        with suppress(ConnectionResetError, BrokenPipeError):
            await self.writer.wait_closed()

    def pause(self) -> None:
        """Read no more, so that the server's bytes pile up on its side."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    @property
    def _transport(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self.writer.transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def head(
    *,
    length: int | None,
    method: str = "POST",
    path: str = CHAT,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the head of a request; without a length its body is chunked."""
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    more = {"host": "test", "content-type": "application/json", **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", size, *(f"{n}: {v}" for n, v in more.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

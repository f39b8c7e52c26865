"""A server of media on a real socket, and a fetcher that may go there."""

import asyncio
import atexit
import base64
import json
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from policy.media import MediaRules
from proxy.exchange import Exchange
from proxy.media.fetcher import MediaFetcher, Resolve
from translators.errors import TranslationError
from translators.remote_media import remote_media
from translators.wire.request import ChatCompletionRequest, parse_request

__all__ = [
    "certificate",
    "GIF",
    "PNG",
    "INLINED",
    "PARAM",
    "Asked",
    "Fetched",
    "MediaServer",
    "Resolver",
    "Serve",
    "Span",
    "answer",
    "gif",
    "images",
    "media_server",
    "never",
    "put_in_place",
    "refused",
    "request_with",
]

GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00;"

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01"
INLINED = f"data:image/gif;base64,{base64.b64encode(GIF).decode()}"
PARAM = "messages[0].content[0].image_url.url"


@cache
def certificate() -> Path:
    """Return a file with a self-signed certificate for the name `media.test`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "media.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("media.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file = Path(mkdtemp(prefix="ep-media-")) / "certificate.pem"
    file.write_bytes(private + signed.public_bytes(pem))
    atexit.register(rmtree, file.parent)
    return file


@dataclass
class Asked:
    """One request that reached the server.

    Attributes:
        gone: Set when the client has closed the connection.
    """

    path: str
    headers: Mapping[str, str]
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)


Serve = Callable[[Asked], Awaitable[None]]


@dataclass
class MediaServer:
    """A server that remembers what it was asked."""

    port: int
    asked: list[Asked] = field(default_factory=list[Asked])

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


async def answer(
    asked: Asked,
    body: bytes = b"",
    *,
    status: int = 200,
    kind: str = "",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a whole answer."""
    lines = {"content-length": str(len(body)), **({"content-type": kind} if kind else {})}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    asked.writer.write(f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body)
    await asked.writer.drain()


@asynccontextmanager
async def media_server(
    serve: Serve, *, address: str = "127.0.0.1", port: int = 0, tls: bool = False
) -> AsyncGenerator[MediaServer]:
    """Listen, and answer each request by `serve`; the connection is closed after it."""
    tasks: set[asyncio.Task[None]] = set()
    server = MediaServer(port)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(": ") for line in head[1:] if line)
                headers = {name.lower(): value for name, _, value in pairs}
                asked = Asked(head[0].split(" ")[1], headers, writer)
                server.asked.append(asked)
                watcher = asyncio.ensure_future(reader.read())
                watcher.add_done_callback(lambda _: asked.gone.set())
                try:
                    await serve(asked)
                finally:
                    watcher.cancel()
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate())
    listening = await asyncio.start_server(connected, address, port, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def images(*urls: str) -> list[dict[str, Any]]:
    """Return content parts that name images."""
    return [{"type": "image_url", "image_url": {"url": url}} for url in urls]


def request_with(parts: Sequence[Mapping[str, Any]]) -> ChatCompletionRequest:
    """Return a request with these content parts in a user message."""
    body = {"model": "p", "messages": [{"role": "user", "content": list(parts)}]}
    return parse_request(json.dumps(body).encode())


@dataclass
class Fetched:
    """What became of one request.

    Attributes:
        chat: With media in place of addresses.
        events: On the request's span.
    """

    chat: ChatCompletionRequest
    exchange: Exchange
    events: list[tuple[str, Mapping[str, Any]]]

    @property
    def urls(self) -> list[str]:
        """The URLs of the images, in their order."""
        (message,) = self.chat.to_wire()["messages"]
        return [part["image_url"]["url"] for part in message["content"]]


class Span:
    """A request's span that keeps its events."""

    is_recording: bool = True
    traceresponse: bytes | None = None
    trace_id: str | None = None

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def event(self, name: str, attributes: Mapping[str, Any]) -> None:
        self.events.append((name, attributes))

    def route(self, start: Any) -> Any:
        raise AssertionError("nothing is decided here")

    def attempt(self, start: Any) -> Any:
        raise AssertionError("no provider is asked here")

    def end(self, **_: Any) -> None:
        pass


def _no_trust() -> ssl.SSLContext:
    # Reading the certificates of the world takes longer than most tests.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def put_in_place(
    parts: Sequence[Mapping[str, Any]],
    *,
    resolve: Resolve | None = None,
    tls: Callable[[], ssl.SSLContext] | None = None,
    request_timeout: float = 60.0,
    exchange: Exchange | None = None,
    **rules: Any,
) -> Fetched:
    """Fetch every address of a request; `rules` are those of the policy."""
    fetcher = MediaFetcher(
        MediaRules(**rules), request_timeout=request_timeout, resolve=resolve, tls=tls or _no_trust
    )
    span = Span()
    if exchange is None:
        exchange = Exchange(request_with(parts), "req_1", span=span)
    addresses = [media.url for media in remote_media(exchange.request)]
    chat = await fetcher.put_in_place(exchange, exchange.request, addresses, provider="gemini")
    return Fetched(chat, exchange, span.events)


async def gif(asked: Asked) -> None:
    await answer(asked, GIF, kind="image/gif")


async def never(asked: Asked) -> None:
    raise AssertionError("nobody may come here")


class Resolver:
    """A look-up that gives these answers, one after the other, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._left = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


async def refused(parts: Sequence[dict[str, Any]], **rules: Any) -> TranslationError:
    with pytest.raises(TranslationError) as raised:
        await put_in_place(parts, **rules)
    error = raised.value
    assert error.status_hint == 400
    assert error.type == "invalid_request_error"
    assert error.param is not None
    assert error.param in error.message
    for leak in ("127.", "169.254", "10.0.", "secret", "signature", "http://"):
        assert leak not in error.message
    return error

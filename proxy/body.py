"""Reads a request's body, within a size and a time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from proxy.disconnect import ClientDisconnected
from proxy.time_limit import TimeLimit
from translators.errors import InvalidRequest

__all__ = ["discard_body", "read_json_body", "refuse"]

LINGER_SECONDS = 5.0
"""How long the rest of a refused body is taken in; mostly the other limits end it first."""

LINGER_SILENCE = 1.0
"""Seconds without any more of it."""

LINGER_BYTES = 64 * 1024 * 1024
"""Bytes of it."""


async def read_json_body(
    scope: Scope, receive: Receive, *, max_bytes: int, seconds: float
) -> bytes:
    """Return the body of a JSON request.

    Args:
        scope: Of the ASGI request.
        receive: Of the ASGI request.
        max_bytes: The largest body accepted.
        seconds: How long the client may take to send it, whatever its size: a limit on
            silence alone would let one byte a second hold a connection for ever.

    Raises:
        InvalidRequest: The content type is not JSON (415), the body too large (413) or too
            slow (408).
        ClientDisconnected: The client left.
    """
    _check_headers(scope["headers"], max_bytes)
    try:
        with TimeLimit(seconds):
            return await _read(receive, max_bytes)
    except TimeoutError:
        raise InvalidRequest(
            f"The body of the request did not arrive within {seconds:g} s.",
            code="request_timeout",
            status=408,
        ) from None


def _check_headers(headers: Sequence[tuple[bytes, bytes]], max_bytes: int) -> None:
    # Of fields that come twice the first counts: turned round, it is the last that is put in.
    fields = dict(reversed(headers))
    content_type = fields.get(b"content-type", b"").decode("latin-1")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise InvalidRequest(
            f"The content type must be `application/json`, not `{content_type[:100]}`."
            if content_type
            else "The header `content-type: application/json` is missing.",
            code="unsupported_media_type",
            status=415,
        )
    if fields.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise InvalidRequest(
            "Compressed request bodies are not accepted; send the body as it is.",
            code="unsupported_content_encoding",
            status=415,
        )
    length = fields.get(b"content-length", b"0")
    if length.isdigit() and int(length) > max_bytes:
        raise _too_large(max_bytes)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        piece = message.get("body", b"")
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        pieces.append(piece)
        if not message.get("more_body", False):
            return b"".join(pieces)


async def discard_body(receive: Receive) -> None:
    """Take in what still comes of a body that nobody wants, within limits.

    A connection that is closed with unread data is reset, and a client that first sends all and
    then reads never sees the answer. So: answer, discard, close.
    """
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while size < LINGER_BYTES:
                message = await asyncio.wait_for(receive(), LINGER_SILENCE)
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body was perhaps not read to its end."""

    async def send_then_discard(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        await discard_body(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    closes = response.headers.get("connection") == "close"
    await response(scope, receive, send_then_discard if closes else send)


def _too_large(max_bytes: int) -> InvalidRequest:
    return InvalidRequest(
        f"The body of the request is larger than the {max_bytes} bytes this server accepts "
        "(EP_MAX_BODY_BYTES).",
        code="request_too_large",
        status=413,
    )

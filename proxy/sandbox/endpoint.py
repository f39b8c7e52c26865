"""The ASGI endpoint that answers a generation request in any dialect."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from proxy.sandbox.answer import Answer, ToolMissing, compose
from proxy.sandbox.dialect import Dialect, Rejection, Request
from proxy.sandbox.directives import DirectiveError, Directives, extract, resolve
from proxy.sandbox.exchange import ClientLeft, Exchange, HeaderList
from proxy.sandbox.journal import Journal
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.playback import play, silence

__all__ = ["Endpoint", "respond"]

# Stands for a body that is not JSON; `None` is a body of its own.
_UNREADABLE: Any = object()
_JSON = b"application/json"
_NO_CACHE = (b"cache-control", b"no-cache")
_HTML = (
    b"<html>\r\n<head><title>Error</title></head>\r\n<body>\r\n<center><h1>The gateway could not "
    b"complete the request</h1></center>\r\n<hr><center>sandbox</center>\r\n</body>\r\n</html>\r\n"
)


async def respond(
    exchange: Exchange,
    status: int,
    body: JsonObject | list[JsonObject],
    headers: HeaderList = (),
    *,
    kind: bytes = _JSON,
) -> None:
    """Answer with JSON, under the content type `kind`."""
    await exchange.reply(status, [(b"content-type", kind), *headers], msgspec.json.encode(body))


class Endpoint:
    """Answers the generation requests of one dialect, and watches for clients that leave."""

    def __init__(self, dialect: Dialect, journal: Journal) -> None:
        self._dialect = dialect
        self._journal = journal
        self._tally = journal.tally(dialect.name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as an ASGI application."""
        exchange = Exchange(scope, receive, send)
        tally = self._tally
        tally.started += 1
        tally.open += 1
        try:
            stayed = await self._serve(exchange)
        finally:
            tally.open -= 1
        if stayed:
            tally.finished += 1
        else:
            tally.aborted_by_client += 1

    async def _serve(self, exchange: Exchange) -> bool:
        """Answer, unless the client leaves first; say whether it stayed."""
        try:
            body = await exchange.read()
        except ClientLeft:
            return False
        work = asyncio.ensure_future(self._answer(exchange, body))
        watch = asyncio.ensure_future(exchange.left())
        try:
            await asyncio.wait((work, watch), return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not exchange.finished:
                return False
            await work
            return True
        finally:
            for task in (work, watch):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _answer(self, exchange: Exchange, body: bytes) -> None:
        serial = self._journal.next_serial()
        dialect = self._dialect
        try:
            payload = self._recorded(exchange, body)
            request, answer, directives = self._understood(exchange, payload)
        except Rejection as rejection:
            await respond(
                exchange,
                rejection.status,
                dialect.error_body(rejection.error, serial),
                dialect.headers(serial),
                kind=dialect.refusal_type,
            )
            return
        if directives.delay:
            await asyncio.sleep(directives.delay)
        if directives.fail is not None:
            await self._fail(exchange, directives.fail, directives, serial=serial)
        elif request.stream:
            kind = (b"content-type", dialect.stream_type)
            await exchange.start(200, [kind, _NO_CACHE, *dialect.headers(serial)])
            events = dialect.events(request, answer, directives, serial=serial)
            await play(exchange, dialect, events, directives)
        else:
            body = msgspec.json.encode(dialect.reply(request, answer, directives, serial=serial))
            await self._whole(exchange, body, directives, serial=serial)

    def _recorded(self, exchange: Exchange, body: bytes) -> Any:
        try:
            payload = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            payload = _UNREADABLE
        shown = body.decode(errors="replace") if payload is _UNREADABLE else payload
        self._journal.record(exchange.method, exchange.path, exchange.headers, shown)
        return payload

    def _understood(
        self, exchange: Exchange, payload: object
    ) -> tuple[Request, Answer, Directives]:
        dialect = self._dialect
        dialect.admit(exchange.headers)
        if payload is _UNREADABLE:
            raise dialect.unreadable()
        request = dialect.read(payload, exchange.headers)
        try:
            text, groups = extract(request.conversation.user)
            directives = resolve(groups, dialect.name, self._journal.attempts)
            conversation = replace(request.conversation, user=text)
            return request, compose(conversation, directives), directives
        except (DirectiveError, ToolMissing) as mistake:
            raise dialect.failure(400, message=str(mistake)) from None

    async def _fail(
        self, exchange: Exchange, cause: int | str, directives: Directives, *, serial: int
    ) -> None:
        dialect = self._dialect
        rejection = dialect.failure(cause, kind=directives.error_type)
        headers = dialect.headers(serial)
        if directives.retry_after is not None:
            headers += dialect.delayed(rejection.error, directives.retry_after)
        if directives.status_body == "html":
            html = (b"content-type", b"text/html")
            await exchange.reply(rejection.status, [html, *headers], _HTML)
            return
        error = dialect.error_body(rejection.error, serial)
        await respond(exchange, rejection.status, error, headers, kind=dialect.refusal_type)

    async def _whole(
        self, exchange: Exchange, body: bytes, directives: Directives, *, serial: int
    ) -> None:
        """Send an answer that is not streamed; the stream's faults become whole ones."""
        headers = [(b"content-type", _JSON), *self._dialect.headers(serial)]
        if directives.stall is not None:
            await silence()
        if directives.error is not None:
            await self._fail(exchange, self._dialect.busy, directives, serial=serial)
        elif directives.cut is not None:
            await exchange.start(200, [*headers, (b"content-length", str(len(body)).encode())])
            await exchange.write(body[: len(body) // 2])
            await exchange.abort()
        elif directives.eof is not None or directives.garbage is not None:
            await exchange.reply(200, headers, body[: len(body) // 2])
        else:
            await exchange.reply(200, headers, body)

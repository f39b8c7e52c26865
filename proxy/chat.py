"""`POST /v1/chat/completions`."""

import asyncio

from starlette.types import Receive, Scope, Send

from proxy.body import read_json_body, refuse
from proxy.cache_use import ANY_ANSWER, CacheControl, cache_control
from proxy.config import Settings
from proxy.disconnect import CancelledOnDisconnect, Departure
from proxy.engine import Engine
from proxy.errors import ServerStopping, error_response
from proxy.event_stream import EventStream
from proxy.exchange import Exchange
from proxy.generation import Generation
from proxy.middleware import RequestState
from proxy.service import Service
from translators.errors import ExecutionPlatformError, InvalidRequest
from translators.wire.request import parse_request

__all__ = ["ChatCompletions"]


class ChatCompletions:
    """The endpoint, as a bare ASGI application: what it opens, it closes in the same block."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        service = Service.of(scope)
        # Keys, personas and providers are those of its beginning, whatever the policy becomes.
        with service.generation as generation:
            try:
                exchange = await _read(service.settings, generation, scope, receive)
            except ExecutionPlatformError as error:
                RequestState.of(scope).error = error
                await refuse(error_response(error), scope, receive, send)
                return
            RequestState.of(scope).exchange = exchange
            service.kept.begin(exchange)

            def gone() -> None:
                exchange.cancelled_because = exchange.end_reason = "client_disconnect"

            if exchange.stream and Departure.of(scope) is not None:
                # An answer lasts, and once it has begun nobody reads them: 1 to 3 KB. Of another
                # server's request they are not ours to clear.
                exchange.holds.append(scope["headers"].clear)
            with CancelledOnDisconnect(scope, receive, gone):
                try:
                    if exchange.stream:
                        await _stream(service, generation.engine, exchange, send)
                    else:
                        await _complete(generation.engine, exchange, send)
                except ExecutionPlatformError as error:
                    response = error_response(error)
                    response.raw_headers += exchange.headers()
                    await response(scope, receive, send)


async def _read(
    settings: Settings, generation: Generation, scope: Scope, receive: Receive
) -> Exchange:
    """Return the record of a request that may be served.

    Raises:
        ExecutionPlatformError: It may not, or cannot be read.
    """
    state = RequestState.of(scope)
    caller = state.caller = generation.access.caller(scope)
    body = await read_json_body(
        scope, receive, max_bytes=settings.max_body_bytes, seconds=settings.body_timeout
    )
    strict, wanted = _wishes(scope)
    return Exchange(
        chat=parse_request(body),
        request_id=state.request_id,
        caller=caller,
        strict=strict,
        cache_control=wanted,
        span=state.span,
        generation=generation.number,
    )


async def _complete(engine: Engine, exchange: Exchange, send: Send) -> None:
    """Write a whole answer.

    Raises:
        ExecutionPlatformError: There is none; nothing was written.
    """
    data = (await engine.complete(exchange)).data
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(data)),
        *exchange.headers(),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": False})


async def _stream(service: Service, engine: Engine, exchange: Exchange, send: Send) -> None:
    """Write a streamed answer.

    Raises:
        ExecutionPlatformError: It failed before it began; nothing was written.
    """
    heartbeat, ticker = service.settings.heartbeat, service.ticker
    out = EventStream(send, exchange.headers, heartbeat=heartbeat, ticker=ticker)
    async with out:
        try:
            async with engine.stream(exchange) as batches:
                async for batch in batches:
                    await out.chunks(batch)
                    # Or it would be kept for as long as the next one lets wait for it.
                    del batch
        except ExecutionPlatformError as error:
            if not out.started:
                raise
            await out.error(error)
        except asyncio.CancelledError:
            if out.started and exchange.cancelled_because == "server_shutdown":
                await out.error(ServerStopping())
            raise
        else:
            await out.done()


def _wishes(scope: Scope) -> tuple[bool, CacheControl]:
    """Return whether a request is strict, and what it says of kept answers."""
    strict, wanted = False, ANY_ANSWER
    for name, value in scope["headers"]:
        if name == b"x-ep-strict":
            word = value.strip().lower()
            if word not in (b"true", b"1", b"false", b"0"):
                raise InvalidRequest("The header `x-ep-strict` must be `true` or `false`.")
            strict = word in (b"true", b"1")
        elif name == b"cache-control":
            wanted = cache_control(value.decode("latin-1"))
    return strict, wanted

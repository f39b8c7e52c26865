"""What surrounds every request: its id, its span, its line in the log, and the last resort.

Pure ASGI. Starlette's `BaseHTTPMiddleware` hides `http.disconnect` from the endpoint and costs
374 µs a request.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from random import getrandbits
from typing import cast

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.disconnect import ClientDisconnected
from proxy.errors import InternalError, ServerStopping, error_response
from proxy.exchange import Caller, Exchange, error_type, forget_frames
from proxy.logs.context import SERVING, Serving
from proxy.service import Service
from proxy.telemetry.spans import RequestSpan
from translators.errors import ExecutionPlatformError
from translators.json import encode

__all__ = ["RequestMiddleware", "RequestState", "is_request_id"]

_KEY = "ep.request"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,128}")

log = logging.getLogger("execution_platform")


@dataclass(slots=True)
class RequestState:
    """One request, for whoever handles a part of it.

    Attributes:
        request_id: The caller's `x-request-id` where it is well formed, else one of ours.
        span: The request's span.
        caller: Set by the chat endpoint once it is known whose request it is.
        exchange: Set by the chat endpoint once the request was read.
        error: Set where a request was refused before that.
        status: Of the response, once it has started.
        started: `time.perf_counter()` when the request's head was there.
    """

    request_id: str
    span: RequestSpan
    caller: Caller | None = None
    exchange: Exchange | None = None
    error: ExecutionPlatformError | None = None
    status: int | None = None
    started: float = field(default_factory=time.perf_counter)

    @property
    def is_stream(self) -> bool:
        """Whether the response that has started is an event stream."""
        return self.status == 200 and self.exchange is not None and self.exchange.stream

    def ends_early(self, reason: str) -> None:
        """Say why the request is over, unless an answer has begun: that knows it itself."""
        if self.exchange is not None and self.exchange.committed is None:
            self.exchange.end_reason = reason

    @staticmethod
    def of(scope: Scope) -> "RequestState":
        """Return the state of the request that `scope` belongs to."""
        return cast("RequestState", scope[_KEY])


class RequestMiddleware:
    """Wraps the whole application.

    The hot route is taken here, past the router and its exception handling: they would cost every
    chat request 50 µs and every open stream 3 KiB, and find nothing that is not known already.

    Args:
        app: For everything else.
        hot: The route to take directly.
    """

    def __init__(self, app: ASGIApp, hot: Route) -> None:
        self._app = app
        self._hot = hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service = Service.of(scope)
        tracing = service.generation.engine.policy.tracing
        span = service.telemetry.request(scope, tracing.inbound)
        state = RequestState(_request_id(scope), span)
        scope[_KEY] = state
        serving = Serving(state.request_id, state.span)
        SERVING.set(serving)
        headers = [(b"x-request-id", state.request_id.encode())]
        if (place := span.traceresponse) is not None:
            headers.append((b"traceresponse", place))

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                state.status = message["status"]
                message["headers"] = [*message["headers"], *headers]
            return send(message)

        app = self._app
        if scope["path"] == self._hot.path and scope["method"] == "POST":
            scope["route"] = self._hot
            app = self._hot.app
            service.metrics.in_flight(1)
        try:
            await app(scope, receive, send_with_headers)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            # Nobody but the server, at the end of its drain time, cancels a whole request. It
            # would answer with a bare "Internal Server Error" and log a traceback.
            state.ends_early("server_shutdown")
            if state.status is None:
                state.error = ServerStopping()
                await error_response(state.error)(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001  the last resort: nothing may escape unanswered
            await self._internal_error(error, state, scope, receive, send_with_headers)
        finally:
            service.metrics.in_flight(-int(app is not self._app))
            _end(scope, state, service, serving)

    async def _internal_error(
        self, error: Exception, state: RequestState, scope: Scope, receive: Receive, send: Send
    ) -> None:
        log.error("internal error in request %s", state.request_id, exc_info=error)
        state.error = answer = InternalError(state.request_id)
        state.ends_early("internal_error")
        if state.status is None:
            await error_response(answer)(scope, receive, send)
        elif state.is_stream:
            event = b"data: " + encode(answer.to_wire()) + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": False})
        else:
            # Half of a body of known length: only a broken connection says so.
            raise error


def _end(scope: Scope, state: RequestState, service: Service, serving: Serving) -> None:
    try:
        _finish(scope, state, service)
    finally:
        serving.end()
        forget_frames(state.error)
        if state.exchange is not None:
            state.exchange.over()


def _finish(scope: Scope, state: RequestState, service: Service) -> None:
    exchange = state.exchange
    error = state.error
    service.metrics.answered(
        scope,
        status=state.status,
        seconds=time.perf_counter() - state.started,
        end_reason=None if exchange is None else exchange.end_reason,
        error=error or (None if exchange is None else exchange.error),
    )
    if exchange is not None:
        service.finish(exchange, status=state.status, error=error)
        return
    state.span.end(
        status=state.status,
        attributes=({"ep.request.id": state.request_id},),
        error_type=error_type(error),
    )
    if error is not None:
        service.refuse(
            state.request_id,
            state.caller,
            trace_id=state.span.trace_id,
            status=state.status,
            error=error,
        )


def is_request_id(text: str) -> bool:
    """Whether a request can have this id: `x-request-id` counts where it is well formed."""
    return text.isascii() and _REQUEST_ID.fullmatch(text.encode()) is not None


def _request_id(scope: Scope) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    # It tells requests apart, and opens nothing. The system's own random bytes would cost a call
    # during which another thread takes the interpreter: 10 µs under load.
    return f"req_{getrandbits(128):032x}"

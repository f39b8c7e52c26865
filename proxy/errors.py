"""Errors to HTTP responses of OpenAI's shape."""

import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from translators.errors import (
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
)
from translators.json import encode

__all__ = ["InternalError", "ServerStopping", "error_response", "on_http_exception"]


class InternalError(ExecutionPlatformError):
    """A bug of ours. The text holds nothing of the exception: it may hold anything."""

    code = "internal_error"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            "The proxy had an internal error. Its log has the details under the request id "
            f"`{request_id}`."
        )


class ServerStopping(ExecutionPlatformError):
    """The server was stopped, and its patience with open answers is over."""

    type = "service_unavailable_error"
    status_hint = 503
    code = "server_shutdown"

    def __init__(self) -> None:
        super().__init__("The proxy is shutting down; the answer is not complete. Ask again.")


def error_response(error: ExecutionPlatformError) -> Response:
    """Return the response for an error that came before the first byte."""
    headers = {"content-type": "application/json"}
    status = error.status_hint
    if error.retry_after is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after))
    if status in (408, 413, 415):
        # The rest of the body is not worth reading.
        headers["connection"] = "close"
    if isinstance(error, NoProvider) or (
        isinstance(error, ProviderError) and (error.kind in ("auth", "quota") or error.had_effects)
    ):
        # A status that the official SDKs would retry, for a cause that no retry removes, or where
        # what an agent has done would be done once more.
        headers["x-should-retry"] = "false"
    return Response(encode(error.to_wire()), status_code=status, headers=headers)


_HTTP_ERRORS = {
    404: ("Unknown request URL: {method} {path}. The API is at /v1/chat/completions.", "not_found"),
    405: ("Not allowed to {method} on {path}.", "method_not_allowed"),
}


async def on_http_exception(request: Request, exception: Exception) -> Response:
    """Answer for the router: 404 and 405, with OpenAI's error object."""
    if not isinstance(exception, HTTPException):
        raise exception
    template, code = _HTTP_ERRORS.get(exception.status_code, (exception.detail, "http_error"))
    message = template.format(method=request.method, path=request.url.path[:200])
    response = error_response(InvalidRequest(message, code=code, status=exception.status_code))
    response.headers.update(exception.headers or {})
    return response

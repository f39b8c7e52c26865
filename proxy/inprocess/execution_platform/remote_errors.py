"""Errors of a running proxy, as the classes that its engine raised them with."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, get_args

import msgspec

from execution_platform.spi.answer import Served
from translators.errors import (
    AccessDenied,
    ErrorBody,
    ErrorKind,
    ErrorObject,
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    StreamTruncated,
    TimeoutError,
    TranslationError,
    UnknownPersona,
)
from translators.json import UNREADABLE
from translators.openai_chat.errors import error_from_response
from translators.retry_after import retry_after

__all__ = ["error_of_answer", "error_of_event"]

_ALL: Final[Sequence[ErrorKind]] = get_args(ErrorKind)
_KINDS: Final[Mapping[tuple[str, str | None], ErrorKind]] = {
    (error.type, error.code): error.kind
    for error in (ProviderError("", kind=kind) for kind in _ALL)
}
"""From `type` and `code` of an error to its kind. Three kinds look alike: `server` stands for
itself, `network` and `protocol`."""

_BY_TYPE: Final[Mapping[str, ErrorKind]] = {
    "insufficient_quota": "quota",
    "rate_limit_error": "rate_limit",
    "service_unavailable_error": "overloaded",
    "timeout": "timeout",
}

_BY_STATUS: Final[Mapping[int, ErrorKind]] = {
    400: "invalid",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
}

_SECONDS: Final = re.compile(r" within (\S+) s\.$")


def error_of_answer(
    status: int, headers: Mapping[str, str], body: bytes, served: Served
) -> ExecutionPlatformError:
    """Return the error that an HTTP answer stands for.

    Args:
        status: Of the answer.
        headers: With names in lower case.
        body: What was read of it.
        served: What its headers said of the request.
    """
    try:
        told = msgspec.json.decode(body, type=ErrorBody)["error"]
    except UNREADABLE:
        # Somebody else answered: a gateway before the proxy, or no proxy at all.
        return error_from_response(status, headers, body)
    error = _error(told, status, served)
    error.retry_after = retry_after(headers)
    return error


def error_of_event(data: bytes, served: Served) -> ExecutionPlatformError:
    """Return the error that an event of a stream tells, behind which the stream is over."""
    try:
        told = msgspec.json.decode(data, type=ErrorBody)["error"]
    except UNREADABLE:
        return StreamTruncated("The proxy ended its answer with an error that cannot be read.")
    return _error(told, None, served)


def _error(told: ErrorObject, status: int | None, served: Served) -> ExecutionPlatformError:
    refused = _refusal(told, status, served)
    if refused is not None:
        refused.type = told["type"]
        return refused
    error = _failure(told, status)
    error.code, error.type, error.param = told["code"], told["type"], told["param"]
    if status is not None:
        error.status = error.status_hint = status
    error.provider = served.provider
    return error


def _refusal(
    told: ErrorObject, status: int | None, served: Served
) -> ExecutionPlatformError | None:
    """Return the error of a request that was refused before a provider was asked, if it was."""
    message, code, param = told["message"], told["code"], told["param"]
    if code == "no_provider":
        refused = NoProvider(message, unavailable=told["type"] == "service_unavailable_error")
        refused.param = param
        return refused
    if served.attempts or told["type"] != "invalid_request_error":
        return None
    if code == "model_not_found" and param == "model":
        return UnknownPersona(message)
    if status in (401, 403):
        return AccessDenied(message, code=code or "invalid_api_key", status=status)
    if code == "unsupported_parameter" and param is not None:
        return TranslationError(message, param=param)
    return InvalidRequest(message, param=param, code=code, status=status or 400)


def _failure(told: ErrorObject, status: int | None) -> ProviderError:
    message, code = told["message"], told["code"]
    if code == "upstream_incomplete":
        return StreamTruncated(message)
    kind: ErrorKind = _BY_STATUS.get(status or 0, "server")
    kind = _KINDS.get((told["type"], code)) or _BY_TYPE.get(told["type"]) or kind
    if kind == "timeout":
        return _timeout(message)
    return ProviderError(message, kind=kind)


def _timeout(message: str) -> TimeoutError:
    """Return a timeout with the limit that its text tells; both ends have the same text."""
    seconds = _SECONDS.search(message)
    try:
        limit = float(seconds[1]) if seconds else 0.0
    except ValueError:
        limit = 0.0
    phases = [TimeoutError(phase, limit) for phase in ("connect", "first_token", "idle", "total")]
    error = next((one for one in phases if one.message == message), phases[-1])
    error.message, error.args = message, (message,)
    return error

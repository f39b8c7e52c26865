"""OpenAI's error answers to ours, whichever of its APIs answers.

https://platform.openai.com/docs/guides/error-codes and the recorded answers; compatible servers
send the same object with gaps, a bare string, FastAPI's `detail`, or a gateway's HTML page.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from translators.errors import ErrorKind, ProviderError
from translators.http_errors import KIND_BY_STATUS, UNEXPLAINED
from translators.json import UNREADABLE
from translators.retry_after import retry_after

__all__ = ["error_from_fields", "error_from_object", "error_from_response"]

_KIND_BY_STATUS: dict[int, ErrorKind] = {
    **KIND_BY_STATUS,
    400: "invalid",
    415: "invalid",
    422: "invalid",
    529: "overloaded",
}

_KIND_BY_NAME: dict[str, ErrorKind] = {
    # Error codes and types, for the errors whose status says too little or that arrive inside
    # a stream, where there is no status.
    "insufficient_quota": "quota",
    "credit_balance_exhausted": "quota",
    "billing_not_active": "quota",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "slow_down": "rate_limit",
    "server_is_overloaded": "overloaded",
    "service_unavailable_error": "overloaded",
    "overloaded_error": "overloaded",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "model_not_found": "not_found",
    "invalid_request_error": "invalid",
    "context_length_exceeded": "invalid",
    "timeout": "timeout",
}


_BAD_CALL = "tool_use_failed"
"""The model wrote a call that its server could not read: a 400 that another try may not get."""


def error_from_response(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error that an answer with an error status stands for.

    Args:
        status: The HTTP status, 300 or more.
        headers: Names in lower case.
        body: As received, JSON or not.
    """
    return _error(_error_object(body), status=status, headers=headers, fallback=_text(status, body))


def error_from_object(data: bytes) -> ProviderError:
    """Return the error that an `error` object inside a stream or a 200 stands for."""
    return error_from_fields(_error_object(data))


def error_from_fields(
    error: Mapping[str, Any], kinds: Mapping[str, ErrorKind] | None = None
) -> ProviderError:
    """Return the error that an error's own fields stand for, where no status says more.

    Args:
        error: `message`, `type`, `code` and `param`, as far as they are there.
        kinds: What codes and types mean that only one of the APIs has.
    """
    return _error(error, status=None, headers={}, fallback=UNEXPLAINED, kinds=kinds)


def _error(
    error: Mapping[str, Any],
    *,
    status: int | None,
    headers: Mapping[str, str],
    fallback: str,
    kinds: Mapping[str, ErrorKind] | None = None,
) -> ProviderError:
    code, native_type = _string(error, "code"), _string(error, "type")
    if code is not None and code.isdecimal():
        # The status once more, as gateways write it: no code that a client could act on.
        code = None
    message = _string(error, "message")
    own = (kinds or {}).get(code or "") or (kinds or {}).get(native_type or "")
    kind = own or _kind(status, code, native_type, message)
    return ProviderError(
        message or fallback,
        kind=kind,
        status=status,
        # Our own words stand for a refusal of our own key: the client's key is another.
        code=None if kind == "auth" else code,
        param=_string(error, "param"),
        retry_after=retry_after(headers),
        native_type=native_type or code,
        request_id=headers.get("x-request-id"),
    )


def _kind(
    status: int | None, code: str | None, native_type: str | None, message: str | None
) -> ErrorKind:
    if code == _BAD_CALL:
        return "server"
    named = _KIND_BY_NAME.get(code or "") or _KIND_BY_NAME.get(native_type or "")
    by_status = _KIND_BY_STATUS.get(status) if status is not None else None
    if named is not None and (by_status in (None, "rate_limit") or named in ("auth", "quota")):
        return named
    if by_status == "invalid" and message is not None and _ABOUT_A_KEY.search(message):
        return "auth"
    if status is not None and (status < 400 or (status == 404 and message is None)):
        # A redirect, an answer of another kind, a page of some other server: not the API we
        # were told of.
        return "protocol"
    if by_status is not None:
        return by_status
    return "invalid" if status is not None and status < 500 else "server"


_ABOUT_A_KEY = re.compile(r"\b(api[ _-]?key|credentials?)\b.*\b(provided|valid|invalid)\b", re.I)
"""How compatible servers refuse our key with status 400."""


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        parsed: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = cast("list[Any]", parsed)[0]
    if not isinstance(parsed, dict):
        return {}
    fields = cast("dict[str, Any]", parsed)
    for name in ("error", "detail", "message"):
        inner: Any = fields.get(name)
        if isinstance(inner, dict):
            return cast("dict[str, Any]", inner)
        if isinstance(inner, str):
            return {**fields, "message": inner}
    return {}


def _text(status: int, body: bytes) -> str:
    text = body[:300].decode("utf-8", "replace").strip()
    if not text or text.startswith(("<", "{", "[")) or status < 300:
        return f"The provider answered with HTTP status {status} and no error message."
    return text


def _string(error: Mapping[str, Any], key: str) -> str | None:
    value = error.get(key)
    return value if isinstance(value, str) and value else None

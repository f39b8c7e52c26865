"""Anthropic's errors to ours.

https://platform.claude.com/docs/en/api/errors, and `anthropic/_error_classes.py` of
anthropic 2.12 for the codes. An error has a type; some have a finer code in their details;
a few can only be told by what they say.
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from translators.anthropic_messages.events import ErrorDetail
from translators.errors import ErrorKind, ProviderError
from translators.http_errors import (
    KIND_BY_STATUS,
    UNEXPLAINED,
    foreign_answer,
    kind_of_status,
)
from translators.json import UNREADABLE
from translators.retry_after import retry_after

__all__ = ["error_from_event", "error_from_response"]

_BY_TYPE: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid",
    "authentication_error": "auth",
    "permission_error": "auth",
    "billing_error": "quota",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "server",
    "overloaded_error": "overloaded",
    "conflict_error": "conflict",
}
_BY_STATUS: dict[int, ErrorKind] = {**KIND_BY_STATUS, 529: "overloaded"}
_DECISIVE_STATUS = frozenset({402, 413, 429, 503, 504, 529})
"""Where the status says more than a type such as `api_error` or `invalid_request_error`."""

_QUOTA_CODES = (
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
)
_QUOTA_TEXTS = ("spend limit", "usage limits", "credit balance")
_CONTEXT_TEXTS = ("prompt is too long", "exceed context limit", "context window")


class _Body(msgspec.Struct):
    error: ErrorDetail | None = None
    request_id: str | None = None


def error_from_response(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error that an answer other than 200 stands for.

    Args:
        status: The HTTP status.
        headers: With names in lower case.
        body: As it came; it may be anything, such as a proxy's HTML.
    """
    try:
        parsed = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        parsed = _Body()
    request_id = headers.get("request-id") or parsed.request_id
    if parsed.error is None:
        error = foreign_answer(status, _BY_STATUS, api="Messages")
        error.request_id = request_id
    else:
        error = _native(parsed.error, status=status, request_id=request_id)
    error.retry_after = retry_after(headers)
    error.should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", ""))
    return error


def error_from_event(detail: ErrorDetail | None, request_id: str | None) -> ProviderError:
    """Return the error that an `error` event, or an error in place of an answer, stands for."""
    return _native(detail or ErrorDetail(), status=None, request_id=request_id)


def _native(detail: ErrorDetail, *, status: int | None, request_id: str | None) -> ProviderError:
    message = detail.message or UNEXPLAINED
    native_code = _error_code(detail)
    kind = _kind(detail.type, status, native_code, message.lower())
    return ProviderError(
        message,
        kind=kind,
        status=status,
        code=_code(kind, detail.type, native_code, message.lower()),
        native_type=detail.type,
        request_id=request_id,
    )


def _kind(type: str | None, status: int | None, code: str | None, text: str) -> ErrorKind:
    if code in _QUOTA_CODES:
        return "quota"
    # Limits on spending come as 400 and 429, and only the text sets them apart.
    kind = _BY_TYPE.get(type or "")
    if kind in ("invalid", "rate_limit") and any(phrase in text for phrase in _QUOTA_TEXTS):
        return "quota"
    if code == "request_body_too_large_after_decoding":
        return "too_large"
    if status is not None and (kind is None or (status in _DECISIVE_STATUS and kind != "quota")):
        return kind_of_status(status, _BY_STATUS)
    return kind or "server"


def _code(kind: ErrorKind, type: str | None, native: str | None, text: str) -> str | None:
    """Return OpenAI's code, or None for the usual one of `kind`."""
    if kind == "invalid":
        too_long = any(phrase in text for phrase in _CONTEXT_TEXTS)
        return "context_length_exceeded" if too_long else native
    if kind == "quota":
        return "billing_not_active" if type == "billing_error" else None
    if kind == "rate_limit":
        return "slow_down" if native == "ramp_limit_exceeded" else None
    if kind == "not_found" and not text.startswith("model"):
        return native or "not_found"
    return None


def _error_code(detail: ErrorDetail) -> str | None:
    if not bytes(detail.details):
        return None
    try:
        details: Any = msgspec.json.decode(detail.details)
    except UNREADABLE:
        return None
    code = cast("dict[str, Any]", details).get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) else None

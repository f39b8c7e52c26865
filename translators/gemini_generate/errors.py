"""Google's errors to ours.

https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193: an error is
a `google.rpc.Status`, whose details say when to come back (`RetryInfo`), which limit was hit
(`QuotaFailure`) and, for a key, why it was refused (`ErrorInfo`).
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from translators.errors import ErrorKind, ProviderError
from translators.gemini_generate.events import ErrorDetail
from translators.http_errors import (
    KIND_BY_STATUS,
    UNEXPLAINED,
    foreign_answer,
    kind_of_status,
)
from translators.json import UNREADABLE
from translators.retry_after import retry_after

__all__ = ["error_from_detail", "error_from_response"]

_BY_NAME: dict[str, ErrorKind] = {
    "INVALID_ARGUMENT": "invalid",
    "FAILED_PRECONDITION": "invalid",
    "OUT_OF_RANGE": "invalid",
    "UNIMPLEMENTED": "invalid",
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "server",
    "INTERNAL": "server",
    "UNKNOWN": "server",
    "DATA_LOSS": "server",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
}
_BY_STATUS: dict[int, ErrorKind] = {**KIND_BY_STATUS, 499: "server"}
_DECISIVE_STATUS = frozenset({402, 408, 413, 429, 503, 504})
"""Where the status says more than a name such as `INVALID_ARGUMENT` or `INTERNAL`."""

_CONTEXT = re.compile(r"token count.*exceeds|exceeds the maximum number of tokens|context window")
_NO_QUOTA = re.compile(r"limit:\s*0\b")
_LONG = 3600.0
"""Seconds: a wait beyond this is for tomorrow's quota, not for the next minute's."""
_HINT = " (Names that end in `-latest` and some previews exist only with `api_version: v1beta`.)"


class _Violation(msgspec.Struct, rename="camel"):
    quota_id: str | None = None


class _Detail(msgspec.Struct, rename="camel"):
    type: str | None = msgspec.field(default=None, name="@type")
    reason: str | None = None
    retry_delay: str | None = None
    violations: list[_Violation] | None = None


class _Body(msgspec.Struct):
    error: ErrorDetail | None = None


def error_from_response(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error that an answer other than 200 stands for.

    Args:
        status: The HTTP status.
        headers: With names in lower case.
        body: As it came; it may be anything, such as a proxy's HTML.
    """
    detail = _parse(body)
    if detail is None:
        error = foreign_answer(status, _BY_STATUS, api="Gemini")
    else:
        error = error_from_detail(detail, status=status)
    error.request_id = headers.get("x-request-id") or headers.get("x-goog-request-id")
    if (seconds := retry_after(headers)) is not None:
        error.retry_after = seconds
    return error


def error_from_detail(detail: ErrorDetail, *, status: int | None = None) -> ProviderError:
    """Return the error that the API reports; without a status, in the place of an answer."""
    message = detail.message or UNEXPLAINED
    details = _details(detail)
    delay = max((_seconds(entry.retry_delay) or 0.0 for entry in details), default=0.0)
    kind = _kind(detail, status, details, delay)
    code = _code(kind, detail, message.lower())
    if kind == "not_found" and code is None:
        message += _HINT
    error = ProviderError(message, kind=kind, status=status, code=code, native_type=detail.status)
    # A whole number of seconds, not fewer: a client that comes too early is refused again.
    error.retry_after = float(math.ceil(delay)) if delay else None
    if detail.status == "CANCELLED" or status == 499:
        error.should_retry = False
    return error


def _parse(body: bytes) -> ErrorDetail | None:
    text = body.strip().removeprefix(b"data:").strip()
    try:
        if text.startswith(b"["):
            (parsed,) = msgspec.json.decode(text, type=list[_Body])
        else:
            parsed = msgspec.json.decode(text, type=_Body)
    except (*UNREADABLE, ValueError):
        return None
    return parsed.error


def _details(detail: ErrorDetail) -> list[_Detail]:
    raw = bytes(detail.details)
    try:
        entries: Any = msgspec.json.decode(raw) if raw else None
    except UNREADABLE:
        entries = None
    found: list[_Detail] = []
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else ():
        try:
            found.append(msgspec.convert(entry, _Detail))
        except msgspec.ValidationError:
            continue  # Of a type that has other fields: not one that is read here.
    return found


def _seconds(duration: str | None) -> float | None:
    """Return a `google.protobuf.Duration` (`34.4s`) in seconds."""
    try:
        seconds = float((duration or "").removesuffix("s"))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _kind(
    detail: ErrorDetail, status: int | None, details: Iterable[_Detail], delay: float
) -> ErrorKind:
    text = (detail.message or "").lower()
    if any(entry.reason in ("API_KEY_INVALID", "API_KEY_EXPIRED") for entry in details):
        return "auth"
    if "api key not valid" in text or "api key expired" in text:
        return "auth"
    if detail.status == "FAILED_PRECONDITION":
        return _precondition(text)
    kind = _BY_NAME.get(detail.status or "")
    if status is None and kind is None and isinstance(detail.code, int):
        status = detail.code
    if status is not None and (kind is None or status in _DECISIVE_STATUS):
        kind = kind_of_status(status, _BY_STATUS)
    if kind == "rate_limit" and (_NO_QUOTA.search(text) or delay > _LONG or _per_day(details)):
        return "quota"
    return kind or "server"


def _precondition(text: str) -> ErrorKind:
    if "billing" in text:
        return "quota"
    return "auth" if "location is not supported" in text else "invalid"


def _per_day(details: Iterable[_Detail]) -> bool:
    return any(
        "perday" in (violation.quota_id or "").lower()
        for entry in details
        for violation in entry.violations or ()
    )


def _code(kind: ErrorKind, detail: ErrorDetail, text: str) -> str | None:
    """Return OpenAI's code, or None for the usual one of `kind`."""
    if kind == "invalid":
        return "context_length_exceeded" if _CONTEXT.search(text) else None
    if kind == "auth" and "location is not supported" in text:
        return "unsupported_country_region_territory"
    if kind == "quota" and detail.status == "FAILED_PRECONDITION":
        return "billing_not_active"
    if kind == "not_found" and "models/" not in text and "model" not in text:
        return "not_found"
    return None

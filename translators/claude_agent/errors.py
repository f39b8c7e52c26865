"""The CLI's errors to ours.

The CLI ends a run with a result. One that failed at the API tells the status and a text; one that
failed before, only a text. Found by experiment with claude-agent-sdk 0.2.187 and CLI 2.1.330.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from translators.anthropic_messages.errors import error_from_response
from translators.errors import ErrorKind, ProviderError
from translators.json import encode

__all__ = ["error_from_result"]

# What the CLI says around the API's own words: to its user at a terminal, who is not ours.
_AROUND = re.compile(
    r"^API Error:\s*(?:\d{3}\s*)?|^Request rejected \(\d{3}\) · "
    r"|\s*This is (?:a server-side issue|usually temporary)\b.*$",
    re.DOTALL,
)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_TOO_LONG = "blocking_limit"
# Where there is no status, the text alone says what happened.
_BY_TEXT: tuple[tuple[str, ErrorKind], ...] = (
    ("not logged in", "auth"),
    ("/login", "auth"),
    ("invalid api key", "auth"),
    ("overloaded", "overloaded"),
    ("timed out", "timeout"),
    ("timeout", "timeout"),
    ("unable to connect", "network"),
    ("connection", "network"),
    ("econn", "network"),
    ("socket", "network"),
)


def error_from_result(result: Mapping[str, Any]) -> ProviderError:
    """Return the error that a result of the CLI stands for: one that failed, or has no answer.

    Args:
        result: A frame of type `result`.
    """
    text = _text(result)
    message = _AROUND.sub("", text).strip() or text
    status = result.get("api_error_status")
    if result.get("terminal_reason") == _TOO_LONG:
        # The CLI counts the tokens itself, and calls nobody.
        return ProviderError(
            message, kind="invalid", code="context_length_exceeded", native_type=_TOO_LONG
        )
    if not isinstance(status, int):
        return ProviderError(message, kind=_kind(text.lower()), native_type=_reason(result))
    # The same statuses as the API's own, and mostly its texts: its table says what they mean.
    native = {"type": _TYPES.get(status), "message": message}
    error = error_from_response(status, {}, encode({"type": "error", "error": native}))
    if error.kind == "not_found" and "model" in message:
        error.code = "model_not_found"
    return error


def _text(result: Mapping[str, Any]) -> str:
    errors = result.get("errors")
    told = [str(error) for error in cast("list[Any]", errors)] if isinstance(errors, list) else []
    said = result.get("result")
    if isinstance(said, str) and said.strip():
        told.append(said.strip())
    return "; ".join(told) or "The Claude CLI ended without an answer."


def _kind(text: str) -> ErrorKind:
    for phrase, kind in _BY_TEXT:
        if phrase in text:
            return kind
    return "server"


def _reason(result: Mapping[str, Any]) -> str | None:
    reason = result.get("terminal_reason") or result.get("subtype")
    return reason if isinstance(reason, str) else None

"""The error objects of the Anthropic API."""

from collections.abc import Mapping

from proxy.sandbox.dialect import Rejection

__all__ = ["KINDS", "invalid", "refuse"]

# The `type` that goes with a status, and the service's usual words.
KINDS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The sandbox was told to refuse this request."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the resource."),
    404: ("not_found_error", "Not found"),
    408: ("timeout_error", "Request timed out"),
    409: ("conflict_error", "The request conflicts with another one."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit. Please try again later.",
    ),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


def refuse(status: int, message: str | None = None, kind: str | None = None) -> Rejection:
    """Return the error of a status; `None` means the service's usual words."""
    usual_kind, usual = KINDS.get(status, KINDS[500 if status >= 500 else 400])
    return Rejection(status, {"type": kind or usual_kind, "message": message or usual})


def invalid(message: str) -> Rejection:
    """Return an `invalid_request_error`."""
    return refuse(400, message)

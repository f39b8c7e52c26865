"""Every error the platform raises on purpose, in one tree.

* ExecutionPlatformError
  x RouterError             refused before any provider was asked
    + InvalidRequest        the request is malformed (`param` says where)
    + AccessDenied          the client key is missing, wrong, or not allowed
    + UnknownPersona        no such persona; also a `ValueError`
    + NoProvider            no provider can serve this request
    + TranslationError      one target's API cannot express this request
  x ProviderError           a provider answered badly, or not at all
    + TimeoutError          it took too long; also a builtin `TimeoutError`
    + StreamTruncated       its answer stopped before the end

Each carries what OpenAI's error object needs (`message`, `type`, `param`, `code`) and a
`status_hint`: the HTTP status a front end should use while it can still choose one.
"""

import builtins
from typing import Any, Literal, TypedDict

__all__ = [
    "AccessDenied",
    "ErrorBody",
    "ErrorKind",
    "ErrorObject",
    "ExecutionPlatformError",
    "InvalidRequest",
    "NoProvider",
    "ProviderError",
    "RouterError",
    "StreamTruncated",
    "TimeoutError",
    "TranslationError",
    "UnknownPersona",
]

ErrorKind = Literal[
    "auth",  # the provider refused our credentials
    "quota",  # our account there has no credit left
    "rate_limit",
    "overloaded",
    "invalid",  # the provider refused the request itself
    "not_found",
    "too_large",
    "conflict",
    "timeout",
    "network",
    "protocol",  # the answer is not what the API promises
    "server",
]


class ErrorObject(TypedDict):
    """OpenAI's error object (`openai.types.shared.ErrorObject`, openai 3.54)."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(TypedDict):
    """The body of every error answer, and the payload of an error event in a stream."""

    error: ErrorObject


class ExecutionPlatformError(Exception):
    """Base class: catch this to catch everything the platform raises on purpose.

    Attributes:
        message: What went wrong and, where there is something to do, what to do.
        type: OpenAI's error type, for instance `invalid_request_error`.
        code: OpenAI's error code, or None.
        param: The request parameter at fault, for instance `messages[0].content`, or None.
        status_hint: The HTTP status to answer with when nothing was sent yet.
        retry_after: Seconds after which a retry may succeed, or None.
        status: The HTTP status of whoever refused it: the provider, or a running proxy; or None.
        provider: The name of the provider that failed, or None where none was asked.
        request_id: The id under which the request is found in a log, or None.
    """

    type = "server_error"
    status_hint = 500
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None
    status: int | None = None
    provider: str | None = None
    request_id: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if param is not None:
            self.param = param
        if code is not None:
            self.code = code

    def to_wire(self) -> ErrorBody:
        """Return OpenAI's error body."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class RouterError(ExecutionPlatformError):
    """The request was refused before any provider was asked."""

    type = "invalid_request_error"
    status_hint = 400


class InvalidRequest(RouterError):
    """The request is malformed."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
    ) -> None:
        super().__init__(message, param=param, code=code)
        self.status_hint = status


class AccessDenied(RouterError):
    """The client's key is missing or wrong (401), or may not use the persona (403)."""

    status_hint = 401

    def __init__(self, message: str, *, code: str = "invalid_api_key", status: int = 401) -> None:
        super().__init__(message, code=code)
        self.status_hint = status


class UnknownPersona(RouterError, ValueError):
    """The request names a persona the policy does not have."""

    status_hint = 404
    code = "model_not_found"
    param = "model"


class NoProvider(RouterError):
    """No provider can serve this persona and this request.

    The status is 400 when the request asks for what no provider of the persona can do, and
    503 when providers that could are not available.

    Attributes:
        rejected: The candidates, each with why it cannot: a `policy.decision.Rejection`.
    """

    code = "no_provider"
    rejected: tuple[Any, ...] = ()

    def __init__(self, message: str, *, unavailable: bool) -> None:
        super().__init__(message)
        if unavailable:
            self.status_hint = 503
            self.type = "service_unavailable_error"


class TranslationError(RouterError):
    """The target's API cannot express what the request asks for."""

    code = "unsupported_parameter"

    def __init__(self, message: str, *, param: str, code: str = "unsupported_parameter") -> None:
        super().__init__(message, param=param, code=code)


_FACES: dict[ErrorKind, tuple[int, str, str | None]] = {
    # kind -> HTTP status, OpenAI type, OpenAI code. A refusal of our own credentials is our
    # fault, not the client's: 502, never 401.
    "auth": (502, "server_error", "upstream_authentication_failed"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "rate_limit": (429, "rate_limit_error", "rate_limit_exceeded"),
    "overloaded": (503, "service_unavailable_error", "server_is_overloaded"),
    "invalid": (400, "invalid_request_error", None),
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
    "conflict": (409, "server_error", "conflict"),
    "timeout": (504, "timeout", "timeout"),
    "network": (502, "server_error", "upstream_error"),
    "protocol": (502, "server_error", "upstream_error"),
    "server": (502, "server_error", "upstream_error"),
}


_REFUSED_KEY = (
    "The provider refused the proxy's own credentials, or they may not do this. It is for the "
    "proxy's operator to mend: the key that `execution-platform check` names may be wrong, expired "
    "or without access to the model."
)


class ProviderError(ExecutionPlatformError):
    """A provider failed.

    Attributes:
        kind: What happened, for the fallback table; also `error.type` on spans. For `auth` the
            message is ours, not the provider's.
        status: The HTTP status the provider answered with, or None where it gave none.
        native_type: The provider's own name for the error, or None.
        provider: The provider's name in the policy; set by the engine.
        request_id: The provider's id of the failed request, or None.
        had_effects: Whether an agent's tools have run by then: asking again, or another provider,
            would have it all done once more.
        should_retry: Whether the provider said that a retry may help, or None where it said
            nothing (`x-should-retry`).
        own_limit: Whether it was a limit of ours, which says nothing of the provider.
    """

    def __init__(  # noqa: PLR0913  the fields of a provider's error answer
        self,
        message: str,
        *,
        kind: ErrorKind,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        native_type: str | None = None,
        request_id: str | None = None,
    ) -> None:
        # A provider that refuses a key may repeat parts of it: its words stay here.
        super().__init__(_REFUSED_KEY if kind == "auth" else message, param=param)
        self.kind: ErrorKind = kind
        self.status_hint, self.type, default_code = _FACES[kind]
        self.code = code or default_code
        self.status = status
        self.retry_after = retry_after
        self.native_type = native_type
        self.request_id = request_id
        self.provider: str | None = None
        self.had_effects = False
        self.should_retry: bool | None = None
        self.own_limit = False


class TimeoutError(ProviderError, builtins.TimeoutError):
    """A provider did not answer in time.

    Attributes:
        phase: Which limit ran out: `connect`, `first_token`, `idle` or `total`.
        seconds: That limit.
    """

    def __init__(self, phase: str, seconds: float) -> None:
        what = {
            "connect": "the connection was not made",
            "first_token": "no part of an answer came",
            "idle": "the answer stopped coming",
            "total": "the answer was not complete",
        }[phase]
        super().__init__(
            f"The provider took too long: {what} within {seconds:g} s.", kind="timeout"
        )
        self.phase = phase
        self.seconds = seconds


class StreamTruncated(ProviderError):
    """The provider's answer stopped before its terminal event."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="protocol", code="upstream_incomplete")

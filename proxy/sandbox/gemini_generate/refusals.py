"""The error objects of the Gemini API: `code`, `message`, `status` and `details`."""

from collections.abc import Mapping, Sequence

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.jsontypes import JsonObject

__all__ = [
    "STATUSES",
    "invalid",
    "key_invalid",
    "key_missing",
    "malformed",
    "refuse",
    "token_invalid",
    "violated",
]

_RPC = "type.googleapis.com/google.rpc"
_KEY = "API key not valid. Please pass a valid API key."
# The `status` that goes with a code, and the service's usual words.
STATUSES: Mapping[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    408: ("DEADLINE_EXCEEDED", "The request timed out."),
    409: ("ABORTED", "The operation was aborted."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    503: (
        "UNAVAILABLE",
        "This model is currently experiencing high demand. Spikes in demand are usually "
        "temporary. Please try again later.",
    ),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


def refuse(
    code: int,
    message: str | None = None,
    status: str | None = None,
    details: Sequence[JsonObject] = (),
) -> Rejection:
    """Return the error of a code; `None` means the service's usual words."""
    usual_status, usual = STATUSES.get(code, STATUSES[500 if code >= 500 else 400])
    error: JsonObject = {
        "code": code,
        "message": message or usual,
        "status": status or usual_status,
    }
    return Rejection(code, {**error, "details": list(details)} if details else error)


def invalid(message: str) -> Rejection:
    """Return an `INVALID_ARGUMENT` of the model's own checks."""
    return refuse(400, message)


def violated(path: str, message: str) -> Rejection:
    """Return an `INVALID_ARGUMENT` that names the field as the request's validator does."""
    return refuse(400, f"* GenerateContentRequest.{path}: {message}\n")


def malformed(faults: Sequence[tuple[str, str]]) -> Rejection:
    """Return the refusal of a body that does not fit the message: paths and descriptions."""
    violations = [
        {"field": path, "description": text} if path else {"description": text}
        for path, text in faults
    ]
    detail = {"@type": f"{_RPC}.BadRequest", "fieldViolations": violations}
    return refuse(400, "\n".join(text for _, text in faults), details=[detail])


def key_invalid() -> Rejection:
    """Return the refusal of an unknown key: a 400."""
    reason: JsonObject = {
        "@type": f"{_RPC}.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    localized = {"@type": f"{_RPC}.LocalizedMessage", "locale": "en-US", "message": _KEY}
    return refuse(400, _KEY, details=[reason, localized])


def key_missing() -> Rejection:
    """Return the refusal of a request without a key."""
    return refuse(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please "
        "use API Key or other form of API consumer identity to call this API.",
    )


def token_invalid() -> Rejection:
    """Return the refusal of a bearer token, which an API key is not."""
    return refuse(
        401,
        details=[
            {
                "@type": f"{_RPC}.ErrorInfo",
                "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            }
        ],
    )

"""What the service says when it is told to fail, with the details of a busy or exhausted one."""

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.gemini_generate import refusals
from proxy.sandbox.jsontypes import JsonObject

__all__ = ["add_delay", "failure"]

_RPC = "type.googleapis.com/google.rpc"
_RATES = "https://ai.google.dev/gemini-api/docs/rate-limits"
_METRIC = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
_EXCEEDED = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    f"information on this error, head to: {_RATES}. "
)
_TOO_LONG = (
    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
)


def failure(cause: int | str, message: str | None, kind: str | None, *, model: str) -> Rejection:
    """Return the error of a status or a named cause."""
    if isinstance(cause, int):
        return refusals.refuse(cause, message, kind)
    if cause == "context":
        return refusals.refuse(400, message or _TOO_LONG, kind)
    words = f"{_EXCEEDED}\n* Quota exceeded for metric: {_METRIC}, limit: 0, model: {model}"
    return refusals.refuse(429, message or words, kind, _quota("PerDay", model))


def add_delay(error: JsonObject, seconds: str, *, model: str) -> None:
    """Write into an error when to come back: the service has no header for it."""
    details: list[JsonObject] = error.setdefault("details", [])
    if error["code"] == 429 and not details:
        details += _quota("PerMinute", model)
        error["message"] = (
            f"{_EXCEEDED}\n* Quota exceeded for metric: {_METRIC}, limit: 10, model: {model}\n"
            f"Please retry in {seconds}s."
        )
    details.append({"@type": f"{_RPC}.RetryInfo", "retryDelay": f"{seconds}s"})


def _quota(period: str, model: str) -> list[JsonObject]:
    return [
        {
            "@type": f"{_RPC}.Help",
            "links": [{"description": "Learn more about Gemini API quotas", "url": _RATES}],
        },
        {
            "@type": f"{_RPC}.QuotaFailure",
            "violations": [
                {
                    "quotaMetric": _METRIC,
                    "quotaId": f"GenerateRequests{period}PerProjectPerModel-FreeTier",
                    "quotaDimensions": {"location": "global", "model": model},
                }
            ],
        },
    ]

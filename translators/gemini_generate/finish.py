"""How an answer ended: Gemini's finish reasons to OpenAI's.

https://ai.google.dev/api/generate-content#FinishReason, and `types.FinishReason` of google-genai
3.4. A reason that is not known is a plain `stop`.
"""

from translators.errors import ErrorKind, ProviderError
from translators.wire.response import FinishReason

__all__ = ["failure_of", "name_of", "reason_of", "refusal_of"]

_NUMBERS = {
    # `google.ai.generativelanguage.v1beta.Candidate.FinishReason`
    0: "FINISH_REASON_UNSPECIFIED",
    1: "STOP",
    2: "MAX_TOKENS",
    3: "SAFETY",
    4: "RECITATION",
    5: "OTHER",
    6: "LANGUAGE",
    7: "BLOCKLIST",
    8: "PROHIBITED_CONTENT",
    9: "SPII",
    10: "MALFORMED_FUNCTION_CALL",
}
_REASONS: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    # The API wants to be asked again for the rest, and was often enough, or cannot be.
    "CONTINUATION": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
            *("MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED", "IMAGE_SAFETY"),
            *("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
        ),
        "content_filter",
    ),
}
_FAILURES: dict[str, ErrorKind] = {
    "MALFORMED_FUNCTION_CALL": "server",
    "MALFORMED_RESPONSE": "server",
    "UNEXPECTED_TOOL_CALL": "server",
    "OTHER": "server",
    "IMAGE_OTHER": "server",
    "NO_IMAGE": "server",
    "MISSING_THOUGHT_SIGNATURE": "invalid",
}


def name_of(reason: str | int | None) -> str:
    """Return the name of a reason that may be a number."""
    return _NUMBERS.get(reason, str(reason)) if isinstance(reason, int) else reason or ""


def reason_of(native: str | None) -> FinishReason:
    """Return OpenAI's reason for an answer that has something to show."""
    return _REASONS.get(native or "", "stop")


def failure_of(native: str | None, message: str | None) -> ProviderError | None:
    """Return the error that an answer with nothing to show stands for, or None if it is none."""
    kind = _FAILURES.get(native or "")
    if kind is None:
        return None
    said = message or "it gave no reason"
    return ProviderError(
        f"The provider ended its answer with `{native}` before it began: {said}",
        kind=kind,
        native_type=native,
    )


def refusal_of(native: str | None, message: str | None, *, prompt: bool) -> str:
    """Return what to tell the client of an answer that was withheld."""
    return message or f"The provider blocked the {'prompt' if prompt else 'answer'} ({native})."

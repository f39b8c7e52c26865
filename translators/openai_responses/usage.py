"""What an answer says of itself beside its items: token counts and moderation.

`response_usage.py`, and `Moderation` in `response.py` and in `chat_completion.py`, of openai 3.54.
"""

from typing import Any, cast

import msgspec

from translators.openai_responses.events import UsageCounts
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

__all__ = ["to_moderation", "to_usage"]


def to_usage(native: Any) -> Usage | None:
    """Return the token counts; None where they cannot be read, for no answer depends on them."""
    try:
        counts = msgspec.convert(native, UsageCounts, strict=False)
    except msgspec.ValidationError:
        return None
    prompt, answer = counts.input_tokens or 0, counts.output_tokens or 0
    read, written = counts.input_tokens_details, counts.output_tokens_details
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=answer,
        total_tokens=counts.total_tokens or prompt + answer,
        prompt_tokens_details=None
        if read is None
        else PromptTokensDetails(
            cached_tokens=read.cached_tokens, cache_write_tokens=read.cache_write_tokens
        ),
        completion_tokens_details=None
        if written is None
        else CompletionTokensDetails(reasoning_tokens=written.reasoning_tokens),
    )


def to_moderation(native: Any) -> dict[str, Any] | None:
    """Return the verdict of the moderation in the chat API's form, where each is a list."""
    if not isinstance(native, dict):
        return None
    found = cast("dict[str, Any]", native)
    return {side: _verdict(found[side]) for side in ("input", "output") if side in found}


def _verdict(native: Any) -> dict[str, Any] | None:
    if not isinstance(native, dict):
        return None
    result = cast("dict[str, Any]", native)
    if result.get("type") != "moderation_result":
        return result
    return {"type": "moderation_results", "model": result.get("model"), "results": [result]}

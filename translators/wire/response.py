"""What a chat answer says about itself, whole or streamed.

Answers travel as bytes (see `translators.protocol`); these are the parts of them that somebody
between the provider and the client reads. `openai.types.completion_usage` of openai 3.54 is the
source of the usage fields.
"""

from typing import Any, Literal, cast

import msgspec

__all__ = [
    "CompletionTokensDetails",
    "FinishReason",
    "PromptTokensDetails",
    "Usage",
    "add_usage",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptTokensDetails(msgspec.Struct, omit_defaults=True, frozen=True):
    """Parts of `prompt_tokens`, in tokens."""

    audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    cached_tokens: int | None = None
    image_tokens: int | None = None
    text_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct, omit_defaults=True, frozen=True):
    """Parts of `completion_tokens`, in tokens."""

    accepted_prediction_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None


class Usage(msgspec.Struct, omit_defaults=True, frozen=True):
    """Tokens of one answer. The details are parts of the totals, never additions to them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


def add_usage(one: Usage | None, other: Usage | None) -> Usage | None:
    """Return the token counts of two answers together."""
    return _added(one, other)


def _added(one: Any, other: Any) -> Any:
    """Add two counts, or two structures of counts; what only one of them has stays."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, int):
        return one + other
    fields = cast("type[msgspec.Struct]", type(one)).__struct_fields__
    return type(one)(**{name: _added(getattr(one, name), getattr(other, name)) for name in fields})

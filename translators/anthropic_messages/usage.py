"""Token counts: Anthropic's to OpenAI's.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching: `input_tokens` leaves out
what was read from the cache or written to it; `output_tokens` holds the thinking.
"""

from translators.anthropic_messages.events import OutputDetails, UsageCounts
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

__all__ = ["merge_counts", "to_service_tier", "to_usage"]

_TIERS = {"standard": "default", "priority": "priority"}


def merge_counts(before: UsageCounts | None, after: UsageCounts | None) -> UsageCounts | None:
    """Return the latest counts: they are cumulative, so each that is there replaces the earlier.

    A `message_delta` leaves out what it does not restate, or has null for it.
    """
    if before is None or after is None:
        return after or before
    merged = UsageCounts()
    for name in UsageCounts.__struct_fields__:
        value = getattr(after, name)
        setattr(merged, name, getattr(before, name) if value is None else value)
    return merged


def to_usage(counts: UsageCounts | None) -> Usage | None:
    """Return OpenAI's usage, or None where no tokens were counted."""
    if counts is None or (counts.input_tokens is None and counts.output_tokens is None):
        return None
    prompt = written = read = output = 0
    for part in counts.iterations or (counts,):
        written += part.cache_creation_input_tokens or 0
        read += part.cache_read_input_tokens or 0
        prompt += part.input_tokens or 0
        output += part.output_tokens or 0
    prompt += written + read
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=output,
        total_tokens=prompt + output,
        prompt_tokens_details=PromptTokensDetails(cache_write_tokens=written, cached_tokens=read),
        completion_tokens_details=_completion_details(counts.output_tokens_details, output),
    )


def to_service_tier(counts: UsageCounts | None) -> str | None:
    """Return OpenAI's name of the tier that served the answer, or None where it has none."""
    if counts is None:
        return None
    return "priority" if counts.speed == "fast" else _TIERS.get(counts.service_tier or "")


def _completion_details(
    details: OutputDetails | None, output: int
) -> CompletionTokensDetails | None:
    if details is None or details.thinking_tokens is None:
        return None
    return CompletionTokensDetails(reasoning_tokens=min(details.thinking_tokens, output))

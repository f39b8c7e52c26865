"""Token counts: Gemini's to OpenAI's.

https://ai.google.dev/api/generate-content#UsageMetadata: `promptTokenCount` holds what was read
from the cache; `candidatesTokenCount` does not hold the thoughts. Some servers include them all
the same, which the total betrays.
"""

from collections.abc import Iterable

import msgspec

from translators.gemini_generate.events import ModalityCount, UsageMetadata, decode_usage
from translators.protocol import Outcome
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage, add_usage

__all__ = ["CountedOutcome", "to_service_tier", "to_usage"]

_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
_TEXT, _IMAGE, _AUDIO = ("TEXT", 1), ("IMAGE", 2), ("AUDIO", 4)
"""The names of the modalities, and their numbers in `google.ai.generativelanguage.Modality`."""


class CountedOutcome(Outcome):
    """An outcome that reads its token counts when somebody asks for them.

    They come with every event, as totals so far; reading each would be half of its cost. Each
    request of an answer has its own: they are added up.
    """

    __slots__ = ("_read", "_settled", "_unread")

    @property
    def usage(self) -> Usage | None:
        """The latest token counts."""
        raw, self._unread = self._unread, None
        if raw is not None and (counts := decode_usage(raw)) is not None:
            self._read = to_usage(counts) or self._read
        return add_usage(self._settled, self._read)

    @usage.setter
    def usage(self, usage: Usage | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._read = usage
        self._settled: Usage | None = None
        self._unread: msgspec.Raw | None = None

    def count(self, raw: msgspec.Raw) -> None:
        """Take the counts of an event, unless it has none but only a word on the tariff."""
        if bytes(raw).find(b"TokenCount") != -1:  # `in` costs more: see `translators.sse`.
            self._unread = raw

    def settle(self) -> None:
        """Say that the request is over, and another of the same answer follows."""
        self._settled, self._read = self.usage, None


def to_usage(counts: UsageMetadata) -> Usage | None:
    """Return OpenAI's usage, or None where no tokens were counted."""
    prompt, answer = counts.prompt_token_count, counts.candidates_token_count
    if prompt is None and answer is None and counts.total_token_count is None:
        return None
    thoughts = counts.thoughts_token_count or 0
    asked = (prompt or 0) + (counts.tool_use_prompt_token_count or 0)
    written = answer or 0
    # What includes the thoughts is not less than they are.
    inclusive = 0 < thoughts <= written and asked + written == counts.total_token_count
    if not inclusive:
        written += thoughts
    total = counts.total_token_count
    return Usage(
        prompt_tokens=asked,
        completion_tokens=written,
        total_tokens=asked + written if total is None else total,
        prompt_tokens_details=_prompt_details(counts),
        completion_tokens_details=_completion_details(counts),
    )


def to_service_tier(counts: UsageMetadata | None) -> str | None:
    """Return OpenAI's name of the tier that served the answer, or None where it is not said."""
    if counts is None or counts.service_tier is None:
        return None
    return _TIERS.get(counts.service_tier.lower())


def _prompt_details(counts: UsageMetadata) -> PromptTokensDetails:
    found = counts.prompt_tokens_details
    if counts.tool_use_prompt_tokens_details:
        found = [*(found or ()), *counts.tool_use_prompt_tokens_details]
    return PromptTokensDetails(
        cached_tokens=counts.cached_content_token_count or 0,
        text_tokens=_sum(found, _TEXT),
        image_tokens=_sum(found, _IMAGE),
        audio_tokens=_sum(found, _AUDIO),
    )


def _completion_details(counts: UsageMetadata) -> CompletionTokensDetails | None:
    found = counts.candidates_tokens_details
    if not found and counts.thoughts_token_count is None:
        return None
    return CompletionTokensDetails(
        reasoning_tokens=counts.thoughts_token_count,
        text_tokens=_sum(found, _TEXT),
        audio_tokens=_sum(found, _AUDIO),
    )


def _sum(found: Iterable[ModalityCount] | None, modality: tuple[str, int]) -> int | None:
    """Return the tokens of a modality, or None where there is nothing of it."""
    if not found:
        return None
    counts = [entry.token_count or 0 for entry in found if entry.modality in modality]
    return sum(counts) if counts else None

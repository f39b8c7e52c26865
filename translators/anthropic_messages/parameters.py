"""Output limits, sampling, and the other fields beside the conversation.

1. Since `anthropic-version` 2026-10-21 the API refuses `temperature`, `top_p` and `top_k`
   (https://platform.claude.com/docs/en/api/versioning). The models that still honour them do so
   under 2023-06-01, which is therefore asked for when, and only when, one of them is sent.
2. `max_tokens` is required there. Where the client sets no limit, OpenAI's meaning is "as much
   as the model can", so the model's own ceiling is sent.
"""

import hashlib
from typing import Any, Final, cast

from translators.anthropic_messages.content import Block
from translators.anthropic_messages.models import ModelProfile
from translators.fidelity import ReportBuilder
from translators.wire.request import ChatCompletionRequest

__all__ = [
    "SAMPLING",
    "max_tokens",
    "to_cache_control",
    "to_metadata",
    "to_sampling",
    "to_service_tier",
    "to_stop_sequences",
]


SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
"""The fields of rule 1."""


def max_tokens(
    chat: ChatCompletionRequest,
    *,
    default: int | None,
    profile: ModelProfile,
    report: ReportBuilder,
) -> int:
    """Return the output limit; `default` is the provider's own for requests without one."""
    newer, older = chat.max_completion_tokens, chat.max_tokens
    if newer is not None and older is not None and newer != older:
        report.ignored("max_tokens")
    wanted = newer or older or default or profile.max_tokens
    if wanted > profile.max_tokens and not profile.compatible:
        # No answer is longer than the model can make it, and a greater limit is a 400.
        report.emulated("max_tokens" if newer is None else "max_completion_tokens")
        return profile.max_tokens
    return wanted


def to_sampling(
    chat: ChatCompletionRequest, *, profile: ModelProfile, thinking: bool, report: ReportBuilder
) -> Block:
    """Return the sampling parameters that the model takes; report the others."""
    wanted: Block = {}
    if chat.temperature is not None and chat.temperature != 1:
        wanted["temperature"] = chat.temperature
    if chat.top_p is not None and chat.top_p != 1:
        wanted["top_p"] = chat.top_p
    if (extra := chat.model_extra) and extra.get("top_k") is not None:
        wanted["top_k"] = extra["top_k"]
    if not wanted:
        return wanted
    # "thinking isn't compatible with temperature or top_k modifications": a 400.
    if not profile.sampling or thinking:
        for name in wanted:
            report.ignored(name)
        return {}
    if not profile.sampling_pair and {"temperature", "top_p"} <= wanted.keys():
        del wanted["top_p"]
        report.ignored("top_p")
    if wanted.get("temperature", 0) > 1:
        report.emulated("temperature")
        wanted["temperature"] = 1.0
    return wanted


def to_stop_sequences(stop: str | list[str] | None, report: ReportBuilder) -> list[str]:
    """Return the sequences that hold more than white space: the API refuses the others."""
    if stop is None:
        return []
    wanted = [stop] if isinstance(stop, str) else stop
    kept = [sequence for sequence in wanted if sequence.strip()]
    if len(kept) != len(wanted):
        report.ignored("stop")
    return kept


def to_metadata(chat: ChatCompletionRequest, report: ReportBuilder) -> dict[str, str] | None:
    """Return the user id, hashed: the API wants an opaque one, never a name or address.

    https://platform.claude.com/docs/en/api/messages/create, `metadata.user_id`
    """
    identifier = chat.safety_identifier or chat.user
    if not identifier:
        return None
    report.emulated("safety_identifier" if chat.safety_identifier else "user")
    if chat.safety_identifier and chat.user and chat.user != chat.safety_identifier:
        report.ignored("user")
    return {"user_id": hashlib.sha256(identifier.encode()).hexdigest()}


def to_service_tier(tier: str | None, report: ReportBuilder) -> str | None:
    """Return the native tier; the API's own default is what OpenAI calls `auto`."""
    if tier in (None, "auto"):
        return None
    if tier == "default":
        report.emulated("service_tier")
        return "standard_only"
    if tier in ("priority", "fast"):
        # Capacity that was bought beforehand is used by default; none can be asked for.
        report.emulated("service_tier")
    else:
        report.ignored("service_tier")
    return None


def to_cache_control(chat: ChatCompletionRequest, report: ReportBuilder) -> Block | None:
    """Return the mark for the whole request, which the API moves to its last block.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    own: Any = (chat.model_extra or {}).get("cache_control")
    if isinstance(own, dict):
        return cast("Block", own)
    options = chat.prompt_cache_options or {}
    if options:
        report.emulated("prompt_cache_options")
    if chat.prompt_cache_retention is not None:
        report.emulated("prompt_cache_retention")
    if options.get("mode") == "explicit" or not (options or chat.prompt_cache_retention):
        return None
    lasting = chat.prompt_cache_retention == "24h" or options.get("ttl") is not None
    return {"type": "ephemeral", "ttl": "1h"} if lasting else {"type": "ephemeral"}

"""`generationConfig`, and the other fields beside the conversation.

https://ai.google.dev/api/generate-content#generationconfig

1. From 3.6 Flash on models ignore temperature, top-p and top-k, and refuse the penalties: none
   is sent to them, and each is reported.
2. Reasoning: models of generation 3 have levels, those of 2.5 a budget in tokens
   (https://ai.google.dev/gemini-api/docs/thinking). Both in one request are a 400.
3. Google's own fields are taken where its own OpenAI endpoint has them: in `extra_body.google`,
   in `google`, or beside OpenAI's.
"""

from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.gemini_generate.models import ModelProfile
from translators.wire.request import ChatCompletionRequest

__all__ = ["generation_config", "google_fields", "to_safety_settings", "to_service_tier"]

_Object = dict[str, Any]

_MAX_STOPS = 5
_LEVELS = {
    **{name: name.upper() for name in ("minimal", "low", "medium", "high")},
    "xhigh": "HIGH",
    "max": "HIGH",
}
_BUDGETS = {
    **{"minimal": 512, "low": 1024, "medium": 8192, "high": 24576},
    **{"xhigh": 24576, "max": 24576},
}
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority", "fast": "priority"}


def generation_config(
    chat: ChatCompletionRequest,
    google: _Object,
    structure: _Object,
    *,
    profile: ModelProfile,
    report: ReportBuilder,
) -> _Object:
    """Return `generationConfig` as far as it is needed.

    Args:
        chat: The request.
        google: From `google_fields`.
        structure: From `translators.gemini_generate.structured`.
        profile: The model's.
        report: Where to say what was not carried over.

    Raises:
        TranslationError: The model cannot do what a field asks for.
    """
    config: _Object = {
        "maxOutputTokens": _max_tokens(chat, report),
        "stopSequences": _stop_sequences(chat.stop, report) or None,
        "seed": _seed(chat.seed, report),
        **_sampling(chat, profile, report),
        **_logprobs(chat, report),
        **structure,
        "thinkingConfig": _thinking(chat, google, profile, report),
    }
    return {name: value for name, value in config.items() if value is not None}


def google_fields(chat: ChatCompletionRequest, report: ReportBuilder) -> _Object:
    """Return what the request has of `thinking_config` and `cached_content`."""
    extra, fields = chat.model_extra, _Object()
    if not extra:
        return fields
    body = extra.get("extra_body")
    if isinstance(body, dict):
        report.ignored_fields("extra_body", cast("_Object", body), known=frozenset({"google"}))
        nested = cast("_Object", body).get("google")
        fields |= cast("_Object", nested) if isinstance(nested, dict) else {}
    elif body is not None:
        report.ignored("extra_body")
    own = extra.get("google")
    if isinstance(own, dict):
        fields |= cast("_Object", own)
    elif own is not None:
        report.ignored("google")
    report.ignored_fields("google", fields, known=_READ)
    if (cached := extra.get("cached_content")) is not None:
        fields["cached_content"] = cached
    if not isinstance(fields.get("cached_content", ""), str):
        raise report.reject("cached_content", "it is the name of a cached content.")
    if not isinstance(fields.get("thinking_config", {}), dict):
        raise report.reject("google.thinking_config", "it is an object.")
    return fields


_READ = frozenset({"thinking_config", "cached_content"})


def to_safety_settings(chat: ChatCompletionRequest, report: ReportBuilder) -> Any:
    """Return the safety settings, which are passed on as they are.

    Raises:
        TranslationError: They are no list of objects.
    """
    extra = chat.model_extra
    if not extra:
        return None
    settings = extra.get("safety_settings")
    entries = cast("list[Any]", settings) if isinstance(settings, list) else []
    if settings is not None and not (
        isinstance(settings, list) and all(isinstance(entry, dict) for entry in entries)
    ):
        raise report.reject("safety_settings", "they are a list of objects.")
    return entries or None


def to_service_tier(tier: str | None, report: ReportBuilder) -> str | None:
    """Return the native tier; the API's own default is what OpenAI calls `auto`."""
    if tier in (None, "auto"):
        return None
    native = _TIERS.get(tier)
    if native is None:
        report.ignored("service_tier")
    elif tier == "fast":
        report.emulated("service_tier")
    return native


def _max_tokens(chat: ChatCompletionRequest, report: ReportBuilder) -> int | None:
    newer, older = chat.max_completion_tokens, chat.max_tokens
    if newer is not None and older is not None and newer != older:
        report.ignored("max_tokens")
    return newer or older


def _stop_sequences(stop: str | list[str] | None, report: ReportBuilder) -> list[str]:
    if stop is None:
        return []
    wanted = [stop] if isinstance(stop, str) else stop
    kept = [sequence for sequence in wanted if sequence]
    if len(kept) != len(wanted):
        report.ignored("stop")
    if len(kept) > _MAX_STOPS:
        raise report.reject("stop", f"at most {_MAX_STOPS} sequences are possible.")
    return kept


def _seed(seed: int | None, report: ReportBuilder) -> int | None:
    if seed is None or -(2**31) <= seed < 2**31:
        return seed
    report.emulated("seed")
    return seed % 2**31


def _sampling(chat: ChatCompletionRequest, profile: ModelProfile, report: ReportBuilder) -> _Object:
    extra = chat.model_extra or {}
    values: _Object = {
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "top_k": extra.get("top_k"),
        "frequency_penalty": chat.frequency_penalty or None,
        "presence_penalty": chat.presence_penalty or None,
    }
    if profile.sampling:
        return {_NATIVE[name]: value for name, value in values.items()}
    for name, value in values.items():
        if value is not None and not (value == 1 and name in ("temperature", "top_p")):
            report.ignored(name)
    return {}


_NATIVE = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}


def _logprobs(chat: ChatCompletionRequest, report: ReportBuilder) -> _Object:
    if not chat.logprobs:
        if chat.top_logprobs:
            report.ignored("top_logprobs")
        return {}
    return {"responseLogprobs": True, "logprobs": chat.top_logprobs or None}


def _thinking(
    chat: ChatCompletionRequest, google: _Object, profile: ModelProfile, report: ReportBuilder
) -> _Object | None:
    effort = chat.reasoning_effort
    if (own := google.get("thinking_config")) is not None:
        if effort is not None:
            report.ignored("reasoning_effort")
        return own
    if effort is None:
        return None
    if profile.thinking is None:
        # These models do not think, which is what "none" asks for.
        if effort != "none":
            report.ignored("reasoning_effort")
        return None
    if effort != "none" and effort not in _LEVELS:
        report.ignored("reasoning_effort")
        return None
    if profile.thinking == "level":
        return _level(effort, profile, report)
    return _budget(effort, profile, report)


def _level(effort: str, profile: ModelProfile, report: ReportBuilder) -> _Object:
    level = str(profile.lowest) if effort == "none" else _LEVELS[effort]
    if level == "MINIMAL":
        level = str(profile.lowest)
    if level == "MEDIUM" and not profile.medium:
        level = "HIGH"
    if level.lower() != effort:
        report.emulated("reasoning_effort")
    return {"includeThoughts": effort != "none", "thinkingLevel": level}


def _budget(effort: str, profile: ModelProfile, report: ReportBuilder) -> _Object:
    lowest = int(profile.lowest)
    if effort == "none":
        if lowest:
            report.emulated("reasoning_effort")
        return {"includeThoughts": False, "thinkingBudget": lowest}
    report.emulated("reasoning_effort")
    budget = lowest if lowest and effort == "minimal" else _BUDGETS[effort]
    return {"includeThoughts": True, "thinkingBudget": budget}

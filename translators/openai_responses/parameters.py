"""The fields beside the conversation and its tools.

https://developers.openai.com/api/reference/resources/responses/methods/create
"""

from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.openai_responses.content import Item
from translators.openai_responses.models import ModelProfile
from translators.wire.request import ChatCompletionRequest

__all__ = ["to_logprobs", "to_max_tokens", "to_reasoning", "to_sampling", "to_text"]

_MIN_TOKENS = 16
"""Below it: "Invalid 'max_output_tokens': integer below minimum value"."""

_REASONING = ("effort", "summary", "context", "mode")


def to_reasoning(
    chat: ChatCompletionRequest,
    *,
    profile: ModelProfile,
    summary: str | None,
    report: ReportBuilder,
) -> Item | None:
    """Return `reasoning`, or None where nothing is asked for.

    Args:
        chat: The request; it may bring the API's own `reasoning`.
        profile: What the model takes.
        summary: Which summary to ask for where the request does not say.
        report: Where to say what was not carried over.
    """
    own: Any = (chat.model_extra or {}).get("reasoning")
    effort = chat.reasoning_effort
    if own is not None and not isinstance(own, dict):
        report.ignored("reasoning")
    fields = cast("Item", own) if isinstance(own, dict) else {}
    if profile.thinks is False:
        # They do not reason, which is what "none" asks for.
        if effort not in (None, "none"):
            report.ignored("reasoning_effort")
        if fields and fields.get("effort") != "none":
            report.ignored("reasoning")
        return None
    native = {name: fields[name] for name in _REASONING if isinstance(fields.get(name), str)}
    report.ignored_fields("reasoning", fields, known=frozenset(native))
    if effort is not None:
        if native.get("effort", effort) != effort:
            report.ignored("reasoning.effort")
        native["effort"] = effort
    if summary is not None and native.get("effort") != "none":
        native.setdefault("summary", summary)
    return native or None


def to_sampling(chat: ChatCompletionRequest, *, rests: bool, report: ReportBuilder) -> Item:
    """Return `temperature` and `top_p` for models that take them.

    "Unsupported parameter: 'temperature' is not supported with this model": a 400.

    Args:
        chat: The request.
        rests: Whether the model will not reason; those that do refuse both.
        report: Where to say what was not carried over.
    """
    values = {"temperature": chat.temperature, "top_p": chat.top_p}
    wanted = {name: value for name, value in values.items() if value is not None}
    if rests:
        return wanted
    for name, value in wanted.items():
        if value != 1:
            report.ignored(name)
    return {}


def to_max_tokens(chat: ChatCompletionRequest, report: ReportBuilder) -> int | None:
    """Return the limit in tokens, at least what the API takes."""
    newer, older = chat.max_completion_tokens, chat.max_tokens
    if newer is not None and older is not None and newer != older:
        report.ignored("max_tokens")
    limit = newer or older
    if limit is None or limit >= _MIN_TOKENS:
        return limit
    report.emulated("max_completion_tokens" if newer else "max_tokens")
    return _MIN_TOKENS


def to_text(chat: ChatCompletionRequest, report: ReportBuilder) -> Item | None:
    """Return `text`: the form of the answer and its verbosity."""
    text: Item = {}
    if (form := _format(chat, report)) is not None:
        text["format"] = form
    if chat.verbosity is not None:
        text["verbosity"] = chat.verbosity
    return text or None


def to_logprobs(chat: ChatCompletionRequest, *, rests: bool, report: ReportBuilder) -> int | None:
    """Return how many likely tokens to name at each place; None: probabilities are not wanted.

    Raises:
        TranslationError: The model reasons, and has none.
    """
    if not chat.logprobs:
        if chat.top_logprobs:
            report.ignored("top_logprobs")
        return None
    if not rests:
        # "logprobs are not supported with reasoning models": a 400 that names `include`.
        raise report.reject("logprobs", "models that reason tell no probabilities of tokens.")
    return chat.top_logprobs or 0


def _format(chat: ChatCompletionRequest, report: ReportBuilder) -> Item | None:
    form = chat.response_format
    if form is None or form.type == "text":
        return None
    report.ignored_fields("response_format", form.model_extra or {})
    if form.type == "json_object":
        return {"type": "json_object"}
    wanted = form.json_schema
    if wanted is None:
        raise report.reject("response_format.json_schema", "the type `json_schema` needs it.")
    report.ignored_fields("response_format.json_schema", wanted.model_extra or {})
    native: Item = {"type": "json_schema", "name": wanted.name}
    if wanted.description is not None:
        native["description"] = wanted.description
    native["schema"] = wanted.schema_ or {}
    native["strict"] = bool(wanted.strict)
    return native

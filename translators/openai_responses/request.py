"""OpenAI's chat request to the body of `POST /responses`.

https://developers.openai.com/api/reference/resources/responses/methods/create
"""

from dataclasses import dataclass
from typing import Any, Literal

from translators.fidelity import ReportBuilder, Rules
from translators.openai_responses import parameters
from translators.openai_responses.fidelity import RULES
from translators.openai_responses.messages import to_items
from translators.openai_responses.models import profile_of
from translators.openai_responses.tools import to_tool_choice, to_tools
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["DIALECT", "OpenAIResponsesOptions", "to_native"]

DIALECT = "openai_responses"

_RULES = Rules(RULES)

_SAME = (
    *("metadata", "moderation", "prompt_cache_key", "prompt_cache_options"),
    *("prompt_cache_retention", "safety_identifier", "service_tier", "user"),
)
"""Fields that have the same name and form in both APIs."""


@dataclass(frozen=True, slots=True)
class OpenAIResponsesOptions:
    """How an account or a compatible server differs.

    Attributes:
        reasoning_summary: Which summary of its reasoning to ask the model for, where the request
            does not say. Not asked for by default: "Your organization must be verified to
            generate reasoning summaries", a 400 for whoever is not (litellm#16032).
        encrypted_reasoning: Whether to ask for the reasoning in a form that can be sent back.
            None: where the model's name says that it reasons; the others refuse it.
    """

    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    encrypted_reasoning: bool | None = None


def to_native(
    chat: ChatCompletionRequest, *, model: str, options: OpenAIResponsesOptions
) -> Translated[HttpRequest]:
    """Return the native request for `model`.

    Raises:
        TranslationError: The API cannot express `chat`.
    """
    report = ReportBuilder(DIALECT)
    report.begin(chat, _RULES)
    profile = profile_of(model)
    reasoning = parameters.to_reasoning(
        chat, profile=profile, summary=options.reasoning_summary, report=report
    )
    idle = profile.rests and reasoning is not None and reasoning.get("effort") == "none"
    rests = idle or not profile.thinks
    likely = parameters.to_logprobs(chat, rests=rests, report=report)
    encrypted = options.encrypted_reasoning
    if encrypted is None:
        encrypted = bool(profile.thinks)
    include = ["reasoning.encrypted_content"] if encrypted else []
    if likely is not None:
        include.append("message.output_text.logprobs")
    optional: dict[str, Any] = {
        "tools": to_tools(chat, report) or None,
        "tool_choice": to_tool_choice(chat, report),
        "parallel_tool_calls": _parallel(chat),
        "text": parameters.to_text(chat, report),
        "reasoning": reasoning,
        "max_output_tokens": parameters.to_max_tokens(chat, report),
        **parameters.to_sampling(chat, rests=rests, report=report),
        "top_logprobs": likely,
        "include": include or None,
        **{name: getattr(chat, name) for name in _SAME},
        # Kept answers are the client's wish, never ours: absent, the API would keep them.
        "store": bool(chat.store),
        **_streaming(chat),
    }
    body: dict[str, Any] = {
        "model": model,
        "input": to_items(chat.messages, profile=profile, report=report),
        **{name: value for name, value in optional.items() if value is not None},
    }
    choices = chat.n or 1
    if choices > 1:
        report.emulated("n")
    return Translated(HttpRequest("/responses", body), report.build(), choices=choices)


def _parallel(chat: ChatCompletionRequest) -> bool | None:
    if chat.uses_functions:
        return False  # The legacy form has room for one call.
    return chat.parallel_tool_calls if chat.tools else None


def _streaming(chat: ChatCompletionRequest) -> dict[str, Any]:
    # The API pads its events with random text by default, of which nothing goes on to the client.
    padded = bool(chat.stream_options and chat.stream_options.include_obfuscation)
    options = {"include_obfuscation": padded}
    return {"stream": True, "stream_options": options} if chat.stream else {}

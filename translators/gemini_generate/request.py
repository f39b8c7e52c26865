"""OpenAI's chat request to the body of `generateContent`.

https://ai.google.dev/api/generate-content
"""

from typing import Any
from urllib.parse import quote

from translators.fidelity import ReportBuilder
from translators.gemini_generate import parameters
from translators.gemini_generate.fidelity import RULES
from translators.gemini_generate.messages import to_conversation
from translators.gemini_generate.models import profile_of
from translators.gemini_generate.tools import to_tool_config, to_tools
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["DIALECT", "to_native"]

DIALECT = "gemini_generate"

_NOT_COMPARED = {"messages", "tools", "functions", "response_format"}


def to_native(
    chat: ChatCompletionRequest, *, model: str, api_version: str
) -> Translated[HttpRequest]:
    """Return the native request for `model`.

    Raises:
        TranslationError: The API cannot express `chat`.
    """
    report = ReportBuilder(DIALECT)
    fields = chat.model_dump(exclude_unset=True, by_alias=True, exclude=_NOT_COMPARED)
    if not (chat.tools or chat.functions):
        fields.pop("parallel_tool_calls", None)  # Without tools it says nothing.
    report.apply(fields.items(), RULES)
    if chat.stream_options is not None:
        if chat.stream_options.include_obfuscation:
            report.ignored("stream_options.include_obfuscation")
        report.ignored_fields("stream_options", chat.stream_options.model_extra or {})
    profile = profile_of(model)
    google = parameters.google_fields(chat, report)
    conversation = to_conversation(chat.messages, profile=profile, report=report)
    tools = to_tools(chat, report)
    optional: dict[str, Any] = {
        "systemInstruction": {"parts": conversation.system} if conversation.system else None,
        "tools": tools,
        "toolConfig": to_tool_config(chat, profile=profile, report=report),
        "contents": conversation.contents,
        "generationConfig": parameters.generation_config(
            chat, google, profile=profile, report=report
        ),
        "safetySettings": parameters.to_safety_settings(chat, report),
        "cachedContent": google.get("cached_content"),
        "serviceTier": parameters.to_service_tier(chat.service_tier, report),
    }
    body = {name: value for name, value in optional.items() if value}
    return Translated(HttpRequest(_path(model, api_version, chat.stream), body), report.build())


def _path(model: str, api_version: str, stream: bool | None) -> str:
    """Return the path; a streamed answer without `alt=sse` would be one JSON array."""
    collection, slash, name = model.rpartition("/")
    if slash and collection in ("models", "tunedModels"):
        place = f"{collection}/{quote(name, safe='')}"
    else:
        place = f"models/{quote(model, safe='')}"
    method = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
    return f"/{api_version}/{place}{method}"

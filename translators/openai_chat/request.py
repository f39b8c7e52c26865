"""A chat request, for a server that speaks the same language."""

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from translators.fidelity import ReportBuilder
from translators.openai_chat.fidelity import (
    CALL_EXTENSIONS,
    MESSAGE_EXTENSIONS,
    SILENT_EXTENSIONS,
)
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["OpenAIChatOptions", "to_native"]

JSONObject = dict[str, Any]

_REASONING_MODEL = re.compile(r"(^|[/:])(o\d|gpt-([5-9]|[12]\d))")
"""OpenAI's models that refuse `max_tokens`: "Use 'max_completion_tokens' instead." Fine-tuned
ones are called `ft:gpt-5…`; `gpt-35…` is Azure's name for an older one."""

_OWN_AUDIO = re.compile(r"audio[_-][0-9a-f-]+")
"""Ids of OpenAI's spoken answers. Those that other providers' answers get from us end in the
answer's id, which holds other letters too (Gemini's are Base64)."""

_SAID = ("content", "tool_calls", "function_call", "refusal", "audio")
"""Keys of an assistant message of which it must have one."""


@dataclass(frozen=True, slots=True)
class OpenAIChatOptions:
    """How a compatible server differs from OpenAI.

    Attributes:
        stream_usage: Ask for token counts in streams, whether or not the client did: the trace
            needs them. False for servers that refuse `stream_options`.
        max_tokens_field: The server's name for the limit; `auto` goes by the model.
        message_extensions: What to do with keys of assistant messages that are not OpenAI's.
    """

    stream_usage: bool = True
    max_tokens_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    message_extensions: Literal["strip", "forward"] = "strip"


def to_native(
    chat: ChatCompletionRequest, *, model: str, options: OpenAIChatOptions
) -> Translated[HttpRequest]:
    """Return the request for `POST /chat/completions`."""
    report = ReportBuilder("openai_chat")
    body = chat.to_wire()
    body["model"] = model
    if options.message_extensions == "strip":
        for message in cast("list[JSONObject]", body["messages"]):
            _strip(message, report)
    _name_limit(body, model=model, field=options.max_tokens_field)
    if chat.stream and options.stream_usage:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    elif not chat.stream and body.get("stream_options") is not None:
        # OpenAI refuses the field without `stream`; it asks for nothing then.
        del body["stream_options"]
    return Translated(HttpRequest("/chat/completions", body), report.build())


def _strip(message: JSONObject, report: ReportBuilder) -> None:
    if message["role"] != "assistant":
        return
    if message.get("tool_calls", ()) is None:
        # OpenAI refuses null here, and its SDK's `model_dump` writes it.
        del message["tool_calls"]
    foreign = sorted(MESSAGE_EXTENSIONS & message.keys())
    for key in foreign:
        if message.pop(key) and key not in SILENT_EXTENSIONS:
            report.ignored(f"messages[].{key}")
    for call in cast("list[JSONObject]", message.get("tool_calls") or ()):
        for key in sorted(CALL_EXTENSIONS & call.keys()):
            if call.pop(key) and key not in SILENT_EXTENSIONS:
                report.ignored(f"messages[].tool_calls[].{key}")
    if message.get("audio"):
        _refer_to_audio(message, report)
    if foreign and not any(message.get(key) for key in _SAID):
        # OpenAI refuses a message of nothing, unless that is a text.
        message["content"] = ""


def _refer_to_audio(message: JSONObject, report: ReportBuilder) -> None:
    """Send of a spoken answer what OpenAI takes, its id: it keeps the rest, but of its own only."""
    audio = cast("JSONObject", message.pop("audio"))
    if _OWN_AUDIO.fullmatch(audio["id"]):
        message["audio"] = {"id": audio["id"]}
        return
    report.ignored("messages[].audio")
    if not any(message.get(key) for key in _SAID):
        words = audio.get("transcript")
        message["content"] = words if isinstance(words, str) else ""


def _name_limit(body: JSONObject, *, model: str, field: str) -> None:
    """Send the length limit under the name the target knows."""
    if field == "auto":
        if not _REASONING_MODEL.search(model):
            return
        field = "max_completion_tokens"
    other = "max_tokens" if field == "max_completion_tokens" else "max_completion_tokens"
    limit = body.pop(other, None)
    if limit is not None and body.get(field) is None:
        body[field] = limit

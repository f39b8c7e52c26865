"""OpenAI's chat request to the body of `POST /v1/messages`.

https://platform.claude.com/docs/en/api/messages/create
"""

from collections.abc import Iterator
from typing import Any

from translators.anthropic_messages import parameters
from translators.anthropic_messages.content import Block
from translators.anthropic_messages.fidelity import RULES
from translators.anthropic_messages.messages import to_conversation
from translators.anthropic_messages.models import profile_of
from translators.anthropic_messages.tools import to_tool_choice, to_tools
from translators.fidelity import ReportBuilder
from translators.protocol import HttpRequest, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["DIALECT", "to_native"]

DIALECT = "anthropic_messages"

_VERSION = "2026-10-21"
_SAMPLING_VERSION = "2023-06-01"
_MAX_CACHE_MARKS = 4
_NOT_COMPARED = {"messages", "tools", "functions"}


def to_native(
    chat: ChatCompletionRequest, *, model: str, default_max_tokens: int | None
) -> Translated[HttpRequest]:
    """Return the native request for `model`.

    Raises:
        TranslationError: The API cannot express `chat`.
    """
    report = ReportBuilder(DIALECT)
    fields = chat.model_dump(exclude_unset=True, by_alias=True, exclude=_NOT_COMPARED)
    report.apply(fields.items(), RULES)
    if chat.stream_options is not None and chat.stream_options.include_obfuscation:
        report.ignored("stream_options.include_obfuscation")
    if chat.stream_options is not None:
        report.ignored_fields("stream_options", chat.stream_options.model_extra or {})
    profile = profile_of(model)
    conversation = to_conversation(chat.messages, profile=profile, report=report)
    choice = to_tool_choice(chat, profile=profile, report=report)
    forced = choice is not None and choice["type"] in ("any", "tool")
    reasoning = parameters.to_reasoning(chat, profile=profile, forced=forced, report=report)
    thinking = reasoning.get("thinking", {}).get("type") in ("adaptive", "enabled")
    tools = to_tools(chat, conversation.called, report)
    if tools and choice is None and not (chat.tools or chat.functions):
        choice = {"type": "none"}
    sampling = parameters.to_sampling(chat, profile=profile, thinking=thinking, report=report)
    optional: Block = {
        "system": conversation.system,
        "tools": tools,
        "tool_choice": choice,
        "stop_sequences": parameters.to_stop_sequences(chat.stop, report),
        "metadata": parameters.to_metadata(chat, report),
        "service_tier": parameters.to_service_tier(chat.service_tier, report),
        "cache_control": parameters.to_cache_control(chat, report),
        "stream": chat.stream,
    }
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": parameters.max_tokens(
            chat, default=default_max_tokens, profile=profile, report=report
        ),
        "messages": conversation.turns,
        **{name: value for name, value in optional.items() if value},
        **reasoning,
        **sampling,
    }
    _limit_cache_marks(body, report)
    old = bool(sampling) or profile.compatible
    headers = {"anthropic-version": _SAMPLING_VERSION if old else _VERSION}
    return Translated(HttpRequest("/v1/messages", body, headers), report.build())


def _limit_cache_marks(body: dict[str, Any], report: ReportBuilder) -> None:
    """Keep the last marks: the API takes four, and the longest prefix is worth most."""
    marked = [block for block in _blocks(body) if "cache_control" in block]
    room = _MAX_CACHE_MARKS - ("cache_control" in body)
    for block in marked[: max(len(marked) - room, 0)]:
        del block["cache_control"]
        report.ignored("cache_control")


def _blocks(body: dict[str, Any]) -> Iterator[Block]:
    """Yield what can carry a cache mark, in the order of the prompt."""
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            if block["type"] == "tool_result":
                yield from block.get("content", ())
            yield block

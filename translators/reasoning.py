"""Reasoning that comes back without the client: what a call carried in an answer, put back on it.

Providers want their thinking back with the calls that followed it. Clients that send whole
messages return it in `reasoning_details` or in the calls' `extra_content`; many keep only `id`,
`type` and `function`. What `Outcome.reasoning` said of a call, under its id, is put in its place.

1. A message that brings anything of its own is left alone: the client's word is newer than ours.
2. Only what the target's own API gave is put back. Another vendor's would be removed again, and
   reported as ignored although no client sent it.
3. An id that stands in a conversation twice says nothing: neither of its calls gets anything.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from translators.wire.content import AssistantMessage, Message, ToolCall
from translators.wire.request import ChatCompletionRequest

__all__ = [
    "MOST_CALLS",
    "VENDORS",
    "bare_calls",
    "has_reasoning",
    "of_vendor",
    "restore",
    "without_reasoning",
    "without_restored",
]

VENDORS: Final[Mapping[str, str]] = {
    "anthropic_messages": "anthropic",
    "gemini_generate": "google",
    "openai_responses": "openai",
}
"""Dialect to the key of `extra_content` under which it gives its reasoning, and wants it back."""

MOST_CALLS: Final = 4096
"""Calls of a conversation that are looked at, its last ones: a bound for hostile requests. What
is missing must be missing from the beginning on; a gap between two thoughts is an error with
Anthropic (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking)."""


def bare_calls(messages: Iterable[Message]) -> list[str]:
    """Return the ids of the calls that came back without any reasoning, in their order."""
    bare: dict[str, bool] = {}
    for message in messages:
        if message.role == "assistant" and message.tool_calls:
            own = _has_own(message, message.tool_calls)
            for call in message.tool_calls:
                bare[call.id] = not (own or call.id in bare)
    return [id for id, wanted in bare.items() if wanted][-MOST_CALLS:]


def of_vendor(entries: Mapping[str, Any], vendor: str) -> dict[str, dict[str, Any]]:
    """Return what one vendor may have back of `entries`, which are as in `Outcome.reasoning`."""
    found: dict[str, dict[str, Any]] = {}
    for id, entry in entries.items():
        extra = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if extra.get(vendor):
            found[id] = {vendor: extra[vendor]}
    return found


def restore(
    chat: ChatCompletionRequest, entries: Mapping[str, Mapping[str, Any]]
) -> ChatCompletionRequest:
    """Return `chat` with `entries` as the `extra_content` of the calls that they belong to.

    Args:
        chat: Not changed; what needs no change is shared with the result.
        entries: By the ids that `bare_calls` gave.
    """
    if not entries:
        return chat
    messages = [_restored(message, entries) for message in chat.messages]
    return chat.model_copy(update={"messages": messages})


def has_reasoning(chat: ChatCompletionRequest) -> bool:
    """Whether `chat` brings back what a provider may have signed."""
    for message in chat.messages:
        if message.role == "assistant":
            calls = message.tool_calls
            if (calls or message.model_extra) and _has_own(message, calls or []):
                return True
    return False


def without_restored(chat: ChatCompletionRequest) -> ChatCompletionRequest:
    """Return `chat` as it was before `restore`: what the client sent itself stays."""
    messages = [_plain(message) for message in chat.messages]
    if all(map(operator.is_, messages, chat.messages)):
        return chat
    return chat.model_copy(update={"messages": messages})


def without_reasoning(
    chat: ChatCompletionRequest,
) -> tuple[ChatCompletionRequest, tuple[str, ...]]:
    """Return `chat` without what a provider signed, and the paths of what its client sent of that.

    What can be read stays: a translator knows what becomes of it. Nothing to remove: `chat` itself.
    """
    lost: dict[str, None] = {}
    messages: list[Message] = []
    for message in chat.messages:
        plain = message
        if isinstance(message, AssistantMessage):
            if (message.model_extra or {}).get("reasoning_details"):
                lost["messages[].reasoning_details"] = None
                fields = message.model_dump(exclude={"reasoning_details"}, exclude_unset=True)
                plain = AssistantMessage.model_validate(fields)
            calls = message.tool_calls or []
            if any(map(_is_signed, calls)):
                if any(_is_signed(call) and not _is_restored(call) for call in calls):
                    lost["messages[].tool_calls[].extra_content"] = None
                bare = [_without_extra(call) if _is_signed(call) else call for call in calls]
                plain = plain.model_copy(update={"tool_calls": bare})
        messages.append(plain)
    if all(map(operator.is_, messages, chat.messages)):
        return chat, ()
    return chat.model_copy(update={"messages": messages}), tuple(lost)


class _Restored(dict[str, Any]):
    """An `extra_content` that no client has sent."""


def _plain(message: Message) -> Message:
    calls = message.tool_calls if isinstance(message, AssistantMessage) else None
    if not calls or not any(map(_is_restored, calls)):
        return message
    plain = [_without_extra(call) if _is_restored(call) else call for call in calls]
    return message.model_copy(update={"tool_calls": plain})


def _is_restored(call: ToolCall) -> bool:
    return isinstance((call.model_extra or {}).get("extra_content"), _Restored)


def _is_signed(call: ToolCall) -> bool:
    return bool((call.model_extra or {}).get("extra_content"))


def _without_extra(call: ToolCall) -> ToolCall:
    return type(call).model_validate(call.model_dump(exclude={"extra_content"}, exclude_unset=True))


def _restored(message: Message, entries: Mapping[str, Mapping[str, Any]]) -> Message:
    if not isinstance(message, AssistantMessage) or not message.tool_calls:
        return message
    if not any(call.id in entries for call in message.tool_calls):
        return message
    calls = [
        call.model_copy(update={"extra_content": _Restored(entries[call.id])})
        if call.id in entries
        else call
        for call in message.tool_calls
    ]
    return message.model_copy(update={"tool_calls": calls})


def _has_own(message: AssistantMessage, calls: list[ToolCall]) -> bool:
    if message.model_extra and message.model_extra.get("reasoning_details"):
        return True
    return any(map(_is_signed, calls))

"""Which requests may be answered with a kept answer, and what makes two of them the same.

Two requests are the same if the same client asks the same persona, as it stands in the policy now,
and says the same: with all that it says, but for what only says how the answer is to be sent, and
for fields of the caller's books, of which only counts whether they are there (a provider that
ignores them says so in the answer's report). The order of keys does not count where OpenAI
defines the keys. It does in what is the client's own, above all in JSON schemas: models write
their answers in the order of a schema's properties.
"""

import hashlib
from typing import Any, Final

import msgspec

from policy.decision import Decision
from policy.personas import with_parameters
from policy.schema import Policy
from translators.wire.content import AssistantMessage, FilePart, ImagePart, InputAudioPart, Message
from translators.wire.request import ChatCompletionRequest, CustomTool, FunctionTool

__all__ = ["answer_key", "persona_version", "why_not_kept"]

_BOOKS: Final = ("metadata", "prompt_cache_key", "safety_identifier", "user")
"""Fields that say whose request it is, to whoever counts or bills it, and change no answer."""

_TEXTS: Final = ("text", "refusal")

# Not JSON: it has a form for every number that a request can hold, so that no two look alike.
_encode: Final = msgspec.msgpack.Encoder().encode


def why_not_kept(chat: ChatCompletionRequest, decision: Decision, policy: Policy) -> str | None:
    """Return why an answer to `chat` must be a new one; None where an earlier one will do.

    Args:
        chat: The caller's request.
        decision: Where it may go.
        policy: That was decided by.
    """
    targets = (*decision.targets, *decision.held)
    if any(policy.providers[target.provider].agent is not None for target in targets):
        return "agent"
    persona = policy.personas[decision.persona]
    chat = with_parameters(chat, persona) if persona.parameters else chat
    if (chat.n or 1) > 1:
        return "choices"
    if chat.store:
        return "store"
    if chat.web_search_options is not None:
        return "web_search"
    if chat.audio is not None or "audio" in (chat.modalities or ()):
        return "audio"
    if any(not isinstance(tool, FunctionTool | CustomTool) for tool in chat.tools or ()):
        return "provider_tools"
    return "media_by_address" if any(map(_points_elsewhere, chat.messages)) else None


def _points_elsewhere(message: Message) -> bool:
    """Whether a message names something whose content it does not hold, or that we do not know."""
    if isinstance(message, AssistantMessage) and message.audio is not None:
        return True
    parts = () if message.content is None or isinstance(message.content, str) else message.content
    return any(not _holds_content(part) for part in parts)


def _holds_content(part: Any) -> bool:
    if isinstance(part, ImagePart):
        return _is_data(part.image_url.url)
    if isinstance(part, InputAudioPart):
        return _is_data(part.input_audio.data, bare=True)
    if isinstance(part, FilePart):
        file = part.file
        # Without further fields: `file_url` is one.
        return (
            file.file_data is not None
            and file.file_id is None
            and not file.model_extra
            and (_is_data(file.file_data, bare=True))
        )
    return part.type in _TEXTS


def _is_data(value: str, *, bare: bool = False) -> bool:
    if value[:5].lower() == "data:":
        return True
    return bare and ":" not in value[:64]


def answer_key(chat: ChatCompletionRequest, *, tenant: str, version: bytes) -> str | None:
    """Return what stands for a request: the same for the same, and it says nothing of it.

    Args:
        chat: The caller's request; `model` names the persona.
        tenant: Whose request it is.
        version: Of the persona, from `persona_version`.

    Returns:
        A SHA-256 in hexadecimal. None for a request that has no such form.
    """
    try:
        return hashlib.sha256(_encode([tenant, version, _said(chat)])).hexdigest()
    except (OverflowError, RecursionError, TypeError, ValueError):
        # A number of more than 64 bits, or nesting without end.
        return None


def _said(chat: ChatCompletionRequest) -> dict[str, Any]:
    # In the order of the wire format's definition, whatever the client's was.
    wire = chat.to_wire()
    for name in [name for name, value in wire.items() if value is None]:
        # Null is not set, where we know the field.
        if name in type(chat).model_fields:
            del wire[name]
    wire.pop("stream", None)
    options: dict[str, Any] = wire.pop("stream_options", None) or {}
    options.pop("include_usage", None)
    if options:
        wire["stream_options"] = options
    # Of two that are the same, some providers take one, and report nothing.
    if wire.get("user") and wire.get("user") == wire.get("safety_identifier"):
        wire["one user"] = True
    for name in _BOOKS:
        if name in wire:
            wire[name] = bool(wire[name])
    return dict(sorted(wire.items()))


def persona_version(policy: Policy, name: str) -> bytes:
    """Return what differs where a persona is served otherwise: prompt, parameters, providers."""
    persona = policy.personas[name]
    # Not what people read, nor how long answers are kept.
    row = persona.model_dump(mode="json", exclude={"cache", "description"})
    candidates = [*policy.candidates[name], *([policy.last_resort] if policy.last_resort else ())]
    providers = [
        [
            candidate.target.provider,
            candidate.target.model,
            sorted(candidate.capabilities),
            policy.providers[candidate.target.provider].model_dump(mode="json", exclude={"prices"}),
        ]
        for candidate in candidates
    ]
    return hashlib.sha256(_encode([name, row, providers])).digest()

"""What a persona makes of a request."""

from typing import Any

from policy.schema import Persona
from translators.wire.request import ChatCompletionRequest

__all__ = ["apply", "with_parameters"]

# Two names of one limit: a caller that sets either has set it.
_SAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


def apply(chat: ChatCompletionRequest, persona: Persona | None) -> ChatCompletionRequest:
    """Return the request as the persona makes it; the caller's own is not changed.

    The persona's system prompt comes first, before the caller's; its parameters count where the
    caller set none. A parameter that the caller set to null is not set.

    Args:
        chat: The caller's request.
        persona: None for a model that was named directly: nothing is added.
    """
    if persona is None:
        return chat
    changes = _defaults(chat, persona)
    if persona.prompt is not None:
        changes["messages"] = [persona.prompt, *chat.messages]
    return chat.model_copy(update=changes) if changes else chat


def with_parameters(chat: ChatCompletionRequest, persona: Persona) -> ChatCompletionRequest:
    """Return the request with the persona's parameters, where the caller set none."""
    changes = _defaults(chat, persona)
    return chat.model_copy(update=changes) if changes else chat


def _defaults(chat: ChatCompletionRequest, persona: Persona) -> dict[str, Any]:
    if not persona.parameters:
        return {}
    return {
        name: value
        for name, value in persona.parameters.items()
        if getattr(chat, name) is None and (name not in _SAME or getattr(chat, _SAME[name]) is None)
    }

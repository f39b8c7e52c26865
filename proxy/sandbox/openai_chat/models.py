"""What the sandbox knows of OpenAI's models: which exist, and what each refuses.

Sources: recorded 400s (`stop`, `max_tokens`, `temperature` on reasoning models) and the public
reports on GPT-5.4 and later refusing function tools with reasoning on this API.
"""

import re
from dataclasses import dataclass

from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat import refusals

__all__ = ["Traits", "chatting", "described", "known", "listed", "served", "traits"]

_LISTED = (
    "gpt-6-astra",
    "gpt-6-sol",
    "gpt-5.6-sol",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-5.5",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.2",
    "gpt-5.1",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4.1-nano",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-audio-mini",
    "o4-mini",
    "o3",
    "o3-mini",
)
# An alias is answered in the name of the snapshot behind it.
_SNAPSHOTS = {
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "o4-mini": "o4-mini-2025-04-16",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
}
_BORN = 1_780_000_000
_RESPONSES_ONLY = re.compile(r"-(pro|codex|deep-research)(-|$)")
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?(?!\d|o)")


@dataclass(frozen=True, slots=True)
class Traits:
    """What a model does with the parameters that differ between models."""

    reasons: bool
    # The effort that counts when the request names none; `None` before GPT-5.
    default_effort: str | None
    # Function tools need `reasoning_effort: none` here; otherwise the Responses API.
    tools_need_no_reasoning: bool

    def is_reasoning(self, effort: str | None) -> bool:
        """Whether the model reasons in a request with this `reasoning_effort`."""
        return self.reasons and (effort or self.default_effort) != "none"


def traits(model: str) -> Traits:
    """Return what `model` does, judged by its name."""
    if re.match(r"o\d", model):
        return Traits(True, "medium", False)
    match = _VERSION.match(model)
    if match is None or "chat" in model:
        return Traits(False, None, False)
    version = (int(match[1]), int(match[2] or 0))
    if version < (5, 0):
        return Traits(False, None, False)
    quiet = (5, 1) <= version < (5, 6)
    return Traits(True, "none" if quiet else "medium", version >= (5, 4))


def served(model: str) -> str:
    """Return the name that an answer of `model` carries."""
    return _SNAPSHOTS.get(model, model)


def known(model: str) -> None:
    """Refuse a model that does not exist: any name that says so.

    Raises:
        Rejection: 404, as the service words it.
    """
    if "does-not-exist" in model:
        raise refusals.refuse(
            f"The model `{model}` does not exist or you do not have access to it.",
            None,
            "model_not_found",
            status=404,
        )


def chatting(model: str) -> None:
    """Refuse a model that the Responses API alone serves.

    Raises:
        Rejection: 404, as the service words it.
    """
    if _RESPONSES_ONLY.search(model):
        raise refusals.refuse(
            "This model is only supported in v1/responses and not in v1/chat/completions.",
            "model",
            status=404,
        )


def described(model: str) -> JsonObject:
    """Return the model's entry, as `GET /v1/models/{id}` gives it."""
    known(model)
    return {"id": model, "object": "model", "created": _BORN, "owned_by": "system"}


def listed() -> JsonObject:
    """Return the answer of `GET /v1/models`."""
    return {"object": "list", "data": [described(model) for model in _LISTED]}

"""Several answers to one: the choices of one completion, or an answer and what replaced it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from translators.json import encode
from translators.protocol import Completion, Outcome
from translators.wire.response import Usage, add_usage

__all__ = ["CombinedOutcome", "combine"]


class CombinedOutcome(Outcome):
    """What is known of several answers together, kept up to date by their own translators.

    Token counts are added up and what providers want back is put together; for the rest one of
    the answers speaks.

    Args:
        parts: More may be added to it later.
        speaker: The position of the one that speaks.
    """

    __slots__ = ("_parts", "_reasoning", "_speaker")

    def __init__(self, parts: Sequence[Outcome], *, speaker: int = 0) -> None:
        self._parts = parts
        self._speaker = speaker
        self._reasoning: dict[str, Any] = {}

    @property
    def id(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The provider's id of the answer that speaks."""
        return self._parts[self._speaker].id

    @property
    def model(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The model that gave it."""
        return self._parts[self._speaker].model

    @property
    def finish_reason(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """OpenAI's reason why it ended."""
        return self._parts[self._speaker].finish_reason

    @property
    def native_finish_reason(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The provider's."""
        return self._parts[self._speaker].native_finish_reason

    @property
    def usage(self) -> Usage | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The tokens of all of them: each request is paid for."""
        total: Usage | None = None
        for part in self._parts:
            total = add_usage(total, part.usage)
        return total

    @property
    def reasoning(self) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """By tool call's id, what the provider wants back with it; new entries come last."""
        for part in self._parts:
            for id, extra in part.reasoning.items():
                self._reasoning.setdefault(id, extra)
        return self._reasoning


def combine(parts: Sequence[Completion]) -> Completion:
    """Return the completion that has the choices of all `parts`, in their order.

    What stands around the choices is the first one's; token counts are added up.
    """
    outcome = CombinedOutcome([part.outcome for part in parts])
    bodies = [msgspec.json.decode(part.data, type=dict[str, msgspec.Raw]) for part in parts]
    choices: list[msgspec.Raw] = []
    for body in bodies:
        choices += msgspec.json.decode(body["choices"], type=list[msgspec.Raw])
    usage = outcome.usage
    whole: dict[str, Any] = {**bodies[0], "choices": choices}
    if usage is not None:
        whole["usage"] = usage
    return Completion(encode(whole), outcome)

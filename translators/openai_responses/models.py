"""What OpenAI's models take and refuse, by their names.

https://developers.openai.com/api/docs/guides/reasoning and .../latest-model; fine-tuned models
are called `ft:gpt-4o…`, and a name of one's own (a deployment at Azure) says nothing.
"""

import re
from dataclasses import dataclass

__all__ = ["ModelProfile", "profile_of"]


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What differs between models.

    Attributes:
        thinks: Whether it reasons; None where the name does not say. The others refuse
            `reasoning`, reasoning items and `include: ["reasoning.encrypted_content"]` ("Encrypted
            content is not supported with this model", a 400 for gpt-4o: pydantic-ai#2865).
        rests: Whether it knows the effort `none`, with which alone it takes `temperature`
            and tells probabilities of tokens.
        phases: Whether its messages say if they are commentary or the answer, and are to say so
            when they come back (`ResponseOutputMessageParam.phase`, openai 3.54: "models like
            gpt-5.3-codex and beyond").
    """

    thinks: bool | None
    rests: bool
    phases: bool


_PLAIN = re.compile(r"(^|[/:])(chatgpt-|gpt-[34]|gpt-[\d.]+-chat)")
_THINKS = re.compile(r"(^|[/:])(o\d|gpt-([5-9]|[12]\d)|codex-|computer-use)")
_RESTS = re.compile(r"(^|[/:])gpt-(5\.[1-9]|[6-9]|[12]\d)")
_PHASES = re.compile(r"(^|[/:])gpt-(5\.([3-9]|[12]\d)|[6-9]|[12]\d)")


def profile_of(model: str) -> ModelProfile:
    """Return what the model of this name takes."""
    if _PLAIN.search(model):
        return ModelProfile(thinks=False, rests=False, phases=False)
    return ModelProfile(
        thinks=True if _THINKS.search(model) else None,
        rests=bool(_RESTS.search(model)),
        phases=bool(_PHASES.search(model)),
    )

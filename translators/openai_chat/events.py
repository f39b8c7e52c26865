"""The parts of OpenAI's chunks and completions that we read; the bytes themselves pass through.

Everything is optional: compatible servers leave out what they do not know.
"""

from typing import Any

import msgspec

from translators.errors import ProviderError
from translators.json import UNREADABLE
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

__all__ = ["Choice", "Event", "decode", "usage_of"]


class _Counts(msgspec.Struct):
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    total_tokens: float | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


def usage_of(native: Any) -> Usage | None:
    """Return token counts as servers send them: with gaps, as `12.0`, as `"12"`.

    None where they cannot be read: the answer itself does not depend on them.
    """
    try:
        counts = msgspec.convert(native, _Counts, strict=False)
        prompt, completion = int(counts.prompt_tokens or 0), int(counts.completion_tokens or 0)
        total = int(counts.total_tokens or 0)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total or prompt + completion,
        prompt_tokens_details=counts.prompt_tokens_details,
        completion_tokens_details=counts.completion_tokens_details,
    )


class Delta(msgspec.Struct):
    """The fields by which a client sees part of an answer.

    `Any`, not `msgspec.Raw | None`: msgspec 0.22 takes nothing but null for that.
    """

    content: str | list[Any] | None = None  # a list: Mistral's reasoning models
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Any = None
    function_call: Any = None
    audio: Any = None
    images: Any = None

    @property
    def payload(self) -> bool:
        """Whether any of them is there."""
        return bool(
            self.content
            or self.tool_calls
            or self.refusal
            or self.reasoning_content
            or self.reasoning
            or self.function_call is not None
            or self.audio is not None
            or self.images
        )


class Choice(msgspec.Struct):
    """One choice of a chunk, or of a completion (whose `message` is not read)."""

    index: int = 0
    delta: Delta | None = None
    message: Any = None
    finish_reason: str | None = None


class Event(msgspec.Struct):
    """A chunk, a completion or an error."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(Event).decode


def decode(data: bytes) -> Event:
    """Read one JSON object.

    Raises:
        ProviderError: It is not JSON, or not of this form.
    """
    try:
        return _decode(data)
    except UNREADABLE as error:
        raise ProviderError(
            f"The provider sent something that is not a chat completion: {error}",
            kind="protocol",
        ) from error

"""An answer: in pieces, or whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from execution_platform.spi.message import Message, ToolCall

__all__ = ["ChatChunk", "ChatResponse", "Choice", "FidelityReport", "Served", "Usage"]


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. What stands behind the totals are parts of them, never additions.

    Attributes:
        prompt_tokens: Of all that was sent.
        completion_tokens: Of all that the model wrote, reasoning included.
        total_tokens: Both.
        cached_tokens: Of the prompt: read from a cache.
        cache_write_tokens: Of the prompt: written to one.
        reasoning_tokens: Of the answer: thought, not said.
        prompt_details: Every part of the prompt that the provider counted, by OpenAI's name.
        completion_details: The same of the answer.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_details: Mapping[str, int] = field(default_factory=dict[str, int])
    completion_details: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class FidelityReport:
    """What did not reach the provider as it was asked for.

    Attributes:
        ignored: Fields that the provider's API has no counterpart for, and did not get.
        emulated: Fields whose effect was reached by other means.
    """

    ignored: tuple[str, ...] = ()
    emulated: tuple[str, ...] = ()


@dataclass
class Served:
    """Who served a request: known once its answer has begun, and after an error as far as it got.

    Attributes:
        request_id: For the log, and for the trace.
        persona: Who was asked for.
        provider: Who answers, or was tried last.
        attempts: Calls of providers; more than 1 after a retry or a fallback, 0 for a kept answer.
        cached: Whether the answer was given before to the same request (`cache` of a persona).
        report: What did not reach that provider as it was asked for.
    """

    request_id: str = ""
    persona: str = ""
    provider: str | None = None
    attempts: int = 0
    cached: bool = False
    report: FidelityReport = FidelityReport()


@dataclass(slots=True)
class ChatChunk:
    """A piece of an answer; each holds some of these fields.

    Attributes:
        delta_text: More of the text.
        finish_reason: Why the choice ended: `stop`, `length`, `tool_calls`, `content_filter`.
        usage: The tokens, in the last chunk, where the provider counts them.
        tool_call: A call, whole: it comes once nothing of it is missing.
        delta_reasoning: More of what the model thinks.
        delta_refusal: More of why it does not answer.
        reasoning_details: What its provider wants back of that (`Message.reasoning_details`).
        index: Of the choice, where there are several.
        model: Who answers.
        id: Of the answer.
        logprobs: Log probabilities of tokens, as OpenAI has them.
        extra: Further fields of the piece, such as `audio` or `annotations`.
    """

    delta_text: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    tool_call: ToolCall | None = None
    delta_reasoning: str | None = None
    delta_refusal: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    index: int = 0
    model: str | None = None
    id: str | None = None
    logprobs: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Choice:
    """One of the answers to a request.

    Attributes:
        message: To be put at the end of the conversation as it is.
        finish_reason: Why it ended.
        index: From 0.
        logprobs: Log probabilities of its tokens, as OpenAI has them.
    """

    message: Message
    finish_reason: str | None
    index: int = 0
    logprobs: Mapping[str, Any] | None = None


@dataclass
class ChatResponse:
    """A whole answer.

    Attributes:
        choices: One, or as many as were asked for.
        usage: The tokens, where the provider counts them.
        model: Who answered.
        id: Of the answer.
        served: Which persona and provider, after how many attempts.
        extra: Further fields of the answer, such as `service_tier`.
    """

    choices: list[Choice]
    usage: Usage | None
    model: str
    id: str
    served: Served
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def message(self) -> Message:
        """The answer as a message, to be put at the end of the conversation."""
        return self.choices[0].message

    @property
    def text(self) -> str:
        """The text; empty where there is none."""
        content = self.message.content
        return content if isinstance(content, str) else ""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools; none in most answers."""
        return self.message.tool_calls or []

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended."""
        return self.choices[0].finish_reason

    @property
    def provider(self) -> str | None:
        """Who answered."""
        return self.served.provider

    @property
    def cached(self) -> bool:
        """Whether it was given before, to the same request."""
        return self.served.cached

    @property
    def report(self) -> FidelityReport:
        """What did not reach the provider as it was asked for."""
        return self.served.report

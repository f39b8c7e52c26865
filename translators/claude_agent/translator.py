"""The dialect of Claude's command line, as the Claude Agent SDK talks to it.

The CLI calls the Messages API; what it is told and what it passes on are that API's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from translators.anthropic_messages.models import ModelProfile
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.claude_agent.request import AgentRequest, profile_by_name, to_native
from translators.claude_agent.stream import ClaudeAgentStream
from translators.fold import fold
from translators.protocol import Chunk, Completion, ResponseContext, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["AgentEvent", "ClaudeAgentTranslator"]

AgentEvent = Mapping[str, Any]
"""An event of the Messages API's stream, decoded."""

_MESSAGES = AnthropicMessagesTranslator()


@dataclass(frozen=True, slots=True)
class ClaudeAgentTranslator:
    """Translates between OpenAI's chat completions and the CLI.

    Attributes:
        default_max_tokens: The output limit of requests that set none; None for the model's own
            ceiling.
        profiles: What a model accepts, by its name.
        one_call: Whether the CLI makes one call for each request. Where it makes several, as for
            tools of its own, what is laid over their bodies must not have the turns: each call
            has more of them than the one before.
    """

    default_max_tokens: int | None = None
    profiles: Callable[[str], ModelProfile] = profile_by_name
    one_call: bool = True

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return the addresses that the Messages API does not fetch itself."""
        return _MESSAGES.media_to_fetch(chat)

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[AgentRequest]:
        """Return the native request for `model`.

        Raises:
            TranslationError: It cannot be expressed.
        """
        return to_native(
            chat,
            model=model,
            default_max_tokens=self.default_max_tokens,
            profiles=self.profiles,
            one_call=self.one_call,
        )

    def response(self, native: Sequence[AgentEvent], context: ResponseContext) -> Completion:
        """Return the answer in OpenAI's form; the CLI only streams, so it is its events.

        Raises:
            ProviderError: They are not what the API promises, or not a whole answer.
        """
        stream = ClaudeAgentStream(replace(context, include_usage=True))
        chunks: list[Chunk] = []
        for event in native:
            chunks += stream.feed(event)
        chunks += stream.end()
        return Completion(fold(chunk.data for chunk in chunks), stream.outcome)

    def follow_up(self, request: AgentRequest, native: Sequence[AgentEvent]) -> AgentRequest | None:
        """Return None: each answer is whole."""
        return None

    def join(
        self,
        natives: Sequence[Sequence[AgentEvent]],
        context: ResponseContext,
        request: AgentRequest,
    ) -> Completion:
        """Return the only answer: nothing follows it.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        (native,) = natives
        return self.response(native, context)

    def stream(
        self, context: ResponseContext, request: AgentRequest | None = None
    ) -> ClaudeAgentStream:
        """Return a fresh stream translator for one answer."""
        return ClaudeAgentStream(context)

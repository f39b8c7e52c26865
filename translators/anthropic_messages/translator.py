"""The dialect of Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages, `anthropic-version` 2026-10-21 and 2023-06-01.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from translators.anthropic_messages.request import to_native
from translators.anthropic_messages.response import to_completion
from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.protocol import Completion, HttpRequest, ResponseContext, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["AnthropicMessagesTranslator"]


@dataclass(frozen=True, slots=True)
class AnthropicMessagesTranslator:
    """Translates between OpenAI's chat completions and the Messages API.

    Attributes:
        default_max_tokens: The output limit of requests that set none; None for the model's own
            ceiling.
    """

    default_max_tokens: int | None = None

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return nothing: the API fetches what it takes by address."""
        return ()

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[HttpRequest]:
        """Return the native request for `model`.

        Raises:
            TranslationError: The API cannot express `chat`.
        """
        return to_native(chat, model=model, default_max_tokens=self.default_max_tokens)

    def response(self, native: bytes, context: ResponseContext) -> Completion:
        """Return the answer in OpenAI's form.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        # A whole answer always carries its usage.
        return to_completion(native, replace(context, include_usage=True))

    def follow_up(self, request: HttpRequest, native: bytes) -> HttpRequest | None:
        """Return None: every answer is whole."""
        return None

    def stream(
        self, context: ResponseContext, request: HttpRequest | None = None
    ) -> AnthropicMessagesStream:
        """Return a fresh stream translator for one answer."""
        return AnthropicMessagesStream(context)

"""The dialect of OpenAI's Responses API.

https://developers.openai.com/api/reference/resources/responses
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from translators.openai_responses.request import OpenAIResponsesOptions, to_native
from translators.openai_responses.response import to_completion
from translators.openai_responses.stream import OpenAIResponsesStream
from translators.protocol import Completion, HttpRequest, ResponseContext, Translated
from translators.wire.request import ChatCompletionRequest

__all__ = ["OpenAIResponsesOptions", "OpenAIResponsesTranslator"]


@dataclass(frozen=True, slots=True)
class OpenAIResponsesTranslator:
    """Translates between OpenAI's chat completions and its Responses API.

    Attributes:
        options: How the account or the server differs.
    """

    options: OpenAIResponsesOptions = field(default_factory=OpenAIResponsesOptions)

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return nothing: the API fetches what it takes by address."""
        return ()

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[HttpRequest]:
        """Return the native request for `model`.

        Raises:
            TranslationError: The API cannot express `chat`.
        """
        return to_native(chat, model=model, options=self.options)

    def response(self, native: bytes, context: ResponseContext) -> Completion:
        """Return the answer in OpenAI's form.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        return to_completion(native, context)

    def follow_up(self, request: HttpRequest, native: bytes) -> HttpRequest | None:
        """Return None: every answer is whole."""
        return None

    def join(
        self, natives: Sequence[bytes], context: ResponseContext, request: HttpRequest
    ) -> Completion:
        """Return the only answer: nothing follows it.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        (native,) = natives
        return self.response(native, context)

    def stream(
        self, context: ResponseContext, request: HttpRequest | None = None
    ) -> OpenAIResponsesStream:
        """Return a fresh stream translator for one answer."""
        return OpenAIResponsesStream(context)

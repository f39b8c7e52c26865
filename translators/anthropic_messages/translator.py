"""The dialect of Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages, `anthropic-version` 2026-10-21 and 2023-06-01.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from translators.anthropic_messages.models import ModelProfile, profile_of
from translators.anthropic_messages.request import to_native
from translators.anthropic_messages.response import join, rest_of, to_completion
from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.protocol import Completion, HttpRequest, ResponseContext, Translated
from translators.remote_media import remote_media
from translators.wire.request import ChatCompletionRequest

__all__ = ["AnthropicMessagesTranslator"]


@dataclass(frozen=True, slots=True)
class AnthropicMessagesTranslator:
    """Translates between OpenAI's chat completions and the Messages API.

    Attributes:
        default_max_tokens: The output limit of requests that set none; None for the model's own
            ceiling.
        profiles: What a model accepts, by its name.
    """

    default_max_tokens: int | None = None
    profiles: Callable[[str], ModelProfile] = profile_of

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return the addresses that the API does not fetch itself.

        It fetches images and PDF documents from `https:` addresses:
        https://platform.claude.com/docs/en/build-with-claude/vision and .../pdf-support
        """
        return [
            found.url
            for found in remote_media(chat)
            if found.url[:8].lower() != "https://"
            or (found.kind == "file" and not _is_pdf(found.url))
        ]

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[HttpRequest]:
        """Return the native request for `model`.

        Raises:
            TranslationError: The API cannot express `chat`.
        """
        return to_native(
            chat,
            model=model,
            default_max_tokens=self.default_max_tokens,
            profiles=self.profiles,
        )

    def response(self, native: bytes, context: ResponseContext) -> Completion:
        """Return the answer in OpenAI's form.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        return to_completion(native, context)

    def follow_up(self, request: HttpRequest, native: bytes) -> HttpRequest | None:
        """Return the request for the rest of an answer that paused; None where it is whole."""
        return rest_of(native, request)

    def join(
        self, natives: Sequence[bytes], context: ResponseContext, request: HttpRequest
    ) -> Completion:
        """Return the one answer that several make.

        Raises:
            ProviderError: It is not what the API promises.
        """
        return join(natives, context, request)

    def stream(
        self, context: ResponseContext, request: HttpRequest | None = None
    ) -> AnthropicMessagesStream:
        """Return a fresh stream translator for one answer."""
        return AnthropicMessagesStream(context, request)


def _is_pdf(url: str) -> bool:
    return urlsplit(url).path.lower().endswith(".pdf")

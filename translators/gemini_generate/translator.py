"""The dialect of Google's `generateContent`.

https://ai.google.dev/api/generate-content
"""

from collections.abc import Sequence
from dataclasses import dataclass

from translators.gemini_generate.content import is_native_address
from translators.gemini_generate.request import to_native
from translators.gemini_generate.response import join, rest_of, to_completion
from translators.gemini_generate.stream import GeminiGenerateStream
from translators.protocol import Completion, HttpRequest, ResponseContext, Translated
from translators.remote_media import remote_media
from translators.wire.request import ChatCompletionRequest

__all__ = ["GeminiGenerateTranslator"]


@dataclass(frozen=True, slots=True)
class GeminiGenerateTranslator:
    """Translates between OpenAI's chat completions and `generateContent`.

    Attributes:
        api_version: The first step of the path. `v1` lacks the `-latest` aliases and some
            previews, which `v1beta` has.
        on_vertex: Whether it is spoken with Google's cloud, which has no search beside functions.
    """

    api_version: str = "v1beta"
    on_vertex: bool = False

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return the addresses that are neither of Google's Files API nor of YouTube."""
        return [found.url for found in remote_media(chat) if not is_native_address(found.url)]

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[HttpRequest]:
        """Return the native request for `model`.

        Raises:
            TranslationError: The API cannot express `chat`.
        """
        return to_native(chat, model=model, api_version=self.api_version, on_vertex=self.on_vertex)

    def response(self, native: bytes, context: ResponseContext) -> Completion:
        """Return the answer in OpenAI's form.

        Raises:
            ProviderError: The answer is not what the API promises.
        """
        return to_completion(native, context)

    def follow_up(self, request: HttpRequest, native: bytes) -> HttpRequest | None:
        """Return the request for the rest of an answer that ended with `CONTINUATION`."""
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
    ) -> GeminiGenerateStream:
        """Return a fresh stream translator for one answer."""
        return GeminiGenerateStream(context, request)

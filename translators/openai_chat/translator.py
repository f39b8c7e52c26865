"""The translator for OpenAI's own dialect."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from translators.errors import ProviderError
from translators.openai_chat.errors import error_from_object, failed_midway
from translators.openai_chat.events import decode, usage_of
from translators.openai_chat.request import OpenAIChatOptions, to_native
from translators.openai_chat.stream import OpenAIChatStream
from translators.protocol import Completion, HttpRequest, Outcome, ResponseContext, Translated
from translators.remote_media import remote_media
from translators.wire.request import ChatCompletionRequest

__all__ = ["OpenAIChatTranslator"]


@dataclass(frozen=True, slots=True)
class OpenAIChatTranslator:
    """Satisfies `Translator[HttpRequest, bytes, ServerSentEvent]`."""

    options: OpenAIChatOptions = field(default_factory=OpenAIChatOptions)

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        """Return the addresses of files and audio: the API fetches images only."""
        return [media.url for media in remote_media(chat) if media.kind != "image"]

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[HttpRequest]:
        """Return the native request."""
        return to_native(chat, model=model, options=self.options)

    def response(self, native: bytes, context: ResponseContext) -> Completion:
        """Check an answer and pass its bytes on.

        Raises:
            ProviderError: It is an error, not JSON, or lacks choices or a finish reason.
        """
        answer = decode(native)
        if answer.error is not None or answer.object == "error":
            raise error_from_object(native)
        if not answer.choices or any(c.message is None for c in answer.choices):
            raise ProviderError("The provider's answer has no choices.", kind="protocol")
        if any(choice.finish_reason is None for choice in answer.choices):
            raise ProviderError("The provider's answer has no finish reason.", kind="protocol")
        if any(choice.finish_reason == "error" for choice in answer.choices):
            raise failed_midway()
        outcome = Outcome(
            id=answer.id,
            model=answer.model,
            finish_reason=answer.choices[0].finish_reason,
            usage=usage_of(answer.usage) if answer.usage else None,
        )
        return Completion(native, outcome)

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
    ) -> OpenAIChatStream:
        """Return a fresh stream translator for one answer."""
        return OpenAIChatStream(context)

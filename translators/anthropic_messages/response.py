"""A whole native answer to a whole OpenAI one.

The answer is played as the events that would have streamed it, so the two cannot differ.
"""

from collections.abc import Iterator

from translators.anthropic_messages.errors import error_from_event
from translators.anthropic_messages.events import Delta, Event, Message, decode_message
from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.errors import ProviderError
from translators.fold import fold
from translators.protocol import Chunk, Completion, ResponseContext

__all__ = ["play", "to_completion"]


def to_completion(native: bytes, context: ResponseContext) -> Completion:
    """Return the answer that `native`, the body of a 200, stands for.

    Raises:
        ProviderError: It is not an answer of the Messages API, or it is an error.
    """
    message = decode_message(native)
    if message.type == "error":
        raise error_from_event(message.error, message.request_id)
    if message.content is None or message.stop_reason is None:
        raise ProviderError(
            "The provider sent an answer without content or stop reason.", kind="protocol"
        )
    stream = AnthropicMessagesStream(context)
    chunks: list[Chunk] = []
    for event in play(message):
        chunks += stream.handle(event)
    chunks += stream.end()
    return Completion(fold(chunk.data for chunk in chunks), stream.outcome)


def play(message: Message) -> Iterator[Event]:
    """Yield the events of a stream that says what `message` says."""
    yield Event(type="message_start", message=message)
    for index, block in enumerate(message.content or ()):
        yield Event(type="content_block_start", index=index, content_block=block)
        yield Event(type="content_block_stop", index=index)
    end = Delta(stop_reason=message.stop_reason, stop_details=message.stop_details)
    yield Event(type="message_delta", delta=end)
    yield Event(type="message_stop")

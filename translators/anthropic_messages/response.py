"""Whole native answers to a whole OpenAI one.

An answer is played as the events that would have streamed it, and the answers to several requests
as those of one stream: what is streamed and what is not cannot differ.
"""

from collections.abc import Iterator, Sequence

import msgspec

from translators.anthropic_messages.errors import error_from_event
from translators.anthropic_messages.events import Delta, Event, Message, decode_message
from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.anthropic_messages.web_search import may_pause
from translators.chunks import WholeBuilder
from translators.errors import ProviderError
from translators.json import encode
from translators.protocol import Completion, HttpRequest, ResponseContext
from translators.sse import ServerSentEvent

__all__ = ["join", "play", "rest_of", "to_completion"]

_NOBODY = ResponseContext(id="", created=0, model="")


def to_completion(native: bytes, context: ResponseContext) -> Completion:
    """Return the answer that `native`, the body of a 200, stands for.

    Raises:
        ProviderError: It is not an answer of the Messages API, or it is an error.
    """
    whole = WholeBuilder(context)
    stream = AnthropicMessagesStream(context, chunks=whole)
    for event in play(_message(native)):
        stream.handle(event)
    stream.end()
    return Completion(whole.completion(), stream.outcome)


def join(natives: Sequence[bytes], context: ResponseContext, request: HttpRequest) -> Completion:
    """Return the answer that `natives` are together: what came for `request` and behind it.

    Raises:
        ProviderError: One is not an answer of the Messages API, or an error, or the last paused.
    """
    whole = WholeBuilder(context)
    stream = AnthropicMessagesStream(context, request, chunks=whole)
    for native in natives:
        _feed(stream, native)
        stream.end()
    return Completion(whole.completion(), stream.outcome)


def rest_of(native: bytes, request: HttpRequest) -> HttpRequest | None:
    """Return the request for the rest of what `native`, the answer to `request`, begins.

    None where it is whole, and where it is no answer: who reads it says what is wrong with it.
    """
    # Not `in`, which costs more: see `translators.sse`.
    if native.find(b'"pause_turn"') == -1 or not may_pause(request):
        return None
    stream = AnthropicMessagesStream(_NOBODY, request)
    try:
        _feed(stream, native)
        stream.end()
    except ProviderError:
        return None
    return stream.follow_up


def play(message: Message) -> Iterator[Event]:
    """Yield the events of a stream that says what `message` says."""
    yield Event(type="message_start", message=message)
    for index, block in enumerate(message.content or ()):
        yield Event(type="content_block_start", index=index, content_block=block)
        yield Event(type="content_block_stop", index=index)
    end = Delta(stop_reason=message.stop_reason, stop_details=message.stop_details)
    yield Event(type="message_delta", delta=end)
    yield Event(type="message_stop")


class _Blocks(msgspec.Struct):
    content: list[msgspec.Raw]


def _feed(stream: AnthropicMessagesStream, native: bytes) -> None:
    """Play an answer to a stream that keeps the blocks, for what there is of it is sent back."""
    message = _message(native)
    raw = msgspec.json.decode(native, type=_Blocks).content
    for event in play(message):
        if event.type == "content_block_start" and event.index is not None:
            begun = {"type": event.type, "index": event.index, "content_block": raw[event.index]}
            stream.feed(ServerSentEvent(b"", encode(begun)))
        else:
            stream.handle(event)


def _message(native: bytes) -> Message:
    message = decode_message(native)
    if message.type == "error":
        raise error_from_event(message.error, message.request_id)
    if message.content is None or message.stop_reason is None:
        raise ProviderError(
            "The provider sent an answer without content or stop reason.", kind="protocol"
        )
    return message

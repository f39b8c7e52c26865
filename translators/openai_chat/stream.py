"""OpenAI chunks, passed on byte for byte.

https://platform.openai.com/docs/api-reference/chat-streaming

What is touched, and why:

1. The usage chunk is kept back where the client did not ask for it (we did, for the trace).
2. An `error` object becomes an error; the `[DONE]` that some servers send after it is never seen.
3. `[DONE]` itself is the front's to write, once the stream has proved complete.
4. An event without `choices` is no chunk, and is left out.
"""

from collections.abc import Sequence

from translators.errors import StreamTruncated
from translators.openai_chat.errors import error_from_object, failed_midway
from translators.openai_chat.events import Choice, decode, usage_of
from translators.protocol import Chunk, HttpRequest, Outcome, ResponseContext
from translators.sse import ServerSentEvent

__all__ = ["OpenAIChatStream"]


class OpenAIChatStream:
    """State of one streamed answer."""

    __slots__ = ("_done", "_finished", "_include_usage", "_open", "outcome")

    def __init__(self, context: ResponseContext) -> None:
        self.outcome = Outcome()
        self._include_usage = context.include_usage
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._done = False

    @property
    def complete(self) -> bool:
        """Whether `[DONE]` has come."""
        return self._done

    @property
    def follow_up(self) -> HttpRequest | None:
        """The request for the rest of the answer: there is none."""
        return None

    def feed(self, event: ServerSentEvent, /) -> Sequence[Chunk]:
        """Take one event.

        Raises:
            ProviderError: The event is an error, or no chunk.
        """
        data = event.data
        if self._done or not data:
            return ()
        if data == b"[DONE]":
            self._done = True
            return ()
        if 0x0A in data:  # A number: see `translators.sse`.
            # One event of several lines: between JSON's tokens a space says the same.
            data = data.replace(b"\n", b" ")
        return self._chunk(event, data)

    def _chunk(self, event: ServerSentEvent, data: bytes) -> Sequence[Chunk]:
        chunk = decode(data)
        if chunk.error is not None or event.event == b"error" or chunk.object == "error":
            raise error_from_object(data)
        outcome = self.outcome
        if chunk.model:
            outcome.model = chunk.model
        if chunk.id:
            outcome.id = chunk.id
        if chunk.usage is not None:
            outcome.usage = usage_of(chunk.usage) or outcome.usage
        if chunk.choices is None:
            # No chunk: a server's own event, which clients of OpenAI's chunks would choke on.
            return ()
        if not chunk.choices:
            # Without choices it carries usage, or a server's own preamble.
            return (Chunk(data, False),) if chunk.usage is None or self._include_usage else ()
        payload = False
        for choice in chunk.choices:
            payload = self._take(choice) or payload
        return (Chunk(data, payload),)

    def end(self) -> Sequence[Chunk]:
        """Check that the stream was complete.

        The finish reasons are the proof. `[DONE]` alone is none: servers were seen to write it
        after a failure. A server that forgets it after the last finish reason lost nothing.

        Raises:
            StreamTruncated: A choice has no finish reason, or there is no choice.
        """
        if not self._finished or self._open:
            raise StreamTruncated("The provider's stream ended before a finish reason.")
        return ()

    def _take(self, choice: Choice) -> bool:
        """Note what a choice says; return whether a client sees part of the answer in it."""
        payload = choice.delta is not None and choice.delta.payload
        if choice.finish_reason == "error":
            raise failed_midway()
        if choice.finish_reason:
            self.outcome.finish_reason = choice.finish_reason
            self._finished.add(choice.index)
            self._open.discard(choice.index)
            return True
        if choice.index not in self._finished:
            self._open.add(choice.index)
        return payload

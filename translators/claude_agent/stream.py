"""The events that the CLI passes on to OpenAI chunks.

They are the Messages API's own, and a translator for these exists; two things differ.

1. The answer is whole with the `message_delta` that has a stop reason. What follows it belongs to
   what the CLI would do next: it is ended there.
2. Where the API's stream breaks off, the CLI closes it with events of its own, whose stop reason
   is null. They are not the end of an answer: the result that follows says what happened.

The answer of an agent, which runs tools of its own, is made of several messages: `run`.
"""

from collections.abc import Mapping
from typing import Any

from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.run import OneMessage, ends_run, limit_of, stop_reason
from translators.json import encode
from translators.protocol import Chunk, Outcome, ResponseContext
from translators.sse import ServerSentEvent

__all__ = ["ClaudeAgentStream", "is_end"]

_STOP = ServerSentEvent(b"message_stop", b'{"type":"message_stop"}')
# Of the API's own reasons the one that means the same: there was no more to be had.
_LIMITED = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": None}


def is_end(event: Mapping[str, Any]) -> bool:
    """Return whether an answer is whole with this event."""
    return event.get("type") == "message_delta" and stop_reason(event) is not None


class ClaudeAgentStream:
    """Stream translator of what the CLI passes on.

    Args:
        context: The facts that the provider does not supply.
        runs: Whether an agent answers, which runs tools of its own.
    """

    __slots__ = ("_broken", "_inner", "_limit", "_run")

    def __init__(self, context: ResponseContext, *, runs: bool = False) -> None:
        self._inner = AnthropicMessagesStream(context)
        self._run = OneMessage() if runs else None
        self._limit: str | None = None
        self._broken = False

    @property
    def outcome(self) -> Outcome:
        """What is known of the answer so far."""
        return self._inner.outcome

    @property
    def complete(self) -> bool:
        """Whether a stop reason has come."""
        return self._inner.complete

    @property
    def follow_up(self) -> AgentRequest | None:
        """None: each answer is whole."""
        return None

    def feed(self, event: Mapping[str, Any], /) -> list[Chunk]:
        """Take the next event; return the chunks it completes, often none.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        kind = event.get("type")
        if kind == "message_stop":
            # The end is made where the stop reason comes; without one there is none.
            return []
        if self._run is not None and (limit := limit_of(event)) is not None:
            self._limit = limit
            return self._feed(_LIMITED) + self._inner.feed(_STOP)
        if kind == "message_delta" and stop_reason(event) is None and not self._broken:
            self._broken = True
            # What it says of tokens is true all the same.
            return [] if self._run is None else self._fed(event)
        if self._broken:
            return []
        chunks = self._fed(event)
        over = is_end(event) if self._run is None else ends_run(event)
        return chunks + self._inner.feed(_STOP) if over else chunks

    def end(self) -> list[Chunk]:
        """Say that the stream is over; return the last chunks.

        Raises:
            StreamTruncated: No stop reason has come.
        """
        chunks = self._inner.end()
        if self._limit is not None:
            self.outcome.native_finish_reason = self._limit
        return chunks

    def _fed(self, event: Mapping[str, Any]) -> list[Chunk]:
        taken = [event] if self._run is None else self._run.take(event)
        return [chunk for one in taken for chunk in self._feed(one)]

    def _feed(self, event: Mapping[str, Any]) -> list[Chunk]:
        return self._inner.feed(ServerSentEvent(b"", encode(event)))

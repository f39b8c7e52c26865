"""The events that the CLI passes on to OpenAI chunks.

They are the Messages API's own, and a translator for these exists; two things differ.

1. The answer is whole with the `message_delta` that has a stop reason. What follows it belongs to
   what the CLI would do next: it is ended there.
2. Where the API's stream breaks off, the CLI closes it with events of its own, whose stop reason
   is null. They are not the end of an answer: the result that follows says what happened.
"""

from collections.abc import Mapping
from typing import Any

from translators.anthropic_messages.stream import AnthropicMessagesStream
from translators.claude_agent.request import AgentRequest
from translators.json import encode
from translators.protocol import Chunk, Outcome, ResponseContext
from translators.sse import ServerSentEvent

__all__ = ["ClaudeAgentStream", "is_end"]

_STOP = ServerSentEvent(b"message_stop", b'{"type":"message_stop"}')


def is_end(event: Mapping[str, Any]) -> bool:
    """Return whether an answer is whole with this event."""
    return event.get("type") == "message_delta" and _stop_reason(event) is not None


def _stop_reason(event: Mapping[str, Any]) -> Any:
    delta = event.get("delta")
    return delta.get("stop_reason") if isinstance(delta, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class ClaudeAgentStream:
    """Stream translator of what the CLI passes on."""

    __slots__ = ("_broken", "_inner")

    def __init__(self, context: ResponseContext) -> None:
        self._inner = AnthropicMessagesStream(context)
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
        if kind == "message_delta" and _stop_reason(event) is None:
            self._broken = True
        if self._broken:
            return []
        chunks = self._inner.feed(ServerSentEvent(b"", encode(event)))
        if is_end(event):
            chunks += self._inner.feed(_STOP)
        return chunks

    def end(self) -> list[Chunk]:
        """Say that the stream is over; return the last chunks.

        Raises:
            StreamTruncated: No stop reason has come.
        """
        return self._inner.end()

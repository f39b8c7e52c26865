"""What the tests of this dialect share: the CLI's events, its call of the API, recordings."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tests.recordings import Recording, parameters_of, recordings
from tests.translators.chat_requests import request_of
from tests.translators.streams import Json, Streams, events_of
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.stream import ClaudeAgentStream, is_end
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.protocol import Chunk, Outcome, ResponseContext, Translated
from translators.sse import ServerSentEvent

__all__ = [
    "ANSWERED",
    "BROKEN",
    "MADE_UP",
    "STREAMS",
    "TRANSLATOR",
    "agent_events",
    "call_of",
    "place_of_end",
    "request",
    "sse_of",
]

TRANSLATOR = ClaudeAgentTranslator()


def request(model: str = "claude-sonnet-5", **fields: Any) -> Translated[AgentRequest]:
    """Translate a request; without `messages` it says "Hi"."""
    return TRANSLATOR.request(request_of(**fields), model=model)


def sse_of(events: Iterable[Json]) -> bytes:
    """Return events as the Messages API sends them."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def agent_events(body: bytes) -> list[Json]:
    """Return the events of a stream as the CLI passes them on: decoded, without its pings."""
    return [json.loads(e.data) for e in events_of(body) if e.event != b"ping"]


def place_of_end(events: Sequence[Mapping[str, Any]]) -> int:
    """Return the place of the event with which the answer is whole."""
    return next(place for place, event in enumerate(events) if is_end(event))


MADE_UP: list[Json] = [
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": 0}},
    {"type": "message_stop"},
]
"""With these the CLI closes a stream that broke off."""


class _Events:
    """The dialect's stream translator, fed with what the API sends."""

    def __init__(self, stream: ClaudeAgentStream) -> None:
        self._stream = stream

    @property
    def outcome(self) -> Outcome:
        return self._stream.outcome

    @property
    def complete(self) -> bool:
        return self._stream.complete

    @property
    def follow_up(self) -> None:
        return None

    def feed(self, event: ServerSentEvent, /) -> list[Chunk]:
        return [] if event.event == b"ping" else self._stream.feed(json.loads(event.data))

    def end(self) -> list[Chunk]:
        return self._stream.end()


@dataclass(frozen=True)
class _OverSse(ClaudeAgentTranslator):
    """The dialect's translator, for checks that hold for dialects over HTTP, too."""

    def stream(self, context: ResponseContext, request: AgentRequest | None = None) -> Any:
        return _Events(ClaudeAgentTranslator.stream(self, context, request))


STREAMS = Streams(cast("Any", _OverSse()), sse_of)


def call_of(request: AgentRequest) -> Json:
    """Return the body that the CLI makes of what it is told, as it was seen to."""
    texts = ("You are a Claude agent, built on Anthropic's Claude Agent SDK.", *request.system)
    body: Json = {
        "model": request.model,
        "messages": list(request.turns),
        "system": [{"type": "text", "text": text} for text in texts],
        "tools": [],
        "stream": True,
    }
    return body | request.extra


def _recorded(*, broken: bool) -> list[Any]:
    def keep(exchange: Recording) -> bool:
        whole = b"message_stop" in exchange.body
        return exchange.stream and exchange.status == 200 and whole is not broken

    return parameters_of(recordings("anthropic/messages-*.json", keep))


ANSWERED = _recorded(broken=False)
BROKEN = _recorded(broken=True)

"""What the tests of this dialect share: requests, streams, the SDK as oracle, recordings."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from native_schema import problems_of

from tests.recordings import Recording, parameters_of, recordings
from tests.translators.chat_requests import request_of
from tests.translators.streams import Json, Streams
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import TranslationError
from translators.protocol import HttpRequest, Translated

__all__ = [
    "STREAMS",
    "TRANSLATOR",
    "WEATHER",
    "body_of",
    "chunks_of",
    "deltas_of",
    "is_broken",
    "recorded",
    "rejection",
    "run",
    "sdk_message",
    "sse_of",
    "translate",
    "turns_of",
]

WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}

TRANSLATOR = AnthropicMessagesTranslator()


def translate(model: str = "claude-haiku-4-5", **fields: Any) -> Translated[HttpRequest]:
    """Translate a request; without `messages` it says "Hi"."""
    return TRANSLATOR.request(request_of(**fields), model=model)


def body_of(model: str = "claude-haiku-4-5", **fields: Any) -> Json:
    return translate(model, **fields).request.body


def turns_of(*messages: Json, model: str = "claude-haiku-4-5", **fields: Any) -> list[Json]:
    body = body_of(model, messages=list(messages), **fields)
    assert problems_of(body) == []
    return body["messages"]


def rejection(model: str = "claude-haiku-4-5", **fields: Any) -> TranslationError:
    with pytest.raises(TranslationError) as caught:
        translate(model, **fields)
    assert caught.value.status_hint == 400
    return caught.value


def sse_of(events: Iterable[Json]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


STREAMS = Streams(TRANSLATOR, sse_of)
run, chunks_of, deltas_of = STREAMS.run, STREAMS.chunks_of, STREAMS.deltas_of


def sdk_message(body: bytes, *, stream: bool) -> Message:
    """Return what the Anthropic SDK makes of the bytes of an answer."""
    kind = "text/event-stream" if stream else "application/json"

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with anthropic.Anthropic(api_key="x", http_client=http, open_telemetry=False) as client:
        if not stream:
            return client.messages.create(
                model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
            )
        with client.messages.stream(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
        ) as events:
            return events.get_final_message()


def is_broken(exchange: Recording) -> bool:
    return exchange.stream and b"message_stop" not in exchange.body


def recorded(keep: Callable[[Recording], bool]) -> list[Any]:
    """Return the recorded exchanges as parameters."""
    return parameters_of(recordings("anthropic/messages-*.json", keep))

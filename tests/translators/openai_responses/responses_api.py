"""What the tests of this dialect share: requests, streams, recordings."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from responses_types import problems_of

from tests.recordings import Recording, parameters_of, recordings
from tests.translators.chat_requests import request_of
from tests.translators.streams import Json, Streams, events_of
from translators.errors import TranslationError
from translators.openai_responses.translator import (
    OpenAIResponsesOptions,
    OpenAIResponsesTranslator,
)
from translators.protocol import HttpRequest, Translated

__all__ = [
    "NEW",
    "OLD",
    "PLAIN",
    "STREAMS",
    "TRANSLATOR",
    "WEATHER",
    "Exchange",
    "body_of",
    "input_of",
    "recorded",
    "rejection",
    "run",
    "sse_of",
    "translate",
    "whole",
]

PLAIN, OLD, NEW = "gpt-4o", "gpt-5", "gpt-5.6"
"""Models that do not reason, that do, and that mark what is commentary."""

WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

TRANSLATOR = OpenAIResponsesTranslator()


def translate(
    model: str = NEW, *, options: OpenAIResponsesOptions | None = None, **fields: Any
) -> Translated[HttpRequest]:
    """Translate a request; without `messages` it says "Hi"."""
    translator = TRANSLATOR if options is None else OpenAIResponsesTranslator(options)
    translated = translator.request(request_of(**fields), model=model)
    assert problems_of(translated.request.body) == []
    assert translated.request.path == "/responses"
    return translated


def body_of(model: str = NEW, **fields: Any) -> Json:
    return translate(model, **fields).request.body


def input_of(*messages: Json, model: str = NEW, **fields: Any) -> list[Json]:
    return body_of(model, messages=list(messages), **fields)["input"]


def rejection(model: str = NEW, **fields: Any) -> TranslationError:
    with pytest.raises(TranslationError) as caught:
        translate(model, **fields)
    assert caught.value.status_hint == 400
    assert caught.value.param is not None
    return caught.value


def sse_of(events: Iterable[Json]) -> bytes:
    """Return the bytes of a stream, as the API frames it."""
    return b"".join(
        b"event: " + event["type"].encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    )


STREAMS = Streams(TRANSLATOR, sse_of)
run, whole = STREAMS.run, STREAMS.whole


@dataclass(frozen=True)
class Exchange(Recording):
    """One recorded exchange.

    Attributes:
        events: The answer's events, or none.
        answer: The whole answer: a stream's is in its last event.
    """

    events: list[Json]
    answer: Json


def recorded(keep: Callable[[Recording], bool]) -> list[Any]:
    """Return the recorded exchanges as parameters."""
    found = recordings("openai/responses-*.json", keep)
    return parameters_of([_exchange(recording) for recording in found])


def _exchange(found: Recording) -> Exchange:
    if not found.stream:
        return Exchange(**vars(found), events=[], answer=json.loads(found.body))
    events: list[Json] = [json.loads(event.data) for event in events_of(found.body)]
    return Exchange(**vars(found), events=events, answer=events[-1]["response"])

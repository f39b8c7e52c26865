"""What the tests of this dialect share: requests, streams, recordings."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from gemini_types import problems_of

from tests.recordings import Recording, parameters_of, recordings
from tests.translators.chat_requests import request_of, user
from tests.translators.streams import Json, Streams, events_of
from translators.errors import TranslationError
from translators.gemini_generate.translator import GeminiGenerateTranslator
from translators.protocol import HttpRequest, Translated

__all__ = [
    "FIXED",
    "NEW",
    "OLD",
    "STREAMS",
    "TRANSLATOR",
    "WEATHER",
    "Exchange",
    "body_of",
    "broken",
    "calls_in",
    "chunks_of",
    "config_of",
    "contents_of",
    "declarations_of",
    "deltas_of",
    "joined",
    "outcome_of",
    "parts_of",
    "recorded",
    "rejection",
    "run",
    "sse_of",
    "translate",
    "whole",
]

OLD, NEW, FIXED = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.6-flash"
"""Models with a thinking budget, with levels, and with fixed sampling."""

WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}

TRANSLATOR = GeminiGenerateTranslator()


def translate(model: str = NEW, **fields: Any) -> Translated[HttpRequest]:
    """Translate a request; without `messages` it says "Hi"."""
    translated = TRANSLATOR.request(request_of(**fields), model=model)
    assert problems_of(translated.request.body) == []
    return translated


def body_of(model: str = NEW, **fields: Any) -> Json:
    return translate(model, **fields).request.body


def config_of(model: str = NEW, **fields: Any) -> Json:
    return body_of(model, **fields).get("generationConfig", {})


def contents_of(*messages: Json, model: str = NEW, **fields: Any) -> list[Json]:
    return body_of(model, messages=list(messages), **fields)["contents"]


def parts_of(content: Any, model: str = NEW) -> list[Json]:
    """Translate the content of a user's message."""
    return contents_of(user(content), model=model)[0]["parts"]


def rejection(model: str = NEW, **fields: Any) -> TranslationError:
    with pytest.raises(TranslationError) as caught:
        translate(model, **fields)
    assert caught.value.status_hint == 400
    assert caught.value.param is not None
    return caught.value


def declarations_of(*tools: Json, model: str = NEW) -> list[Json]:
    (tool,) = body_of(model, tools=list(tools))["tools"]
    return tool["functionDeclarations"]


def sse_of(events: Iterable[Json]) -> bytes:
    """Return the bytes of a stream, with the line ends that the API has."""
    return b"".join(b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)


STREAMS = Streams(TRANSLATOR, sse_of)
run, chunks_of, deltas_of = STREAMS.run, STREAMS.chunks_of, STREAMS.deltas_of
calls_in, outcome_of, broken, whole = (
    STREAMS.calls_in,
    STREAMS.outcome_of,
    STREAMS.broken,
    STREAMS.whole,
)


def joined(answers: list[Json]) -> Json:
    """Return the whole answer that a stream's events add up to."""
    parts: list[Json] = []
    candidate: Json = {}
    for answer in answers:
        for found in answer.get("candidates", [])[:1]:
            # Text goes on from event to event, and is one part in the end.
            content: Json = found.get("content") or {}
            new: list[Json] = content.get("parts") or []
            for part in new:
                if parts and part.keys() == parts[-1].keys() <= {"text", "thought"}:
                    parts[-1] = {**part, "text": parts[-1]["text"] + part["text"]}
                else:
                    parts.append(part)
            candidate |= found
    first_tier = answers[0]["usageMetadata"].get("serviceTier")
    usage = {**answers[-1]["usageMetadata"], **({"serviceTier": first_tier} if first_tier else {})}
    return {
        **answers[-1],
        "usageMetadata": usage,
        "candidates": [{**candidate, "content": {"parts": parts}}],
    }


@dataclass(frozen=True)
class Exchange(Recording):
    """One recorded exchange.

    Attributes:
        answers: The answer's JSON values: one, or one for each event.
        body: The bytes of the answer; a stream is framed as events.
    """

    answers: list[Any]


def recorded(keep: Callable[[Recording], bool]) -> list[Any]:
    """Return the recorded exchanges as parameters."""
    return parameters_of([_exchange(found) for found in recordings("gemini/gen-*.json", keep)])


def _exchange(found: Recording) -> Exchange:
    fields = dict(vars(found))
    if found.body.startswith(b"data:"):
        answers: list[Any] = [json.loads(event.data) for event in events_of(found.body)]
        return Exchange(**fields, answers=answers)
    value: Any = json.loads(found.body)
    answers = cast("list[Any]", value) if isinstance(value, list) else [value]
    if found.stream:  # Recorded without `alt=sse`: an array in place of events.
        fields["body"] = sse_of(answers)
    return Exchange(**fields, answers=answers)

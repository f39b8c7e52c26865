"""Every recorded exchange: what we say of it is what the google-genai SDK says of it."""

import base64
import json
from typing import Any

import pytest
from gemini_api import STREAMS, TRANSLATOR, Exchange, joined, recorded, run, sse_of, whole
from gemini_types import Said

from tests.recordings import skip_without_recordings
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.gemini_generate.errors import error_from_response
from translators.protocol import Outcome
from translators.sse import ServerSentEvent

ANSWERS = recorded(lambda exchange: exchange.status == 200)
STREAMED = recorded(lambda exchange: exchange.status == 200 and exchange.stream)
WHOLE = recorded(lambda exchange: exchange.status == 200 and not exchange.stream)
ERRORS = recorded(lambda exchange: exchange.status != 200)

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "UNEXPECTED_TOOL_CALL": "stop",
}
UNKNOWN_EVENT = ServerSentEvent(b"aurora", b'{"aurora":{"candidates":7},"turnToken":"x"}')
UNKNOWN_PART: Json = {"aurora": {"text": 7}, "thoughtSignature": "c2ln"}


def test_recordings_are_found_on_ci_when_they_are_beside_the_checkout():
    skip_without_recordings()
    assert len(ANSWERS) >= 80
    assert len(ERRORS) >= 10


@pytest.mark.parametrize("exchange", ANSWERS)
def test_answer_says_what_the_sdk_reads(exchange: Exchange):
    theirs = Said(exchange.answers)
    ours, outcome = _answer(exchange)
    choice = ours["choices"][0]
    message = choice["message"]
    assert ours["id"] == f"chatcmpl-{theirs.id}"
    assert ours["model"] == outcome.model == theirs.model
    assert (message["content"] or "") == theirs.text
    assert message.get("reasoning_content", "") == theirs.thoughts
    assert len(message.get("images", ())) == theirs.images
    assert message.get("audio", {}).get("data", "") == theirs.sound
    _check_calls(message, theirs)
    assert _counts(ours["usage"]) == _their_counts(theirs)
    expected = FINISH_REASONS[str(theirs.finish_reason)]
    if theirs.calls and expected == "stop":
        expected = "tool_calls"
    assert choice["finish_reason"] == outcome.finish_reason == expected
    assert outcome.native_finish_reason == theirs.finish_reason
    assert bool(message["refusal"]) == (expected == "content_filter")


@pytest.mark.parametrize("exchange", STREAMED)
def test_stream_says_what_the_whole_answer_says(exchange: Exchange):
    assert _answer(exchange)[0] == whole(joined(exchange.answers))


@pytest.mark.parametrize("exchange", WHOLE)
def test_whole_answer_says_what_its_stream_says(exchange: Exchange):
    answer = exchange.answers[0]
    parts = answer["candidates"][0].get("content", {}).get("parts", [])
    events = [{**answer, "candidates": [{"content": {"parts": [part]}}]} for part in parts]
    events.append({**answer, "candidates": [{**answer["candidates"][0], "content": {}}]})
    assert folded(run(events_of(sse_of(events)))[0]) == _answer(exchange)[0]


@pytest.mark.parametrize("exchange", STREAMED)
def test_openai_sdk_accepts_the_stream(exchange: Exchange):
    theirs, ours = STREAMS.check_openai_sdk(events_of(exchange.body))
    for call in theirs.get("tool_calls") or ():
        del call["index"]
        call["function"].pop("parsed_arguments", None)
    assert (theirs.get("tool_calls") or []) == ours.get("tool_calls", [])


@pytest.mark.parametrize("exchange", ANSWERS)
def test_annotations_are_where_the_answer_says_it(exchange: Exchange):
    """Known offsets are in bytes, and each segment quotes its text."""
    message = _answer(exchange)[0]["choices"][0]["message"]
    found = {
        (a["url"], message["content"][a["start_index"] : a["end_index"]])
        for a in (entry["url_citation"] for entry in message.get("annotations", ()))
    }
    assert found == set(_their_sources(exchange.answers))


@pytest.mark.parametrize("exchange", STREAMED)
def test_cutting_the_bytes_anywhere_changes_nothing(exchange: Exchange):
    STREAMS.check_pieces(exchange.body)


@pytest.mark.parametrize("exchange", STREAMED)
def test_unknown_event_or_part_anywhere_changes_nothing(exchange: Exchange):
    events = events_of(exchange.body)
    STREAMS.check_ignored(UNKNOWN_EVENT, events, every=max(len(events) // 20, 1))
    expected, _ = run(events)
    for answer in exchange.answers:
        for candidate in answer["candidates"]:
            candidate.setdefault("content", {}).setdefault("parts", []).append(UNKNOWN_PART)
    assert run(events_of(sse_of(exchange.answers)))[0] == expected


@pytest.mark.parametrize("exchange", STREAMED)
def test_cut_stream_is_never_finished(exchange: Exchange):
    events = events_of(exchange.body)
    stop = next(i for i, event in enumerate(events) if b'"finishReason"' in event.data)
    for length in range(stop + 1):
        STREAMS.check_unfinished(events[:length])


@pytest.mark.parametrize("exchange", ERRORS)
def test_error_answer_is_mapped(exchange: Exchange):
    kinds = {400: "invalid", 403: "auth", 404: "not_found", 429: "rate_limit"}
    error = error_from_response(exchange.status, exchange.headers, exchange.body)
    detail = exchange.answers[0]["error"]
    expected = "auth" if "API key" in detail["message"] else kinds[exchange.status]
    assert error.kind == expected
    # A refused key stays between the provider and us.
    assert error.message.startswith(detail["message"]) is (expected != "auth")
    assert error.native_type == detail["status"]
    assert error.status == exchange.status
    if exchange.status == 429:
        assert error.retry_after == 35.0
    if exchange.status == 404:
        assert error.code == "model_not_found"


def _answer(exchange: Exchange) -> tuple[Json, Outcome]:
    if exchange.stream:
        chunks, outcome = run(events_of(exchange.body))
        return folded(chunks), outcome
    completion = TRANSLATOR.response(exchange.body, CONTEXT)
    return json.loads(completion.data), completion.outcome


def _check_calls(message: Json, theirs: Said) -> None:
    calls: list[Json] = message.get("tool_calls", [])
    told = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]
    assert told == [(name, arguments) for _, name, arguments in theirs.calls]
    for call, (id, _, _), signature in zip(calls, theirs.calls, theirs.signatures, strict=True):
        assert call["id"] == id if id else call["id"].startswith("call_")
        extra = call.get("extra_content", {}).get("google", {}).get("thought_signature")
        assert signature == (extra and base64.urlsafe_b64decode(_urlsafe(extra)))
    assert len({call["id"] for call in calls}) == len(calls)


def _urlsafe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


def _counts(usage: Any) -> tuple[int, ...]:
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0),
    )


def _their_counts(said: Said) -> tuple[int, ...]:
    usage = said.usage
    assert usage is not None
    thoughts = usage.thoughts_token_count or 0
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    completion = (usage.candidates_token_count or 0) + thoughts
    total = usage.total_token_count or 0
    return prompt, completion, total, usage.cached_content_token_count or 0, thoughts


def _their_sources(answers: list[Json]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for answer in answers:
        metadata = answer["candidates"][0].get("groundingMetadata", {})
        chunks = metadata.get("groundingChunks", [])
        for support in metadata.get("groundingSupports", ()):
            for index in support.get("groundingChunkIndices", ()):
                uri = chunks[index].get("web", {}).get("uri")
                if uri:
                    found.append((uri, support["segment"]["text"]))
    return found

"""Every recorded exchange: what we say of it is what the OpenAI SDK says of it."""

import json
from typing import Any

import pytest
from responses_api import NEW, STREAMS, TRANSLATOR, Exchange, recorded, run, sse_of, whole
from responses_events import events_for
from responses_types import Said, problems_of

from tests.recordings import recorded_openai_requests, skip_without_recordings
from tests.translators.chat_requests import chat_of
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.errors import ExecutionPlatformError, ProviderError, TranslationError
from translators.openai_responses.errors import error_from_response
from translators.protocol import Outcome
from translators.sse import ServerSentEvent

FAILED = "mid_stream_error"
ANSWERS = recorded(lambda found: found.status == 200 and FAILED not in found.features)
STREAMED = recorded(
    lambda found: found.status == 200 and found.stream and FAILED not in found.features
)
WHOLE = recorded(lambda found: found.status == 200 and not found.stream)
BROKEN = recorded(lambda found: FAILED in found.features)
ERRORS = recorded(lambda found: found.status != 200)

UNKNOWN = ServerSentEvent(b"aurora", b'{"type":"response.aurora.delta","delta":{"x":7}}')


def test_recordings_are_found_on_ci_when_they_are_beside_the_checkout():
    skip_without_recordings()
    assert len(ANSWERS) >= 34
    assert len(ERRORS) >= 6


@pytest.mark.parametrize("exchange", ANSWERS)
def test_answer_says_what_the_sdk_reads(exchange: Exchange):
    theirs = Said(exchange.answer)
    ours, outcome = _answer(exchange)
    (choice,) = ours["choices"]
    message = choice["message"]
    assert ours["id"] == f"chatcmpl-{theirs.response.id}"
    assert ours["model"] == outcome.model == theirs.response.model
    assert ours.get("service_tier") == theirs.response.service_tier
    assert (message["content"] or "") == theirs.text
    assert (message["refusal"] or "") == theirs.refusal
    assert message.get("reasoning_content", "") == theirs.reasoning
    calls: list[Json] = message.get("tool_calls", [])
    functions = [call for call in calls if call["type"] == "function"]
    custom = [call for call in calls if call["type"] == "custom"]
    assert [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in functions
    ] == theirs.functions
    assert [(c["id"], c["custom"]["name"], c["custom"]["input"]) for c in custom] == theirs.custom
    assert _counts(ours["usage"]) == theirs.counts
    assert choice["finish_reason"] == outcome.finish_reason == theirs.finish_reason


@pytest.mark.parametrize("exchange", ANSWERS)
def test_reasoning_that_may_go_back_is_given_once(exchange: Exchange):
    theirs = Said(exchange.answer)
    ours, outcome = _answer(exchange)
    message = ours["choices"][0]["message"]
    details: list[Json] = message.get("reasoning_details", [])
    given = [entry["id"] for entry in details if entry["type"] == "reasoning.encrypted"]
    assert given == theirs.replayable
    on_calls = [
        item["id"]
        for call in message.get("tool_calls", ())
        for item in call.get("extra_content", {}).get("openai", {}).get("reasoning_items", ())
    ]
    if message.get("tool_calls"):
        assert on_calls == given
    assert outcome.reasoning == {
        call["id"]: call["extra_content"]
        for call in message.get("tool_calls", ())
        if "extra_content" in call
    }


@pytest.mark.parametrize("exchange", ANSWERS)
def test_sources_are_where_the_answer_says(exchange: Exchange):
    message = _answer(exchange)[0]["choices"][0]["message"]
    found = [
        (cited["url"], message["content"][cited["start_index"] : cited["end_index"]])
        for cited in (entry["url_citation"] for entry in message.get("annotations", ()))
    ]
    assert found == Said(exchange.answer).sources


@pytest.mark.parametrize("exchange", STREAMED)
def test_stream_says_what_the_whole_answer_says(exchange: Exchange):
    assert _answer(exchange)[0] == whole(exchange.answer)


@pytest.mark.parametrize("exchange", WHOLE)
def test_whole_answer_says_what_its_stream_says(exchange: Exchange):
    chunks, outcome = run(events_of(sse_of(events_for(exchange.answer))))
    assert (folded(chunks), outcome) == _answer(exchange)


@pytest.mark.parametrize("exchange", STREAMED)
def test_openai_sdk_accepts_the_stream(exchange: Exchange):
    theirs, ours = STREAMS.check_openai_sdk(events_of(exchange.body))
    for call in theirs.get("tool_calls") or ():
        del call["index"]
        call["function"].pop("parsed_arguments", None)
    assert (theirs.get("tool_calls") or []) == ours.get("tool_calls", [])
    for entry in theirs.get("reasoning_details") or ():
        del entry["index"]
    assert theirs.get("reasoning_details") == ours.get("reasoning_details")


@pytest.mark.parametrize("exchange", STREAMED)
def test_cutting_the_bytes_anywhere_changes_nothing(exchange: Exchange):
    STREAMS.check_pieces(exchange.body)


@pytest.mark.parametrize("exchange", STREAMED)
def test_unknown_event_anywhere_changes_nothing(exchange: Exchange):
    events = events_of(exchange.body)
    STREAMS.check_ignored(UNKNOWN, events, every=max(len(events) // 20, 1))


@pytest.mark.parametrize("exchange", STREAMED)
def test_cut_stream_is_never_finished(exchange: Exchange):
    events = events_of(exchange.body)
    for length in range(len(events)):
        STREAMS.check_unfinished(events[:length])
    stream = TRANSLATOR.stream(CONTEXT)
    for event in events:
        assert not stream.complete
        stream.feed(event)
    assert stream.complete


@pytest.mark.parametrize("exchange", BROKEN)
def test_error_in_the_stream_is_told(exchange: Exchange):
    error = next(event["error"] for event in exchange.events if event["type"] == "error")
    for skip in ("error", "response.failed"):  # Either tells it.
        events = [event for event in exchange.events if event["type"] != skip]
        with pytest.raises(ProviderError) as caught:
            run(events_of(sse_of(events)))
        assert (caught.value.kind, caught.value.code) == ("quota", "insufficient_quota")
        assert caught.value.message == error["message"]


@pytest.mark.parametrize("exchange", ERRORS)
def test_error_answer_is_mapped(exchange: Exchange):
    error = error_from_response(exchange.status, exchange.headers, exchange.body)
    told = exchange.answer["error"]
    assert error.status == exchange.status
    assert error.kind == {400: "invalid", 401: "auth"}[exchange.status]
    if error.kind == "invalid":
        assert error.message == told["message"]
        assert (error.code, error.param) == (told["code"], told["param"])
    else:
        # A refused key stays between the provider and us.
        assert told["message"] not in error.message


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", NEW, "my-deployment"])
@pytest.mark.parametrize("recorded", recorded_openai_requests())
def test_recorded_chat_request_is_translated_or_refused_by_name(recorded: Json, model: str):
    try:
        chat = chat_of(recorded)
    except ExecutionPlatformError as error:
        assert error.status_hint == 400
        return
    try:
        translated = TRANSLATOR.request(chat, model=model)
    except TranslationError as error:
        assert error.param
        return
    assert problems_of(translated.request.body) == []


def _answer(exchange: Exchange) -> tuple[Json, Outcome]:
    if exchange.stream:
        chunks, outcome = run(events_of(exchange.body))
        return folded(chunks), outcome
    completion = TRANSLATOR.response(exchange.body, CONTEXT)
    return json.loads(completion.data), completion.outcome


def _counts(usage: Any) -> tuple[int, ...]:
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
    )

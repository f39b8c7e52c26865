"""Every recorded exchange: what we say of it is what the OpenAI SDK makes of the same bytes."""

import json
import random
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from openai_wire import DONE, TRANSLATOR, event, run

from tests.recordings import Recording, recorded_openai_chats, skip_without_recordings
from tests.translators.streams import CONTEXT, accumulate_data, events_of
from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.openai_chat.errors import error_from_response
from translators.sse import ServerSentEvent
from translators.wire.response import Usage


def failed_midway(recording: Recording) -> bool:
    return "mid_stream_error" in recording.features


STREAM_ERRORS = recorded_openai_chats(failed_midway)
STREAMS = recorded_openai_chats(lambda r: r.status == 200 and r.stream and not failed_midway(r))
WHOLE = recorded_openai_chats(lambda r: r.status == 200 and not r.stream)
ERRORS = recorded_openai_chats(lambda r: r.status != 200)

UNKNOWN = [
    event({"type": "aurora", "index": "x", "delta": 7}, b"aurora"),
    event({"object": "chat.aurora", "usage": None}),
    event(""),
]


def test_recordings_are_found_where_they_should_be():
    skip_without_recordings()
    assert (len(STREAMS), len(WHOLE), len(ERRORS)) >= (39, 37, 9)


def facts(answer: ChatCompletion) -> Any:
    """Return what a client reads of an answer."""
    return [
        {
            "index": choice.index,
            "text": choice.message.content or None,
            "refusal": choice.message.refusal or None,
            "calls": [
                (call.id, call.type, call.function.name, call.function.arguments)
                for call in choice.message.tool_calls or []
                if call.type == "function"
            ],
            "function": choice.message.function_call,
            "finish_reason": choice.finish_reason,
        }
        for choice in sorted(answer.choices, key=lambda choice: choice.index)
    ]


def counts(usage: Usage | None) -> Any:
    if usage is None:
        return None
    prompt, answer = usage.prompt_tokens_details, usage.completion_tokens_details
    return (
        (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        (prompt.cached_tokens, prompt.audio_tokens) if prompt else None,
        (answer.reasoning_tokens, answer.audio_tokens) if answer else None,
    )


def their_counts(answer: ChatCompletion) -> Any:
    usage = answer.usage
    if usage is None:
        return None
    prompt, said = usage.prompt_tokens_details, usage.completion_tokens_details
    return (
        (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
        (prompt.cached_tokens, prompt.audio_tokens) if prompt else None,
        (said.reasoning_tokens, said.audio_tokens) if said else None,
    )


def sdk_reads(body: bytes) -> ChatCompletion:
    """Return what the SDK accumulates of a recorded stream, read without our decoder."""
    lines = body.decode().replace("\r\n", "\n").split("\n")
    data = [line[5:].strip() for line in lines if line.startswith("data:")]
    return accumulate_data(text.encode() for text in data if text != "[DONE]")


@pytest.mark.parametrize("recording", WHOLE)
def test_a_whole_answer_says_what_the_sdk_reads(recording: Recording):
    theirs = ChatCompletion.model_validate_json(recording.body)
    completion = TRANSLATOR.response(recording.body, CONTEXT)
    ours = ChatCompletion.model_validate_json(completion.data)
    assert facts(ours) == facts(theirs)
    outcome = completion.outcome
    assert (outcome.id, outcome.model) == (theirs.id, theirs.model)
    assert outcome.finish_reason == theirs.choices[0].finish_reason
    assert counts(outcome.usage) == their_counts(theirs)


@pytest.mark.parametrize("recording", STREAMS)
def test_a_stream_says_what_the_sdk_reads(recording: Recording):
    theirs = sdk_reads(recording.body)
    chunks, outcome = run(events_of(recording.body))
    ours = accumulate_data(chunk.data for chunk in chunks)
    folded = ChatCompletion.model_validate_json(fold(chunk.data for chunk in chunks))
    assert facts(ours) == facts(folded) == facts(theirs)
    assert (outcome.id, outcome.model) == (theirs.id, theirs.model)
    assert outcome.finish_reason in {choice.finish_reason for choice in theirs.choices}
    assert counts(outcome.usage) == their_counts(theirs)
    assert their_counts(folded) == their_counts(theirs)


@pytest.mark.parametrize("recording", STREAMS)
def test_row_78_a_stream_cut_anywhere_gives_the_same_chunks(recording: Recording):
    whole = run(events_of(recording.body))
    chance = random.Random(recording.name)
    size = len(recording.body)
    for number in (1, 2, 10, 100, size - 1):
        cuts = chance.sample(range(1, size), min(number, size - 1))
        assert run(events_of(recording.body, cuts)) == whole


@pytest.mark.parametrize("recording", STREAMS)
def test_an_unknown_event_changes_nothing_wherever_it_comes(recording: Recording):
    events = events_of(recording.body)
    whole = run(events)
    for place in range(len(events) + 1):
        for unknown in UNKNOWN:
            assert run([*events[:place], unknown, *events[place:]]) == whole


@pytest.mark.parametrize("recording", STREAMS)
def test_row_65_a_stream_cut_short_never_looks_finished(recording: Recording):
    events = events_of(recording.body)
    finishing = [place for place, item in enumerate(events) if finishes(item)]
    assert finishing
    for place in range(finishing[-1] + 1):
        for end in ([], [DONE]):
            with pytest.raises(StreamTruncated):
                run([*events[:place], *end])


def finishes(item: ServerSentEvent) -> bool:
    if item.data == b"[DONE]":
        return False
    return any(choice["finish_reason"] for choice in json.loads(item.data)["choices"])


@pytest.mark.parametrize("recording", STREAMS)
def test_the_first_payload_is_the_first_thing_a_client_sees(recording: Recording):
    chunks, _ = run(events_of(recording.body))
    held: list[bytes] = []
    for chunk in chunks:
        if chunk.payload:
            break
        held.append(chunk.data)
    assert len(held) < len(chunks)
    for data in held:
        for choice in json.loads(data)["choices"]:
            said = {k: v for k, v in choice["delta"].items() if k != "role" and v}
            assert (said, choice["finish_reason"]) == ({}, None)


EXPECTED = {400: ("invalid", 400), 401: ("auth", 502), 404: ("not_found", 404)}


@pytest.mark.parametrize("recording", ERRORS)
def test_a_recorded_error_keeps_its_meaning(recording: Recording):
    told = json.loads(recording.body)["error"]
    error = error_from_response(recording.status, recording.headers, recording.body)
    kind, status = EXPECTED.get(recording.status, (error.kind, 429))
    assert (error.kind, error.status_hint, error.status) == (kind, status, recording.status)
    # OpenAI repeats a refused key, a short one in full: its words go no further.
    assert (error.message == told["message"]) == (error.kind != "auth")
    assert error.param == told["param"]
    assert error.request_id == recording.headers.get("x-request-id")
    if recording.status in (400, 404):
        assert error.code in (told["code"], "model_not_found")
        assert error.type == told["type"]
    if recording.status == 429:
        assert error.kind in ("rate_limit", "quota")
        assert (error.kind == "quota") == (told["code"] == "insufficient_quota")


@pytest.mark.parametrize("recording", STREAM_ERRORS)
def test_row_66_an_error_in_the_middle_of_a_recorded_stream(recording: Recording):
    stream = TRANSLATOR.stream(CONTEXT)
    with pytest.raises(ProviderError) as caught:
        for item in events_of(recording.body):
            stream.feed(item)
    assert caught.value.kind in ("server", "overloaded", "rate_limit")
    assert stream.outcome.finish_reason is None
    with pytest.raises(StreamTruncated):
        stream.end()

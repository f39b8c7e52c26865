"""Every recorded stream of the Messages API, as the CLI passes it on event by event."""

import json

import pytest
from agent_api import (
    ANSWERED,
    BROKEN,
    MADE_UP,
    STREAMS,
    TRANSLATOR,
    agent_events,
    place_of_end,
    sse_of,
)

from tests.recordings import Recording, skip_without_recordings
from tests.translators.streams import CONTEXT, Json, accumulate, events_of, folded
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import ProviderError, StreamTruncated
from translators.protocol import Chunk
from translators.sse import ServerSentEvent

UNKNOWN = ServerSentEvent(b"aurora", b'{"type":"aurora","index":"x","delta":7,"usage":"?"}')


def chunks_of(events: list[Json]) -> list[Chunk]:
    """Translate a whole answer."""
    stream = TRANSLATOR.stream(CONTEXT)
    return [chunk for event in events for chunk in stream.feed(event)] + stream.end()


def test_recordings_are_found():
    skip_without_recordings()
    assert len(ANSWERED) > 50
    assert BROKEN


@pytest.mark.parametrize("exchange", ANSWERED)
def test_stream_says_what_it_says_without_the_cli(exchange: Recording):
    direct = AnthropicMessagesTranslator().stream(CONTEXT)
    expected = [chunk for event in events_of(exchange.body) for chunk in direct.feed(event)]
    expected += direct.end()
    stream = TRANSLATOR.stream(CONTEXT)
    events = agent_events(exchange.body)
    chunks = [c for event in events[: place_of_end(events) + 1] for c in stream.feed(event)]
    assert stream.complete  # The process is killed here.
    assert [*chunks, *stream.end()] == expected
    assert stream.outcome == direct.outcome


@pytest.mark.parametrize("exchange", ANSWERED)
def test_openai_sdk_accepts_the_stream(exchange: Recording):
    theirs, ours = STREAMS.check_openai_sdk(events_of(exchange.body))
    assert [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in theirs.get("tool_calls") or ()
    ] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in ours.get("tool_calls") or ()
    ]


@pytest.mark.parametrize("exchange", ANSWERED)
def test_stream_says_what_the_whole_answer_says(exchange: Recording):
    events = agent_events(exchange.body)
    completion = TRANSLATOR.response(events, CONTEXT)
    streamed = chunks_of(events)
    assert json.loads(completion.data) == folded(streamed)
    usage = accumulate(streamed).usage
    assert usage is not None and completion.outcome.usage is not None
    assert usage.total_tokens == json.loads(completion.data)["usage"]["total_tokens"]
    assert usage.prompt_tokens == completion.outcome.usage.prompt_tokens


@pytest.mark.parametrize("exchange", ANSWERED)
def test_unknown_event_anywhere_changes_nothing(exchange: Recording):
    events = events_of(exchange.body)
    STREAMS.check_ignored(UNKNOWN, events, every=max(len(events) // 20, 1))


@pytest.mark.parametrize("exchange", ANSWERED)
def test_cut_stream_is_never_finished(exchange: Recording):
    events = agent_events(exchange.body)
    for length in range(place_of_end(events) + 1):
        STREAMS.check_unfinished(events_of(sse_of(events[:length])))
        with pytest.raises(StreamTruncated):
            TRANSLATOR.response(events[:length], CONTEXT)


@pytest.mark.parametrize("exchange", ANSWERED)
def test_an_end_that_the_cli_made_up_is_none(exchange: Recording):
    """Nor is what may follow it: the CLI asks for the answer anew, and would double its text."""
    events = agent_events(exchange.body)
    end = place_of_end(events) + 1
    for length in range(1, end, max(end // 20, 1)):
        made_up = [*events[:length], *MADE_UP]
        if not _is_open(events[:length]):
            del made_up[length]
        STREAMS.check_unfinished(events_of(sse_of(made_up)))
        STREAMS.check_unfinished(events_of(sse_of(made_up + events)))


@pytest.mark.parametrize("exchange", ANSWERED)
def test_what_follows_the_answer_is_not_told(exchange: Recording):
    events = agent_events(exchange.body)
    end = place_of_end(events) + 1
    assert chunks_of([*events[:end], *events]) == chunks_of(events[:end])


@pytest.mark.parametrize("exchange", BROKEN)
def test_error_in_the_stream_is_raised(exchange: Recording):
    with pytest.raises(ProviderError) as caught:
        chunks_of(agent_events(exchange.body))
    assert (caught.value.kind, caught.value.native_type) == ("overloaded", "overloaded_error")


def _is_open(events: list[Json]) -> bool:
    """Whether block 0 is open behind these events."""
    kinds = [event["type"] for event in events if event.get("index") == 0]
    return bool(kinds) and kinds[-1] != "content_block_stop"

"""Every recorded exchange: what we say of it is what the Anthropic SDK says of it."""

import json
import random
from typing import Any

import pytest
from anthropic.types import Message
from messages_api import (
    CONTEXT,
    TRANSLATOR,
    Exchange,
    accumulate,
    events_of,
    recorded,
    recorded_folder,
    run,
    sdk_message,
)

from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.protocol import Chunk
from translators.sse import ServerSentEvent, SSEDecoder

ANSWERS = recorded(lambda exchange: exchange.status == 200 and not exchange.is_broken)
STREAMS = recorded(
    lambda exchange: exchange.status == 200 and exchange.stream and not exchange.is_broken
)
BROKEN = recorded(lambda exchange: exchange.is_broken)
ERRORS = recorded(lambda exchange: exchange.status != 200)

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}
UNKNOWN = ServerSentEvent(b"aurora", b'{"type":"aurora","index":"x","delta":7,"usage":"?"}')


def test_recordings_are_found_on_ci_when_they_are_beside_the_checkout():
    if recorded_folder() is None:
        pytest.skip("no recorded traffic beside the checkout, nor under EP_RECORDED_TRAFFIC")
    assert len(ANSWERS) > 90
    assert len(ERRORS) > 10


@pytest.mark.parametrize("exchange", ANSWERS)
def test_answer_says_what_the_sdk_reads(exchange: Exchange):
    theirs = sdk_message(exchange.body, stream=exchange.stream)
    if exchange.stream:
        chunks, outcome = run(events_of(exchange.body))
        ours = json.loads(fold(chunk.data for chunk in chunks))
    else:
        completion = TRANSLATOR.response(exchange.body, CONTEXT)
        ours, outcome = json.loads(completion.data), completion.outcome
    choice = ours["choices"][0]
    assert ours["id"] == f"chatcmpl-{theirs.id}"
    assert ours["model"] == outcome.model == theirs.model
    assert (choice["message"]["content"] or "") == _text(theirs)
    assert choice["message"].get("reasoning_content", "") == _thinking(theirs)
    assert _calls(choice["message"]) == _their_calls(theirs)
    assert choice["finish_reason"] == FINISH_REASONS[str(theirs.stop_reason)]
    assert outcome.native_finish_reason == theirs.stop_reason
    if theirs.stop_reason == "refusal":
        assert choice["message"]["refusal"]
    assert _counts(ours["usage"]) == _their_counts(exchange, theirs)


@pytest.mark.parametrize("exchange", STREAMS)
def test_stream_says_what_the_whole_answer_says(exchange: Exchange):
    theirs = sdk_message(exchange.body, stream=True)
    chunks, _ = run(events_of(exchange.body))
    streamed = json.loads(fold(chunk.data for chunk in chunks))
    whole = json.loads(TRANSLATOR.response(theirs.to_json(warnings=False).encode(), CONTEXT).data)
    for answer in (streamed, whole):
        message = answer["choices"][0]["message"]
        # The SDK writes the arguments anew, and does not keep `iterations`.
        message["tool_calls"] = _calls(message)
        if b'"iterations"' in exchange.body:
            del answer["usage"]
    assert streamed == whole


@pytest.mark.parametrize("exchange", STREAMS)
def test_openai_sdk_accepts_the_stream(exchange: Exchange):
    chunks, _ = run(events_of(exchange.body))
    snapshot = json.loads(accumulate(chunks).to_json(warnings=False))
    folded = json.loads(fold(chunk.data for chunk in chunks))
    theirs, ours = snapshot["choices"][0]["message"], folded["choices"][0]["message"]
    assert theirs["content"] == (ours["content"] or "")
    assert theirs.get("reasoning_content") == ours.get("reasoning_content")
    assert theirs["role"] == "assistant"
    assert _calls(theirs) == _calls(ours)
    assert len(theirs.get("annotations") or ()) == len(ours.get("annotations") or ())


@pytest.mark.parametrize("exchange", STREAMS)
def test_cutting_the_bytes_anywhere_changes_nothing(exchange: Exchange):
    expected, _ = run(events_of(exchange.body))
    for seed in range(5):
        assert _run_in_pieces(exchange.body, random.Random(seed)) == expected


@pytest.mark.parametrize("exchange", STREAMS)
def test_unknown_event_anywhere_changes_nothing(exchange: Exchange):
    events = events_of(exchange.body)
    expected, _ = run(events)
    step = max(len(events) // 20, 1)
    for place in range(0, len(events) + 1, step):
        assert run([*events[:place], UNKNOWN, *events[place:]])[0] == expected


@pytest.mark.parametrize("exchange", STREAMS)
def test_cut_stream_is_never_finished(exchange: Exchange):
    events = events_of(exchange.body)
    stop = next(i for i, event in enumerate(events) if b'"message_stop"' in event.data)
    for length in range(stop + 1):
        stream = TRANSLATOR.stream(CONTEXT)
        chunks = [chunk for event in events[:length] for chunk in stream.feed(event)]
        assert all(b'"finish_reason":null' in chunk.data for chunk in chunks)
        with pytest.raises(StreamTruncated):
            stream.end()


@pytest.mark.parametrize("exchange", BROKEN)
def test_error_in_the_stream_is_raised(exchange: Exchange):
    with pytest.raises(ProviderError) as caught:
        run(events_of(exchange.body))
    assert caught.value.kind == "overloaded"
    assert caught.value.status_hint == 503
    assert caught.value.native_type == "overloaded_error"


@pytest.mark.parametrize("exchange", ERRORS)
def test_error_answer_is_mapped(exchange: Exchange):
    kinds = {400: "invalid", 401: "auth", 404: "not_found", 529: "overloaded"}
    error = exchange.error
    detail = json.loads(exchange.body)["error"]
    assert error.kind == kinds[exchange.status]
    # What a provider says of a refused key may repeat the key: it goes no further.
    assert (error.message == detail["message"]) == (error.kind != "auth")
    assert error.native_type == detail["type"]
    assert error.status == exchange.status
    if "prompt is too long" in detail["message"]:
        assert error.code == "context_length_exceeded"


def _run_in_pieces(body: bytes, source: random.Random) -> list[Chunk]:
    decoder, stream = SSEDecoder(), TRANSLATOR.stream(CONTEXT)
    chunks: list[Chunk] = []
    place = 0
    while place < len(body):
        length = source.choice((1, 2, 7, 50, 1000))
        for event in decoder.feed(body[place : place + length]):
            chunks += stream.feed(event)
        place += length
    for event in decoder.end():
        chunks += stream.feed(event)
    return chunks + stream.end()


def _text(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def _thinking(message: Message) -> str:
    return "".join(block.thinking for block in message.content if block.type == "thinking")


def _their_calls(message: Message) -> list[Any]:
    return [
        (block.id, block.name, block.input) for block in message.content if block.type == "tool_use"
    ]


def _calls(message: Any) -> list[Any]:
    return [
        (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message.get("tool_calls") or ()
    ]


def _counts(usage: Any) -> tuple[int, int, int, int]:
    details = usage["prompt_tokens_details"]
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        details["cached_tokens"],
        details["cache_write_tokens"],
    )


def _their_counts(exchange: Exchange, message: Message) -> tuple[int, int, int, int]:
    usage = message.usage.to_dict(warnings=False)
    found: list[Any] = _iterations(exchange) or [usage]
    read = sum(int(part.get("cache_read_input_tokens") or 0) for part in found)
    written = sum(int(part.get("cache_creation_input_tokens") or 0) for part in found)
    prompt = sum(int(part["input_tokens"]) for part in found) + read + written
    return prompt, sum(int(part["output_tokens"]) for part in found), read, written


def _iterations(exchange: Exchange) -> Any:
    """Return the last `iterations`, which the SDK's accumulator does not keep."""
    if not exchange.stream:
        return json.loads(exchange.body)["usage"].get("iterations")
    usages: list[Any] = [json.loads(event.data).get("usage") for event in events_of(exchange.body)]
    return next((usage["iterations"] for usage in usages if usage and "iterations" in usage), None)

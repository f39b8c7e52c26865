"""Every recorded exchange: what we say of it is what the Anthropic SDK says of it."""

import json
from typing import Any

import pytest
from anthropic.types import Message
from messages_api import STREAMS, TRANSLATOR, is_broken, recorded, run, sdk_message

from tests.recordings import Recording, skip_without_recordings
from tests.translators.streams import CONTEXT, events_of, folded
from translators.anthropic_messages.errors import error_from_response
from translators.errors import ProviderError
from translators.sse import ServerSentEvent

ANSWERS = recorded(lambda exchange: exchange.status == 200 and not is_broken(exchange))
STREAMED = recorded(
    lambda exchange: exchange.status == 200 and exchange.stream and not is_broken(exchange)
)
BROKEN = recorded(is_broken)
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
    skip_without_recordings()
    assert len(ANSWERS) > 90
    assert len(ERRORS) > 10


@pytest.mark.parametrize("exchange", ANSWERS)
def test_answer_says_what_the_sdk_reads(exchange: Recording):
    theirs = sdk_message(exchange.body, stream=exchange.stream)
    if exchange.stream:
        chunks, outcome = run(events_of(exchange.body))
        ours = folded(chunks)
    else:
        completion = TRANSLATOR.response(exchange.body, CONTEXT)
        ours, outcome = json.loads(completion.data), completion.outcome
    choice = ours["choices"][0]
    assert ours["id"] == f"chatcmpl-{theirs.id}"
    assert ours["model"] == outcome.model == theirs.model
    assert (choice["message"]["content"] or "") == _text(theirs)
    assert choice["message"].get("reasoning_content", "") == _thinking(theirs)
    assert _thoughts(choice["message"]) == _their_thoughts(theirs)
    assert len(choice["message"].get("annotations") or ()) == _their_sources(theirs)
    assert _calls(choice["message"]) == _their_calls(theirs)
    assert choice["finish_reason"] == FINISH_REASONS[str(theirs.stop_reason)]
    assert outcome.native_finish_reason == theirs.stop_reason
    if theirs.stop_reason == "refusal":
        assert choice["message"]["refusal"]
    assert _counts(ours["usage"]) == _their_counts(exchange, theirs)


@pytest.mark.parametrize("exchange", STREAMED)
def test_stream_says_what_the_whole_answer_says(exchange: Recording):
    theirs = sdk_message(exchange.body, stream=True)
    streamed = folded(run(events_of(exchange.body))[0])
    whole = json.loads(TRANSLATOR.response(theirs.to_json(warnings=False).encode(), CONTEXT).data)
    for answer in (streamed, whole):
        message = answer["choices"][0]["message"]
        # The SDK writes the arguments anew, and does not keep `iterations`.
        message["tool_calls"] = _calls(message)
        if b'"iterations"' in exchange.body:
            del answer["usage"]
    assert streamed == whole


@pytest.mark.parametrize("exchange", STREAMED)
def test_openai_sdk_accepts_the_stream(exchange: Recording):
    theirs, ours = STREAMS.check_openai_sdk(events_of(exchange.body))
    assert _calls(theirs) == _calls(ours)


@pytest.mark.parametrize("exchange", STREAMED)
def test_cutting_the_bytes_anywhere_changes_nothing(exchange: Recording):
    STREAMS.check_pieces(exchange.body)


@pytest.mark.parametrize("exchange", STREAMED)
def test_unknown_event_anywhere_changes_nothing(exchange: Recording):
    events = events_of(exchange.body)
    STREAMS.check_ignored(UNKNOWN, events, every=max(len(events) // 20, 1))


@pytest.mark.parametrize("exchange", STREAMED)
def test_cut_stream_is_never_finished(exchange: Recording):
    events = events_of(exchange.body)
    stop = next(i for i, event in enumerate(events) if b'"message_stop"' in event.data)
    for length in range(stop + 1):
        STREAMS.check_unfinished(events[:length])


@pytest.mark.parametrize("exchange", BROKEN)
def test_error_in_the_stream_is_raised(exchange: Recording):
    with pytest.raises(ProviderError) as caught:
        run(events_of(exchange.body))
    assert caught.value.kind == "overloaded"
    assert caught.value.status_hint == 503
    assert caught.value.native_type == "overloaded_error"


@pytest.mark.parametrize("exchange", ERRORS)
def test_error_answer_is_mapped(exchange: Recording):
    kinds = {400: "invalid", 401: "auth", 404: "not_found", 529: "overloaded"}
    error = error_from_response(exchange.status, exchange.headers, exchange.body)
    detail = json.loads(exchange.body)["error"]
    assert error.kind == kinds[exchange.status]
    # What a provider says of a refused key may repeat the key: it goes no further.
    assert (error.message == detail["message"]) == (error.kind != "auth")
    assert error.native_type == detail["type"]
    assert error.status == exchange.status
    if "prompt is too long" in detail["message"]:
        assert error.code == "context_length_exceeded"


def _text(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def _thinking(message: Message) -> str:
    return "".join(block.thinking for block in message.content if block.type == "thinking")


def _thoughts(message: Any) -> list[Any]:
    details = message.get("reasoning_details") or ()
    return [(entry.get("text"), entry.get("signature") or entry["data"]) for entry in details]


def _their_thoughts(message: Message) -> list[Any]:
    found: list[Any] = []
    for block in message.content:
        if block.type == "thinking" and (block.thinking or block.signature):
            found.append((block.thinking, block.signature))
        elif block.type == "redacted_thinking":
            found.append((None, block.data))
    return found


def _their_sources(message: Message) -> int:
    texts = [block for block in message.content if block.type == "text"]
    cited = [citation for block in texts for citation in block.citations or ()]
    return sum(c.type in ("web_search_result_location", "search_result_location") for c in cited)


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


def _their_counts(exchange: Recording, message: Message) -> tuple[int, int, int, int]:
    usage = message.usage.to_dict(warnings=False)
    found: list[Any] = _iterations(exchange) or [usage]
    read = sum(int(part.get("cache_read_input_tokens") or 0) for part in found)
    written = sum(int(part.get("cache_creation_input_tokens") or 0) for part in found)
    prompt = sum(int(part["input_tokens"]) for part in found) + read + written
    return prompt, sum(int(part["output_tokens"]) for part in found), read, written


def _iterations(exchange: Recording) -> Any:
    """Return the last `iterations`, which the SDK's accumulator does not keep."""
    if not exchange.stream:
        return json.loads(exchange.body)["usage"].get("iterations")
    usages: list[Any] = [json.loads(event.data).get("usage") for event in events_of(exchange.body)]
    return next((usage["iterations"] for usage in usages if usage and "iterations" in usage), None)

"""The events that the CLI passes on, and the ones that it makes up."""

import json
from typing import Any

import pytest

from translators.claude_agent.stream import ClaudeAgentStream
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.errors import ProviderError, StreamTruncated
from translators.protocol import ResponseContext

Json = dict[str, Any]

CONTEXT = ResponseContext("chatcmpl-1", 1, "claude-sonnet-5", include_usage=True)
START: Json = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "claude-sonnet-5", "usage": {"input_tokens": 3}},
}


def block(index: int, start: Json, *deltas: Json) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str | None) -> Json:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 2},
    }


TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi é"})
CALL = block(
    1,
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    {"type": "input_json_delta", "partial_json": '{"a": 1}'},
)


def test_an_answer_is_whole_with_its_stop_reason():
    stream = ClaudeAgentStream(CONTEXT)
    for event in [START, *TEXT]:
        stream.feed(event)
    assert not stream.complete
    stream.feed(end("end_turn"))
    assert stream.complete
    stream.feed({"type": "message_stop"})
    chunks = [json.loads(chunk.data) for chunk in stream.end()]
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"
    assert chunks[1]["usage"]["completion_tokens"] == 2
    assert stream.follow_up is None


def test_a_stop_reason_that_the_cli_made_up_is_no_end():
    stream = ClaudeAgentStream(CONTEXT)
    chunks = [c for event in [START, *TEXT] for c in stream.feed(event)]
    assert chunks
    for event in (end(None), {"type": "message_stop"}):
        assert stream.feed(event) == []
    assert not stream.complete
    assert stream.outcome.finish_reason is None
    with pytest.raises(StreamTruncated):
        stream.end()


def test_an_end_without_any_stop_reason_is_none():
    """What went wrong, the result says that follows it."""
    stream = ClaudeAgentStream(CONTEXT)
    for event in [START, *TEXT]:
        stream.feed(event)
    assert stream.feed({"type": "message_stop"}) == []
    with pytest.raises(StreamTruncated):
        stream.end()


def test_what_follows_a_made_up_end_is_not_taken_for_the_answer():
    stream = ClaudeAgentStream(CONTEXT)
    for event in (START, *TEXT, end(None), {"type": "message_stop"}):
        stream.feed(event)
    for event in (START, *TEXT, end("end_turn")):
        assert stream.feed(event) == []
    with pytest.raises(StreamTruncated):
        stream.end()


def test_a_whole_answer_is_what_its_events_add_up_to():
    events = [START, *TEXT, *CALL, end("tool_use")]
    completion = ClaudeAgentTranslator().response(events, CONTEXT)
    body = json.loads(completion.data)
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Hi é"
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "look",
        "arguments": '{"a": 1}',
    }
    assert body["usage"]["total_tokens"] == 5
    assert completion.outcome.id == "msg_1"


def test_an_answer_that_stopped_is_not_whole():
    with pytest.raises(StreamTruncated):
        ClaudeAgentTranslator().response([START, *TEXT], CONTEXT)


def test_an_error_event_is_an_error():
    stream = ClaudeAgentStream(CONTEXT)
    with pytest.raises(ProviderError) as caught:
        stream.feed({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    assert caught.value.kind == "overloaded"

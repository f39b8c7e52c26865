"""Answers that take more than one request: the whole one says what the stream says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_api import TRANSLATOR, sse_of, translate
from native_events import closed, finished, opened, start

from tests.translators.chat_requests import user
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.errors import ProviderError
from translators.protocol import Chunk, HttpRequest, Outcome

REQUEST = translate(messages=[user("Hi")], web_search_options={}).request


def answer(reason: str, *content: Json) -> Json:
    """Return a whole answer."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    usage = {"input_tokens": 12, "output_tokens": 1}
    return {**head, "content": list(content), "stop_reason": reason, "usage": usage}


def streamed(hops: list[Json]) -> tuple[Json, Outcome, list[HttpRequest]]:
    """Return what the streams of the hops make, and the requests behind the first."""
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    chunks, requests = list[Chunk](), list[HttpRequest]()
    for hop in hops:
        events = [start(output_tokens=1)]
        for index, block in enumerate(hop["content"]):
            events += [opened(index, **block), closed(index)]
        events += finished(hop["stop_reason"], usage={})
        for event in events_of(sse_of(events)):
            chunks += stream.feed(event)
        chunks += stream.end()
        if stream.follow_up is not None:
            requests.append(stream.follow_up)
    return folded(chunks), stream.outcome, requests


def whole(hops: list[Json]) -> tuple[Json, Outcome, list[HttpRequest]]:
    """Return the same for hops that are not streamed."""
    natives = [json.dumps(hop).encode() for hop in hops]
    requests, request = list[HttpRequest](), REQUEST
    for native in natives:
        if (following := TRANSLATOR.follow_up(request, native)) is not None:
            requests.append(request := following)
    made = TRANSLATOR.join(natives, CONTEXT, REQUEST)
    return json.loads(made.data), made.outcome, requests


def block(kind: str, number: int) -> Json:
    made: dict[str, Json] = {
        "text": {"text": f"said {number}"},
        "thinking": {"thinking": f"thought {number}", "signature": "c2ln"},
        "redacted_thinking": {"data": "c2ln"},
        "tool_use": {"id": f"toolu_{number}", "name": "f", "input": {"n": 2**70, "x": 1.5}},
        "server_tool_use": {"id": f"s{number}", "name": "web_search", "input": {"query": "q"}},
        "new_kind": {"text": "x", "data": "y"},
    }
    return {"type": kind, **made[kind]}


KINDS = ["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "new_kind"]


@given(st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), min_size=2, max_size=4))
@settings(max_examples=100, deadline=None)
def test_whole_answer_of_several_requests_says_what_the_stream_says(kinds: list[list[str]]):
    hops: list[Json] = []
    for place, listed in enumerate(kinds):
        content = [block(kind, 10 * place + index) for index, kind in enumerate(listed)]
        hops.append(answer("end_turn" if place == len(kinds) - 1 else "pause_turn", *content))
    assert whole(hops) == streamed(hops)


def test_thoughts_before_a_pause_stand_on_the_call_behind_it():
    hops = [
        answer("pause_turn", block("thinking", 1), block("text", 2)),
        answer("tool_use", block("tool_use", 3)),
    ]
    made, outcome, _ = whole(hops)
    (call,) = made["choices"][0]["message"]["tool_calls"]
    assert call["extra_content"]["anthropic"]["thinking_blocks"]
    assert outcome.reasoning == {"toolu_3": call["extra_content"]}


@pytest.mark.parametrize("native", [b'"pause_turn"', b'{"stop_reason":"pause_turn"}', b"{"])
def test_follow_up_of_what_is_no_answer_is_none(native: bytes):
    assert TRANSLATOR.follow_up(REQUEST, native) is None
    with pytest.raises(ProviderError):
        TRANSLATOR.response(native, CONTEXT)


def test_what_cannot_pause_has_no_follow_up():
    paused: Any = json.dumps(answer("pause_turn", block("text", 1))).encode()
    assert TRANSLATOR.follow_up(REQUEST, paused) is not None
    assert TRANSLATOR.follow_up(translate(messages=[user("Hi")]).request, paused) is None

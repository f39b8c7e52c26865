"""Answers that take more than one request."""

import json
from typing import Any

import pytest
from gemini_api import TRANSLATOR, sse_of, translate
from gemini_events import blocked, call, event, finished, text, thought

from tests.translators.chat_requests import user
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.errors import ProviderError, StreamTruncated
from translators.gemini_generate.stream import GeminiGenerateStream
from translators.protocol import MAX_FOLLOW_UPS, Chunk, HttpRequest

REQUEST = translate(messages=[user("Hi")], seed=3, stream=True).request


def usage(prompt: int, answer: int) -> Json:
    total = prompt + answer
    return {"promptTokenCount": prompt, "candidatesTokenCount": answer, "totalTokenCount": total}


def more(token: str | None = "t1", *, counts: Any = None) -> Json:
    """The last event of a request that leaves something to be said."""
    carried = {} if token is None else {"continuationToken": token}
    return finished("CONTINUATION", usage=counts, **carried)


def feed(stream: GeminiGenerateStream, *events: Json) -> list[Chunk]:
    """Feed the events of one request, and its end."""
    chunks = [chunk for native in events_of(sse_of(events)) for chunk in stream.feed(native)]
    return [*chunks, *stream.end()]


def run_hops(*hops: list[Json]) -> tuple[Json, list[Json]]:
    """Run an answer of several requests; return it, and the bodies of the requests behind."""
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    chunks, bodies = list[Chunk](), list[Json]()
    for events in hops:
        chunks += feed(stream, *events)
        if (following := stream.follow_up) is not None:
            assert (following.path, following.headers) == (REQUEST.path, REQUEST.headers)
            bodies.append(following.body)
    assert stream.outcome.finish_reason is not None
    return folded(chunks), bodies


def whole_hops(*hops: list[Json]) -> tuple[Json, list[Json]]:
    """The same for answers that are not streamed; each hop is one answer."""
    request, natives, bodies = REQUEST, list[bytes](), list[Json]()
    for (answer,) in hops:
        natives.append(json.dumps(answer).encode())
        following = TRANSLATOR.follow_up(request, natives[-1])
        if following is not None:
            request = following
            bodies.append(following.body)
    return json.loads(TRANSLATOR.join(natives, CONTEXT, REQUEST).data), bodies


def part_way(token: str, counts: Json, *parts: Json) -> Json:
    """An answer to one request that says something and leaves more to be said."""
    return event(*parts, usage=counts, finishReason="CONTINUATION", continuationToken=token)


HOPS: list[list[Json]] = [
    [part_way("t1", usage(9, 4), thought("Hm"), text("Hello, "))],
    [part_way("t2", usage(9, 2), text("wor"))],
    [event(text("ld"), call("f", x=1), finishReason="STOP", usage=usage(9, 5))],
]


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_hops_are_one_answer(run: Any):
    answer, bodies = run(*HOPS)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == "Hello, world"
    assert choice["message"]["reasoning_content"] == "Hm"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert choice["finish_reason"] == "tool_calls"
    assert bodies == [{**REQUEST.body, "continuationToken": token} for token in ("t1", "t2")]


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_row_60_usage_is_the_sum_of_the_hops_and_the_last_of_each(run: Any):
    first = [event(text("a"), usage=usage(9, 1)), more(counts=usage(9, 4))]
    hops = [first, HOPS[2]] if run is run_hops else [HOPS[0], HOPS[2]]
    counted = run(*hops)[0]["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"]) == (18, 9)
    assert counted["total_tokens"] == 27


def test_one_role_one_finish_and_one_usage_for_all_hops():
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    chunks = [json.loads(c.data) for hop in HOPS for c in feed(stream, *hop)]
    roles = [c for c in chunks if c["choices"] and "role" in c["choices"][0]["delta"]]
    reasons = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert len(roles) == 1
    assert [reason for reason in reasons if reason] == ["tool_calls"]
    assert [c["usage"] is not None for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert len({(c["id"], c["model"]) for c in chunks}) == 1


def grounded(said: str, cited: str, **candidate: Any) -> Json:
    start = len(said[: said.index(cited)].encode())
    segment = {"startIndex": start, "endIndex": start + len(cited.encode()), "text": cited}
    metadata = {
        "groundingChunks": [{"web": {"uri": f"https://{cited}", "title": "t"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    return event(text(said), groundingMetadata=metadata, **candidate)


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_offsets_of_sources_go_on(run: Any):
    carried = {"finishReason": "CONTINUATION", "continuationToken": "t1"}
    hops = [[grounded("é one two", "one", **carried)]]
    hops += [[grounded("ø one two", "one", finishReason="STOP")]]
    message = run(*hops)[0]["choices"][0]["message"]
    spans = [entry["url_citation"] for entry in message["annotations"]]
    assert [message["content"][s["start_index"] : s["end_index"]] for s in spans] == ["one", "one"]
    assert [s["start_index"] for s in spans] == [2, 11]


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_offsets_in_a_part_begin_with_that_part_of_their_request(run: Any):
    segment = {"partIndex": 1, "startIndex": 1, "endIndex": 4}
    metadata = {
        "groundingChunks": [{"web": {"uri": "https://one", "title": "t"}}],
        "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}],
    }
    last = event(text("ab"), text(" one"), groundingMetadata=metadata, finishReason="STOP")
    message = run([part_way("t1", usage(1, 1), text("before "))], [last])[0]["choices"][0][
        "message"
    ]
    (span,) = [entry["url_citation"] for entry in message["annotations"]]
    assert message["content"][span["start_index"] : span["end_index"]] == "one"


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_row_06_numbers_of_calls_and_signatures_go_on(run: Any):
    signed = {"text": "", "thoughtSignature": "c2ln"}
    first = part_way("t1", usage(1, 1), call("f"), signed)
    answer, _ = run([first], [event(call("f"), signed, finishReason="STOP")])
    message = answer["choices"][0]["message"]
    assert len({made["id"] for made in message["tool_calls"]}) == 2
    assert len(message["reasoning_details"]) == 2


@pytest.mark.parametrize("token", [None, "", "t1"])
def test_token_that_is_missing_or_the_same_ends_the_answer(token: str | None):
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    feed(stream, event(text("a")), more("t1"))
    chunks = feed(stream, event(text("b")), more(token))
    assert stream.follow_up is None
    assert stream.outcome.finish_reason == "length"
    assert chunks[-1].payload is False
    resumed = HttpRequest(REQUEST.path, {**REQUEST.body, "continuationToken": "t1"}, {})
    assert TRANSLATOR.follow_up(resumed, json.dumps(more(token)).encode()) is None


@pytest.mark.parametrize("run", [run_hops, whole_hops])
def test_there_are_never_too_many_hops(run: Any):
    counts = usage(1, 1)
    hops = [[part_way(f"t{n}", counts, text("a"))] for n in range(MAX_FOLLOW_UPS + 1)]
    answer, bodies = run(*hops)
    if run is run_hops:  # Otherwise whoever talks to the provider counts them.
        assert len(bodies) == MAX_FOLLOW_UPS
    assert answer["choices"][0]["message"]["content"] == "a" * len(hops)
    assert answer["choices"][0]["finish_reason"] == "length"


def test_without_its_request_an_answer_has_no_follow_up():
    stream = TRANSLATOR.stream(CONTEXT)
    feed(stream, event(text("a")), more())
    assert stream.follow_up is None
    assert stream.outcome.finish_reason == "length"


def test_hop_that_breaks_off_is_not_finished():
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    assert feed(stream, event(text("a")), more())[-1].payload
    assert stream.outcome.native_finish_reason is None
    with pytest.raises(StreamTruncated):
        feed(stream, event(text("b")))
    assert stream.follow_up is None


def test_stream_that_broke_off_behind_a_token_goes_on_from_it():
    checkpoint = event(text("a"), continuationToken="t1")
    answer, bodies = run_hops([checkpoint], [event(text("b")), finished()])
    assert answer["choices"][0]["message"]["content"] == "ab"
    assert bodies == [{**REQUEST.body, "continuationToken": "t1"}]


def test_stream_that_said_more_behind_its_token_is_broken():
    """What it said might come a second time."""
    checkpoint = event(text("a"), continuationToken="t1")
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    with pytest.raises(StreamTruncated):
        feed(stream, checkpoint, event(text("b")))
    assert stream.follow_up is None


@pytest.mark.parametrize("last", [finished(), blocked(blockReason="SAFETY")])
def test_token_of_an_answer_that_ended_is_not_followed(last: Json):
    stream = TRANSLATOR.stream(CONTEXT, REQUEST)
    feed(stream, event(text("a"), continuationToken="t1"), last)
    assert stream.follow_up is None


@pytest.mark.parametrize(
    "native",
    [
        finished(),
        event(text("CONTINUATION"), finishReason="STOP", continuationToken="t1"),
        {"candidates": [], "modelVersion": "CONTINUATION"},
    ],
)
def test_whole_answer_has_no_follow_up(native: Json):
    assert TRANSLATOR.follow_up(REQUEST, json.dumps(native).encode()) is None


def test_follow_up_of_what_is_no_answer_is_none():
    assert TRANSLATOR.follow_up(REQUEST, b"CONTINUATION") is None
    with pytest.raises(ProviderError):
        TRANSLATOR.response(b"CONTINUATION", CONTEXT)


def test_calls_before_the_rest_say_how_the_answer_ended():
    hops = [[part_way("t1", usage(1, 1), call("f"))], [event(text("x"), finishReason="STOP")]]
    assert whole_hops(*hops)[0]["choices"][0]["finish_reason"] == "tool_calls"


def test_rest_that_failed_ends_what_there_is():
    hops = [[part_way("t1", usage(1, 1), text("Hi"))], [finished("MALFORMED_RESPONSE")]]
    (choice,) = whole_hops(*hops)[0]["choices"]
    assert choice["message"]["content"] == "Hi"
    assert whole_hops(*hops)[0] == run_hops(*hops)[0]


def test_rest_without_an_end_is_no_answer():
    first = json.dumps(part_way("t1", usage(1, 1), text("Hi"))).encode()
    for rest in (event(text("x")), event(text("x"), continuationToken="t2")):
        with pytest.raises(ProviderError) as caught:
            TRANSLATOR.join([first, json.dumps(rest).encode()], CONTEXT, REQUEST)
        assert caught.value.kind == "protocol"

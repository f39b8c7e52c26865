"""Answers that were held back are told as they came, but for their text."""

import json
from typing import Any

from translators.chunks import ChunkBuilder
from translators.fold import fold
from translators.held_answer import HeldCompletion, HeldStream
from translators.protocol import Chunk, Completion, Outcome, ResponseContext
from translators.wire.response import Usage

Json = dict[str, Any]

CONTEXT = ResponseContext("chatcmpl-1", 1_700_000_000, "m", include_usage=True)
TEXT = 'Äh: {"a": 1}.'
INNER, START = '{"a": 1}', 4


def citation(first: int, last: int) -> Json:
    cited = {"start_index": first, "end_index": last, "url": "https://a.test", "title": "A"}
    return {"type": "url_citation", "url_citation": cited}


CITED = [citation(0, 3), citation(5, 8), citation(4, 13), {"type": "other"}]
MOVED = [citation(1, 4), {"type": "other"}]


def chunks() -> list[Chunk]:
    build = ChunkBuilder(CONTEXT)
    return [
        build.role(),
        build.delta(reasoning_content="hm"),
        build.text(TEXT[:6]),
        build.text(TEXT[6:]),
        build.logprobs([{"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}]),
        build.delta(annotations=CITED),
        build.finish("stop"),
        *build.usage(Usage(1, 2, 3)),
    ]


def held() -> HeldStream:
    stream = HeldStream()
    stream.hold(chunks())
    return stream


def completion() -> Completion:
    return Completion(fold(chunk.data for chunk in chunks()), Outcome(usage=Usage(1, 2, 3)))


def message(data: bytes) -> Json:
    return json.loads(data)["choices"][0]["message"]


def test_what_was_held_is_known():
    for answer in (held(), HeldCompletion(completion())):
        assert (answer.text, answer.finish_reason, answer.refused) == (TEXT, "stop", False)
    assert held().size == sum(len(chunk.data) for chunk in chunks())


def test_without_another_text_it_is_told_byte_for_byte():
    assert list(held().told(None)) == chunks()
    assert list(held().told(None, text=TEXT)) == chunks()
    whole = completion()
    assert HeldCompletion(whole).told(whole.outcome).data == whole.data
    assert HeldCompletion(whole).told(whole.outcome, text=TEXT).data == whole.data


def test_another_text_takes_the_place_of_the_old_one():
    told = held().told(None, text=INNER, start=START)
    deltas = [c["choices"][0]["delta"] for c in map(_json, told) if c["choices"]]
    assert [d["content"] for d in deltas if d.get("content")] == [INNER]
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["hm"]
    assert told[0] == chunks()[0]
    assert told[-2:] == chunks()[-2:]
    assert [chunk.payload for chunk in told] == [False, True, True, True, True, False]


def test_what_points_into_the_text_moves_and_what_would_point_beside_it_goes():
    whole = HeldCompletion(completion()).told(
        Outcome(usage=Usage(1, 2, 3)), text=INNER, start=START
    )
    streamed = fold(chunk.data for chunk in held().told(None, text=INNER, start=START))
    assert message(whole.data)["annotations"] == message(streamed)["annotations"] == MOVED


def test_citations_of_documents_move_too_and_keep_their_places_in_the_list():
    """Their `index` is where clients put them: without the first, the next is the first."""
    spans = [(0, 3), (5, 8), (4, 12), (4, 13), (6, 7)]
    found = [
        {"index": index, "start_index": a, "end_index": b, "citation": {"title": f"D{index}"}}
        for index, (a, b) in enumerate(spans)
    ]
    build = ChunkBuilder(CONTEXT)
    parts = [
        build.role(),
        build.text(TEXT),
        *(build.delta(citations=[dict(entry)]) for entry in found[:4]),
        build.delta(citations=found[4:], annotations=[{"index": 0, **citation(0, 3)}]),
        build.finish("stop"),
    ]
    stream = HeldStream()
    stream.hold(parts)
    whole = HeldCompletion(Completion(fold(chunk.data for chunk in parts), Outcome()))
    streamed = fold(chunk.data for chunk in stream.told(None, text=INNER, start=START))
    said = message(whole.told(Outcome(), text=INNER, start=START).data)
    assert message(streamed) == said
    assert "annotations" not in said
    told = [(c["start_index"], c["end_index"], c["citation"]["title"]) for c in said["citations"]]
    assert told == [(1, 4, "D1"), (0, 8, "D2"), (2, 3, "D4")]


def test_probabilities_of_the_old_text_go():
    whole = HeldCompletion(completion()).told(
        Outcome(usage=Usage(1, 2, 3)), text=INNER, start=START
    )
    assert json.loads(completion().data)["choices"][0]["logprobs"] is not None
    assert json.loads(whole.data)["choices"][0]["logprobs"] is None
    told = [_json(chunk) for chunk in held().told(None, text=INNER, start=START)]
    assert not any(part.get("logprobs") for chunk in told for part in chunk["choices"])


def test_streamed_or_not_the_same_is_told():
    usage = Usage(10, 20, 30)
    whole = HeldCompletion(completion()).told(Outcome(usage=usage), text=INNER, start=START)
    streamed = fold(chunk.data for chunk in held().told(usage, text=INNER, start=START))
    assert json.loads(whole.data) == json.loads(streamed)
    assert json.loads(whole.data)["usage"]["total_tokens"] == 30
    assert json.loads(whole.data)["choices"][0]["message"]["content"] == INNER


def test_only_the_counts_change_where_the_text_stays():
    told = held().told(Usage(10, 20, 30))
    assert list(told[:-1]) == chunks()[:-1]
    assert _json(told[-1])["usage"]["total_tokens"] == 30
    whole = HeldCompletion(completion()).told(Outcome(usage=Usage(10, 20, 30)))
    assert json.loads(whole.data)["usage"]["total_tokens"] == 30
    assert message(whole.data) == message(completion().data)


def _json(chunk: Chunk) -> Json:
    return json.loads(chunk.data)

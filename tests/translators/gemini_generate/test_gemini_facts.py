"""Answers: token probabilities, sources, and what the answer says about itself."""

import json
from dataclasses import replace
from typing import Any

import pytest
from gemini_api import TRANSLATOR, chunks_of, deltas_of, outcome_of, run, sse_of, whole
from gemini_events import USAGE, call, event, finished, text, thought

from tests.translators.streams import CONTEXT, Json, accumulate, events_of
from translators.protocol import ResponseContext


def message_of(events: list[Json], context: ResponseContext = CONTEXT) -> Json:
    chunks, _ = run(events_of(sse_of(events)), context)
    return json.loads(accumulate(chunks).choices[0].message.to_json(warnings=False))


# --- logprobs ----------------------------------------------------------------------------------


def test_row_55_logprobs():
    native = {
        "chosenCandidates": [{"token": "ø", "logProbability": -0.5}, {"token": "b"}],
        "topCandidates": [{"candidates": [{"token": "ø", "logProbability": -0.5}]}],
    }
    top: Json = {"token": "ø", "logprob": -0.5, "bytes": [195, 184]}
    expected = [
        {**top, "top_logprobs": [top]},
        {"token": "b", "logprob": -9999.0, "bytes": [98], "top_logprobs": []},
    ]
    events = [event(text("øb"), logprobsResult=native), finished()]
    snapshot = accumulate(run(events_of(sse_of(events)))[0]).choices[0]
    assert snapshot.logprobs is not None
    assert json.loads(snapshot.logprobs.to_json())["content"] == expected
    body = {**finished(), **event(text("øb"), logprobsResult=native, finishReason="STOP")}
    assert whole(body)["choices"][0]["logprobs"] == {"content": expected, "refusal": None}


# --- sources -----------------------------------------------------------------------------------


def grounded(*segments: Json, chunks: list[Json] | None = None) -> Json:
    pages = chunks or [{"web": {"uri": "https://a.example", "title": "A"}}]
    supports = [{"segment": s, "groundingChunkIndices": [0, 9]} for s in segments]
    return {"groundingMetadata": {"groundingChunks": pages, "groundingSupports": supports}}


def spans_of(events: list[Json]) -> list[tuple[int, int]]:
    found: list[Json] = message_of(events).get("annotations") or []
    return [(a["url_citation"]["start_index"], a["url_citation"]["end_index"]) for a in found]


def test_byte_offsets_become_character_offsets():
    segment = {"startIndex": 5, "endIndex": 9, "text": "🎉"}
    events = [event(text("ø ")), event(text("ø🎉!")), finished(**grounded(segment))]
    annotation = message_of(events)["annotations"][0]
    assert annotation["url_citation"] == {
        **{"start_index": 3, "end_index": 4},
        **{"title": "A", "url": "https://a.example"},
    }


@pytest.mark.parametrize(
    ("segment", "span"),
    [
        ({"endIndex": 2, "partIndex": 1}, (0, 2)),
        ({"startIndex": 1, "endIndex": 3, "partIndex": 3}, (5, 7)),
        ({"startIndex": 1, "endIndex": 3, "partIndex": 1, "text": "gh"}, (6, 8)),
        ({"endIndex": 99, "partIndex": 99}, (0, 8)),
        ({"endIndex": -4}, (0, 0)),
        ({}, (0, 0)),
    ],
)
def test_offsets_begin_with_their_part(segment: Json, span: tuple[int, int]):
    parts = [thought("Hm"), text("abcd"), call("f"), text("efgh")]
    assert spans_of([event(*parts), finished(**grounded(segment))]) == [span]
    # Streamed, each part goes on from event to event.
    pieces = [event(thought("H")), event(thought("m")), event(text("ab")), event(text("cd"))]
    streamed = [*pieces, event(call("f")), event(text("e")), event(text("fgh"))]
    assert spans_of([*streamed, finished(**grounded(segment))]) == [span]


def test_sources_that_come_twice_count_once():
    one = grounded({"endIndex": 1})
    events = [event(text("x"), **one), event(text("y"), **one), finished(**one)]
    assert spans_of(events) == [(0, 1)]
    indexes = [a["index"] for d in deltas_of(events) for a in d.get("annotations", ())]
    assert indexes == [0]


def test_chunks_may_come_before_what_they_support():
    pages = grounded()
    later = {"groundingMetadata": grounded({"endIndex": 1})["groundingMetadata"]}
    del later["groundingMetadata"]["groundingChunks"]
    assert spans_of([event(text("x"), **pages), finished(**later)]) == [(0, 1)]


def test_source_without_an_address_is_no_annotation():
    chunks = [{"retrievedContext": {"title": "file"}}]
    assert spans_of([event(text("x")), finished(**grounded({"endIndex": 1}, chunks=chunks))]) == []


@pytest.mark.parametrize("field", ["citations", "citationSources"])
def test_citations_are_annotations(field: str):
    cited = [{"startIndex": 2, "endIndex": 3, "uri": "https://b.example"}, {"endIndex": 1}]
    events = [event(text("øb")), finished(citationMetadata={field: cited})]
    assert spans_of(events) == [(1, 2)]


# --- usage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((10, 5, 3, None, 18), (10, 8, 18)),
        ((10, 8, 3, None, 18), (10, 8, 18)),  # Includes the thoughts already.
        ((10, None, 3, None, 13), (10, 3, 13)),
        ((10, 5, None, 4, 19), (14, 5, 19)),
        ((10, 5, 0, None, 15), (10, 5, 15)),
        ((10, 5, 3, None, None), (10, 8, 18)),
        ((10, None, None, None, 10), (10, 0, 10)),
    ],
)
def test_row_60_usage_arithmetic(counts: tuple[Any, ...], expected: tuple[int, int, int]):
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    names += ("toolUsePromptTokenCount", "totalTokenCount")
    usage = {n: v for n, v in zip(names, counts, strict=True) if v is not None}
    outcome = outcome_of([{**event(text("x")), "usageMetadata": {}}, finished(usage=usage)])
    assert outcome.usage is not None
    found = outcome.usage
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == expected
    reasoning = found.completion_tokens_details
    assert (reasoning.reasoning_tokens if reasoning else None) == counts[2]


def test_row_61_details_of_the_usage():
    def counts(**by: int) -> list[Json]:
        return [{"modality": name, "tokenCount": count} for name, count in by.items()]

    usage = {
        **{"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 17},
        **{"cachedContentTokenCount": 4, "toolUsePromptTokenCount": 2},
        "promptTokensDetails": counts(TEXT=3, IMAGE=5, AUDIO=2),
        "toolUsePromptTokensDetails": counts(TEXT=2),
        "candidatesTokensDetails": [{"modality": 1, "tokenCount": 5}],
    }
    last = chunks_of([event(text("x")), finished(usage=usage)])[-1]["usage"]
    assert last["prompt_tokens_details"] == {
        **{"audio_tokens": 2, "cached_tokens": 4, "image_tokens": 5, "text_tokens": 5}
    }
    assert last["completion_tokens_details"] == {"text_tokens": 5}


def test_rows_58_59_one_usage_chunk_and_it_is_the_last():
    chunks = chunks_of([event(text("x")), event(text("y")), finished()])
    assert [c["usage"] is not None for c in chunks] == [False, False, False, False, True]
    assert chunks[-1]["choices"] == []
    silent = replace(CONTEXT, include_usage=False)
    assert all("usage" not in c for c in chunks_of([finished()], silent))


def test_last_counts_count_and_those_without_numbers_do_not():
    later = {"promptTokenCount": 9, "totalTokenCount": 9}
    events = [event(text("x")), event(text("y"), usage=later), finished(usage={"trafficType": "A"})]
    usage = outcome_of(events).usage
    assert usage is not None and usage.prompt_tokens == 9


@pytest.mark.parametrize("usage", [7, "x", [], {"promptTokenCount": "x"}, {"totalTokenCount": []}])
def test_usage_that_cannot_be_read_does_not_break_the_answer(usage: Any):
    assert outcome_of([event(text("x"), usage=usage), finished(usage=usage)]).usage is None


def test_outcome_of_a_cancelled_stream_knows_what_was_spent():
    stream = TRANSLATOR.stream(CONTEXT)
    stream.feed(events_of(sse_of([event(text("x"))]))[0])
    outcome = stream.outcome
    assert (outcome.id, outcome.model, outcome.finish_reason) == ("resp-1", "gemini-x", None)
    assert outcome.usage is not None
    assert outcome.usage.prompt_tokens == USAGE["promptTokenCount"]
    assert not stream.complete


@pytest.mark.parametrize(
    ("tier", "name"), [("standard", "default"), ("PRIORITY", "priority"), ("x", None), (None, None)]
)
def test_service_tier(tier: str | None, name: str | None):
    events = [event(text("x"), usage={**USAGE, "serviceTier": tier}), finished()]
    assert {c.get("service_tier") for c in chunks_of(events)} == {name}


def test_row_62_id_and_model_are_the_same_everywhere():
    events = [event(text("x")), finished()]
    assert {(c["id"], c["model"]) for c in chunks_of(events)} == {("chatcmpl-resp-1", "gemini-x")}
    answer = whole({**event(text("x"), finishReason="STOP")})
    assert (answer["id"], answer["model"]) == ("chatcmpl-resp-1", "gemini-x")
    nameless: list[Json] = [{"candidates": finished()["candidates"]}]
    assert {(c["id"], c["model"]) for c in chunks_of(nameless)} == {(CONTEXT.id, CONTEXT.model)}

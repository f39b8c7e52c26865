"""Answers put together: parts to one answer, answers to choices, counts to sums."""

import json
from typing import Any

from openai.types.chat import ChatCompletion

from translators.choices import CombinedOutcome, combine
from translators.chunks import ChunkBuilder, completion
from translators.fold import join
from translators.protocol import Completion, Outcome, ResponseContext
from translators.wire.response import (
    CompletionTokensDetails,
    PromptTokensDetails,
    Usage,
    add_usage,
)

Json = dict[str, Any]


def part(
    content: str | None,
    *,
    reason: str = "stop",
    usage: Usage | None = None,
    reasoning: Json | None = None,
    index: int = 0,
    **message: Any,
) -> Completion:
    """Return a completion of one choice."""
    choice = {
        "index": index,
        "message": {"role": "assistant", "content": content, "refusal": None, **message},
        "logprobs": None,
        "finish_reason": reason,
    }
    body: Json = {"id": f"id-{content}", "object": "chat.completion", "created": 1, "model": "m"}
    outcome = Outcome(f"id-{content}", "m", reason, reason.upper(), usage, reasoning or {})
    return Completion(json.dumps({**body, "choices": [choice]}).encode(), outcome)


def joined(*parts: Completion) -> Json:
    whole = join(parts)
    ChatCompletion.model_validate_json(whole.data, strict=True)
    return json.loads(whole.data)


def message(body: Json) -> Json:
    return body["choices"][0]["message"]


def citation(first: int, last: int) -> Json:
    cited = {"start_index": first, "end_index": last, "url": "https://a.test", "title": "A"}
    return {"type": "url_citation", "url_citation": cited}


def test_texts_follow_each_other_and_the_last_part_says_how_it_ended():
    whole = join([part("one ", reason="length"), part("two")])
    body = json.loads(whole.data)
    assert message(body)["content"] == "one two"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["id"] == "id-one "
    outcome = whole.outcome
    assert (outcome.finish_reason, outcome.native_finish_reason) == ("stop", "STOP")
    assert (outcome.id, outcome.model) == ("id-one ", "m")


def test_citations_move_with_their_text():
    first = part("äöü ", annotations=[citation(0, 3)])
    second = part("xyz", annotations=[citation(1, 2), {"type": "other"}])
    spans = [
        (a["url_citation"]["start_index"], a["url_citation"]["end_index"])
        for a in message(json.loads(join([first, second]).data))["annotations"]
        if "url_citation" in a
    ]
    assert spans == [(0, 3), (5, 6)]


def test_calls_and_thoughts_of_all_parts_are_kept():
    def call(id: str) -> Json:
        return {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}

    body = joined(
        part(None, reasoning_content="a", tool_calls=[call("1")]),
        part("x", reasoning_content="b"),
        part(None, reason="tool_calls", tool_calls=[call("2"), call("3")]),
    )
    assert [c["id"] for c in message(body)["tool_calls"]] == ["1", "2", "3"]
    assert message(body)["reasoning_content"] == "ab"
    assert message(body)["content"] == "x"


def test_what_only_a_later_part_has_is_there():
    body = joined(part(None), part("x", annotations=[citation(0, 1)]))
    assert message(body)["content"] == "x"
    assert message(body)["annotations"] == [citation(0, 1)]


def test_counts_and_what_providers_want_back_are_put_together():
    one = part("a", usage=Usage(10, 5, 15), reasoning={"1": "x"})
    whole = join([one, part("b"), part("c", usage=Usage(1, 2, 3), reasoning={"2": "y"})])
    assert whole.outcome.usage == Usage(11, 7, 18)
    assert json.loads(whole.data)["usage"]["total_tokens"] == 18
    assert whole.outcome.reasoning == {"1": "x", "2": "y"}
    assert one.outcome.reasoning == {"1": "x"}


def test_spans_of_documents_move_with_their_text_and_probabilities_are_appended():
    def quoted(text: str) -> Completion:
        spans = [{"start_index": 0, "end_index": len(text), "citation": {"type": "page_location"}}]
        body: Json = json.loads(part(text, citations=spans).data)
        token = {"token": text, "logprob": -1.0, "bytes": None, "top_logprobs": []}
        body["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        return Completion(json.dumps(body).encode(), Outcome())

    body = joined(quoted("one "), quoted("two"), part("!"))
    spans = [(c["start_index"], c["end_index"]) for c in message(body)["citations"]]
    assert spans == [(0, 4), (4, 7)]
    logprobs = body["choices"][0]["logprobs"]
    assert [entry["token"] for entry in logprobs["content"]] == ["one ", "two"]
    assert logprobs["refusal"] is None


def test_one_part_is_itself():
    assert joined(part("a")) == json.loads(part("a").data)


def test_details_are_added_field_by_field():
    one = Usage(1, 2, 3, PromptTokensDetails(cached_tokens=4))
    other = Usage(
        *(10, 20, 30),
        PromptTokensDetails(cached_tokens=40, audio_tokens=5),
        CompletionTokensDetails(reasoning_tokens=6),
    )
    assert add_usage(one, other) == Usage(
        *(11, 22, 33),
        PromptTokensDetails(cached_tokens=44, audio_tokens=5),
        CompletionTokensDetails(reasoning_tokens=6),
    )
    assert add_usage(one, other) == add_usage(other, one)


def test_what_was_not_counted_adds_nothing():
    assert add_usage(None, None) is None
    assert add_usage(Usage(1, 2, 3), None) == add_usage(None, Usage(1, 2, 3)) == Usage(1, 2, 3)
    zero = Usage(0, 0, 0, PromptTokensDetails(cached_tokens=0))
    assert add_usage(zero, Usage(1, 2, 3)) == Usage(1, 2, 3, PromptTokensDetails(cached_tokens=0))


def test_row_54_choices_stand_side_by_side():
    whole = combine([part("a", usage=Usage(1, 2, 3)), part("b", usage=Usage(1, 1, 2), index=1)])
    body = json.loads(whole.data)
    ChatCompletion.model_validate_json(whole.data, strict=True)
    assert [c["message"]["content"] for c in body["choices"]] == ["a", "b"]
    assert [c["index"] for c in body["choices"]] == [0, 1]
    assert (body["id"], body["usage"]["total_tokens"]) == ("id-a", 5)
    assert whole.outcome.usage == Usage(2, 3, 5)


def test_one_of_several_choices_has_the_id_of_the_whole_answer():
    for choice, id in ((None, "own"), (0, "chatcmpl-all"), (2, "chatcmpl-all")):
        context = ResponseContext("chatcmpl-all", 1, "m", include_usage=True, choice=choice)
        build = ChunkBuilder(context)
        build.identify("own", "m")
        assert json.loads(build.text("x").data)["id"] == id
        message = {"role": "assistant", "content": "x"}
        whole = completion(
            context, id="own", model="m", message=message, finish_reason="stop", usage=None
        )
        assert json.loads(whole)["id"] == id
        assert json.loads(whole)["choices"][0]["index"] == (choice or 0)
        assert len(build.usage(Usage(1, 1, 2))) == (choice is None)


def test_an_outcome_of_several_is_up_to_date():
    parts = [Outcome(id="1", usage=Usage(1, 1, 2)), Outcome(id="2")]
    first, last = CombinedOutcome(parts), CombinedOutcome(parts, speaker=-1)
    parts[1].usage, parts[1].finish_reason = Usage(2, 2, 4), "stop"
    assert (first.id, first.finish_reason, first.usage) == ("1", None, Usage(3, 3, 6))
    assert (last.id, last.finish_reason, last.usage) == ("2", "stop", Usage(3, 3, 6))
    parts.append(Outcome(id="3"))
    assert (last.id, last.finish_reason) == ("3", None)

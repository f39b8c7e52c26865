"""Answers put together: parts to one answer, answers to choices, counts to sums."""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from translators.choices import CombinedOutcome, combine
from translators.chunks import ChunkBuilder, completion
from translators.fold import Fold, fold
from translators.json import encode
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


def test_probabilities_of_tokens_are_appended():
    def chunk(text: str, reason: str | None = None) -> bytes:
        token: Json = {"token": text, "logprob": -1.0, "bytes": None, "top_logprobs": []}
        logprobs = {"content": [token], "refusal": None}
        delta = {"index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": reason}
        return json.dumps({"id": "i", "model": "m", "choices": [delta]}).encode()

    logprobs = json.loads(fold([chunk("one "), chunk("two", "stop")]))["choices"][0]["logprobs"]
    assert [entry["token"] for entry in logprobs["content"]] == ["one ", "two"]
    assert logprobs["refusal"] is None


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


def test_an_index_far_behind_is_refused_and_a_gap_counts() -> None:
    def chunk(index: int) -> bytes:
        call = {"index": index, "id": "c", "type": "function", "function": {"name": "f"}}
        delta = {"role": "assistant", "tool_calls": [call]}
        part = {"index": 0, "delta": delta, "finish_reason": None}
        return encode({"id": "x", "object": "chat.completion.chunk", "choices": [part]})

    fold = Fold()
    fold.add(chunk(900))
    assert fold.size > 900 * 32
    with pytest.raises(ValueError, match="far behind"):
        Fold().add(chunk(5000))

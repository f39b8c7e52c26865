"""A whole answer told as a stream: the OpenAI SDK, and our own fold, make the same of it again."""

import json
from typing import Any

import pytest

from tests.translators.streams import accumulate, folded
from translators.unfold import PIECE, unfold

Json = dict[str, Any]

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
LONG = {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "x" * 9000}}
CUSTOM = {"id": "call_3", "type": "custom", "custom": {"name": "h", "input": "free text"}}
EXTRA = {**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}}
LOGPROBS = {
    "content": [{"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": []}],
    "refusal": None,
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}

MESSAGES: dict[str, Json] = {
    "text": {"content": "Hello"},
    "long text": {"content": "Wörter 🦉 " * 3000},
    "no text": {"content": ""},
    "call": {"content": None, "tool_calls": [CALL]},
    "calls": {"content": "So:", "tool_calls": [EXTRA, LONG]},
    "no arguments": {
        "content": None,
        "tool_calls": [{**CALL, "function": {"name": "f", "arguments": ""}}],
    },
    "function": {"content": None, "function_call": {"name": "f", "arguments": "{}" * 3000}},
    "refusal": {"content": None, "refusal": "I will not."},
    "thoughts": {
        "content": "Hi",
        "reasoning_content": "Hm. " * 2000,
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"},
            {"type": "reasoning.encrypted", "data": "eA=="},
        ],
    },
    "sources": {
        "content": "Hi",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": "https://x",
                    "title": "X",
                    "start_index": 0,
                    "end_index": 2,
                },
            }
        ],
    },
}


def whole(message: Json, *, usage: Json | None = USAGE, **choice: Any) -> Json:
    reason = "tool_calls" if "tool_calls" in message else "stop"
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    one = {"index": 0, "message": said, "logprobs": None, "finish_reason": reason, **choice}
    head = {"id": "chatcmpl-1", "created": 1, "model": "m", "system_fingerprint": "fp"}
    body: Json = {**head, "object": "chat.completion", "choices": [one]}
    return body if usage is None else {**body, "usage": usage}


def encoded(body: Json) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize("name", MESSAGES)
def test_it_folds_to_what_it_was(name: str) -> None:
    body = whole(MESSAGES[name])
    assert folded(unfold(encoded(body), include_usage=True)) == body


@pytest.mark.parametrize("name", MESSAGES)
def test_the_sdk_makes_the_same_of_it(name: str) -> None:
    body = whole(MESSAGES[name])
    snapshot = accumulate(unfold(encoded(body), include_usage=True)).model_dump()
    (choice,) = snapshot["choices"]
    message = choice["message"]
    for call in message["tool_calls"] or ():
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    for name, value in body["choices"][0]["message"].items():
        found = message[name]
        if isinstance(value, list) and name != "tool_calls":
            found = [{k: v for k, v in entry.items() if k != "index"} for entry in found]
        assert found == value, name
    assert choice["finish_reason"] == body["choices"][0]["finish_reason"]
    assert (snapshot["id"], snapshot["created"], snapshot["model"]) == ("chatcmpl-1", 1, "m")
    assert {name: snapshot["usage"][name] for name in USAGE} == USAGE


def test_custom_calls_and_token_probabilities() -> None:
    body = whole({"content": "H", "tool_calls": [CUSTOM, CALL]}, logprobs=LOGPROBS)
    assert folded(unfold(encoded(body), include_usage=True)) == body


def test_the_order_that_clients_rely_on() -> None:
    body = whole(MESSAGES["thoughts"] | {"tool_calls": [CALL, LONG]})
    chunks = [json.loads(c.data) for c in unfold(encoded(body), include_usage=True)]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk["id"] for chunk in chunks} == {"chatcmpl-1"}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == USAGE
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0]["role"] == "assistant"
    assert all("role" not in delta for delta in deltas[1:])
    names = [next(iter(delta), "") for delta in deltas[1:]]
    firsts = list(dict.fromkeys(names))
    assert firsts == ["reasoning_content", "reasoning_details", "content", "tool_calls", ""]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]]
    assert reasons == [None] * (len(reasons) - 1) + ["tool_calls"]
    ids = [call.get("id") for delta in deltas for call in delta.get("tool_calls", ())]
    assert ids == ["call_1", "call_2", None, None]


def test_no_line_is_too_long() -> None:
    chunks = unfold(encoded(whole({"content": "🦉" * 100_000})), include_usage=True)
    assert max(len(chunk.data) for chunk in chunks) < 4 * PIECE + 500


def test_usage_comes_only_where_it_is_asked_for_and_known() -> None:
    chunks = unfold(encoded(whole(MESSAGES["text"])), include_usage=False)
    assert all(b"usage" not in chunk.data for chunk in chunks)
    chunks = unfold(encoded(whole(MESSAGES["text"], usage=None)), include_usage=True)
    assert all(json.loads(chunk.data)["choices"] for chunk in chunks)


def test_fields_of_a_choice_that_nobody_knows_are_told() -> None:
    body = whole(MESSAGES["text"], native_finish_reason="end_turn")
    *_, last = unfold(encoded(body), include_usage=False)
    assert json.loads(last.data)["choices"][0]["native_finish_reason"] == "end_turn"

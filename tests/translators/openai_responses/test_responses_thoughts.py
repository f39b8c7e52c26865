"""Answers: what becomes of the reasoning."""

import json
from typing import Any

import pytest
from responses_api import STREAMS, TRANSLATOR, run, sse_of
from responses_events import FULL, SEARCH, answer, call, custom, events_for, text, thought

from tests.translators.chat_requests import chat_of
from tests.translators.streams import Json, events_of, folded


def message_of(native: Json) -> Json:
    """Return the message of a streamed answer."""
    return folded(run(events_of(sse_of(events_for(native))))[0])["choices"][0]["message"]


def deltas_of(native: Json) -> list[Json]:
    return STREAMS.deltas_of(events_for(native))


def item(id: str, *summary: str, encrypted: str) -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": parts, "encrypted_content": encrypted}


def test_row_29_reasoning_is_shown_and_given_to_be_sent_back():
    message = message_of(FULL)
    assert message["reasoning_content"] == "Look it up.\n\nThen say it."
    base: Json = {"format": "openai-responses-v1"}
    assert message["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "Look it up.", "id": "rs_1", **base},
        {"type": "reasoning.summary", "summary": "Then say it.", "id": "rs_1", **base},
        {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", **base},
        {"type": "reasoning.encrypted", "data": "gBBB", "id": "rs_2", **base},
    ]
    first, second = message["tool_calls"]
    items = [
        item("rs_1", "Look it up.", "Then say it.", encrypted="gAAA"),
        item("rs_2", encrypted="gBBB"),
    ]
    extra = {"openai": {"reasoning_items": items, "text_after": 1}}
    assert first["extra_content"] == extra
    assert "extra_content" not in second
    assert STREAMS.outcome_of(events_for(FULL)).reasoning == {"call_1": extra}


def test_details_have_indexes_from_0():
    found = [e["index"] for delta in deltas_of(FULL) for e in delta.get("reasoning_details", ())]
    assert found == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ([thought(), text("Hi")], ["rs_1"]),
        ([thought(), thought(id="rs_2"), call()], ["rs_1", "rs_2"]),
        ([thought(), custom()], ["rs_1"]),
        ([thought(), SEARCH, thought(id="rs_2"), text("Hi")], ["rs_2"]),
        ([thought(), SEARCH, text("Hi")], []),
        ([text("Hi"), thought()], []),
        ([thought(encrypted=None), text("Hi")], []),
        ([thought(encrypted=""), text("Hi")], []),
    ],
)
def test_only_reasoning_that_led_to_something_is_given(output: list[Json], given: list[str]):
    """A 400 there: "provided without its required following item"."""
    found = message_of(answer(*output)).get("reasoning_details", [])
    assert [e["id"] for e in found if e["type"] == "reasoning.encrypted"] == given


@pytest.mark.parametrize(
    ("output", "carried"),
    [
        ([thought(), call()], [(["rs_1"], None)]),
        ([thought(), text("Hi"), call()], [(["rs_1"], None)]),
        ([text("Hi"), thought(), call()], [(["rs_1"], 0)]),
        ([thought(), text("Hi"), thought(id="rs_2"), call()], [(["rs_1", "rs_2"], 1)]),
        ([thought(), text(""), thought(id="rs_2"), call()], [(["rs_1", "rs_2"], None)]),
        ([call(), thought(), text("Hi"), thought(id="rs_2"), call(id="b")], [None, (2, None)]),
    ],
)
def test_calls_carry_what_stood_before_them(output: list[Json], carried: list[Any]):
    calls = message_of(answer(*output))["tool_calls"]
    for found, expected in zip(calls, carried, strict=True):
        own = found.get("extra_content", {}).get("openai")
        if expected is None:
            assert own is None
            continue
        ids = [one["id"] for one in own["reasoning_items"]]
        assert ids == expected[0] or len(ids) == expected[0]
        assert own.get("text_after") == expected[1]


def test_what_an_answer_gave_goes_back_as_it_came():
    """The round trip: the message of an answer, sent back, is the answer's own items."""
    message = message_of(FULL)
    fed = [
        {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
        for call in (message["tool_calls"])
    ]
    native = [item for item in FULL["output"] if item is not SEARCH]
    for sent in (message, {**message, "reasoning_details": None}):
        chat = {"model": "m", "messages": [{"role": "user", "content": "x"}, sent, *fed]}
        items = _items(chat)[1:-2]
        assert [_told(one) for one in items] == [_told(one) for one in native]


def _items(chat: Json) -> list[Json]:
    return TRANSLATOR.request(chat_of(chat), model="gpt-5").request.body["input"]


def _told(item: Json) -> Any:
    if item.get("role") == "assistant":
        content = item["content"]
        return content if isinstance(content, str) else content[0]["text"]
    if item["type"] == "reasoning":
        return item
    return item["type"], item["call_id"], item["name"], json.loads(item["arguments"])


def test_reasoning_text_of_open_models_is_shown():
    raw = {**thought(id="r"), "content": [{"type": "reasoning_text", "text": "Raw"}]}
    message = message_of(answer(raw, text("Hi")))
    assert message["reasoning_content"] == "Raw"
    kinds = [entry["type"] for entry in message["reasoning_details"]]
    assert kinds == ["reasoning.text", "reasoning.encrypted"]

"""Thoughts: out to the client, and back to the API, whole and in their places."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from messages_api import STREAMS, TRANSLATOR, WEATHER, deltas_of, run, sse_of, translate, turns_of
from native_events import closed, finished, opened, start, text, thinking, tool
from test_anthropic_properties import CALLS, MODELS

from tests.translators.chat_requests import calls, result, user
from tests.translators.strategies import conversations, grown_bodies
from tests.translators.streams import CONTEXT, Json, accumulate, events_of, folded
from translators.json import encode

FORMAT = "anthropic-claude-v1"


def thought(words: str, signature: str = "c2ln") -> Json:
    return {"type": "thinking", "thinking": words, "signature": signature}


def detail(words: str, signature: str = "c2ln") -> Json:
    return {"type": "reasoning.text", "text": words, "signature": signature, "format": FORMAT}


HIDDEN: Json = {"type": "redacted_thinking", "data": "ZGF0YQ=="}
ANSWER: list[Json] = [
    start(),
    *thinking(0, "I ", "think"),
    opened(1, **HIDDEN),
    closed(1),
    *thinking(2),
    *text(3, "Look."),
    *tool(4, "toolu_a", "f", "{}"),
    *thinking(5, "More"),
    *tool(6, "toolu_b", "f", "{}"),
    *tool(7, "toolu_c", "f", "{}"),
    *finished("tool_use"),
]
DETAILS = [
    detail("I think"),
    {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "format": FORMAT},
    detail(""),
    detail("More"),
]
BEFORE = {
    "toolu_a": [thought("I think"), HIDDEN, thought("")],
    "toolu_b": [thought("More")],
}


def extras(message: Json) -> Json:
    return {call["id"]: call.get("extra_content") for call in message["tool_calls"]}


def test_rows_29_30_and_34_thoughts_are_told_with_their_signatures():
    """Signed thoughts without words, and hidden ones, are among them."""
    chunks, outcome = run(events_of(sse_of(ANSWER)))
    ours = folded(chunks)["choices"][0]["message"]
    assert ours["reasoning_content"] == "I thinkMore"
    assert ours["reasoning_details"] == DETAILS
    carried = {id: {"anthropic": {"thinking_blocks": blocks}} for id, blocks in BEFORE.items()}
    assert extras(ours) == {**carried, "toolu_c": None}
    assert "text_after" not in str(carried)  # All of them stood before the text.
    assert outcome.reasoning == carried
    theirs: Any = json.loads(accumulate(chunks).to_json(warnings=False))["choices"][0]["message"]
    told = [
        {k: v for k, v in entry.items() if k != "index"} for entry in theirs["reasoning_details"]
    ]
    assert told == DETAILS
    assert extras(theirs) == extras(ours)


def test_whole_answer_carries_the_same():
    content: list[Json] = [
        *BEFORE["toolu_a"],
        {"type": "text", "text": "Look."},
        {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}},
        *BEFORE["toolu_b"],
        {"type": "tool_use", "id": "toolu_b", "name": "f", "input": {}},
        {"type": "tool_use", "id": "toolu_c", "name": "f", "input": {}},
    ]
    usage = {"input_tokens": 12, "output_tokens": 20}
    body = {**start()["message"], "content": content, "stop_reason": "tool_use", "usage": usage}
    completion = TRANSLATOR.response(json.dumps(body).encode(), CONTEXT)
    chunks, outcome = run(events_of(sse_of(ANSWER)))
    assert json.loads(completion.data) == folded(chunks)
    assert completion.outcome.reasoning == outcome.reasoning


def test_details_are_numbered_and_never_in_two_chunks():
    entries = [e for d in deltas_of(ANSWER) for e in d.get("reasoning_details", ())]
    assert [entry["index"] for entry in entries] == [0, 1, 2, 3]


def test_custom_call_carries_its_thoughts():
    events = [start(), *thinking(0, "x"), *tool(1, "toolu_a", "shell", "{}"), *finished("tool_use")]
    custom = replace(CONTEXT, custom_tools=frozenset({"shell"}))
    (call,) = [c for d in deltas_of(events, custom) for c in d.get("tool_calls", ())]
    assert call["extra_content"] == {"anthropic": {"thinking_blocks": [thought("x")]}}


@pytest.mark.parametrize(
    ("parts", "after"),
    [
        ("ststf", 1),
        ("tssf", 0),
        ("stf", None),
        ("sstsf", 2),
        ("sf", None),
        ("sftsf", None),
    ],
)
def test_first_call_says_where_the_text_stood(parts: str, after: int | None):
    events = [start()]
    for index, part in enumerate(parts):
        made = {"s": thinking(index, "x"), "t": text(index, "y")}
        events += made.get(part) or tool(index, f"toolu_{index}", "f", "{}")
    chunks, outcome = run(events_of(sse_of([*events, *finished("tool_use")])))
    for told in (extras(folded(chunks)["choices"][0]["message"]), outcome.reasoning):
        first, *others = [extra["anthropic"] for extra in told.values() if extra]
        assert first.get("text_after") == after
        assert not any("text_after" in extra for extra in others)


# --- back ---------------------------------------------------------------------------------------


def kinds_of(message: Json, **fields: Any) -> list[Any]:
    """Return what the answer becomes: the thoughts' words, and the types of the others."""
    ids = [call["id"] for call in message.get("tool_calls", ())]
    turns = turns_of(user("x"), message, *map(result, ids), user("y"), tools=[WEATHER], **fields)
    return [block.get("thinking", block["type"]) for block in turns[1]["content"]]


def answer(*carried: Json | None, **fields: Any) -> Json:
    found = calls(*(f"c{number}" for number in range(len(carried))))
    for call, extra in zip(found["tool_calls"], carried, strict=True):
        if extra is not None:
            call["extra_content"] = extra
    return {**found, "content": "Look.", **fields}


def own(*words: str) -> Json:
    return {"anthropic": {"thinking_blocks": [thought(word, word) for word in words]}}


@pytest.mark.parametrize(
    ("message", "kinds"),
    [
        (answer(own("a"), own("b"), None), ["a", "text", "tool_use", "b", "tool_use", "tool_use"]),
        (
            answer(own("a"), own("b"), reasoning_details=[detail("a", "a"), detail("b", "b")]),
            ["a", "text", "tool_use", "b", "tool_use"],
        ),
        (
            answer(None, None, reasoning_details=[detail("a", "a"), detail("b", "b")]),
            ["a", "b", "text", "tool_use", "tool_use"],
        ),
        (
            answer(own("z"), reasoning_details=[detail("a", "a")]),
            ["a", "text", "tool_use"],
        ),
        (
            {"role": "assistant", "content": "x", "reasoning_details": [detail("a"), DETAILS[1]]},
            ["a", "redacted_thinking", "text"],
        ),
        (
            {"role": "assistant", "content": "x", "thinking_blocks": [thought("a")]},
            ["a", "text"],
        ),
    ],
    ids=["calls", "both", "details", "disagree", "no calls", "thinking_blocks"],
)
def test_row_29_thoughts_come_back_once_and_in_their_places(message: Json, kinds: list[str]):
    assert kinds_of(message) == kinds
    translated = translate(
        messages=[user("x"), {**message, "reasoning_content": "a"}]
        + [result(call["id"]) for call in message.get("tool_calls", ())]
        + [user("y")],
        tools=[WEATHER],
    )
    assert translated.report.ignored == ()


@pytest.mark.parametrize(
    "entry",
    [
        {**detail("a"), "format": "google-gemini-v1"},
        {**detail("a"), "format": "openai-responses-v1"},
        {"type": "reasoning.text", "text": "a", "signature": "s"},
        detail("a", ""),
        {**detail("a"), "signature": 7},
        {"type": "reasoning.encrypted", "data": "", "format": FORMAT},
        7,
    ],
)
def test_row_32_foreign_or_unsigned_thoughts_are_left_out(entry: Any):
    message = {"role": "assistant", "content": "x", "reasoning_details": [entry]}
    assert kinds_of(message) == ["text"]
    report = translate(messages=[user("x"), message, user("y")]).report
    assert report.ignored == ("messages[].reasoning_details",)


@pytest.mark.parametrize(
    ("after", "details", "kinds"),
    [
        (1, (), ["a", "text", "b", "tool_use"]),
        (0, (), ["text", "a", "b", "tool_use"]),
        (None, (), ["a", "b", "text", "tool_use"]),
        (9, (), ["a", "b", "text", "tool_use"]),
        (-1, (), ["a", "b", "text", "tool_use"]),
        (True, (), ["a", "b", "text", "tool_use"]),
        ([], (), ["a", "b", "text", "tool_use"]),
        (1, ("a", "b"), ["a", "text", "b", "tool_use"]),
        (1, ("b",), ["text", "b", "tool_use"]),
        (1, ("z", "a", "b"), ["z", "a", "text", "b", "tool_use"]),
    ],
)
def test_thoughts_behind_the_text_come_back_there(after: Any, details: Any, kinds: list[str]):
    """A thought is bound to what stood before it."""
    carried = own("a", "b")
    carried["anthropic"]["text_after"] = after
    assert kinds_of(answer(carried, reasoning_details=[detail(d, d) for d in details])) == kinds


def test_our_own_answer_comes_back_in_its_order():
    events = [start(), *thinking(0, "s1"), *text(1, "Look."), *thinking(2, "s2")]
    events += [*tool(3, "toolu_a", "get_weather", "{}"), *finished("tool_use")]
    for index, signature in ((3, "MQ=="), (10, "Mg==")):
        events[index]["delta"]["signature"] = signature
    message = folded(run(events_of(sse_of(events)))[0])["choices"][0]["message"]
    assert kinds_of(message) == ["s1", "text", "s2", "tool_use"]


@pytest.mark.parametrize(
    "fields", [{"reasoning_details": [detail("a")]}, {"thinking_blocks": [thought("a")]}]
)
@pytest.mark.parametrize("content", [None, ""])
def test_answer_of_thoughts_alone_is_left_out_with_a_report(content: str | None, fields: Json):
    """The API refuses a turn that ends with a thought."""
    messages = [user("x"), {"role": "assistant", "content": content, **fields}, user("y")]
    translated = translate(messages=messages)
    assert [turn["role"] for turn in translated.request.body["messages"]] == ["user"]
    assert translated.report.ignored == tuple(f"messages[].{name}" for name in fields)


def test_row_100_odd_extra_content_is_harmless():
    for extra in (7, {}, {"anthropic": 7}, {"anthropic": {"thinking_blocks": 7}}):
        assert kinds_of(answer(extra)) == ["text", "tool_use"]  # pyright: ignore[reportArgumentType]
    broken = {"anthropic": {"thinking_blocks": [{**thought("a"), "signature": ""}, thought("b")]}}
    assert kinds_of(answer(broken)) == ["b", "text", "tool_use"]
    path = "messages[].tool_calls[].extra_content.anthropic"
    messages = [user("x"), answer(broken), result("c0")]
    assert translate(messages=messages, tools=[WEATHER]).report.ignored == (path,)


def test_what_clients_add_to_a_block_is_not_sent():
    extra = {"anthropic": {"thinking_blocks": [{**thought("a"), "index": 0}]}}
    turns = turns_of(user("x"), answer(extra), result("c0"), tools=[WEATHER])
    assert turns[1]["content"][0] == thought("a")


# --- the prefix ---------------------------------------------------------------------------------


@given(conversations(CALLS), st.data(), MODELS)
@settings(max_examples=100, deadline=None)
def test_row_47_longer_conversation_keeps_thoughts_and_turns(
    messages: list[Json], data: Any, model: str
):
    """Thoughts are bound to what stood before them; marks of the cache are no part of that."""
    mark = {"type": "ephemeral"}
    for number, message in enumerate(messages):
        if message["role"] == "assistant" and data.draw(st.booleans()):
            words = f"thought {number}"
            message["reasoning_details"] = [detail(words, words)]
            for place, call in enumerate(message.get("tool_calls", ())):
                call["extra_content"] = own(words) if not place else own(f"{words}.{place}")
        elif message["role"] == "user" and data.draw(st.booleans()):
            message["cache_control"] = mark
    old, new = grown_bodies(STREAMS, messages, data, model)
    assume(old["messages"][-1]["role"] != "assistant")
    kept = new["messages"][: len(old["messages"])]
    assert encode(_unmarked(kept)) == encode(_unmarked(old["messages"]))


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(entry) for entry in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("Json", value)
    return {name: _unmarked(entry) for name, entry in fields.items() if name != "cache_control"}

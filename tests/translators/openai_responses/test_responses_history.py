"""Requests: the reasoning of earlier answers."""

import json
from typing import Any

import pytest
from responses_api import PLAIN, body_of, input_of, translate

from tests.translators.chat_requests import result, user
from tests.translators.streams import Json


def item(id: str, *summary: str, encrypted: str = "gAAA") -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": parts, "encrypted_content": encrypted}


def details(*items: Json, format: str = "openai-responses-v1") -> list[Json]:
    found: list[Json] = []
    for one in items:
        base = {"id": one["id"], "format": format}
        texts = [part["text"] for part in one["summary"]]
        found += [{"type": "reasoning.summary", "summary": text, **base} for text in texts]
        found.append({"type": "reasoning.encrypted", "data": one["encrypted_content"], **base})
    return [{**entry, "index": index} for index, entry in enumerate(found)]


def carried(*items: Json, **more: Any) -> Json:
    """Return the further field of a call that carries `items`."""
    return {"extra_content": {"openai": {"reasoning_items": list(items), **more}}}


def kinds_of(items: list[Json]) -> list[str]:
    return [one.get("id") or one.get("call_id") or one["role"] for one in items]


def answered(*calls_of: tuple[str, Json], **message: Any) -> list[Json]:
    """Return an answer with calls and their further fields, and the results."""
    entries = [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **extra}
        for id, extra in calls_of
    ]
    made: Json = {"role": "assistant", "content": None, "tool_calls": entries, **message}
    return [user("x"), made, *(result(id) for id, _ in calls_of)]


R1, R2, R3 = item("rs_1", "One", "Two"), item("rs_2"), item("rs_3", encrypted="gCCC")


def test_row_29_reasoning_goes_back_before_its_call():
    items = input_of(*answered(("a", carried(R1, R2)), ("b", {}), ("c", carried(R3))))
    assert kinds_of(items) == ["user", "rs_1", "rs_2", "a", "b", "rs_3", "c", "a", "b", "c"]
    assert [one for one in items if one.get("type") == "reasoning"] == [R1, R2, R3]


def test_reasoning_goes_back_from_the_details_alone():
    messages = answered(("a", {}), reasoning_details=details(R1, R2), reasoning_content="One")
    translated = translate(messages=messages)
    assert translated.request.body["input"][1:3] == [R1, R2]
    assert translated.report.ignored == ()


def test_reasoning_before_a_final_answer_goes_back_too():
    said = {"role": "assistant", "content": "Fine.", "reasoning_details": details(R1)}
    assert kinds_of(input_of(user("x"), said, user("y"))) == ["user", "rs_1", "assistant", "user"]


def test_reasoning_in_both_places_goes_back_once_where_it_stood():
    messages = answered(
        ("a", carried(R1, R2, text_after=1)),
        ("b", carried(R3)),
        reasoning_details=details(item("rs_0"), R1, R2, R3),
        content="See.",
    )
    assert kinds_of(input_of(*messages))[1:] == [
        *("rs_0", "rs_1", "assistant", "rs_2", "a", "rs_3", "b", "a", "b")
    ]


def test_details_are_preferred_for_they_are_complete():
    bare: Json = {**R1, "summary": []}
    messages = answered(("a", carried(bare)), reasoning_details=details(R1))
    assert input_of(*messages)[1] == R1


def test_items_are_in_the_order_of_their_encrypted_contents():
    first, second = details(R1), details(item("rs_0", "Zero"))
    told = [*second[:1], *first, *second[1:]]
    items = input_of(*answered(("a", {}), reasoning_details=told))
    assert kinds_of(items)[1:4] == ["rs_1", "rs_0", "a"]


@pytest.mark.parametrize(
    ("after", "order"),
    [
        (None, ["rs_1", "rs_2", "assistant", "a"]),
        (0, ["assistant", "rs_1", "rs_2", "a"]),
        (1, ["rs_1", "assistant", "rs_2", "a"]),
        (9, ["rs_1", "rs_2", "assistant", "a"]),
        ("1", ["rs_1", "rs_2", "assistant", "a"]),
        (-1, ["rs_1", "rs_2", "assistant", "a"]),
    ],
)
def test_text_stands_where_it_stood(after: Any, order: list[str]):
    messages = answered(("a", carried(R1, R2, text_after=after)), content="See.")
    assert kinds_of(input_of(*messages))[1:5] == order


def test_reasoning_item_goes_back_once_in_a_conversation():
    messages = [*answered(("a", carried(R1))), *answered(("b", carried(R1, R2)))]
    ids = [one["id"] for one in input_of(*messages) if one.get("type") == "reasoning"]
    assert ids == ["rs_1", "rs_2"]


def test_reasoning_is_sent_in_the_form_the_api_takes():
    given = {**R1, "status": "completed", "content": [{"type": "reasoning_text", "text": "x"}]}
    assert input_of(*answered(("a", carried(given))))[1] == R1


def test_row_32_row_98_other_vendors_reasoning_is_left_out():
    foreign: Json = {"google": {"thought_signature": "x"}, "anthropic": {"thinking_blocks": [{}]}}
    messages = answered(
        ("a", {"extra_content": foreign}),
        reasoning_details=[
            {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1", "id": "t"}
        ],
    )
    translated = translate(messages=messages)
    assert kinds_of(translated.request.body["input"]) == ["user", "a", "a"]
    assert translated.report.ignored == (
        "messages[].tool_calls[].extra_content.google",
        "messages[].tool_calls[].extra_content.anthropic",
        "messages[].reasoning_details",
    )


LOST: list[tuple[Json, tuple[str, ...]]] = [
    ({"reasoning_content": "Hm."}, ("messages[].reasoning_content",)),
    ({"reasoning": "Hm."}, ("messages[].reasoning",)),
    ({"reasoning_content": ""}, ()),
    (
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "x"}]},
        ("messages[].reasoning_details",),
    ),
    ({"reasoning_details": details(R1, format="other")}, ("messages[].reasoning_details",)),
    ({"reasoning_details": [7, {"type": []}]}, ()),
    ({"reasoning_details": "x"}, ("messages[].reasoning_details",)),
]


@pytest.mark.parametrize(("fields", "ignored"), LOST)
def test_thoughts_that_are_lost_are_reported(fields: Json, ignored: tuple[str, ...]):
    said = {"role": "assistant", "content": "Fine.", **fields}
    translated = translate(messages=[user("x"), said, user("y")])
    assert translated.report.ignored == ignored
    assert kinds_of(translated.request.body["input"]) == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "given",
    [{}, 7, {**R1, "id": ""}, {**R1, "encrypted_content": None}, {"id": "rs_1"}],
)
def test_reasoning_item_that_is_none_is_left_out_and_reported(given: Any):
    translated = translate(messages=answered(("a", carried(given))))
    assert kinds_of(translated.request.body["input"]) == ["user", "a", "a"]
    path = "messages[].tool_calls[].extra_content.openai.reasoning_items"
    assert translated.report.ignored == (path,)


@pytest.mark.parametrize("extra", [7, {}, {"openai": 7}, {"openai": {"reasoning_items": {}}}])
def test_extra_content_of_any_form_is_taken(extra: Any):
    items = input_of(*answered(("a", {"extra_content": extra})))
    assert kinds_of(items) == ["user", "a", "a"]


def test_models_that_do_not_reason_get_no_reasoning():
    messages = answered(("a", carried(R1)), reasoning_content="One")
    translated = translate(PLAIN, messages=messages)
    assert kinds_of(translated.request.body["input"]) == ["user", "a", "a"]
    assert translated.report.ignored == ("messages[].reasoning_content",)


@pytest.mark.parametrize("reasoning", [R1, R2], ids=["with a summary", "encrypted alone"])
def test_reasoning_that_led_to_nothing_is_lost_and_reported(reasoning: Json):
    """A 400 there: "provided without its required following item"."""
    empty: Json = {"role": "assistant", "content": "", "reasoning_details": details(reasoning)}
    translated = translate(messages=[user("x"), empty, user("y")])
    assert kinds_of(translated.request.body["input"]) == ["user", "user"]
    assert translated.report.ignored == ("messages[].reasoning_details",)
    shown: Json = {**empty, "content": None, "tool_calls": [], "reasoning_content": "One"}
    assert translate(messages=[user("x"), shown, user("y")]).report.ignored == (
        "messages[].reasoning_details",
        "messages[].reasoning_content",
    )


def test_reasoning_that_led_to_nothing_leaves_something_to_send():
    empty: Json = {"role": "assistant", "content": "", "reasoning_details": details(R1)}
    assert input_of(empty) == [{"role": "assistant", "content": ""}]
    assert input_of(empty, user("x"))[:1] == input_of(empty)


def test_reasoning_that_led_to_nothing_may_come_again_with_what_it_led_to():
    empty: Json = {"role": "assistant", "content": "", "reasoning_details": details(R1)}
    said = {**empty, "content": "Fine."}
    items = input_of(user("x"), empty, user("y"), said, user("z"))
    assert kinds_of(items) == ["user", "user", "rs_1", "assistant", "user"]


@pytest.mark.parametrize("fields", [{}, {"reasoning_details": [7]}, {"reasoning_content": ""}])
def test_row_57_an_answer_of_nothing_is_kept(fields: Json):
    empty: Json = {"role": "assistant", "content": [], **fields}
    translated = translate(messages=[user("x"), empty, user("y")])
    assert kinds_of(translated.request.body["input"]) == ["user", "assistant", "user"]
    assert translated.report.ignored == ()


def test_body_is_the_same_each_time():
    messages = [*answered(("a" * 70, carried(R1))), {"role": "assistant", "refusal": "No."}]
    assert json.dumps(body_of(messages=messages)) == json.dumps(body_of(messages=messages))

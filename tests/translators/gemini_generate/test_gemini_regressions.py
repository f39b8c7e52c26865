"""Single facts that were wrong once, here or in others."""

import json
from typing import Any

import pytest
from gemini_api import (
    NEW,
    STREAMS,
    TRANSLATOR,
    contents_of,
    declarations_of,
    deltas_of,
    outcome_of,
    translate,
)
from gemini_events import event, finished, text

from tests.translators.chat_requests import user
from tests.translators.streams import CONTEXT, Json
from translators.gemini_generate.events import FunctionCall, PartialArg
from translators.gemini_generate.partial_args import PartialCall


def tool(schema: Json) -> Json:
    return {"type": "function", "function": {"name": "f", "parameters": schema}}


def test_row_37_additional_properties_reach_the_api():
    schema: Json = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}
    translated = translate(tools=[tool(schema)])
    (declared,) = declarations_of(tool(schema))
    assert declared["parametersJsonSchema"] == schema
    assert translated.report.emulated == ()


def test_row_93_enum_of_integers_reaches_the_api():
    schema: Json = {"type": "object", "properties": {"a": {"type": "integer", "enum": [1, 2]}}}
    assert declarations_of(tool(schema))[0]["parametersJsonSchema"] == schema


def test_row_93_call_without_arguments_has_an_empty_object():
    bare = event({"functionCall": {"name": "f"}})
    calls = [
        call for delta in deltas_of([bare, finished()]) for call in delta.get("tool_calls", ())
    ]
    assert "".join(call["function"]["arguments"] for call in calls) == "{}"


def answer(ids: list[str]) -> Json:
    made = [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids
    ]
    return {"role": "assistant", "tool_calls": made}


def test_row_06_many_calls_with_one_id_are_told_apart_in_their_order():
    results = [{"role": "tool", "tool_call_id": "a", "content": f"r{n}"} for n in range(3)]
    messages = [user("x"), answer(["a", "a", "a"]), *results]
    contents = contents_of(*messages, model=NEW)
    calls = [part["functionCall"]["id"] for part in contents[1]["parts"]]
    found = [part["functionResponse"] for part in contents[2]["parts"]]
    assert calls == ["a", "a_2", "a_3"] == [one["id"] for one in found]
    assert [one["response"] for one in found] == [{"output": f"r{n}"} for n in range(3)]


def test_second_signature_of_a_text_is_reported():
    def report(*data: str) -> tuple[str, ...]:
        details = [
            {"type": "reasoning.encrypted", "data": entry, "format": "google-gemini-v1"}
            for entry in data
        ]
        before = {"role": "assistant", "content": "x", "reasoning_details": details}
        return translate(messages=[user("a"), before, user("b")]).report.ignored

    assert report("c2ln", "c2lo") == ("messages[].reasoning_details",)
    assert report("c2ln", "c2ln") == report("c2ln") == ()


@pytest.mark.parametrize(
    ("answered", "thoughts", "total", "written"),
    [(None, 7, 10, 7), (5, 7, 15, 12), (9, 7, 19, 9), (5, 7, 22, 12)],
)
def test_row_60_thoughts_are_included_only_where_they_can_be(
    answered: int | None, thoughts: int, total: int, written: int
):
    usage: Json = {"promptTokenCount": 10, "thoughtsTokenCount": thoughts, "totalTokenCount": total}
    if answered is not None:
        usage["candidatesTokenCount"] = answered
    found = outcome_of([event(text("x")), finished(usage=usage)]).usage
    assert found is not None and found.completion_tokens == written


def test_answer_of_what_cannot_be_shown_is_an_error():
    video: Json = {"inlineData": {"mimeType": "video/mp4", "data": "AA"}}
    assert "video/mp4" in STREAMS.broken([event(video), finished()]).message
    whole = json.dumps(event(video, text("x"), finishReason="STOP")).encode()
    assert TRANSLATOR.response(whole, CONTEXT).outcome.finish_reason == "stop"


def test_texts_in_pieces_are_joined_whatever_comes_between():
    call = PartialCall(FunctionCall(name="f"), None)

    def piece(path: str, more: bool, **value: Any) -> PartialArg:
        return PartialArg(json_path=path, will_continue=more, **value)

    assert call.add([piece("$.a", True, string_value="1"), piece("$.a", True, string_value="2")])
    assert call.arguments == {"a": "12"}
    assert call.add([piece("$.b", True, string_value="x"), piece("$.b", False, string_value="y")])
    assert call.add([piece("$.c", False, bool_value=True)])
    assert call.arguments == {"a": "12", "b": "xy", "c": True}
    assert call.add([piece("$.b", False, string_value="z")])
    assert call.arguments["b"] == "z"

"""Thought signatures: out to the client, and back from wherever it keeps them."""

import json
from typing import Any

import pytest
from gemini_api import NEW, OLD, TRANSLATOR, deltas_of, outcome_of, sse_of, translate, whole
from gemini_events import call, event, finished, text, thought

from tests.translators.chat_requests import calls, result, user
from tests.translators.streams import CONTEXT, Json, accumulate, events_of, folded

FORMAT = "google-gemini-v1"
PATH = "messages[].tool_calls[].extra_content.google.thought_signature"


def sealed(data: str, **fields: Any) -> Json:
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, **fields}


def parts_of(*messages: Json, model: str = NEW) -> list[Json]:
    body = translate(model, messages=[user("x"), *messages]).request.body
    return body["contents"][1]["parts"]


SIGNED_TEXT = [
    [event({"text": "Hi", "thoughtSignature": "c2ln"}), finished()],
    [event(text("Hi")), event({"text": "", "thoughtSignature": "c2ln"}), finished()],
]


@pytest.mark.parametrize("events", SIGNED_TEXT)
def test_row_30_signature_of_a_text_is_a_reasoning_detail(events: list[Json]):
    (details,) = [d["reasoning_details"] for d in deltas_of(events) if "reasoning_details" in d]
    assert details == [{"index": 0, **sealed("c2ln")}]
    answer = {**events[0], "candidates": [{**events[0]["candidates"][0], "finishReason": "STOP"}]}
    if "Signature" in json.dumps(answer):
        assert whole(answer)["choices"][0]["message"]["reasoning_details"] == [sealed("c2ln")]


@pytest.mark.parametrize("events", SIGNED_TEXT)
@pytest.mark.parametrize("model", [OLD, NEW])
def test_row_29_message_sent_back_as_it_came_is_signed(events: list[Json], model: str):
    stream = TRANSLATOR.stream(CONTEXT)
    chunks = [c for native in events_of(sse_of(events)) for c in stream.feed(native)]
    chunks += stream.end()
    sdk = accumulate(chunks).choices[0].message.model_dump(exclude_none=True)
    sdk.pop("parsed", None)
    for message in (folded(chunks)["choices"][0]["message"], sdk):
        translated = translate(model, messages=[user("x"), message, user("y")])
        parts = translated.request.body["contents"][1]["parts"]
        assert parts == [{"text": "Hi", "thoughtSignature": "c2ln"}]
        assert translated.report.ignored == ()


def test_row_31_outcome_holds_what_each_call_carries():
    first = {**call("f", "c1"), "thoughtSignature": "c2ln"}
    events = [event(first), event(call("f", "c2")), finished()]
    assert outcome_of(events).reasoning == {"c1": {"google": {"thought_signature": "c2ln"}}}
    message = calls("c1", extra_content=outcome_of(events).reasoning["c1"])
    assert parts_of(message, result("c1"))[0]["thoughtSignature"] == "c2ln"


PLACES: list[Any] = [
    pytest.param(calls("a", extra_content={"google": {"thought_signature": "c2ln"}}), id="google"),
    pytest.param(calls("a", extra_content={"vertex": {"thought_signature": "c2ln"}}), id="vertex"),
    pytest.param(calls("a", provider_specific_fields={"thought_signature": "c2ln"}), id="litellm"),
    pytest.param(calls("a__thought__c2ln"), id="litellm's id"),
    pytest.param({**calls("a"), "reasoning_details": [sealed("c2ln", id="a")]}, id="openrouter"),
    pytest.param(
        {
            **calls("a", extra_content={"google": {"thought_signature": "b2xk"}}),
            "reasoning_details": [sealed("c2ln", id="a")],
        },
        id="details before extra",
    ),
]


@pytest.mark.parametrize("message", PLACES)
def test_row_31_signature_is_found_wherever_a_client_keeps_it(message: Json):
    id = message["tool_calls"][0]["id"]
    message = {**message, "reasoning_content": "I think."}
    translated = translate(NEW, messages=[user("x"), message, result(id)])
    _, answer, results = translated.request.body["contents"]
    (part,) = answer["parts"]
    assert part["thoughtSignature"] == "c2ln"
    assert part["functionCall"]["id"] == results["parts"][0]["functionResponse"]["id"] == "a"
    assert translated.report.ignored == translated.report.emulated == ()


@pytest.mark.parametrize(
    "message",
    [
        calls("a__thought__é"),
        calls("a__thought__"),
        calls("a", provider_specific_fields={"thought_signature": 7}),
        {**calls("a"), "reasoning_details": [sealed("é", id="a")]},
        {**calls("a"), "reasoning_details": [sealed("", id="a")]},
    ],
)
def test_row_32_what_is_no_signature_is_reported_and_not_sent(message: Json):
    id = message["tool_calls"][0]["id"]
    translated = translate(NEW, messages=[user("x"), message, result(id)])
    part = translated.request.body["contents"][1]["parts"][0]
    assert part["thoughtSignature"] not in ("é", "", 7)
    assert translated.report.ignored in ((PATH,), ("messages[].reasoning_details",))
    assert translated.report.emulated == (PATH,)


def test_id_that_is_only_a_mark_stays():
    assert parts_of(calls("__thought__c2ln"), result("__thought__c2ln"))[0]["functionCall"]["id"]


@pytest.mark.parametrize(
    "details",
    [
        [{"type": "reasoning.text", "text": "Hm", "format": "anthropic-claude-v1"}],
        [{"type": "reasoning.encrypted", "data": "c2ln", "format": "openai-responses-v1"}],
        [{"type": "reasoning.encrypted", "data": "c2ln"}],
        "x",
        [7],
    ],
)
def test_row_32_details_of_another_vendor_are_reported_and_not_sent(details: Any):
    message = {"role": "assistant", "content": "Hi", "reasoning_details": details}
    translated = translate(messages=[user("x"), message, user("y")])
    assert translated.request.body["contents"][1]["parts"] == [{"text": "Hi"}]
    assert translated.report.ignored == ("messages[].reasoning_details",)


@pytest.mark.parametrize("details", [None, [], [{"type": "reasoning.text", "format": FORMAT}]])
def test_details_that_say_nothing_are_not_reported(details: Any):
    message = {"role": "assistant", "content": "Hi", "reasoning_details": details}
    assert translate(messages=[user("x"), message, user("y")]).report.ignored == ()


def test_thoughts_without_a_signature_are_lost_and_reported():
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}
    translated = translate(messages=[user("x"), message, user("y")])
    assert translated.report.ignored == ("messages[].reasoning_content",)


def test_signature_without_its_text_is_reported():
    message = {**calls("a"), "reasoning_details": [sealed("c2ln")]}
    translated = translate(OLD, messages=[user("x"), message, result("a")])
    assert "thoughtSignature" not in json.dumps(translated.request.body)
    assert translated.report.ignored == ("messages[].reasoning_details",)


def test_signature_of_an_image_comes_back_with_it():
    image = {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thoughtSignature": "c2ln"}
    message = whole(event(thought("Hm"), image, finishReason="STOP"))["choices"][0]["message"]
    message.pop("reasoning_content")
    assert message["images"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert parts_of(message, user("y")) == [image]
    assert parts_of({**message, "images": [{**message["images"][0], "extra_content": 7}]}) == [
        {"inlineData": image["inlineData"]}
    ]

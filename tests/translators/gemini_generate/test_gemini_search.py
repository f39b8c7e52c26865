"""A search of the web, which is a tool of the server's own."""

import json
from typing import Any

import pytest
from gemini_api import (
    NEW,
    OLD,
    TRANSLATOR,
    WEATHER,
    Exchange,
    calls_in,
    outcome_of,
    recorded,
    rejection,
    run,
    translate,
)
from gemini_events import call, event, finished, text

from tests.recordings import Recording
from tests.translators.chat_requests import calls, request_of, result, user
from tests.translators.streams import CONTEXT, Json, events_of, folded
from translators.errors import TranslationError
from translators.gemini_generate.translator import GeminiGenerateTranslator

SEARCH: Json = {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": ["x"]}}}
FOUND: Json = {"toolResponse": {"id": "s", "response": {}}, "thoughtSignature": "c2Vl"}
CALL: Json = {**call("get_weather", "c1"), "thoughtSignature": "c2ln"}
PATH = "messages[].tool_calls[].extra_content.google.server_tools"


def test_search_alone():
    translated = translate(OLD, web_search_options={"search_context_size": "low"})
    assert translated.request.body["tools"] == [{"googleSearch": {}}]
    assert "toolConfig" not in translated.request.body
    assert translated.report.emulated == ("web_search_options",)
    assert translated.report.ignored == ("web_search_options.search_context_size",)


def test_search_beside_functions_from_generation_3_on():
    assert rejection(OLD, web_search_options={}, tools=[WEATHER]).param == "web_search_options"
    body = translate(NEW, web_search_options={}, tools=[WEATHER]).request.body
    assert [list(tool) for tool in body["tools"]] == [["googleSearch"], ["functionDeclarations"]]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    choice = translate(web_search_options={}, tools=[WEATHER], tool_choice="required").request.body
    assert choice["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY"},
        "includeServerSideToolInvocations": True,
    }
    assert "toolConfig" not in translate(NEW, tools=[WEATHER]).request.body


def test_search_does_not_stand_beside_functions_on_vertex():
    vertex = GeminiGenerateTranslator(on_vertex=True)
    with pytest.raises(TranslationError) as caught:
        vertex.request(request_of(web_search_options={}, tools=[WEATHER]), model=NEW)
    assert caught.value.param == "web_search_options"
    assert vertex.request(request_of(web_search_options={}), model=NEW).request.body["tools"]


def test_what_was_searched_stands_on_the_call_behind_it():
    events = [event(SEARCH), event(FOUND, text("Hm")), event(CALL), event(call("f")), finished()]
    first, *rest = [made for made in calls_in(events) if "id" in made]
    google = {"thought_signature": "c2ln", "server_tools": [SEARCH, FOUND]}
    assert first["extra_content"] == {"google": google}
    assert outcome_of(events).reasoning == {"c1": {"google": google}}
    assert all("extra_content" not in made for made in rest)


def said(**google: Any) -> Json:
    return calls("c1", extra_content={"google": {"thought_signature": "c2ln", **google}})


def test_what_was_searched_goes_back_before_its_call():
    messages = [user("x"), said(server_tools=[SEARCH, FOUND]), result("c1")]
    translated = translate(messages=messages, tools=[WEATHER], web_search_options={})
    parts = translated.request.body["contents"][1]["parts"]
    assert parts == [SEARCH, FOUND, CALL]
    assert translated.report.ignored == ()


@pytest.mark.parametrize(
    ("fields", "parts"),
    [
        ({"tools": [WEATHER]}, [SEARCH]),
        ({"web_search_options": {}}, [SEARCH]),
        ({"tools": [WEATHER], "web_search_options": {}}, "x"),
        ({"tools": [WEATHER], "web_search_options": {}}, [7]),
        ({"tools": [WEATHER], "web_search_options": {}}, [{"text": "x"}]),
        ({"tools": [WEATHER], "web_search_options": {}}, [{**SEARCH, "text": "x"}]),
        ({"tools": [WEATHER], "web_search_options": {}}, [{**SEARCH, "thoughtSignature": "é"}]),
        ({"tools": [WEATHER], "web_search_options": {}}, [{**SEARCH, **FOUND}]),
    ],
)
def test_what_does_not_belong_there_is_reported_and_not_sent(fields: Json, parts: Any):
    messages = [user("x"), said(server_tools=parts), result("c1")]
    translated = translate(messages=messages, **fields)
    assert translated.request.body["contents"][1]["parts"] == [CALL]
    assert translated.report.ignored == (PATH,)


def test_signature_is_found_beside_and_without_it():
    fields: Json = {"tools": [WEATHER], "web_search_options": {}}
    bare = calls("c1", extra_content={"google": {"server_tools": [SEARCH]}})
    translated = translate(messages=[user("x"), bare, result("c1")], **fields)
    first, second = translated.request.body["contents"][1]["parts"]
    assert first == SEARCH
    assert second["thoughtSignature"] != "c2ln"


def _calls_a_function(found: Recording) -> bool:
    """Whether an answer of generation 3 holds calls, whole ones: pieces go back as one."""
    if found.status != 200 or b"willContinue" in found.body:
        return False
    return b"functionCall" in found.body and b"gemini-3" in found.body


CALLING = recorded(_calls_a_function)


@pytest.mark.parametrize("exchange", CALLING)
def test_rows_29_31_recorded_calls_go_back_as_they_came(exchange: Exchange):
    """Calls, searches and signatures of generation 3, sent back in the next turn."""
    came = [
        part
        for answer in exchange.answers
        for part in answer["candidates"][0].get("content", {}).get("parts", [])
        if part.keys() & {"functionCall", "toolCall", "toolResponse"}
    ]
    if exchange.stream:
        message = folded(run(events_of(exchange.body))[0])["choices"][0]["message"]
    else:
        data = TRANSLATOR.response(exchange.body, CONTEXT).data
        message = json.loads(data)["choices"][0]["message"]
    results = [result(made["id"]) for made in message["tool_calls"]]
    fields: Json = {"web_search_options": {}} if "toolCall" in json.dumps(came) else {}
    translated = translate(NEW, messages=[user("x"), message, *results], tools=[WEATHER], **fields)
    went = [
        part
        for part in translated.request.body["contents"][1]["parts"]
        if part.keys() & {"functionCall", "toolCall", "toolResponse"}
    ]
    for part, sent in zip(came, went, strict=True):
        if "functionCall" in part:
            part["functionCall"].setdefault("args", {})
            part["functionCall"].setdefault("id", sent["functionCall"]["id"])
    if not any("thoughtSignature" in part for part in came):
        went[0].pop("thoughtSignature")
    assert went == came

"""Tools, the choice among them, and the calls and results of earlier turns."""

import base64
import json
from typing import Any

import pytest
from gemini_api import (
    FIXED,
    NEW,
    OLD,
    WEATHER,
    body_of,
    contents_of,
    declarations_of,
    rejection,
    translate,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.translators.chat_requests import MISFIT_RESULTS, calls, result, user
from tests.translators.streams import Json
from translators.gemini_generate.names import decode_name, encode_name

DUMMY = base64.b64encode(b"skip_thought_signature_validator").decode()
SIGNATURE_PATH = "messages[].tool_calls[].extra_content.google.thought_signature"


def function(name: str, **fields: Any) -> Json:
    return {"type": "function", "function": {"name": name, **fields}}


def signed(signature: Any, *ids: str) -> Json:
    return calls(*ids, extra_content={"google": {"thought_signature": signature}})


# --- tools -------------------------------------------------------------------------------------


def test_tool():
    schema: Json = {"properties": {"x": {}}}
    assert declarations_of(
        function("a"),
        function("b", description="B.", parameters=schema),
        function("c", parameters={}),
    ) == [
        {"name": "a"},
        {
            "name": "b",
            "description": "B.",
            "parametersJsonSchema": {"type": "object", "properties": {"x": {}}},
        },
        {"name": "c"},
    ]


def test_custom_tool_is_a_function_of_one_string():
    grammar = {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}}
    custom = {"name": "c", "description": "C.", "format": grammar}
    translated = translate(tools=[{"type": "custom", "custom": custom}])
    (native,) = translated.request.body["tools"][0]["functionDeclarations"]
    assert native["parametersJsonSchema"]["properties"] == {"input": {"type": "string"}}
    assert "start: X" in native["description"]
    assert translated.report.emulated == ("tools[].custom",)
    assert translated.report.ignored == ("tools[].custom.format",)
    wrong = {"name": "c", "format": {"type": "grammar", "grammar": 7}}
    error = rejection(tools=[{"type": "custom", "custom": wrong}])
    assert error.param == "tools[0].custom.format.grammar"


def test_row_27_unknown_tool_type_is_rejected():
    assert rejection(tools=[WEATHER, {"type": "web_search"}]).param == "tools[1].type"


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("get_weather", "get_weather"),
        ("a.b:c-d", "a.b:c-d"),
        ("_x", "_x"),
        ("9lives", "_x_9lives"),
        ("-a", "_x_-2da"),
        ("a b", "_x_a-20b"),
        ("é", "_x_-c3-a9"),
        ("_x_a", "_x__x_a"),
    ],
)
def test_row_22_tool_name_the_api_refuses_is_encoded(name: str, native: str):
    translated = translate(
        tools=[function(name)],
        tool_choice={"type": "function", "function": {"name": name}},
        messages=[user("x"), calls("a", name=name), result("a")],
    )
    body = translated.request.body
    assert body["tools"][0]["functionDeclarations"][0]["name"] == native
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [native]
    assert body["contents"][1]["parts"][0]["functionCall"]["name"] == native
    assert body["contents"][2]["parts"][0]["functionResponse"]["name"] == native
    assert ("tools[].function.name" in translated.report.emulated) is (name != native)
    assert decode_name(native) == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_row_22_the_name_codec_is_reversible(name: str):
    assert decode_name(encode_name(name)) == name


@pytest.mark.parametrize("name", ["_x_", "_x_é", "_x_-zz", "_x_-ff", "plain"])
def test_a_name_that_only_looks_encoded_is_left_as_it_is(name: str):
    assert decode_name(name) == name


def test_too_long_a_name_is_rejected():
    assert rejection(tools=[function("a" * 129)]).param == "tools[0].function.name"
    assert rejection(tools=[function("é" * 30)]).param == "tools[0].function.name"
    # In the history the model made it up, and only has to see it again.
    contents = contents_of(user("x"), calls("a", name="a" * 200), result("a"))
    assert len(contents[1]["parts"][0]["functionCall"]["name"]) == 128


ALLOWED: Json = {"type": "function", "function": {"name": "get_weather"}}


def allowed(mode: str, *tools: Any) -> Json:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("fields", "mode", "names"),
    [
        ({}, None, None),
        ({"tool_choice": "auto"}, "AUTO", None),
        ({"tool_choice": "none"}, "NONE", None),
        ({"tool_choice": "required"}, "ANY", None),
        ({"tool_choice": ALLOWED}, "ANY", ["get_weather"]),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "ANY", ["c"]),
        ({"tool_choice": allowed("auto", ALLOWED)}, "VALIDATED", ["get_weather"]),
        ({"tool_choice": allowed("required", ALLOWED)}, "ANY", ["get_weather"]),
        (
            {"tool_choice": allowed("auto", {"type": "function", "name": "get_weather"})},
            "VALIDATED",
            ["get_weather"],
        ),
        ({"parallel_tool_calls": True}, None, None),
    ],
)
def test_rows_24_26_tool_choice(fields: Json, mode: str | None, names: list[str] | None):
    tools = [WEATHER, {"type": "custom", "custom": {"name": "c"}}]
    config = body_of(tools=tools, **fields).get("toolConfig", {}).get("functionCallingConfig", {})
    assert (config.get("mode"), config.get("allowedFunctionNames")) == (mode, names)


def test_row_26_choice_among_some_tools_where_there_is_no_mode_for_it():
    tools = [WEATHER, function("9x"), function("c")]
    some = allowed("auto", ALLOWED, {"type": "function", "function": {"name": "9x"}})
    translated = translate("gemini-2.0-flash", tools=tools, tool_choice=some)
    body = translated.request.body
    names = [found["name"] for found in body["tools"][0]["functionDeclarations"]]
    assert names == ["get_weather", "_x_9x"]
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "AUTO"}
    assert "tool_choice" in translated.report.emulated
    forced = body_of("gemini-2.0-flash", tools=tools, tool_choice=allowed("required", ALLOWED))
    assert len(forced["tools"][0]["functionDeclarations"]) == 3


@pytest.mark.parametrize("model", [OLD, "gemini-2.0-flash"])
def test_row_26_choice_among_no_tools(model: str):
    body = body_of(model, tools=[WEATHER], tool_choice=allowed("auto"))
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "NONE"}
    error = rejection(model, tools=[WEATHER], tool_choice=allowed("required"))
    assert error.param == "tool_choice.allowed_tools.tools"


@pytest.mark.parametrize(
    "choice",
    [
        {"type": "function", "function": {"name": "x"}},
        allowed("auto", {"type": "function", "function": {"name": "x"}}),
    ],
)
def test_choice_of_a_tool_that_is_not_there_is_rejected(choice: Json):
    assert rejection(tools=[WEATHER], tool_choice=choice).param == "tool_choice"


def test_choice_of_no_tool_is_rejected():
    choice = allowed("auto", {"type": "function"})
    error = rejection(tools=[WEATHER], tool_choice=choice)
    assert error.param == "tool_choice.allowed_tools.tools"


@pytest.mark.parametrize(
    ("choice", "mode"),
    [(None, "VALIDATED"), ("auto", "VALIDATED"), ("required", "ANY"), ("none", "NONE")],
)
def test_strict_tool(choice: str | None, mode: str):
    tools = [WEATHER, function("f", strict=True)]
    translated = translate(tools=tools, tool_choice=choice)
    assert translated.request.body["toolConfig"]["functionCallingConfig"] == {"mode": mode}
    assert translated.report.ignored == ()
    old = translate("gemini-2.0-flash", tools=[function("f", strict=True)])
    assert "toolConfig" not in old.request.body
    assert old.report.ignored == ("tools[].function.strict",)


def test_row_25_parallel_tool_calls_false_is_reported():
    translated = translate(tools=[WEATHER], parallel_tool_calls=False)
    assert translated.report.ignored == ("parallel_tool_calls",)
    assert "toolConfig" not in translated.request.body


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("none", {"mode": "NONE"}),
        ("auto", {"mode": "AUTO"}),
        ({"name": "get_weather"}, {"mode": "ANY", "allowedFunctionNames": ["get_weather"]}),
    ],
)
def test_legacy_function_call(choice: Any, config: Json):
    body = body_of(functions=[WEATHER["function"]], function_call=choice)
    assert body["toolConfig"]["functionCallingConfig"] == config
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "get_weather"
    wrong = rejection(functions=[WEATHER["function"]], function_call={"name": "x"})
    assert wrong.param == "function_call"


# --- calls and results -------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_row_16_empty_arguments_are_an_empty_object(arguments: str):
    contents = contents_of(user("x"), calls("a", arguments=arguments), result("a"))
    assert contents[1]["parts"][0]["functionCall"]["args"] == {}


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "null", '{"a": NaN}', "[" * 5000])
def test_row_15_broken_arguments_are_kept_as_text(arguments: str):
    messages = [user("x"), calls("a", arguments=arguments), result("a")]
    translated = translate(OLD, messages=messages)
    call = translated.request.body["contents"][1]["parts"][0]["functionCall"]
    assert call["args"] == {"_raw": arguments}
    assert translated.report.emulated == ("messages[].tool_calls[].function.arguments",)


def test_arguments_keep_their_order():
    contents = contents_of(user("x"), calls("a", arguments='{"b": 1, "a": {"d": 2}}'), result("a"))
    args = contents[1]["parts"][0]["functionCall"]["args"]
    assert json.dumps(args) == '{"b": 1, "a": {"d": 2}}'


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("fine", {"output": "fine"}),
        ("", {"output": ""}),
        ('{"error": "no"}', {"error": "no"}),
        ('{"a": [1]}', {"a": [1]}),
        ("[1]", {"output": "[1]"}),
        ("{broken", {"output": "{broken"}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "a\nb"}),
    ],
)
def test_result_is_an_object(content: Any, response: Json):
    contents = contents_of(user("x"), calls("a"), result("a", content))
    assert contents[2]["parts"][0]["functionResponse"]["response"] == response


@pytest.mark.parametrize("model", [OLD, NEW])
def test_rows_17_18_5_results_of_one_turn_are_one_content_in_the_order_of_the_calls(model: str):
    messages = [
        user("x"),
        calls("a", "b", "c"),
        result("b", "2"),
        result("a", "1"),
        result("c", "3"),
    ]
    contents = contents_of(*messages, model=model)
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    found = [part["functionResponse"] for part in contents[2]["parts"]]
    assert [f["response"]["output"] for f in found] == ["1", "2", "3"]
    assert [f["name"] for f in found] == ["get_weather"] * 3
    made = [p["functionCall"].get("id") for p in contents[1]["parts"]]
    assert made == [f.get("id") for f in found] == (["a", "b", "c"] if model == NEW else [None] * 3)


def test_row_19_results_come_before_what_the_user_says():
    contents = contents_of(
        user("x"), calls("a", "b"), result("a"), user("wait"), result("b"), user("ok")
    )
    kinds = [next(iter(part)) for part in contents[2]["parts"]]
    assert kinds == ["functionResponse", "functionResponse", "text", "text"]


def test_rows_6_20_ids_that_collide_stay_apart():
    contents = contents_of(
        user("x"), calls("c", "c"), result("c", "1"), result("c", "2"), calls("c"), result("c")
    )
    made = [p["functionCall"]["id"] for c in contents[1::2] for p in c["parts"]]
    answered = [p["functionResponse"]["id"] for c in contents[2::2] for p in c["parts"]]
    assert made == answered == ["c", "c_2", "c_3"]


@pytest.mark.parametrize(("messages", "param"), MISFIT_RESULTS)
def test_row_95_results_that_do_not_fit_are_rejected(messages: list[Json], param: str):
    assert rejection(messages=messages, tools=[WEATHER]).param == param


def test_custom_call_in_the_history_is_wrapped():
    call = {"id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    contents = contents_of(user("x"), {"role": "assistant", "tool_calls": [call]}, result("a"))
    assert contents[1]["parts"][0]["functionCall"]["args"] == {"input": "ls"}


def test_legacy_calls_are_paired_by_name():
    first = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
    answer = {"role": "function", "name": "f", "content": None}
    contents = contents_of(user("x"), first, answer, first, answer)
    ids = [c["parts"][0]["functionCall"]["id"] for c in contents[1::2]]
    assert ids == ["call_fc_1", "call_fc_3"]
    assert contents[4]["parts"][0]["functionResponse"]["id"] == "call_fc_3"


# --- signatures --------------------------------------------------------------------------------


def test_row_31_signature_comes_back_on_its_call():
    message = signed("c2ln", "a")
    message["tool_calls"] += calls("b")["tool_calls"]
    for model in (OLD, NEW):
        translated = translate(model, messages=[user("x"), message, result("a"), result("b")])
        parts = translated.request.body["contents"][1]["parts"]
        assert [part.get("thoughtSignature") for part in parts] == ["c2ln", None]
        assert translated.report.emulated == translated.report.ignored == ()


def test_row_33_foreign_call_gets_the_documented_dummy():
    messages = [user("x"), calls("a", "b"), result("a"), result("b"), calls("c"), result("c")]
    translated = translate(messages=messages)
    found = [
        [part.get("thoughtSignature") for part in content["parts"]]
        for content in translated.request.body["contents"]
        if content["role"] == "model"
    ]
    assert found == [[DUMMY, None], [DUMMY]]
    assert translated.report.emulated == (SIGNATURE_PATH,)
    old = translate(OLD, messages=messages)
    assert DUMMY not in json.dumps(old.request.body)
    assert old.report.emulated == ()


@pytest.mark.parametrize("wrong", ["", "é!", 7, None, {"a": 1}])
def test_row_32_signature_that_is_none_is_replaced(wrong: Any):
    translated = translate(messages=[user("x"), signed(wrong, "a"), result("a")])
    part = translated.request.body["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == DUMMY
    assert SIGNATURE_PATH in translated.report.ignored


@pytest.mark.parametrize(
    ("extra", "ignored"),
    [
        ({"anthropic": {"x": 1}}, ("messages[].tool_calls[].extra_content.anthropic",)),
        ({"google": 7}, ()),
        ("x", ()),
    ],
)
def test_row_32_signatures_of_others_are_not_sent(extra: Any, ignored: tuple[str, ...]):
    messages = [user("x"), calls("a", extra_content=extra), result("a")]
    translated = translate(FIXED, messages=messages)
    part = translated.request.body["contents"][1]["parts"][0]
    assert part["thoughtSignature"] == DUMMY
    assert translated.report.ignored == ignored


def test_rows_98_and_100_our_own_extensions_come_back_harmlessly():
    function = {"name": "x", "arguments": "{}"}
    call = {"index": 0, "id": "a" * 100, "type": "function", "function": function}
    message = {
        "role": "assistant",
        "content": "Hm",
        "refusal": None,
        "annotations": [{"type": "url_citation"}],
        "audio": None,
        "function_call": None,
        "reasoning_content": "I think",
        "reasoning_details": [{"type": "reasoning.text"}],
        "tool_calls": [call],
    }
    translated = translate(messages=[user("x"), message, result("a" * 100)])
    assert len(translated.request.body["contents"][1]["parts"]) == 2
    assert translated.report.ignored == (
        "messages[].reasoning_details",
        "messages[].reasoning_content",
    )

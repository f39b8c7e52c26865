"""Tools, the choice among them, and the calls and results of earlier turns."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages_api import WEATHER, body_of, deltas_of, rejection, translate, turns_of
from native_events import finished, start
from native_events import tool as tool_block
from native_schema import problems_of

from tests.translators.chat_requests import MISFIT_RESULTS, calls, result, user
from tests.translators.streams import Json
from translators.anthropic_messages.tools import LEGAL_NAME
from translators.names import decode_name, encode_name

OLD, NEW = "claude-haiku-4-5", "claude-opus-5-5"


def system(content: str) -> Json:
    return {"role": "system", "content": content}


def test_tool_without_parameters_gets_an_object_schema():
    tools: list[Json] = [
        {"type": "function", "function": {"name": "a"}},
        {"type": "function", "function": {"name": "b", "parameters": {"properties": {"x": {}}}}},
        {"type": "function", "function": {"name": "c", "strict": True}},
    ]
    translated = translate(tools=tools)
    schemas = [tool["input_schema"] for tool in translated.request.body["tools"]]
    assert schemas[0] == {"type": "object", "properties": {}}
    assert schemas[1] == {"type": "object", "properties": {"x": {}}}
    assert translated.report.ignored == ()
    assert translate("claude-3-5-haiku-latest", tools=tools).report.ignored == (
        "tools[].function.strict",
    )


@pytest.mark.parametrize(
    ("fields", "native"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
            {"type": "tool", "name": "get_weather"},
        ),
        ({"parallel_tool_calls": True}, None),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
    ids=["absent", "auto", "none", "required", "named", "parallel", "single", "single-none"],
)
def test_tool_choice(fields: Json, native: Json | None):
    assert body_of(tools=[WEATHER], **fields).get("tool_choice") == native


def test_row_23_parallel_tool_calls_alone_does_not_force_a_call():
    choice = body_of(tools=[WEATHER], parallel_tool_calls=False)["tool_choice"]
    assert choice == {"type": "auto", "disable_parallel_tool_use": True}


def test_row_24_tool_choice_none_stays_none():
    assert body_of(tools=[WEATHER], tool_choice="none")["tool_choice"] == {"type": "none"}


def test_row_26_allowed_tools_restrict_deprecated_functions_too():
    functions = [{"name": "old"}, {"name": "older"}]
    choice = allowed("auto", {"type": "function", "name": "old"})
    body = body_of(tools=[WEATHER], functions=functions, tool_choice=choice)
    assert [tool["name"] for tool in body["tools"]] == ["old"]


TIME: Json = {"type": "function", "function": {"name": "get.time"}}
SHELL: Json = {"type": "custom", "custom": {"name": "shell"}}


def allowed(mode: str, *tools: Any) -> Json:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("choice", "names", "native"),
    [
        (allowed("auto", TIME), ["_x_get-2etime"], {"type": "auto"}),
        (allowed("required", {"type": "function", "name": "get_weather"}), ["get_weather"], None),
        (allowed("required", SHELL, WEATHER), ["get_weather", "shell"], None),
    ],
)
def test_row_26_allowed_tools_are_the_only_ones(choice: Json, names: list[str], native: Any):
    translated = translate(tools=[WEATHER, TIME, SHELL], tool_choice=choice)
    assert [tool["name"] for tool in translated.request.body["tools"]] == names
    assert translated.request.body["tool_choice"] == (native or {"type": "any"})
    assert "tool_choice" in translated.report.emulated


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (allowed("auto"), "tool_choice.allowed_tools.tools"),
        (allowed("auto", {"type": "function"}), "tool_choice.allowed_tools.tools"),
        (allowed("auto", SHELL), "tool_choice.allowed_tools.tools"),
        ({"type": "function", "function": {"name": "no"}}, "tool_choice"),
    ],
)
def test_choice_of_a_tool_that_is_not_there_is_rejected(choice: Json, param: str):
    assert rejection(tools=[WEATHER], tool_choice=choice).param == param


def test_row_27_unknown_tool_type_is_rejected():
    assert rejection(tools=[WEATHER, {"type": "web_search"}]).param == "tools[1].type"


def test_grammar_that_is_none_is_rejected():
    custom = {"name": "c", "format": {"type": "grammar", "grammar": 7}}
    error = rejection(tools=[{"type": "custom", "custom": custom}])
    assert error.param == "tools[0].custom.format.grammar"


@pytest.mark.parametrize(
    ("name", "native"),
    [("get_weather", "get_weather"), ("9-a", "9-a"), ("a.b/c", "_x_a-2eb-2fc"), ("_x_", "_x__x_")],
)
def test_row_22_tool_name_the_api_refuses_is_encoded(name: str, native: str):
    tool: Json = {"type": "function", "function": {"name": name}}
    translated = translate(
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": name}},
        messages=[user("x"), calls("a", name=name), result("a")],
    )
    body = translated.request.body
    assert body["tools"][0]["name"] == body["tool_choice"]["name"] == native
    assert body["messages"][1]["content"][0]["name"] == native
    assert ("tools[].function.name" in translated.report.emulated) is (name != native)
    events = [start(), *tool_block(0, "toolu_a", native, "{}"), *finished("tool_use")]
    (first, *_) = [call for delta in deltas_of(events) for call in delta.get("tool_calls", ())]
    assert first["function"]["name"] == name


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_row_22_the_name_codec_is_reversible(name: str):
    native = encode_name(name, LEGAL_NAME)
    assert LEGAL_NAME.fullmatch(native)
    assert decode_name(native) == name


def test_too_long_a_name_is_rejected():
    tool = {"type": "function", "function": {"name": "é" * 30}}
    assert rejection(tools=[tool]).param == "tools[0].function.name"
    custom = {"type": "custom", "custom": {"name": "a" * 129}}
    assert rejection(tools=[custom]).param == "tools[0].custom.name"


@pytest.mark.parametrize(
    "model", ["claude-fable-5-1", "claude-mythos-5-2", NEW, "claude-sonnet-5-5"]
)
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_forced_choice_is_asked_for_where_the_model_lost_it(model: str, choice: Any):
    fields: Json = {"messages": [system("s"), user("x")], "tools": [WEATHER]}
    translated = translate(model, **fields, tool_choice=choice)
    body, plain = translated.request.body, body_of(model, **fields)
    assert body["tool_choice"] == {"type": "auto"}
    assert translated.report.emulated == ("tool_choice",)
    # What was there stays as it was: the words come after it.
    assert body["messages"][:-1] == plain["messages"]
    assert (body["system"], body["tools"]) == (plain["system"], plain["tools"])
    assert body["messages"][-1]["role"] == "system"
    (said,) = body["messages"][-1]["content"]
    assert "must call" in said["text"]
    assert ("`get_weather`" in said["text"]) is (choice != "required")
    assert problems_of(body) == []


def test_forced_choice_leaves_the_cache_mark_with_the_clients_words():
    fields: Json = {"tools": [WEATHER], "prompt_cache_retention": "24h"}
    body = body_of(NEW, **fields, tool_choice="required")
    assert "cache_control" not in body
    assert body["messages"][0]["content"][-1]["cache_control"] == {
        "type": "ephemeral",
        "ttl": "1h",
    }


def test_forced_choice_beside_a_budget_of_thinking_is_asked_for():
    own = {"type": "enabled", "budget_tokens": 2000}
    translated = translate(OLD, tools=[WEATHER], tool_choice="required", thinking=own)
    body = translated.request.body
    assert (body["tool_choice"], body["thinking"]) == ({"type": "auto"}, own)
    assert body["messages"][-1]["content"][-1]["text"].startswith("[System instruction] You must")
    assert translated.report.emulated == ("tool_choice",)


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-opus-5", OLD])
def test_forced_choice_is_sent_where_the_model_takes_it(model: str):
    choice = body_of(model, tools=[WEATHER], tool_choice="required")["tool_choice"]
    assert choice == {"type": "any"}


@pytest.mark.parametrize(
    ("choice", "native"),
    [
        ("none", {"type": "none"}),
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"name": "get_weather"},
            {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True},
        ),
    ],
    ids=["none", "absent", "named"],
)
def test_legacy_function_call(choice: Any, native: Json):
    body = body_of(functions=[WEATHER["function"]], function_call=choice)
    assert body["tool_choice"] == native
    assert body["tools"][0]["name"] == "get_weather"


def test_history_with_calls_but_no_tools_gets_stubs():
    messages = [user("x"), calls("a"), result("a"), user("y")]
    translated = translate(messages=messages)
    body = translated.request.body
    assert body["tools"] == [{"name": "get_weather", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert translated.report.emulated == ("tools",)
    assert problems_of(body) == []


@pytest.mark.parametrize("arguments", ["", "  ", "{}"])
def test_row_16_empty_arguments_are_an_empty_object(arguments: str):
    turns = turns_of(user("x"), calls("a", arguments=arguments), result("a"))
    assert turns[1]["content"][0]["input"] == {}


@pytest.mark.parametrize("arguments", ['{"a": 1', "[1]", "null", '{"a": NaN}', "[" * 5000])
def test_row_15_broken_arguments_are_kept_as_text(arguments: str):
    messages = [user("x"), calls("a", arguments=arguments), result("a")]
    translated = translate(messages=messages, tools=[WEATHER])
    assert translated.request.body["messages"][1]["content"][0]["input"] == {"_raw": arguments}
    assert translated.report.emulated == ("messages[].tool_calls[].function.arguments",)


def test_arguments_keep_their_order():
    turns = turns_of(
        user("x"), calls("a", arguments='{"b": 1, "a": {"d": 2, "c": 3}}'), result("a")
    )
    assert json.dumps(turns[1]["content"][0]["input"]) == '{"b": 1, "a": {"d": 2, "c": 3}}'


def test_row_93_enum_of_integers_and_a_call_without_arguments_are_taken():
    number: Json = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}
    for strict in (False, True):
        function: Json = {"name": "f", "parameters": number, "strict": strict}
        messages = [user("x"), calls("c", arguments=""), result("c")]
        body = body_of(messages=messages, tools=[{"type": "function", "function": function}])
        (native,) = body["tools"]
        assert native["input_schema"]["properties"]["n"]["enum"] == [1, 2]
        assert body["messages"][1]["content"][0]["input"] == {}


def test_row_18_parallel_tool_results_in_one_user_turn():
    turns = turns_of(user("x"), calls("a", "b", "c"), result("b"), result("a"), result("c"))
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [block["tool_use_id"] for block in turns[2]["content"]] == ["b", "a", "c"]


def test_row_19_results_come_before_what_the_user_says():
    turns = turns_of(user("x"), calls("a", "b"), result("a"), user("wait"), result("b"), user("ok"))
    kinds = [block["type"] for block in turns[2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text", "text"]


def test_row_20_ids_that_collide_between_rounds_stay_apart():
    turns = turns_of(
        user("x"), calls("call_0"), result("call_0"), calls("call_0"), result("call_0")
    )
    ids = [turn["content"][0].get("id") or turn["content"][0]["tool_use_id"] for turn in turns[1:]]
    assert ids == ["call_0", "call_0", "call_0_2", "call_0_2"]


def test_row_21_foreign_ids_are_mapped_and_stay_paired():
    ids = ["a.b", "a:b", "a_b", "é", "x" * 300]
    turns = turns_of(user("x"), calls(*ids), *(result(id, id) for id in reversed(ids)))
    made = {block["id"]: id for block, id in zip(turns[1]["content"], ids, strict=True)}
    assert len(made) == len(ids)
    assert all(set(id) <= set("ab_2345678x") for id in made)
    for block in turns[2]["content"]:
        assert made[block["tool_use_id"]] == block["content"][0]["text"]


@pytest.mark.parametrize(("messages", "param"), MISFIT_RESULTS)
def test_row_95_results_that_do_not_fit_are_rejected(messages: list[Json], param: str):
    assert rejection(messages=messages, tools=[WEATHER]).param == param


def test_custom_call_in_the_history_is_wrapped():
    call = {"id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    turns = turns_of(user("x"), {"role": "assistant", "tool_calls": [call]}, result("a"))
    assert turns[1]["content"][0]["input"] == {"input": "ls"}


def test_legacy_calls_are_paired_by_name():
    first = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
    answer = {"role": "function", "name": "f", "content": None}
    turns = turns_of(user("x"), first, answer, first, answer)
    assert [turn["content"][0].get("id") for turn in turns[1::2]] == ["call_fc_1", "call_fc_3"]
    assert turns[4]["content"] == [{"type": "tool_result", "tool_use_id": "call_fc_3"}]


@pytest.mark.parametrize(("name", "native"), [("a.f", "_x_a-2ef"), ("a" * 200, "a" * 128)])
def test_hallucinated_tool_name_is_made_legal(name: str, native: str):
    translated = translate(messages=[user("x"), calls("a", name=name), result("a")])
    block = translated.request.body["messages"][1]["content"][0]
    assert block["name"] == native
    assert "messages[].tool_calls[].function.name" in translated.report.emulated


def test_row_98_and_100_our_own_extensions_come_back_harmlessly():
    function = {"name": "x", "arguments": "{}"}
    call = {"index": 0, "id": "a", "type": "function", "function": function}
    signed = {**call, "id": "b", "extra_content": {"google": {"thought_signature": "x"}}}
    message = {
        "role": "assistant",
        "content": "Hm",
        "refusal": None,
        "annotations": [{"type": "url_citation"}],
        "audio": None,
        "function_call": None,
        "reasoning_content": "I think",
        "reasoning_details": [{"type": "reasoning.text"}],
        "tool_calls": [call, signed],
    }
    translated = translate(messages=[user("x"), message, result("a"), result("b")], tools=[WEATHER])
    body = translated.request.body
    assert problems_of(body) == []
    assert len(body["messages"][1]["content"]) == 3
    assert translated.report.ignored == (
        "messages[].tool_calls[].extra_content.google",
        "messages[].reasoning_details",
        "messages[].reasoning_content",
    )

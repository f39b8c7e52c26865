"""Requests: tools, and the choice among them."""

from typing import Any

import pytest
from responses_api import WEATHER, body_of, rejection, translate

from tests.translators.streams import Json


def test_function_is_only_strict_if_it_says_so():
    """There functions are strict by default, on chat completions they are not."""
    strict = {**WEATHER, "function": {**WEATHER["function"], "strict": True, "description": "d"}}
    bare: Json = {"type": "function", "function": {"name": "f"}}
    assert body_of(tools=[WEATHER, strict, bare])["tools"] == [
        {"type": "function", **WEATHER["function"], "strict": False},
        {"type": "function", **WEATHER["function"], "strict": True, "description": "d"},
        {
            "type": "function",
            "name": "f",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
    ]


def test_row_93_a_schema_goes_as_it_is():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    assert body_of(tools=tools)["tools"][0]["parameters"] == schema


def test_row_94_tools_are_sent_with_the_effort_to_reason():
    translated = translate(tools=[WEATHER], reasoning_effort="high")
    assert translated.request.body["tools"][0]["name"] == WEATHER["function"]["name"]
    assert translated.request.body["reasoning"]["effort"] == "high"
    assert translated.report.ignored == ()


def test_custom_tool_and_its_grammar():
    grammar = {"syntax": "lark", "definition": "start: /a/"}
    tools = [
        {"type": "custom", "custom": {"name": "a", "description": "d"}},
        {"type": "custom", "custom": {"name": "b", "format": {"type": "text"}}},
        {
            "type": "custom",
            "custom": {"name": "c", "format": {"type": "grammar", "grammar": grammar}},
        },
    ]
    translated = translate(tools=tools)
    assert translated.request.body["tools"] == [
        {"type": "custom", "name": "a", "description": "d"},
        {"type": "custom", "name": "b", "format": {"type": "text"}},
        {"type": "custom", "name": "c", "format": {"type": "grammar", **grammar}},
    ]
    assert translated.report.ignored == translated.report.emulated == ()


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ({"type": "grammar"}, "tools[0].custom.format"),
        ({"type": "aurora"}, "tools[0].custom.format"),
        ({"type": "grammar", "grammar": {"syntax": "lark"}}, "tools[0].custom.format.grammar"),
    ],
)
def test_custom_tool_with_a_form_that_is_none(form: Json, param: str):
    tool = {"type": "custom", "custom": {"name": "a", "format": form}}
    assert rejection(tools=[tool]).param == param


def test_row_27_the_servers_own_tools_stand_as_they_are():
    tools = [{"type": "web_search", "search_context_size": "low"}, WEATHER]
    assert body_of(tools=tools)["tools"][0] == tools[0]
    assert rejection(tools=[WEATHER, {"type": "mcp"}]).param == "tools[1].type"


def test_what_is_not_known_of_a_tool_is_reported():
    function: Json = {"name": "f", "depth": 1}
    custom: Json = {"name": "c", "depth": 1}
    tools = [
        {"type": "function", "function": function, "cache_control": {"type": "ephemeral"}},
        {"type": "custom", "custom": custom},
    ]
    assert translate(tools=tools).report.ignored == (
        "tools[].cache_control",
        "tools[].function.depth",
        "tools[].custom.depth",
    )


@pytest.mark.parametrize(
    ("choice", "native"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"type": "function", "name": "get_weather"},
        ),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "get_weather"}},
                        {"type": "custom", "name": "c"},
                        {"type": "web_search"},
                    ],
                },
            },
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [
                    {"type": "function", "name": "get_weather"},
                    {"type": "custom", "name": "c"},
                    {"type": "web_search"},
                ],
            },
        ),
    ],
)
def test_row_23_row_24_row_26_tool_choice(choice: Any, native: Any):
    body = body_of(tools=[WEATHER], tool_choice=choice)
    assert body["tool_choice"] == native
    assert "parallel_tool_calls" not in body
    alone = body_of(tools=[WEATHER], parallel_tool_calls=False)
    assert ("tool_choice" in alone, alone["parallel_tool_calls"]) == (False, False)


@pytest.mark.parametrize("entry", [{}, {"type": "function"}, {"type": "mcp", "name": "x"}])
def test_allowed_tool_without_a_name_is_rejected(entry: Json):
    allowed = {"mode": "auto", "tools": [entry]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    error = rejection(tools=[WEATHER], tool_choice=choice)
    assert error.param == "tool_choice.allowed_tools.tools"


def test_deprecated_functions_call_one_at_a_time():
    functions = [WEATHER["function"]]
    body = body_of(functions=functions, function_call={"name": "get_weather"})
    assert body["tools"] == [{"type": "function", **WEATHER["function"], "strict": False}]
    assert body["tool_choice"] == {"type": "function", "name": "get_weather"}
    assert body["parallel_tool_calls"] is False
    assert body_of(functions=functions, function_call="none")["tool_choice"] == "none"


def test_web_search():
    place = {"city": "Oslo", "country": "NO"}
    options = {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": place},
    }
    translated = translate(web_search_options=options, tools=[WEATHER])
    assert translated.request.body["tools"][1:] == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", **place},
        }
    ]
    assert translated.report.emulated == ("web_search_options",)
    assert body_of(web_search_options={})["tools"] == [{"type": "web_search"}]


def test_web_search_that_is_odd():
    odd: Json = {"depth": 1, "user_location": {"approximate": {"street": "x"}}}
    translated = translate(web_search_options=odd)
    assert translated.request.body["tools"] == [
        {"type": "web_search", "user_location": {"type": "approximate"}}
    ]
    assert translated.report.ignored == (
        "web_search_options.depth",
        "web_search_options.user_location.approximate.street",
    )
    error = rejection(web_search_options={"user_location": {"type": "exact"}})
    assert error.param == "web_search_options.user_location"

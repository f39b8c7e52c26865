"""Requests that are made to break a translation, or to keep it busy."""

from typing import Any

import pytest
from messages_api import TRANSLATOR, WEATHER, body_of, rejection, translate, turns_of

from tests.translators.chat_requests import calls, request_of, result, user
from tests.translators.steps import steps_of
from tests.translators.streams import Json
from translators.anthropic_messages.schema import to_strict
from translators.anthropic_messages.schema_parts import are_disjoint
from translators.anthropic_messages.tool_schema import open_root

MODEL = "claude-sonnet-5"
STRING: Json = {"type": "string"}


def closed(**properties: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# --- values of the wrong type ------------------------------------------------------------------


@pytest.mark.parametrize("size", [["low"], {}, {"low": 1}, 7, "huge"])
def test_size_of_a_search_that_is_none_is_rejected(size: Any):
    if size == {}:  # It says nothing, as null does.
        assert body_of(MODEL, web_search_options={"search_context_size": size})["tools"]
        return
    error = rejection(MODEL, web_search_options={"search_context_size": size})
    assert error.param == "web_search_options.search_context_size"


def test_thought_keeps_only_the_fields_of_its_type():
    hidden: Json = {"type": "redacted_thinking", "data": "x", "thinking": {}, "signature": []}
    shown: Json = {"type": "thinking", "thinking": "t", "signature": "s", "data": {}}
    message = {"role": "assistant", "content": "y", "thinking_blocks": [hidden, shown]}
    turns = turns_of(user("x"), message, user("z"))
    assert turns[1]["content"][:2] == [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "t", "signature": "s"},
    ]


@pytest.mark.parametrize("format", [["x"], {}, 7, None])
def test_format_that_is_none_is_only_told(format: Any):
    found = to_strict(closed(a={"type": "string", "format": format}))
    assert found is not None and not found.exact
    assert "format" not in found.schema["properties"]["a"]


def test_types_behind_a_reference_that_are_none_have_no_native_schema():
    kinds: list[Any] = [[["x"]], 7, [{}]]
    for odd in kinds:
        schema = {**closed(a={"$ref": "#/$defs/A", "type": ["string"]})}
        assert to_strict({**schema, "$defs": {"A": {"type": odd}}}) is None


# --- too much work -----------------------------------------------------------------------------


def grows_evenly(make: Any, *, least: int) -> None:
    """Check that four times as much is at most about four times the work."""
    few, many = make(least), make(4 * least)
    assert steps_of(many) < 4.5 * steps_of(few) + 1000


def test_one_id_for_many_calls_is_no_more_work():
    def make(count: int) -> Any:
        ids = ["c"] * count
        messages = [user("x"), calls(*ids), *map(result, ids)]
        chat = request_of(messages=messages, tools=[WEATHER])
        return lambda: TRANSLATOR.request(chat, model=MODEL)

    grows_evenly(make, least=200)
    turns = turns_of(user("x"), calls("c", "c_2", "c"), *map(result, ["c", "c_2", "c"]))
    assert [block["id"] for block in turns[1]["content"]] == ["c", "c_2", "c_3"]


def test_many_rounds_are_no_more_work_each():
    def make(count: int) -> Any:
        rounds = [m for n in range(count) for m in (calls(f"c{n}"), result(f"c{n}"))]
        chat = request_of(messages=[user("x"), *rounds], tools=[WEATHER])
        return lambda: TRANSLATOR.request(chat, model=MODEL)

    grows_evenly(make, least=200)


def test_common_values_of_two_long_lists():
    one, other = [f"a{n}" for n in range(8000)], [f"b{n}" for n in range(8000)]
    both = closed(x={"allOf": [{"enum": one}, {"enum": [*other, "a1", "a0"]}]})
    work = steps_of(lambda: to_strict(both))
    found = to_strict(both)
    assert found is not None
    assert sorted(found.schema["properties"]["x"]["enum"]) == ["a0", "a1"]
    assert work < 400_000


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [([1, "1", True], [1.0, False], [1]), ([[1], None], [[1], [True]], [[1]])],
)
def test_values_are_compared_as_json_does(one: list[Any], other: list[Any], common: list[Any]):
    unlike = [value for value in one if value not in common]
    assert not are_disjoint([{"enum": one}, {"enum": other}])
    assert are_disjoint([{"enum": unlike}, {"enum": other}])


def test_long_union_is_told_apart_by_its_tag():
    branches = [closed(kind={"const": f"k{n}"}, v=STRING) for n in range(2000)]
    assert are_disjoint(branches)
    assert not are_disjoint([*branches, branches[0]])
    assert steps_of(lambda: are_disjoint(branches)) < 500_000
    # Without a tag only a few are compared, each with each: what is not seen is not claimed.
    kinds = [{"type": kind} for kind in ("string", "integer", "boolean", "null")]
    assert are_disjoint(kinds)
    values = [{"enum": [n]} for n in range(300)]
    assert are_disjoint(values[:30])
    assert not are_disjoint(values)


def test_names_that_many_references_end_with():
    def make(count: int) -> Any:
        things: Json = {f"p{n}": closed(items={**STRING}) for n in range(count)}
        refs = {f"r{n}": {"$ref": f"#/properties/p{n}/properties/items"} for n in range(count)}
        schema = closed(**things, **refs)
        return lambda: to_strict(schema)

    grows_evenly(make, least=100)
    found = to_strict(
        closed(
            a=closed(x={"type": "string"}),
            b=closed(x={"type": "integer"}),
            r={"$ref": "#/properties/a/properties/x"},
            s={"$ref": "#/properties/b/properties/x"},
        )
    )
    assert found is not None and sorted(found.schema["$defs"]) == ["x", "x_2"]


def test_many_anchors_are_looked_up_once():
    def make(count: int) -> Any:
        named = {f"A{n}": {**STRING, "$anchor": f"n{n}"} for n in range(count)}
        schema = {**closed(**{f"p{n}": {"$ref": f"#n{n}"} for n in range(count)}), "$defs": named}
        return lambda: to_strict(schema)

    grows_evenly(make, least=100)


@pytest.mark.parametrize(
    "target",
    [
        {"enum": [f"v{n}" for n in range(5000)]},
        {"type": "string", "enum": ["v" * 500_000]},
        {"type": "string", "description": "d" * 500_000},
        {"type": "string", "default": ["d" * 500_000]},
    ],
    ids=["values", "long value", "description", "default"],
)
def test_references_cannot_make_much_of_little(target: Json):
    schema = closed(**{f"p{n}": {"$ref": "#/$defs/A", "title": "T"} for n in range(1000)})
    assert to_strict({**schema, "$defs": {"A": target}}) is None
    assert to_strict({**closed(p={"$ref": "#/$defs/A", "title": "T"}), "$defs": {"A": target}})


def test_long_values_beside_a_union():
    values = [f"v{n}" for n in range(5000)]
    schema = closed(a={"enum": values, "oneOf": [{"enum": ["v0"]}] * 1000})
    assert to_strict(schema) is None
    assert steps_of(lambda: to_strict(schema)) < 100_000


def test_many_types_of_one_schema():
    types = [[f"t{n}" for n in range(4000)], [f"u{n}" for n in range(4000)]]
    schema = closed(a={"allOf": [{"type": kinds} for kinds in types]})
    assert to_strict(schema) is None
    assert steps_of(lambda: to_strict(schema)) < 100_000


def test_union_at_the_root_of_a_tool_cannot_make_much_of_little():
    wide: Json = {"properties": {f"p{n}": {} for n in range(5000)}}
    with pytest.raises(ValueError, match="too large"):
        open_root({"anyOf": [{"$ref": "#/$defs/A"} for _ in range(5000)], "$defs": {"A": wide}})
    steps: Json = {
        f"A{n}": {
            "anyOf": [
                {"$ref": f"#/$defs/A{n + 1}"},
                {"anyOf": [{"$ref": f"#/$defs/A{n + 1}"}, {"properties": {"x": {"const": n}}}]},
            ]
        }
        for n in range(25)
    }
    native, _ = open_root({"$ref": "#/$defs/A0", "$defs": {**steps, "A25": closed(x=STRING)}})
    assert len(native["properties"]["x"]["anyOf"]) == 26
    chain = {f"A{n}": {"$ref": f"#/$defs/A{n + 1}"} for n in range(2000)}
    with pytest.raises(ValueError, match="too deep"):
        open_root({"$ref": "#/$defs/A0", "$defs": {**chain, "A2000": closed(x=STRING)}})
    schema: Json = {"anyOf": [{"$ref": "#/$defs/A"} for _ in range(5000)], "$defs": {"A": wide}}
    tool: Json = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert rejection(tools=[tool]).param == "tools[0].function.parameters"


def test_tool_with_a_union_at_its_root_takes_what_any_branch_takes():
    """A tagged union: the first branch's tag is not the only one."""
    tagged = [
        closed(kind={"const": "a"}, x=STRING, y=STRING),
        closed(kind={"const": "b"}, x={"type": "integer"}, y=STRING),
    ]
    native, changed = open_root({"oneOf": tagged})
    assert changed
    assert native["properties"] == {
        "kind": {"anyOf": [{"const": "a"}, {"const": "b"}]},
        "x": {"anyOf": [STRING, {"type": "integer"}]},
        "y": STRING,
    }
    # What holds for all of them is not loosened.
    native, _ = open_root({"properties": {"x": {"const": 1}}, "oneOf": tagged})
    assert native["properties"]["x"] == {"const": 1}
    translated = translate(
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"oneOf": tagged}}}]
    )
    assert "tools[].function.parameters" in translated.report.emulated

"""Schemas that must hold together: nothing is lost, however they are written."""

import copy
import json
from typing import Any, cast

import pytest
from gemini_api import translate
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translators.streams import Json
from translators.errors import TranslationError
from translators.fidelity import Report, ReportBuilder
from translators.gemini_generate.schema import to_checked_schema
from translators.protocol import JsonContract


def normal(schema: Any) -> tuple[Json, bool, Report]:
    report = ReportBuilder("gemini_generate")
    native, exact = to_checked_schema(schema, path="p[0]", general="p[]", report=report)
    return native, exact, report.build()


@pytest.mark.parametrize(
    ("members", "native"),
    [
        ([{"minimum": 5}, {"minimum": 1}], {"minimum": 5}),
        ([{"maximum": 5}, {"maximum": 1}], {"maximum": 1}),
        ([{"minItems": 1}, {"minItems": 3}], {"minItems": 3}),
        ([{"enum": ["a", "b"]}, {"enum": ["b", "c"]}], {"enum": ["b"]}),
        ([{"type": ["integer", "null"]}, {"type": "number"}], {"type": "integer"}),
        ([{"required": ["a"]}, {"required": ["b"]}], {"required": ["a", "b"]}),
        ([{"additionalProperties": False}, {"additionalProperties": True}],
         {"additionalProperties": False}),
        ([{"items": {"minimum": 1}}, {"items": {"minimum": 2}}], {"items": {"minimum": 2}}),
    ],
)  # fmt: skip
def test_the_stricter_of_two_bounds_holds(members: list[Json], native: Json):
    found, exact, report = normal({"allOf": members})
    assert (found, exact, report.emulated) == (native, True, ("p[]",))
    assert normal({"allOf": members[::-1]})[0].keys() == native.keys()


IMPOSSIBLE: list[tuple[list[Any], str]] = [
    ([False], "false"),
    ([{"enum": ["a"]}, {"enum": ["b"]}], '{"enum":["b"]}'),
    ([{"type": "string"}, {"type": "object"}], '{"type":"object"}'),
    ([{"anyOf": [{"minimum": 1}]}, {"anyOf": [{"maximum": 9}]}], '"maximum":9'),
    ([{"pattern": "a"}, {"pattern": "b"}], '"pattern":"b"'),
    ([{"const": 1}, {"const": True}], '{"const":true}'),
    ([{"const": 1}, {"enum": [2]}], '{"enum":[2]}'),
    (
        [{"properties": {"a": {}}, "additionalProperties": False}, {"properties": {"b": {}}}],
        '"additionalProperties":false',
    ),
]


@pytest.mark.parametrize(("members", "told"), IMPOSSIBLE)
def test_what_cannot_be_merged_is_told(members: list[Any], told: str):
    native, exact, report = normal({"allOf": members})
    assert told in native["description"]
    assert (exact, report.emulated) == (False, ("p[]",))


def test_properties_that_both_have_are_merged():
    one = {"properties": {"a": {"type": "string", "minLength": 2}}}
    native, exact, _ = normal({"allOf": [one, {"properties": {"a": {"maxLength": 9}}}]})
    inner = native["properties"]["a"]
    assert inner["type"] == "string" and not exact
    assert '{"minLength":2,"maxLength":9}' in inner["description"]


def test_all_of_behind_a_reference_is_kept():
    definitions = {"A": {"allOf": [{"required": ["a"]}, {"type": "object"}]}}
    schema = {"$defs": definitions, "allOf": [{"$ref": "#/$defs/A", "allOf": [{"title": "T"}]}]}
    assert normal(schema)[0] == {"required": ["a"], "type": "object", "title": "T"}
    beside = {"$defs": definitions, "$ref": "#/$defs/A", "minItems": 1}
    native = normal(beside)[0]
    del native["$defs"]
    assert native == {"required": ["a"], "type": "object", "minItems": 1}


def test_what_stands_beside_a_reference_does_not_loosen_it():
    native = normal({"$defs": {"A": {"minimum": 5}}, "$ref": "#/$defs/A", "minimum": 1})[0]
    assert native["minimum"] == 5


@pytest.mark.parametrize(
    ("source", "native"),
    [
        ({"$ref": "#/$defs/A"}, {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"type": "null"}]},
        ),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        (
            {"type": "string", "enum": ["a"]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        (
            {"allOf": [{"type": "string"}]},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
    ],
)
def test_nullable_beside_anything(source: Json, native: Json):
    schema = {"$defs": {"A": {"type": "string"}}, "properties": {"a": {**source, "nullable": True}}}
    assert normal(schema)[0]["properties"]["a"] == native


def test_row_45_strict_schema_whose_bounds_are_only_told_is_checked():
    bounded = {"type": "object", "properties": {"a": {"type": "string", "minLength": 3}}}
    plain = {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}

    def contract(schema: Json, *, strict: bool) -> Any:
        wanted = {"name": "n", "schema": schema, "strict": strict}
        form = {"type": "json_schema", "json_schema": wanted}
        translated = translate(response_format=form)
        assert "responseJsonSchema" in translated.request.body["generationConfig"]
        assert "systemInstruction" not in translated.request.body
        return translated.contract

    assert contract(bounded, strict=True) == JsonContract(bounded)
    assert contract(bounded, strict=False) is None
    assert contract(plain, strict=True) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"required": [["a"]]}, {"required": ["b"]}]},
        {"allOf": [7]},
        {"allOf": {"type": "string"}},
        {"type": [["string"]]},
        {"properties": []},
    ],
)
def test_what_is_no_schema_is_refused(schema: Json):
    with pytest.raises(TranslationError) as caught:
        normal(schema)
    assert caught.value.param == "p[0]"


def test_too_many_schemas_are_refused():
    with pytest.raises(TranslationError, match="more than"):
        normal({"anyOf": [{"type": "string"}] * 30_000})
    wide: Json = {f"p{n}": {} for n in range(20_000)}
    with pytest.raises(TranslationError, match="too much"):
        normal({"$defs": {"A": {"properties": wide}}, "allOf": [{"$ref": "#/$defs/A"}] * 500})


def test_many_definitions_of_one_name_have_numbers():
    groups: Json = {f"g{n}": {"A": {"const": n}} for n in range(3000)}
    schema: Json = {"x": groups, "prefixItems": [{"$ref": f"#/x/g{n}/A"} for n in range(3000)]}
    native, _, _ = normal(schema)
    names = [entry["$ref"].removeprefix("#/$defs/") for entry in native["prefixItems"]]
    assert names == ["A", *(f"A_{n}" for n in range(2, 3001))]
    assert [native["$defs"][name]["enum"] for name in names] == [[n] for n in range(3000)]


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "#", "#/$defs/A", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "$ref", "allOf", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)
WHOLE: Json = {
    "$defs": {"A": {"type": "object", "properties": {"x": {"$ref": "#/$defs/A"}}, "$anchor": "h"}},
    "allOf": [
        {"$ref": "#/$defs/A", "required": ["x"], "nullable": True},
        {"properties": {"x": {"minimum": 1, "anyOf": [{"enum": [1]}]}}, "required": ["y"]},
        {"additionalProperties": False, "minimum": 1, "type": ["object", "null"]},
    ],
    "properties": {"y": {"items": [{"const": 1}], "$ref": "#h", "maximum": 3}},
    "minimum": 2,
    "enum": ["a", {}],
}


def _places(value: Any) -> list[tuple[Any, Any]]:
    fields = cast("Json | list[Any]", value)
    keys: list[Any] = [*(fields if isinstance(fields, dict) else range(len(fields)))]
    found: list[tuple[Any, Any]] = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += _places(value[key])
    return found


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_odd_values_anywhere_are_translated_or_refused(data: Any):
    schema: Json = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(schema)
        chosen: int = data.draw(st.integers(0, len(places) - 1))
        holder, key = places[chosen]
        holder[key] = data.draw(ODD)
    try:
        native, _, _ = normal(schema)
    except TranslationError as error:
        assert error.param == "p[0]"
    else:
        json.dumps(native)

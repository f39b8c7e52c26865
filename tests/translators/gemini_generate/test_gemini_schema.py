"""Schemas: what the API's part of JSON Schema cannot say is said in another way, never lost."""

import copy
import json
from typing import Any

import pytest
from gemini_api import declarations_of, rejection, translate
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.sandbox.gemini_generate.schemas import check_json_schema
from tests.translators.streams import Json
from translators.errors import TranslationError
from translators.fidelity import Report, ReportBuilder
from translators.gemini_generate.schema import to_schema

KEYWORDS = {
    *("$defs", "$ref", "type", "format", "title", "description", "enum", "items", "prefixItems"),
    *("minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties"),
    *("additionalProperties", "required", "propertyOrdering"),
}
"""https://ai.google.dev/gemini-api/docs/structured-output#json-schema-support"""


def normal(schema: Any, *, as_object: bool = False) -> tuple[Json, Report]:
    report = ReportBuilder("gemini_generate")
    before = copy.deepcopy(schema)
    native = to_schema(schema, path="p[0]", general="p[]", report=report, root_is_object=as_object)
    assert schema == before
    check(native)
    check_json_schema(native)  # The sandbox's own rules.
    return native, report.build()


def check(native: Json) -> None:
    """Check that a schema keeps to what the API reads, and that its references lead somewhere."""
    names = native.get("$defs", {}).keys()
    for schema in [native, *native.get("$defs", {}).values()]:
        _check(schema, names, root=schema is native)


def _check(schema: Any, names: Any, *, root: bool = False) -> None:
    if isinstance(schema, bool):
        return
    assert schema.keys() <= (KEYWORDS if root else KEYWORDS - {"$defs"})
    if "$ref" in schema:
        assert schema.keys() <= {"$ref", "$defs"}
        assert schema["$ref"].removeprefix("#/$defs/") in names
    assert all(isinstance(v, str | int | float) for v in schema.get("enum", ()))
    assert not any(isinstance(v, bool) for v in schema.get("enum", ()))
    inner = [*schema.get("properties", {}).values()]
    for name in ("anyOf", "oneOf", "prefixItems"):
        inner += schema.get(name, ())
    inner += [schema[name] for name in ("items", "additionalProperties") if name in schema]
    for entry in inner:
        _check(entry, names)


READ: list[Json] = [
    {"type": "object", "properties": {"a": {"type": "string", "format": "date"}}},
    {"type": ["string", "null"], "enum": ["a", 1, 2.5]},
    {"type": "array", "items": {"minimum": 1, "maximum": 2}, "minItems": 1, "maxItems": 2},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": {}},
    {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "T", "description": "D"},
    {"oneOf": [{}], "required": ["a"], "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"$defs": {"A": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/A"}}},
]


@pytest.mark.parametrize("schema", READ)
def test_rows_37_93_what_the_api_reads_stays_as_it_is(schema: Json):
    native, report = normal(schema)
    assert native == schema
    assert report == Report()


def test_row_36_references_and_cycles_stay_references():
    node = {"properties": {"next": {"$ref": "#/$defs/Node"}, "v": {"type": "integer"}}}
    native, _ = normal({"$ref": "#/$defs/Node", "$defs": {"Node": node}})
    assert native == {"$ref": "#/$defs/Node", "$defs": {"Node": node}}
    # A function's own schema must be an object, so it is written out once.
    root: Json = {"$ref": "#/definitions/Node", "definitions": {"Node": _older(node)}}
    (declared,) = declarations_of(
        {"type": "function", "function": {"name": "f", "parameters": root}}
    )
    parameters = declared["parametersJsonSchema"]
    assert parameters["type"] == "object"
    assert parameters["properties"]["next"] == {"$ref": "#/$defs/Node"}
    assert parameters["$defs"] == {"Node": node}


def _older(schema: Json) -> Json:
    return json.loads(json.dumps(schema).replace("$defs", "definitions"))


def test_row_38_what_says_nothing_to_a_model_is_left_out():
    native, report = normal({"$schema": "http://x", "$id": "y", "$comment": "z", "type": "string"})
    assert native == {"type": "string"}
    assert report == Report()


@pytest.mark.parametrize(
    ("schema", "native"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 8}),
    ],
)
def test_row_38_exclusive_bounds_of_integers(schema: Json, native: Json):
    assert normal(schema) == (native, Report())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pattern", "^a"),
        ("minLength", 1),
        ("multipleOf", 5),
        ("exclusiveMinimum", 0),
        ("not", {"type": "string"}),
        ("default", "x"),
        ("if", {"type": "string"}),
        ("patternProperties", {"^a": {}}),
    ],
)
def test_constraint_without_a_keyword_is_told_in_the_description(name: str, value: Any):
    native, report = normal({"type": "number", name: value, "description": "D"})
    assert native["type"] == "number"
    assert native["description"].startswith("D\n\n")
    rule = json.dumps({name: value}, separators=(",", ":"))
    assert native["description"].endswith(rule)
    assert report.emulated == ("p[]",)


@pytest.mark.parametrize(
    ("value", "native"),
    [
        ("x", {"enum": ["x"]}),
        (7, {"enum": [7]}),
        (None, {"type": "null"}),
    ],
)
def test_row_39_const_is_an_enum_of_one(value: Any, native: Json):
    assert normal({"const": value})[0] == native


def test_row_39_values_that_an_enum_does_not_take():
    native, _ = normal({"const": True})
    assert native["type"] == "boolean"
    assert "true" in native["description"]
    native, _ = normal({"type": ["string", "null"], "enum": ["a", None]})
    assert native == {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}
    native, _ = normal({"enum": [{"a": 1}, "x"]})
    assert '{"a":1}' in native["description"]


def test_nullable():
    assert normal({"type": "string", "nullable": True})[0] == {"type": ["string", "null"]}


@pytest.mark.parametrize(
    "pointer",
    ["#/properties/a", "#/properties/a/items", "#/definitions/b~1c", "#/anyOf/0", "#here"],
)
def test_row_40_any_local_pointer_is_resolved(pointer: str):
    thing = {"type": "object", "properties": {"x": {"type": "string"}}}
    schema = {
        "properties": {"a": {**thing, "items": thing}, "b": {"$ref": pointer}},
        "definitions": {"b/c": thing, "anchored": {**thing, "$anchor": "here"}},
        "anyOf": [thing],
    }
    native, _ = normal(schema)
    name = native["properties"]["b"]["$ref"].removeprefix("#/$defs/")
    assert native["$defs"][name]["properties"] == thing["properties"]


def test_names_of_definitions_do_not_clash():
    schema = {
        "$defs": {"A": {"type": "string"}},
        "definitions": {"A": {"type": "integer"}},
        "prefixItems": [{"$ref": "#/$defs/A"}, {"$ref": "#/definitions/A"}],
    }
    native, _ = normal(schema)
    types = [native["$defs"][e["$ref"][8:]]["type"] for e in native["prefixItems"]]
    assert types == ["string", "integer"]


@pytest.mark.parametrize("pointer", ["#/$defs/B", "https://x/y", "#/enum/7", "#none", "B"])
def test_reference_that_leads_nowhere_is_rejected(pointer: str):
    parameters = {"properties": {"a": {"$ref": pointer}}, "enum": ["x"]}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    error = rejection(tools=[tool])
    assert error.param == "tools[0].function.parameters"
    assert pointer in error.message


def test_reference_beside_other_keywords():
    schema = {
        "$defs": {"A": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "properties": {
            "told": {"$ref": "#/$defs/A", "description": "D"},
            "more": {"$ref": "#/$defs/A", "required": ["x"]},
        },
    }
    native, _ = normal(schema)
    told, more = native["properties"].values()
    assert told == {"anyOf": [{"$ref": "#/$defs/A"}], "description": "D"}
    assert (more["type"], more["required"]) == ("object", ["x"])


def test_all_of_is_merged():
    schema = {
        "$defs": {"A": {"properties": {"a": {"type": "string"}}, "required": ["a"]}},
        "allOf": [
            {"$ref": "#/$defs/A"},
            {"properties": {"b": {"type": "integer"}}, "required": ["b", "a"]},
            {"allOf": [{"title": "T"}, True]},
        ],
        "type": "object",
    }
    native, report = normal(schema)
    assert list(native["properties"]) == ["a", "b"]
    assert native["required"] == ["a", "b"]
    assert (native["type"], native["title"]) == ("object", "T")
    assert report.emulated == ("p[]",)
    both, _ = normal({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]})
    assert both == {"enum": ["b"]}


def test_all_of_with_a_cycle_ends():
    schema = {"$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"type": "object"}]}}}
    native, _ = normal({**schema, "$ref": "#/$defs/A"})
    assert native["$defs"]["A"] == {"type": "object"}


NODE: Json = {
    "type": "object",
    "properties": {
        "value": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
    "required": ["value", "children"],
}


def test_row_36_cycle_of_required_properties_is_opened_and_told():
    """What pydantic makes of `class Node: value: str; children: list[Node]`."""
    native, report = normal({"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"})
    node = native["$defs"]["Node"]
    assert node["required"] == ["value"]
    assert node["properties"] == NODE["properties"]
    assert '{"required":["children"]}' in node["description"]
    assert report.emulated == ("p[]",)


def test_row_36_cycle_of_optional_properties_stays():
    node = {**NODE, "required": ["value"]}
    native, report = normal({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert native["$defs"]["Node"] == node
    assert report.emulated == ()


def test_row_36_longer_cycles_are_opened_once_each():
    def holder(*names: str) -> Json:
        properties = {name: {"$ref": f"#/$defs/{name}"} for name in names}
        return {"type": "object", "properties": properties, "required": list(names)}

    schema = {"$defs": {"A": holder("B", "C"), "B": holder("C"), "C": holder("A")}, **holder("A")}
    native, _ = normal(schema)
    required = [native["$defs"][name].get("required") for name in "ABC"]
    assert required == [["B", "C"], ["C"], None]
    assert native["required"] == ["A"]


def test_row_36_cycle_without_properties_is_cut_at_its_reference():
    value: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/J"}}]}
    properties: Json = {"a": {"$ref": "#/$defs/J"}}
    schema = {"$defs": {"J": value}, "properties": properties, "required": ["a"]}
    native, report = normal(schema)
    items = native["$defs"]["J"]["anyOf"][1]["items"]
    assert "#/$defs/J" in items["description"]
    assert native["properties"] == properties
    assert native["required"] == ["a"]
    assert report.emulated == ("p[]",)


def test_schema_that_is_too_deep_to_be_followed_is_refused():
    definitions: Json = {
        f"D{i}": {"properties": {"a": {"$ref": f"#/$defs/D{i + 1}"}}, "required": ["a"]}
        for i in range(2000)
    }
    schema: Json = {"$defs": {**definitions, "D2000": {}}, "$ref": "#/$defs/D0"}
    with pytest.raises(TranslationError) as caught:
        to_schema(schema, path="p[0]", general="p[]", report=ReportBuilder("gemini_generate"))
    assert caught.value.param == "p[0]"


def test_row_36_cycles_of_all_of_end_however_they_branch():
    """Each level would double the work: two hundred of them never end."""
    both = {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}, {"type": "object"}]}
    native, _ = normal({"$defs": {"A": both, "B": both}, "$ref": "#/$defs/A"})
    assert native["$defs"]["A"] == {"type": "object"}
    doubled: Json = {f"D{i}": {"allOf": [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(60)}
    with pytest.raises(TranslationError, match="allOf"):
        normal({"$defs": {**doubled, "D60": {}}, "$ref": "#/$defs/D0"})


def test_shared_definitions_are_followed_once():
    """There are 2**60 ways through these."""
    shared: Json = {
        f"D{i}": {
            "properties": {name: {"$ref": f"#/$defs/D{i + 1}"} for name in "ab"},
            "required": ["a", "b"],
        }
        for i in range(60)
    }
    schema: Json = {"$defs": {**shared, "D60": {}}, "$ref": "#/$defs/D0"}
    report = ReportBuilder("gemini_generate")
    native = to_schema(schema, path="p[0]", general="p[]", report=report)
    assert native["$defs"]["D59"] == shared["D59"]


def test_row_36_cycle_of_narrowed_references_is_refused():
    narrowed = {"$ref": "#/$defs/A", "minProperties": 1}
    node = {"properties": {"x": narrowed, "y": narrowed}}
    with pytest.raises(TranslationError, match="too deep"):
        normal({"$defs": {"A": node}, "$ref": "#/$defs/A"})


def test_boolean_schemas():
    native, report = normal({"properties": {"a": True, "b": False}})
    assert native["properties"]["a"] == {}
    assert "Nothing" in native["properties"]["b"]["description"]
    assert report.emulated == ("p[]",)


def test_older_tuples():
    assert normal({"items": [{"type": "string"}]})[0] == {"prefixItems": [{"type": "string"}]}


def test_report_names_the_tool():
    parameters = {"properties": {"a": {"type": "string", "pattern": "x"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    assert translate(tools=[tool]).report.emulated == ("tools[].function.parameters",)


LEAVES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "object", ["string", "null"]]),
        "const": st.none() | st.booleans() | st.integers() | st.text(max_size=2),
        "enum": st.lists(st.none() | st.booleans() | st.integers(0, 3), min_size=1, max_size=3),
        "$ref": st.sampled_from(["#", "#/$defs/A", "#/$defs/B", "#/properties/a", "#/gone"]),
        "pattern": st.just("x"),
        "nullable": st.booleans(),
        "exclusiveMinimum": st.integers(0, 3) | st.booleans(),
        "description": st.just("D"),
    },
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    listed = st.lists(inner, max_size=2)
    optional = {
        "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        "items": inner | listed,
        "additionalProperties": inner | st.booleans(),
        "anyOf": listed,
        "allOf": listed,
        "not": inner,
        "$defs": st.fixed_dictionaries({"A": inner, "B": inner}),
        "required": st.just(["a"]),
    }
    return st.fixed_dictionaries({}, optional=optional) | LEAVES


SCHEMAS = st.recursive(LEAVES, _around, max_leaves=8)


@given(SCHEMAS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_schema_ends_in_the_apis_form_or_in_a_refusal(schema: Json, as_object: bool):
    try:
        native, _ = normal(schema, as_object=as_object)
    except TranslationError as error:
        assert error.param == "p[0]"
    else:
        assert "type" in native or not as_object
        assert native or not schema.keys() & {"type", "const", "enum", "pattern", "properties"}

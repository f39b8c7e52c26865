"""Schemas: what the API can enforce is enforced, what it cannot is never emptied."""

import copy
from typing import Any, cast

import jsonschema
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from strict_schemas import SCHEMAS, instances, strict_problems

from proxy.sandbox.anthropic_messages.schemas import Complexity, check_closed
from tests.translators.streams import Json
from translators.anthropic_messages.schema import Strict, StrictBudget, to_strict
from translators.anthropic_messages.tool_schema import open_root


def strict(schema: Json, *, arguments: bool = False) -> Strict | None:
    before = copy.deepcopy(schema)
    found = to_strict(schema, arguments=arguments)
    assert schema == before
    if found is not None:
        assert strict_problems(found.schema) == []
        if StrictBudget().take(found):
            check_closed(found.schema, "p", Complexity())
    return found


def schema_of(schema: Json, *, arguments: bool = False) -> Json:
    found = strict(schema, arguments=arguments)
    assert found is not None
    return found.schema


def closed(**properties: Any) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING: Json = {"type": "string"}
TREE: Json = closed(next={"anyOf": [{"$ref": "#"}, {"type": "null"}]})


@pytest.mark.parametrize(
    "schema",
    [
        closed(a=STRING, b={"type": "integer"}),
        closed(a={"type": "array", "items": STRING, "minItems": 1}),
        closed(a={"type": "string", "enum": ["x", "y"], "description": "D", "title": "T"}),
        closed(
            a={"type": "string", "format": "date-time"}, b={"type": "string", "pattern": "^a+$"}
        ),
        closed(a={"anyOf": [STRING, {"type": "null"}]}),
        {
            **closed(a={"$ref": "#/$defs/A"}, b={"$ref": "#/$defs/A"}),
            "$defs": {"A": closed(x=STRING)},
        },
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"anyOf": [closed(a=STRING), closed(b=STRING)]},
    ],
)
def test_what_the_api_enforces_stays_as_it_is(schema: Json):
    found = strict(schema)
    assert found is not None
    assert found.schema == schema
    assert found.exact and not found.changed


@pytest.mark.parametrize(
    ("schema", "native"),
    [
        ({"type": ["string", "null"]}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"type": "string", "nullable": True}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
        ({"const": 7}, {"type": "integer", "enum": [7]}),
        (
            {"enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null", "enum": [None]}]},
        ),
        (
            {"type": ["integer", "string"], "enum": [1, "a"], "description": "D"},
            {
                "anyOf": [
                    {"type": "integer", "enum": [1]},
                    {"type": "string", "enum": ["a"]},
                ],
                "description": "D",
            },
        ),
        ({"allOf": [STRING, {"enum": ["a"]}]}, {"type": "string", "enum": ["a"]}),
        ({"anyOf": [STRING], "title": "T"}, {"type": "string", "title": "T"}),
        ({"$schema": "x", "$id": "y", "$comment": "z", "type": "string"}, STRING),
    ],
)
def test_what_can_be_said_in_other_words_is_as_exact(schema: Json, native: Json):
    found = strict(schema)
    assert found is not None
    assert found.schema == native
    assert found.exact and not found.changed


def test_open_object_is_closed():
    found = strict({"properties": {"a": STRING}, "additionalProperties": True})
    assert found is not None
    assert found.schema == {
        "type": "object",
        "properties": {"a": STRING},
        "additionalProperties": False,
    }
    assert found.exact and found.changed


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 5}, '{"minimum":1,"maximum":5}'),
        ({"type": "string", "minLength": 1}, '{"minLength":1}'),
        ({"type": "string", "pattern": "^(?=a)"}, '{"pattern":"^(?=a)"}'),
        ({"type": "string", "format": "iban"}, '{"format":"iban"}'),
        ({"type": "array", "items": STRING, "maxItems": 3}, '{"maxItems":3}'),
        ({"type": "array", "items": STRING, "minItems": 2}, '{"minItems":2}'),
        ({"type": "number", "multipleOf": 0.5}, '{"multipleOf":0.5}'),
    ],
)
def test_bound_without_a_keyword_is_told_in_the_description(schema: Json, told: str):
    found = strict({**schema, "description": "D"})
    assert found is not None
    assert not found.exact and found.changed
    description = found.schema["description"]
    assert description.startswith("D\n\n") and description.endswith(told)
    assert found.schema.get("minItems", 1) == 1


def test_bound_of_another_type_says_nothing():
    found = strict({"type": ["string", "null"], "minLength": 2})
    assert found is not None
    assert found.schema["anyOf"][1] == {"type": "null"}
    assert "minLength" in found.schema["anyOf"][0]["description"]


def test_default_is_told_and_changes_nothing():
    found = strict({"type": "string", "default": "x"})
    assert found is not None
    assert found.schema["description"] == 'For example: {"default":"x"}'
    assert found.exact and not found.changed


def test_one_of_that_may_overlap_is_not_exact():
    found = strict({"oneOf": [closed(a=STRING), closed(a=STRING, b=STRING)]})
    assert found is not None and not found.exact
    tagged = [closed(kind={"const": name}, v=STRING) for name in ("a", "b")]
    found = strict({"oneOf": tagged, "discriminator": {"propertyName": "kind"}})
    assert found is not None and found.exact


def test_keywords_beside_a_union_go_into_its_branches():
    native = schema_of(
        {
            "type": "object",
            "properties": {"a": STRING, "b": STRING},
            "additionalProperties": False,
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        }
    )
    assert [branch["required"] for branch in native["anyOf"]] == [["a"], ["b"]]
    assert all(len(branch["properties"]) == 2 for branch in native["anyOf"])


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "additionalProperties": STRING},
        {"type": "object", "properties": {"a": STRING}, "additionalProperties": STRING},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": STRING}, "required": ["b"]},
        {"type": "object", "patternProperties": {"^a": STRING}},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "prefixItems": [STRING], "items": STRING},
        {"items": [STRING]},
        {"type": "string", "not": {"const": "a"}},
        {"type": "string", "if": {}, "then": {"minLength": 1}},
        {"enum": [{"a": 1}]},
        {"enum": []},
        {"type": "string", "enum": [1]},
        {"type": "quark"},
        {"type": {}},
        {"properties": []},
        {"required": "a", "properties": {"a": STRING}},
        {"anyOf": [STRING, True]},
        {"anyOf": []},
        {"allOf": [STRING, {"type": "integer"}]},
        {"allOf": [closed(a=STRING), closed(b=STRING)]},
        TREE,
        {"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#", "title": "T"}, STRING]},
    ],
)
def test_what_the_api_has_no_words_for_has_no_native_schema(schema: Json):
    """Rows 36 and 40: an emptied schema would be accepted, and mean something else."""
    assert strict(schema) is None


@pytest.mark.parametrize(
    "pointer",
    ["#/properties/a", "#/definitions/b~1c", "#/$defs/x%20y", "#/properties/l/items", "#here"],
)
def test_row_40_any_local_pointer_is_resolved(pointer: str):
    thing = closed(x=STRING)
    schema = {
        **closed(a=thing, b={"$ref": pointer}, l={"type": "array", "items": thing}),
        "definitions": {"b/c": thing, "anchored": {**thing, "$anchor": "here"}},
        "$defs": {"x y": thing},
    }
    native = schema_of(schema)
    name = native["properties"]["b"]["$ref"].removeprefix("#/$defs/")
    assert native["$defs"] == {name: thing}


def test_reference_with_words_of_its_own_is_written_out():
    schema = {
        **closed(a={"$ref": "#/$defs/A", "description": "D"}),
        "$defs": {"A": closed(x=STRING)},
    }
    assert schema_of(schema)["properties"]["a"] == {**closed(x=STRING), "description": "D"}


@pytest.mark.parametrize("pointer", ["#/$defs/B", "https://x/y", "#/examples/7", "#none", "B"])
def test_reference_that_leads_nowhere_is_an_error(pointer: str):
    with pytest.raises(ValueError, match="leads nowhere"):
        to_strict({"properties": {"a": {"$ref": pointer}}, "examples": ["x"]})


def test_schema_that_grows_without_end_ends():
    wide = {f"p{i}": {"$ref": "#/$defs/A", "title": "T"} for i in range(9)}
    assert strict({"$ref": "#/$defs/A", "$defs": {"A": {"properties": wide}}}) is None
    deep: Json = STRING
    for _ in range(100):
        deep = {"type": "array", "items": deep}
    assert strict(deep) is None
    steps = {f"D{i}": {"allOf": [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(40)}
    assert strict({"$ref": "#/$defs/D0", "$defs": {**steps, "D40": STRING}}) is None


def test_arguments_are_an_object():
    assert schema_of({}, arguments=True) == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    assert strict({"type": "string"}, arguments=True) is None
    assert strict({"anyOf": [closed(a=STRING), closed(b=STRING)]}, arguments=True) is None


def test_budget_of_a_request_is_shared():
    budget = StrictBudget()
    optional: Json = {"properties": {f"p{i}": STRING for i in range(20)}}
    found = strict(optional)
    assert found is not None and found.optional == 20
    assert budget.take(found)
    assert not budget.take(found)
    unions = strict(closed(**{f"p{i}": {"type": ["string", "null"]} for i in range(17)}))
    assert unions is not None and unions.unions == 17
    assert not StrictBudget().take(unions)


# --- any schema --------------------------------------------------------------------------------


@given(SCHEMAS)
@settings(max_examples=200, deadline=None)
def test_any_schema_becomes_one_that_is_accepted_or_none(schema: Json):
    try:
        found = strict(schema)
    except ValueError as error:
        assert "leads nowhere" in str(error)
        return
    event("none" if found is None else "exact" if found.exact else "told")


@given(SCHEMAS, st.data())
@settings(max_examples=150, deadline=None)
def test_what_the_native_schema_allows_is_allowed_by_the_original(schema: Json, data: Any):
    try:
        found = strict(schema)
    except ValueError:
        return
    assume(found is not None and found.exact)
    assert found is not None
    value = data.draw(instances(found.schema, found.schema))
    for allowed_by in (found.schema, _without_nullable(schema)):
        validator: Any = jsonschema.Draft202012Validator(allowed_by)
        validator.validate(value)


def _without_nullable(value: Any) -> Any:
    """Say `nullable`, which is OpenAPI's, as JSON Schema does."""
    if isinstance(value, list):
        return [_without_nullable(entry) for entry in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    value = cast("Json", value)
    plain = {name: _without_nullable(entry) for name, entry in value.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


# --- tools that are not strict -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "root"),
    [
        ({"type": "object", "properties": {"x": {}}}, None),
        ({"properties": {"x": {"$ref": "#"}}}, {"properties": {"x": {"$ref": "#"}}}),
        ({"type": ["object", "null"], "properties": {}}, {"properties": {}}),
    ],
)
def test_schema_of_a_tool_that_is_not_strict_is_left_alone(schema: Json, root: Json | None):
    native, _ = open_root(schema)
    assert native == ({"type": "object", **root} if root is not None else schema)


def test_union_at_the_root_is_told_and_its_properties_kept():
    schema = {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": {"description": "D", "oneOf": [{"$ref": "#/$defs/B"}, closed(c=STRING)]},
            "B": {"allOf": [closed(b=STRING)]},
        },
    }
    native, changed = open_root(schema)
    assert changed
    assert not native.keys() & {"oneOf", "anyOf", "allOf", "$ref"}
    assert (native["type"], sorted(native["properties"])) == ("object", ["b", "c"])
    assert native["description"].startswith("D\n\n") and "oneOf" in native["description"]
    assert native["$defs"] == schema["$defs"]


def test_arguments_that_are_no_object_are_an_error():
    with pytest.raises(ValueError, match="object"):
        open_root({"type": "string"})
    with pytest.raises(ValueError, match="leads nowhere"):
        open_root({"$ref": "#/$defs/A"})


@given(SCHEMAS)
@settings(max_examples=100, deadline=None)
def test_any_schema_becomes_arguments_or_is_refused(schema: Json):
    try:
        native, _ = open_root(schema)
    except ValueError:
        return
    assert native["type"] == "object"
    assert not native.keys() & {"oneOf", "anyOf", "allOf", "$ref"}

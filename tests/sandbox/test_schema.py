from typing import Any

import pytest

from proxy.sandbox.schema import instance

_NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "next"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "made"),
    [
        ({}, "sample value"),
        (True, "sample value"),
        ({"const": 7}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 10, "maximum": 12}, 10),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "multipleOf": 7}, 7),
        ({"type": "number"}, 1.5),
        ({"type": "number", "exclusiveMaximum": 1}, 0.75),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "string"]}, "sample value"),
        ({"type": "string", "maxLength": 3}, "sam"),
        ({"type": "string", "minLength": 15}, "sample value..."),
        ({"type": "string", "pattern": "^[0-9]{5}$"}, "12345"),
        ({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05Z"),
        ({"type": "array"}, ["sample value"]),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [1, 1]),
        (
            {"type": "array", "minItems": 2, "uniqueItems": True, "items": {"type": "integer"}},
            [1, 2],
        ),
        ({"type": "array", "maxItems": 0}, []),
        ({"prefixItems": [{"const": 1}, {"const": 2}]}, [1, 2]),
        ({"properties": {"a_b": {}}}, {"a_b": "sample a b"}),
        ({"type": "object", "required": ["x"]}, {"x": "sample x"}),
        ({"type": "object", "minProperties": 1}, {"key_1": "sample key 1"}),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"oneOf": [{"const": "a"}, {"const": "b"}]}, "a"),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}},
                    {"properties": {"b": {"const": 2}}},
                ]
            },
            {"a": 1, "b": 2},
        ),
        (
            {
                "properties": {"x": {"$ref": "#/properties/y"}, "y": {"type": "integer"}},
            },
            {"x": 1, "y": 1},
        ),
        ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"const": 3}}}, 3),
        ({"$ref": "#/nowhere"}, "sample value"),
    ],
)
def test_instance(schema: Any, made: Any) -> None:
    assert instance(schema) == made


def test_recursion_ends() -> None:
    made = instance(_NODE)
    depth = 0
    while made is not None:
        assert set(made) >= {"value", "next"}
        made, depth = made["next"], depth + 1
    assert 1 < depth < 10


def test_self_reference_ends() -> None:
    assert instance({"$ref": "#"}) is not None
    instance({"type": "array", "minItems": 1, "items": {"$ref": "#"}})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 10**12},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "minProperties": 10**12},
        {
            "type": "object",
            "properties": {name: {"$ref": "#"} for name in "abcdefghij"},
            "required": list("abcdefghij"),
        },
    ],
)
def test_size_is_bounded(schema: Any) -> None:
    assert len(repr(instance(schema))) < 1_000_000


def test_seeds_differ() -> None:
    schema = {"properties": {"city": {"type": "string"}, "unit": {"enum": ["a", "b"]}}}
    assert instance(schema, seed=0) == {"city": "sample city", "unit": "a"}
    assert instance(schema, seed=1) == {"city": "sample city 2", "unit": "b"}

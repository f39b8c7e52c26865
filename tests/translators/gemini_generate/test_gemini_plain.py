"""A schema that goes out as it stands is what would have been written anew."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translators.strategies import ODD
from translators.fidelity import Report, ReportBuilder
from translators.gemini_generate.plain import is_plain
from translators.gemini_generate.schema import to_checked_schema
from translators.json import encode

Json = dict[str, Any]

WORDS = st.sampled_from(["a", "b", "object", ""])
LEAVES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "null"])},
    optional={
        "description": WORDS,
        "title": WORDS,
        "format": WORDS,
        "minimum": st.integers(0, 3),
        "enum": st.lists(WORDS, max_size=2),
    },
)


def _around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array"]),
            "properties": st.dictionaries(WORDS, inner, max_size=3),
            "required": st.lists(WORDS, max_size=2),
            "items": inner,
            "additionalProperties": inner | st.booleans(),
            "anyOf": some,
            "oneOf": some,
            "prefixItems": some,
        },
    )


SCHEMAS = st.recursive(LEAVES, _around, max_leaves=8)
KEYWORDS = st.sampled_from(
    [
        *("type", "enum", "required", "properties", "items", "minimum", "description", "nullable"),
        *("additionalProperties", "anyOf", "oneOf", "prefixItems", "propertyOrdering", "const"),
        *("$defs", "$ref", "allOf", "not", "default", "exclusiveMinimum", "maxLength", "x"),
    ]
)


def written(schema: Json) -> tuple[bytes, bool, Report]:
    """Return a schema that was written anew, whether it is exact, and what is reported of it."""
    report = ReportBuilder("d")
    native, exact = to_checked_schema(
        schema, path="p", general="g", report=report, root_is_object=True
    )
    return encode(native), exact, report.build()


def unchanged(schema: Json) -> bool:
    return written(schema) == (encode(schema), True, Report())


@given(SCHEMAS)
def test_a_plain_schema_is_written_as_it_stands(schema: Json):
    if is_plain(schema):
        assert unchanged(schema)


@given(SCHEMAS, SCHEMAS, st.data())
def test_so_is_one_with_something_odd_in_it(schema: Json, inner: Json, data: st.DataObject):
    inner[data.draw(KEYWORDS)] = data.draw(st.sampled_from(ODD))
    schema.setdefault("properties", {})["odd"] = inner
    if is_plain(schema):
        assert unchanged(schema)


@pytest.mark.parametrize("keyword", ["anyOf", "items", "properties", "additionalProperties"])
def test_what_is_too_deep_or_too_large_is_left_to_the_one_who_refuses_it(keyword: str):
    schema: Json = {"type": "string"}
    for _ in range(3000):
        within: Any = [schema] if keyword == "anyOf" else schema
        schema = {"type": "object", keyword: {"a": schema} if keyword == "properties" else within}
    assert not is_plain(schema)
    wide = {"type": "object", "properties": {str(n): {"type": "string"} for n in range(30_000)}}
    assert not is_plain(wide)


def test_the_schema_of_a_usual_tool_is_plain():
    fields = {"type": "string", "description": "Where.", "enum": ["here", "there"]}
    listed = {"type": "array", "items": {"type": "number", "minimum": 0}}
    schema: Json = {
        "type": "object",
        "properties": {"place": fields, "amounts": listed},
        "required": ["place"],
        "additionalProperties": False,
    }
    assert is_plain(schema)
    assert unchanged(schema)
    assert not is_plain({"properties": {}})  # The root has to say that it is an object.

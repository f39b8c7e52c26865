"""JSON found in what models write, and checked against what clients ask for."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.errors import TranslationError
from translators.json_contract import JsonCheck, instruction, repair_message
from translators.json_schema import MAX_SCHEMA, PARAM, SchemaCheck, schema_check
from translators.protocol import JsonContract

ANY = JsonCheck(JsonContract())
COUNT: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
COUNTED = JsonCheck(JsonContract(COUNT))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"n": 1}', '{"n": 1}'),
        ('\n {"n":1} \n', '{"n":1}'),
        ('```json\n{"n":1}\n```', '{"n":1}'),
        ('```\n{"n":1}```', '{"n":1}'),
        ('Sure:\n```JSON\n{"n":1}\n```\nAnything else?', '{"n":1}'),
        ('Sure! {"n":1} Anything else?', '{"n":1}'),
        ('With {placeholder} and [1]: {"n": {"m": []}}.', '{"n": {"m": []}}'),
        ('{} is empty, {"n": 1} is not', '{"n": 1}'),
        ('It is {"md": "```js\\n1\\n```"}.', '{"md": "```js\\n1\\n```"}'),
        ('```python\nprint({})\n```\nso {"n": 1}', '{"n": 1}'),
        ('{"n": "ä \\ud83d\\ude00 😀"}', '{"n": "ä \\ud83d\\ude00 😀"}'),
        ('{"n": 12345678901234567890.50}', '{"n": 12345678901234567890.50}'),
        ('{"n": 1, "n": 2}', '{"n": 1, "n": 2}'),
    ],
)
def test_the_object_is_found_as_it_was_written(text: str, found: str):
    finding = ANY.find(text)
    assert finding.json == found
    assert text[finding.start : finding.start + len(found)] == found
    assert finding.problems == ()


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "no", "[1]", '"{}"', "null", "{'n': 1}", "{n: 1}", '{"n": 1', '{"n": NaN}'),
        *('{"n": {"m": 1}, oops}', 'Sure: {"n": {"m": 1}', '{"n": 1,}', '{"n": "a\nb"}'),
        *('{"a":' * 5000, '{"a":' + "[" * 100_000, '{"a": %s}' % ("9" * 5000)),
        '{"md": "```json\n{}\n``` and then',
    ],
)
def test_what_is_no_object_is_not_found(text: str):
    finding = ANY.find(text)
    assert finding.json is None
    assert len(finding.problems) == 1
    assert finding.problems[0].text


objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ),
    max_size=4,
)


@given(objects, st.sampled_from(["%s", " %s\n", "Yes.\n```json\n%s\n```\n", "Here: %s. Bye."]))
def test_every_object_is_found_in_every_wrapping(value: dict[str, Any], wrapping: str):
    text = json.dumps(value, ensure_ascii=False)
    finding = ANY.find(wrapping.replace("%s", text))
    assert finding.json == text


@given(st.text(alphabet='{}[]"\\:,`1a \n', max_size=60))
def test_whatever_a_model_writes_is_found_or_not_found(text: str):
    finding = ANY.find(text)
    assert (finding.json is None) == bool(finding.problems)
    if finding.json is not None:
        assert isinstance(json.loads(finding.json), dict)


def test_the_value_that_fits_the_schema_is_chosen():
    finding = COUNTED.find('Not {"m": "a much longer object"} but {"n": 1}.')
    assert finding.json == '{"n": 1}'


def test_a_schema_may_ask_for_other_values_than_objects():
    check = JsonCheck(JsonContract({"type": "array", "items": {"type": "integer"}}))
    assert check.find("[1, 2]").json == "[1, 2]"
    assert check.find("```json\n[1, 2]\n```").json == "[1, 2]"
    assert check.find('["a"]').json is None


def test_problems_say_where_and_what():
    (problem,) = COUNTED.find('{"n": "x"}').problems
    assert (problem.place, problem.rule) == ("$.n", "type")
    rules = {p.rule for p in COUNTED.find('{"m": 1}').problems}
    assert rules == {"required", "additionalProperties"}
    message = repair_message(COUNTED.contract, COUNTED.find('{"n": "x"}').problems)
    assert "- at $.n: 'x' is not of type 'integer'" in message
    assert json.loads(message[message.index("{") :]) == COUNT


def test_of_several_attempts_the_one_that_came_furthest_is_told():
    schema = {"properties": {"a": {"anyOf": [{"type": "null"}, COUNT]}}}
    (problem,) = JsonCheck(JsonContract(schema)).find('{"a": {"n": "x"}}').problems
    assert problem.place == "$.a.n"


def test_the_problems_of_a_large_answer_stay_few_and_short():
    check = JsonCheck(JsonContract({"additionalProperties": {"type": "integer"}}))
    problems = check.find(json.dumps({str(i): "x" * 5000 for i in range(100)})).problems
    assert len(problems) == 5
    assert all(len(problem.text) <= 300 for problem in problems)


def test_the_instruction_holds_the_schema_as_it_was_given_and_is_always_the_same():
    text = instruction(JsonContract(COUNT))
    assert json.loads(text[text.index("{") :]) == COUNT
    assert text == instruction(JsonContract(json.loads(json.dumps(COUNT))))
    assert "{" not in instruction(JsonContract())
    assert "JSON object" in instruction(JsonContract())


NESTED = {
    "$ref": "#/$defs/tree",
    "$defs": {
        "tree": {
            "type": "object",
            "properties": {"left": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}},
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (NESTED, {"left": {"left": {"n": 1}}}, {"left": {"left": {"n": "x"}}}),
        ({"$defs": {"a": {"$anchor": "x", "type": "null"}}, "$ref": "#x"}, None, 1),
        (
            {"$id": "https://a.test/b", "$defs": {"c": {"type": "null"}}, "$ref": "b#/$defs/c"},
            None,
            1,
        ),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]},
            [None],
            [1],
        ),
        ({"prefixItems": [{"type": "null"}]}, [None], [1]),
        ({"$schema": "https://unknown.test/x", "type": "null"}, None, 1),
        (
            {"properties": {"$ref": {"type": "null"}, "$schema": {"type": "null"}}},
            {"$ref": None},
            {"$ref": 1},
        ),
        ({"const": {"$schema": "x"}}, {"$schema": "x"}, {}),
        ({"pattern": "^[a-z]{2,4}$"}, "abc", "abcde"),
        (
            {"patternProperties": {"^x-": {"type": "null"}}, "additionalProperties": False},
            {"x-a": None},
            {"a": 1},
        ),
        ({"uniqueItems": True}, [1, 2], [1, 1]),
    ],
)
def test_schemas_are_understood(schema: dict[str, Any], right: Any, wrong: Any):
    check = SchemaCheck(schema)
    assert check.problems(right) == ()
    assert check.problems(wrong) != ()
    assert check.unchecked == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strng"},
        {"properties": []},
        {"$ref": "https://a.test/schema.json"},
        {"$ref": "other.json"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"items": {"$ref": "#/$defs/missing"}}}},
        {"$ref": "#missing"},
        {"$schema": 5},
        {"description": "x" * MAX_SCHEMA},
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: dict[str, Any]):
    with pytest.raises(TranslationError) as caught:
        schema_check(schema)
    assert caught.value.param == PARAM
    assert caught.value.status_hint == 400
    assert len(caught.value.message) < 500


def test_the_clients_schema_is_left_as_it_is():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "items": {"pattern": "(a+)+"},
    }
    before = json.dumps(schema)
    schema_check(schema)
    SchemaCheck(schema)
    assert json.dumps(schema) == before


def test_a_schema_is_read_once():
    assert schema_check({"type": "null"}) is schema_check({"type": "null"})


DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def doubling(keyword: str, more: dict[str, Any]) -> dict[str, Any]:
    """Return a schema of a few lines that takes 2 ** 40 steps."""
    defs: dict[str, Any] = {
        f"a{i}": {keyword: [{"$ref": f"#/definitions/a{i + 1}"}] * 2, **more} for i in range(40)
    }
    defs["a40"] = {"type": "integer"}
    return {"$schema": DRAFT_7, "allOf": [{"$ref": "#/definitions/a0"}], "definitions": defs}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (doubling("anyOf", {}), {}),
        (doubling("oneOf", {}), {}),
        (doubling("allOf", {}), 1),
        # A part that names a draft of its own has no validator of its own.
        (doubling("anyOf", {"$schema": DRAFT_7}), {}),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, {}),
        ({"pattern": "^[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*[a-z]*$"}, "a" * 1000 + "1"),
        ({"pattern": "^" + "a?" * 40 + "a" * 40 + "$"}, "a" * 39),
        ({"pattern": "x*y*" * 10}, "x" * 2000),
    ],
)
def test_no_schema_takes_longer_than_its_budget(schema: dict[str, Any], value: Any):
    started = time.process_time()
    problems = SchemaCheck(schema).problems(value)
    # Without a budget these take minutes at least.
    assert time.process_time() - started < 10
    assert [problem.rule for problem in problems] in (["size"], ["depth"])


def test_unique_items_are_looked_at_once_each():
    check = SchemaCheck({"uniqueItems": True})
    items: list[Any] = [{"n": i, "of": [i]} for i in range(20_000)]
    # Two by two these are 200 million comparisons, which no budget would allow.
    assert check.problems(items) == ()
    (problem,) = check.problems([*items, {"of": [7.0], "n": 7}])
    assert (problem.place, problem.rule) == ("$", "uniqueItems")
    assert problem.text == "its items 7 and 20000 are the same, and may not be"


def test_unique_items_within_unique_items_are_paid_for():
    check = SchemaCheck({"$defs": {"a": NESTED_UNIQUE}, "$ref": "#/$defs/a"})
    value: list[Any] = ["x" * 100_000]
    for _ in range(50):
        value = [value]
    assert [problem.rule for problem in check.problems(value)] == ["size"]


NESTED_UNIQUE = {"uniqueItems": True, "items": {"$ref": "#/$defs/a"}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (-0.0, 0, True),
        (2**53 + 1, float(2**53), False),
        (1e308, int(1e308), True),
        (True, 1, False),
        (False, 0, False),
        ([True], [1], False),
        ([1], [1.0], True),
        (None, "null", False),
        ("1", 1, False),
        ("0x1", 1, False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": None}, {}, False),
        (["a", "b"], ["a,b"], False),
        ([["a"], "b"], ["a", ["b"]], False),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}, False),
        ("\u00e9", "e\u0301", False),
        (1.5, 1.25, False),
    ],
)
def test_items_are_the_same_where_they_are_equal_as_json(one: Any, other: Any, same: bool):
    for items in ([one, other], [other, one], [0.5, one, "x", other]):
        assert bool(SchemaCheck({"uniqueItems": True}).problems(items)) is same
        assert SchemaCheck({"uniqueItems": False}).problems(items) == ()


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "^(?:-[a-z]+)*$",
        "(a|b){2,}",
        "(ab){9}",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(?=a)",
        r"\p{L}",
        "(",
    ],
)
def test_patterns_whose_time_nobody_knows_are_left_out_and_named(pattern: str):
    check = SchemaCheck({"properties": {"a": {"pattern": pattern, "minLength": 2}}})
    assert check.unchecked == ("pattern",)
    started = time.process_time()
    assert check.problems({"a": "a" * 60 + "!"}) == ()
    assert time.process_time() - started < 1
    assert check.problems({"a": ""}) != ()


def test_pattern_properties_are_left_out_together_with_what_depends_on_them():
    schema = {"patternProperties": {"^(a+)+$": {"type": "null"}}, "additionalProperties": False}
    check = SchemaCheck(schema)
    assert check.unchecked == ("patternProperties", "additionalProperties")
    assert check.problems({"a" * 60 + "!": 1}) == ()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^\d{4}-\d{2}-\d{2}$", "2026-11-24"),
        (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "somebody.of.a.long.name@example.com"),
        (r"^(red|green|blue)$", "red"),
        (
            r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
            "00000000-0000-0000-0000-000000000000",
        ),
        (r"[\]*+?(]", "*"),
        (r"^a\\?$", "a\\"),
    ],
)
def test_common_patterns_are_checked(pattern: str, text: str):
    check = SchemaCheck({"pattern": pattern})
    assert check.unchecked == ()
    assert check.problems(text) == ()
    assert [problem.rule for problem in check.problems("~")] == ["pattern"]

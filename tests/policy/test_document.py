"""YAML to data with positions; what is refused, and where."""

import pytest

from policy.document import KeyPath, overlay, parse, spelled
from policy.errors import PolicyError, PolicyErrors

TEXT = """\
# a comment
personas:
  architect:
    requires: [system_prompts,
               vision]
    provider_preferences:
      - openai
      - {provider: local, model: tiny}
strict: yes
ratio: 0.5
count: 3
nothing: null
"""


def test_data_is_plain() -> None:
    assert parse(TEXT, "p.yaml").data == {
        "personas": {
            "architect": {
                "requires": ["system_prompts", "vision"],
                "provider_preferences": ["openai", {"provider": "local", "model": "tiny"}],
            }
        },
        "strict": True,
        "ratio": 0.5,
        "count": 3,
        "nothing": None,
    }


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("personas",), 2, 1),
        (("personas", "architect"), 3, 3),
        (("personas", "architect", "requires", 0), 4, 16),
        (("personas", "architect", "requires", 1), 5, 16),
        (("personas", "architect", "provider_preferences", 1), 8, 9),
        (("personas", "architect", "provider_preferences", 1, "model"), 8, 27),
        (("strict",), 9, 1),
    ],
)
def test_every_key_has_its_place(path: KeyPath, line: int, column: int) -> None:
    assert parse(TEXT, "p.yaml").positions[path] == ("p.yaml", line, column)


def test_an_error_of_a_missing_place_stands_at_what_holds_it() -> None:
    error = parse(TEXT, "p.yaml").error(("personas", "architect", "x", 4), "wrong", "Mend it.")
    assert str(error) == "p.yaml:3: personas.architect: wrong. Mend it."


def test_an_error_of_the_root_has_no_line() -> None:
    error = parse("", "p.yaml").error(("personas",), "wrong")
    assert (str(error), error.line) == ("p.yaml: personas: wrong.", None)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert parse(text, "p.yaml").data == {}


@pytest.mark.parametrize(
    ("text", "line", "key", "problem"),
    [
        ("- a\n", 1, "", "must be a mapping"),
        ("just text\n", 1, "", "must be a mapping"),
        ("a:\n\tb: 1\n", 2, "", "cannot start any token"),
        ("a: [1, 2\nb: 3\n", 2, "", "expected ',' or ']'"),
        ("a: 1\n---\nb: 2\n", 2, "", "but found another document"),
        ("a: 'x\n", 2, "", "end of stream"),
        ("a: \x00\n", 1, "", "a character that YAML does not allow"),
        ("a: &x [1]\nb: *x\n", 2, "", "an alias (`*name`) is not supported"),
        ("a: " + "[" * 100 + "\n", 1, "", "nested too deeply"),
        ("a: 1\nb: 2\na: 3\n", 3, "a", "the key `a` stands here twice, first in line 1"),
        ("p:\n  x: 1\n  x: 2\n", 3, "p.x", "stands here twice, first in line 2"),
        ("a:\n  on: 1\n", 2, "a", "the key `on` is not text"),
        ("a:\n  7: 1\n", 2, "a", "the key `7` is not text"),
        ("? [a]\n: 1\n", 1, "", "the key is not text"),
        ("a:\n  <<: {b: 1}\n", 2, "a", "the key `<<` is not text"),
        ("a: 2026-11-22\n", 1, "a", "type `timestamp`"),
        ("a: !!python/object:os.system x\n", 1, "a", "type `python/object:os.system`"),
        ("a: !mine x\n", 1, "a", "type `!mine`"),
        ("a: " + "9" * 5000 + "\n", 1, "a", "this number cannot be read"),
    ],
)
def test_what_is_refused(text: str, line: int, key: str, problem: str) -> None:
    with pytest.raises(PolicyError) as raised:
        parse(text, "p.yaml")
    assert problem in raised.value.problem
    assert (raised.value.source, raised.value.line, raised.value.key) == ("p.yaml", line, key)
    assert str(raised.value).startswith(f"p.yaml:{line}: ")


def test_a_billion_laughs_is_refused_at_its_first_alias() -> None:
    text = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(PolicyError, match="alias"):
        parse(text, "p.yaml")


def test_yaml_errors_do_not_quote_the_line() -> None:
    with pytest.raises(PolicyError) as raised:
        parse('api_key: "sk-secret-123456789012\n  x: [', "p.yaml")
    assert "secret" not in str(raised.value)


def test_all_duplicates_are_reported() -> None:
    with pytest.raises(PolicyErrors) as raised:
        parse("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n", "p.yaml")
    assert [(e.line, e.key) for e in raised.value.errors] == [(2, "a"), (5, "b.c")]
    assert str(raised.value).count("\n") == 1


def test_an_overlay_knows_both_files() -> None:
    base = parse("a: 1\nb: [1, 2]\nc:\n  d: 1\n  e: 2\n", "base.yaml")
    top = parse("\nb: [3]\nc:\n  d: 3\n", "top.yaml")
    data = {"a": 1, "b": [3], "c": {"d": 3, "e": 2}}
    both = overlay(base, top, data, lambda path: path == ("c",))
    places = {
        ("a",): "base.yaml:1: a",
        ("b",): "top.yaml:2: b",
        ("b", 0): "top.yaml:2: b[0]",
        # What was replaced has no place any more: the error stands at what replaced it.
        ("b", 1): "top.yaml:2: b",
        ("c",): "top.yaml:3: c",
        ("c", "d"): "top.yaml:4: c.d",
        ("c", "e"): "base.yaml:5: c.e",
    }
    assert {path: str(both.error(path, "x")) for path in places} == {
        path: f"{place}: x." for path, place in places.items()
    }


def test_paths_are_spelled_as_people_write_them() -> None:
    assert spelled(("a", "b", 0, "c", 1, 2)) == "a.b[0].c[1][2]"

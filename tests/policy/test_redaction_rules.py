"""The key `redact` of the section `tracing` of the policy."""

import pytest

from policy.patterns import LONGEST, compiled
from tests.policy.building import made, refused


def test_nothing_of_ones_own_is_redacted_by_default() -> None:
    assert made("").tracing.redact == ()


def test_patterns_are_taken_as_they_stand() -> None:
    patterns = made("tracing:\n  redact:\n    - 'kunde-\\d+'\n    - '(?i)iban\\s'\n").tracing.redact
    assert patterns == (r"kunde-\d+", r"(?i)iban\s")


@pytest.mark.parametrize(
    ("pattern", "problem", "remedy"),
    [
        ("(a", "not a regular expression (missing )", "RE2"),
        ("a**", "not a regular expression", "RE2"),
        ("(?=a)b", "not a regular expression", "RE2"),
        (r"(a)\1", "not a regular expression", "RE2"),
        ("a{5000}", "not a regular expression", "RE2"),
        ("", "matches the empty text", "`+` instead of `*`"),
        ("x*", "matches the empty text", "`+` instead of `*`"),
        ("a|", "matches the empty text", "at least one character"),
        ("x" * (LONGEST + 1), "longer than 1000 characters", "several"),
    ],
)
def test_what_cannot_be_a_pattern_is_refused_at_its_line(
    pattern: str, problem: str, remedy: str
) -> None:
    (error,) = refused(f"tracing:\n  redact:\n    - 'fine'\n    - '{pattern}'\n")
    assert (error.line, error.key) == (4, "tracing.redact[1]")
    assert problem in error.problem
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("tracing: {redact: 'a'}", "tracing.redact", "must be a list"),
        ("tracing: {redact: [7]}", "tracing.redact[0]", "must be text"),
        ("tracing: {redakt: ['a']}", "tracing.redakt", "unknown key"),
        (f"tracing: {{redact: [{', '.join(['a'] * 65)}]}}", "tracing.redact", "at most 64"),
    ],
)
def test_what_else_is_wrong_with_the_key(text: str, key: str, problem: str) -> None:
    (error,) = refused(text)
    assert (error.line, error.key) == (1, key)
    assert problem in error.problem


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    (error,) = refused("tracing: {redact: [a]}")
    assert "`google-re2`, which is not installed" in error.problem
    assert "pip install 'execution-platform[redact]'" in error.remedy
    # Who has no patterns does not need it.
    assert made("tracing: {}").tracing.redact == ()


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){12}$", r"(\d+\s*)+x"])
def test_a_pattern_that_takes_other_engines_for_ever_takes_linear_time(pattern: str) -> None:
    # Python's own engine would still be at it when the time limit of tests ends it.
    text = "a" * 100_000 + "1 " * 10_000 + "!"
    assert compiled(pattern).sub(lambda _: "", text) == text

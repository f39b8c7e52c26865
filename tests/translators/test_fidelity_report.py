"""Verdicts and their report; and the headers that say when to come back."""

from typing import Any

import pytest

from translators.errors import TranslationError
from translators.fidelity import Report, ReportBuilder, Rule
from translators.retry_after import retry_after

RULES = {
    "native": Rule("native"),
    "emulated": Rule("emulated"),
    "hint": Rule("ignored", neutral=(0, "auto")),
    "vital": Rule("rejected", neutral=(1, False), reason="it cannot count."),
}


def report(**fields: Any) -> Report:
    builder = ReportBuilder("some_dialect")
    builder.apply(fields.items(), RULES)
    return builder.build()


def test_row_55_row_80_each_field_gets_its_verdict():
    assert report(native=1, hint=2, strange=3) == Report(ignored=("hint", "strange"))
    assert report() == Report()


def test_fields_that_are_not_set_or_ask_for_nothing_are_passed_over():
    assert report(hint=None, vital=None, strange=None) == Report()
    assert report(hint=0, vital=1) == Report()
    assert report(hint="auto", vital=False) == Report()


def test_row_54_what_would_change_the_answer_is_rejected_by_name():
    with pytest.raises(TranslationError) as caught:
        report(hint=3, vital=2)
    error = caught.value
    assert (error.param, error.code, error.status_hint) == ("vital", "unsupported_parameter", 400)
    assert error.message == "`vital` cannot be sent to the `some_dialect` API: it cannot count."


def test_emulation_is_the_translators_to_report():
    assert report(emulated=1) == Report()
    builder = ReportBuilder("d")
    builder.emulated("tools[0].custom")
    builder.emulated("n")
    builder.emulated("tools[0].custom")
    assert builder.build() == Report(emulated=("tools[0].custom", "n"))


def test_each_path_is_kept_once_in_order():
    builder = ReportBuilder("d")
    for path in ("b", "a", "b", "c", "a"):
        builder.ignored(path)
    assert builder.build().ignored == ("b", "a", "c")


def test_values_that_cannot_be_hashed_are_compared_too():
    rules = {"list": Rule("ignored", neutral=((), []))}
    builder = ReportBuilder("d")
    builder.apply([("list", [])], rules)
    assert builder.build() == Report()
    builder.apply([("list", [1])], rules)
    assert builder.build().ignored == ("list",)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "-1", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e99"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_row_97_when_to_come_back(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds

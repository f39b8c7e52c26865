"""Quality gates: read strictly, and judged by what they say."""

import math
from collections.abc import Mapping

import pytest

from policy.errors import PolicyError
from policy.quality_gates import (
    DEFAULT_GATES,
    METRICS,
    Gate,
    Operator,
    Verdict,
    evaluate,
    parse_gates,
)
from policy.quality_trend import direction


def gate(operator: Operator, threshold: float) -> Mapping[str, Gate]:
    return {"success_rate": Gate(threshold=threshold, operator=operator)}


def only(verdicts: tuple[Verdict, ...]) -> Verdict:
    (verdict,) = verdicts
    return verdict


@pytest.mark.parametrize(
    ("operator", "below", "same", "above"),
    [
        (">=", False, True, True),
        (">", False, False, True),
        ("<=", True, True, False),
        ("<", True, False, False),
        ("==", False, True, False),
    ],
)
def test_each_operator_decides_as_it_reads(
    operator: Operator, below: bool, same: bool, above: bool
):
    for value, passed in ((98.9, below), (99.0, same), (99.1, above)):
        assert only(evaluate(gate(operator, 99.0), {"success_rate": value})).passed is passed


@pytest.mark.parametrize("operator", [">=", ">", "<=", "<", "=="])
@pytest.mark.parametrize("values", [{}, {"success_rate": None}, {"success_rate": math.nan}])
def test_no_data_is_never_a_pass(operator: Operator, values: Mapping[str, float | None]):
    assert not only(evaluate(gate(operator, 0.0), values)).passed


def test_a_verdict_says_what_was_measured_and_what_it_must_be():
    passed, failed, empty = evaluate(
        DEFAULT_GATES, {"success_rate": 99.0, "average_duration": 5000.25}
    )
    assert passed.detail == "success_rate is 99 %, >= 99 %"
    assert failed.detail == "average_duration is 5000.25 ms, not <= 5000 ms"
    assert empty.detail == "error_rate has no data, so it is not <= 1 %"
    # A miss by a hair does not read as a hit.
    near = only(evaluate(gate(">=", 99.0), {"success_rate": 98.999999}))
    assert near.detail == "success_rate is 98.999999 %, not >= 99 %"


def test_the_gates_of_a_file_keep_its_order_and_replace_the_defaults():
    text = """
quality_gates:
  error_rate: {threshold: 0, operator: "=="}
  success_rate: {threshold: 100, operator: ">="}
"""
    gates = parse_gates(text, "gates.yaml")
    assert list(gates) == ["error_rate", "success_rate"]
    assert gates["error_rate"] == Gate(threshold=0, operator="==")


WRONG = {
    "empty": ("", "gates.yaml: `quality_gates` is missing. Add it."),
    "list": ("- a", "gates.yaml:1: the file must be a mapping"),
    "no gate": ("quality_gates: {}", "gates.yaml:1: quality_gates: there is no gate."),
    "other root key": ("quality_gate: {}", "Did you mean `quality_gates`?"),
    "unknown metric": (
        "quality_gates:\n  sucess_rate: {threshold: 1, operator: '>='}",
        "gates.yaml:2: quality_gates.sucess_rate: unknown metric `sucess_rate`. "
        "Did you mean `success_rate`?",
    ),
    "unknown key": (
        "quality_gates:\n  error_rate:\n    treshold: 1\n    operator: '<='",
        "gates.yaml:3: quality_gates.error_rate.treshold: unknown key `treshold`. "
        "Did you mean `threshold`?",
    ),
    "missing operator": (
        "quality_gates:\n  error_rate:\n    threshold: 1",
        "gates.yaml:2: quality_gates.error_rate: `operator` is missing.",
    ),
    "unknown operator": (
        "quality_gates:\n  error_rate:\n    threshold: 1\n    operator: '=<'",
        "gates.yaml:4: quality_gates.error_rate.operator: this is no operator. "
        'Write one of ">=", ">", "<=", "<", "==", in quotes.',
    ),
    "operator of another type": (
        "quality_gates:\n  error_rate: {threshold: 1, operator: [1]}",
        "this is no operator",
    ),
    "text threshold": (
        "quality_gates:\n  error_rate: {threshold: '1', operator: '<'}",
        "gates.yaml:2: quality_gates.error_rate.threshold: it must be a valid number",
    ),
    "switch as threshold": (
        "quality_gates:\n  error_rate: {threshold: true, operator: '<'}",
        "it must be a valid number",
    ),
    "not a number": (
        "quality_gates:\n  error_rate: {threshold: .nan, operator: '<'}",
        "it must be a finite number",
    ),
    "above a hundred per cent": (
        "quality_gates:\n  success_rate: {threshold: 100.5, operator: '>='}",
        "the threshold is above 100 %. Write one from 0 to 100.",
    ),
    "negative": (
        "quality_gates:\n  average_duration: {threshold: -1, operator: '<'}",
        "the threshold is below 0. Write one in ms, from 0.",
    ),
    "twice": (
        "quality_gates:\n  error_rate: {threshold: 1, operator: '<'}\n"
        "  error_rate: {threshold: 2, operator: '<'}",
        "gates.yaml:3: quality_gates.error_rate: the key `error_rate` stands here twice",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_file_is_said_with_its_line_and_what_would_be_right(case: str):
    text, said = WRONG[case]
    with pytest.raises(PolicyError) as caught:
        parse_gates(text, "gates.yaml")
    assert said in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once():
    text = "quality_gates:\n  error_rate: {threshold: x, operator: '='}\n  success_rate: 3"
    with pytest.raises(PolicyError) as caught:
        parse_gates(text, "gates.yaml")
    assert [error.line for error in caught.value.errors] == [2, 2, 3]


@pytest.mark.parametrize(
    ("metric", "values", "found"),
    [
        ("success_rate", [90, 92, 97, 99], "improving"),
        ("success_rate", [99, 99, 95, 94], "worsening"),
        ("success_rate", [99.0, 99.5], "steady"),  # half a point is no trend yet
        ("success_rate", [99.0, 99.6], "improving"),
        ("error_rate", [0, 4], "worsening"),
        ("error_rate", [4, 0], "improving"),
        ("average_duration", [1000, 1050], "steady"),  # a twentieth
        ("average_duration", [1000, 1051], "worsening"),
        ("average_duration", [1000, 949], "improving"),
        ("average_duration", [0, 0], "steady"),
        ("success_rate", [100, 0, 100], "steady"),  # the middle one belongs to neither half
        ("success_rate", [100, 100, 100, 0, 100, 100], "steady"),  # one bad run is no trend
        ("success_rate", [None, 90, None, 99], "improving"),
        ("success_rate", [], "unknown"),
        ("success_rate", [99], "unknown"),
        ("success_rate", [None, 99, None], "unknown"),
    ],
)
def test_a_trend_compares_the_newer_half_with_the_older(
    metric: str, values: list[float | None], found: str
):
    assert direction(metric, values) == found


def test_every_default_gate_watches_a_known_metric():
    assert DEFAULT_GATES.keys() == METRICS.keys()

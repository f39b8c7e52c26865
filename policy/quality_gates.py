"""Quality gates: what a metric must be, and whether it is.

A gate knows nothing of where a value comes from: test runs today, any other measurement tomorrow.
They are read from YAML as the integration guide has them:

    quality_gates:
      success_rate: {threshold: 99.0, operator: ">="}
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, cast

from pydantic import AfterValidator, BeforeValidator, field_validator

from policy.checked import validated
from policy.document import KeyPath, parse
from policy.errors import raise_all
from policy.rows import Row, problem, problems
from policy.spelling import did_you_mean, listed

__all__ = [
    "DEFAULT_GATES",
    "METRICS",
    "Gate",
    "GateTable",
    "Gates",
    "Metric",
    "Operator",
    "Verdict",
    "evaluate",
    "parse_gates",
]

Operator = Literal[">=", ">", "<=", "<", "=="]

_COMPARES: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What is known of a measurement.

    Attributes:
        unit: `%` or `ms`.
        higher_is_better: Which way is improvement.
        meaning: For people, as the rest of a sentence that begins with the metric's name.
        highest: The largest value there can be; None: any. The least is 0.
    """

    unit: str
    higher_is_better: bool
    meaning: str
    highest: float | None = None


METRICS: Final[Mapping[str, Metric]] = {
    "success_rate": Metric("%", True, "those that passed, of those that ran", highest=100.0),
    "average_duration": Metric("ms", False, "the mean time of those that ran"),
    "error_rate": Metric(
        "%", False, "those that broke instead of failing, of those that ran", highest=100.0
    ),
}
"""The metrics that gates may watch, by name."""


class Gate(Row):
    """What a metric must be.

    Attributes:
        threshold: In the metric's unit.
        operator: Stands between the value and the threshold.
    """

    threshold: float
    operator: Operator

    @field_validator("operator", mode="before")
    @classmethod
    def _known(cls, value: object) -> object:
        if not isinstance(value, str) or value not in _COMPARES:
            known = ", ".join(f'"{name}"' for name in _COMPARES)
            raise problem("this is no operator", f"Write one of {known}, in quotes.")
        return value

    def passes(self, value: float) -> bool:
        """Return whether a value is what it must be."""
        return _COMPARES[self.operator](value, self.threshold)


def _known_metrics(value: Any) -> Any:
    unknown = [name for name in _names(value) if name not in METRICS]
    found = [((name,), problem(f"unknown metric `{name}`", _near(name))) for name in unknown]
    if found:
        raise problems(found)
    return value


def _can_be_met(gates: dict[str, Gate]) -> dict[str, Gate]:
    if not gates:
        raise problem("there is no gate", _near(""))
    found = [
        ((name, "threshold"), problem(*wrong))
        for name, gate in gates.items()
        if (wrong := _out_of_range(METRICS[name], gate.threshold)) is not None
    ]
    if found:
        raise problems(found)
    return gates


GateTable = Annotated[dict[str, Gate], BeforeValidator(_known_metrics), AfterValidator(_can_be_met)]
"""Gates by metric: one at least, each of a metric that is known, with a threshold in its range."""


class Gates(Row):
    """The gates of a file.

    Attributes:
        quality_gates: By metric; a file that has this key replaces the defaults altogether.
    """

    quality_gates: GateTable


def _names(value: Any) -> list[str]:
    return [str(name) for name in cast("dict[Any, Any]", value)] if isinstance(value, dict) else []


def _near(name: str) -> str:
    return did_you_mean(name, METRICS) or f"The metrics are {listed(METRICS)}."


def _out_of_range(metric: Metric, threshold: float) -> tuple[str, str] | None:
    if threshold < 0:
        return "the threshold is below 0", f"Write one in {metric.unit}, from 0."
    if metric.highest is not None and threshold > metric.highest:
        return (
            f"the threshold is above {metric.highest:g} {metric.unit}",
            f"Write one from 0 to {metric.highest:g}.",
        )
    return None


DEFAULT_GATES: Final[Mapping[str, Gate]] = {
    "success_rate": Gate(threshold=99.0, operator=">="),
    "average_duration": Gate(threshold=5000, operator="<="),
    "error_rate": Gate(threshold=1.0, operator="<="),
}
"""The gates where no file names others: those of the integration guide."""


def parse_gates(text: str, source: str) -> Mapping[str, Gate]:
    """Read the gates of a YAML file.

    Args:
        text: The YAML: one key, `quality_gates`.
        source: What errors call it: the name of its file.

    Raises:
        PolicyError: It is wrong; `errors` has all that was found.
    """
    document = parse(text, source, begin="Begin with `quality_gates:`.")
    gates, errors = validated(Gates, document, document.data, {}, _near_key)
    if gates is None:
        raise_all(errors)
        raise AssertionError("a model is missing only for an error")
    return gates.quality_gates


def _near_key(path: KeyPath) -> str:
    written = str(path[-1])
    known = Gate.model_fields if len(path) > 1 else Gates.model_fields
    return did_you_mean(written, known) or f"The keys here are {listed(sorted(known))}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one gate.

    Attributes:
        metric: The gate's name.
        value: In the metric's unit; None: there was nothing to measure.
        operator: The gate's.
        threshold: The gate's.
        passed: Whether the value is what it must be; without one it is not.
    """

    metric: str
    value: float | None
    operator: Operator
    threshold: float
    passed: bool

    @property
    def detail(self) -> str:
        """The verdict in words, for instance `success_rate is 98.50 %, not >= 99 %`."""
        unit = METRICS[self.metric].unit
        bound = f"{self.operator} {self.threshold:.15g} {unit}"
        if self.value is None:
            return f"{self.metric} has no data, so it is not {bound}"
        word = "" if self.passed else "not "
        return f"{self.metric} is {_written(self.value, self.threshold)} {unit}, {word}{bound}"


def _written(value: float, threshold: float) -> str:
    """Return a number with as few decimals, two at least, as keep it apart from the threshold."""
    for decimals in range(2, 16):
        text = f"{value:.{decimals}f}".rstrip("0").rstrip(".")
        if value == threshold or float(text) != threshold:
            return text
    return repr(value)


def evaluate(gates: Mapping[str, Gate], values: Mapping[str, float | None]) -> tuple[Verdict, ...]:
    """Return the verdict of each gate, in the order of the gates.

    Args:
        gates: By metric.
        values: By metric, in its unit; None or absent: no data, which is not a pass.
    """
    return tuple(_verdict(name, gate, values.get(name)) for name, gate in gates.items())


def _verdict(name: str, gate: Gate, value: float | None) -> Verdict:
    passed = value is not None and gate.passes(value)
    return Verdict(name, value, gate.operator, gate.threshold, passed)

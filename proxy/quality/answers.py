"""What Quality Fabric answers: the same objects from the embedded form and over HTTP."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from policy.quality_gates import Gate, Operator, Verdict
from policy.quality_trend import Direction
from proxy.quality.records import Record, TestSuite

__all__ = [
    "ErrorAnswer",
    "ErrorDescription",
    "GateVerdict",
    "GatesInForce",
    "History",
    "MetricTrend",
    "Project",
    "Projects",
    "QualityGateReport",
    "Submission",
    "SuiteRecord",
    "SuiteSummary",
    "Trend",
    "TrendPoint",
]


class Answer(Record):
    """Base of the answers. A later service may say more: what is not known is passed over."""

    model_config = {"extra": "ignore"}


class Submission(Answer):
    """A suite is kept: it survives whatever happens to the service from now on."""

    suite_id: str
    """For `check_quality_gates`."""

    project: str
    """Where it is."""

    submitted_at: AwareDatetime
    """When it was first accepted."""

    created: bool
    """False: the same suite was there already."""


class SuiteSummary(Answer):
    """A suite without its results."""

    suite_id: str
    """Unique in its project."""

    name: str
    """Of the suite."""

    submitted_at: AwareDatetime
    """When it was accepted."""

    position: int
    """Suites are in the order in which they were accepted; grows with it."""

    passed: int
    """Tests that passed."""

    failed: int
    """Tests that failed."""

    error: int
    """Tests that broke."""

    skipped: int
    """Tests that did not run."""

    metrics: dict[str, float | None]
    """By name; null: no test ran."""

    gates_passed: bool
    """Whether every gate that is in force now lets it pass."""


class SuiteRecord(Answer):
    """A suite as it was submitted."""

    suite: TestSuite
    """With all its results."""

    submitted_at: AwareDatetime
    """When it was accepted."""


class GateVerdict(Answer):
    """What came of one gate."""

    metric: str
    """The gate's name."""

    value: float | None
    """In per cent or milliseconds; null: no test ran, which is not a pass."""

    operator: Operator
    """Stands between the value and the threshold."""

    threshold: float
    """In the unit of the value."""

    passed: bool
    """Whether the value is what it must be."""

    detail: str
    """The same in words."""

    @classmethod
    def of(cls, verdict: Verdict) -> "GateVerdict":
        """Return a verdict as an answer."""
        return cls(
            metric=verdict.metric,
            value=verdict.value,
            operator=verdict.operator,
            threshold=verdict.threshold,
            passed=verdict.passed,
            detail=verdict.detail,
        )


class QualityGateReport(Answer):
    """The verdict of each gate on one suite."""

    suite_id: str
    """Of the suite."""

    project: str
    """Its project."""

    passed: bool
    """Whether every gate passed."""

    gates: Annotated[tuple[GateVerdict, ...], Field(strict=False)]
    """In the order of the configuration."""


class History(Answer):
    """Suites of a project, the newest first."""

    project: str
    """Whose they are."""

    suites: Annotated[tuple[SuiteSummary, ...], Field(strict=False)]
    """At most as many as were asked for."""

    next_before: int | None
    """For `before`, to get older ones; null: there are none."""


class TrendPoint(Answer):
    """One suite's value."""

    suite_id: str
    """Of the suite."""

    submitted_at: AwareDatetime
    """When it was accepted."""

    value: float | None
    """Null: no test ran."""


class MetricTrend(Answer):
    """Where one metric is going."""

    metric: str
    """Its name."""

    unit: str
    """`%` or `ms`."""

    direction: Direction
    """The median of the newer half against that of the older half; `unknown`: fewer than two."""

    points: Annotated[tuple[TrendPoint, ...], Field(strict=False)]
    """Oldest first."""


class Trend(Answer):
    """Where a project's metrics are going."""

    project: str
    """Whose they are."""

    metrics: Annotated[tuple[MetricTrend, ...], Field(strict=False)]
    """One for each metric there is."""


class Project(Answer):
    """A project that has suites."""

    project: str
    """Its name."""

    suites: int
    """How many."""

    last_submitted_at: AwareDatetime
    """When the last one was accepted."""


class Projects(Answer):
    """The projects that have suites."""

    projects: Annotated[tuple[Project, ...], Field(strict=False)]
    """In the order of their names."""


class GatesInForce(Answer):
    """The gates, as the service was configured."""

    quality_gates: dict[str, Gate]
    """By metric."""


class ErrorDescription(Answer):
    """What went wrong, in the shape of OpenAI's errors."""

    message: str
    """What, and where there is something to do, what to do."""

    type: str
    """For instance `invalid_request_error`."""

    param: str | None
    """The field or parameter at fault, for instance `results[3].duration_ms`."""

    code: str | None
    """For programs, for instance `suite_conflict`."""


class ErrorAnswer(Answer):
    """Every answer whose status is 400 or above."""

    error: ErrorDescription
    """What went wrong."""

"""The operations of Quality Fabric on an open store; they block, and belong off the event loop."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from policy.quality_gates import METRICS, Gate, Verdict, evaluate
from policy.quality_trend import direction
from proxy.quality.answers import (
    GatesInForce,
    GateVerdict,
    History,
    MetricTrend,
    Project,
    Projects,
    QualityGateReport,
    Submission,
    SuiteRecord,
    SuiteSummary,
    Trend,
    TrendPoint,
)
from proxy.quality.errors import InvalidSuite
from proxy.quality.records import TestSuite, check_identifier, parse_suite
from proxy.quality.store import Store, StoredSuite

__all__ = ["LISTED", "MAX_LISTED", "Fabric"]

MAX_LISTED: Final = 1_000
"""Suites that one answer lists, or a trend is of."""

LISTED: Final = 20
"""Suites where no number is asked for."""


class Fabric:
    """What can be done with suites.

    Args:
        store: Open.
        gates: In force.
    """

    def __init__(self, store: Store, gates: Mapping[str, Gate]) -> None:
        self._store = store
        self._gates = gates

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def submit_json(self, project: str, body: bytes) -> Submission:
        """Keep a suite given as JSON.

        Raises:
            InvalidSuite: It is no suite.
            SuiteConflict: The project has another one of its id.
            QualityStoreError: It could not be kept.
        """
        return self.submit(parse_suite(body, check_identifier(project, "project")))

    def submit(self, suite: TestSuite) -> Submission:
        """Keep a checked suite; all else is as with `submit_json`."""
        kept, created = self._store.submit(suite)
        return Submission(
            suite_id=kept.id,
            project=kept.project,
            submitted_at=kept.submitted_at,
            created=created,
        )

    def check(self, project: str, suite_id: str) -> QualityGateReport:
        """Return the verdict of each gate on a suite.

        Raises:
            SuiteNotFound: The project has no such suite.
        """
        kept = self._store.summary(*_address(project, suite_id))
        verdicts = self._verdicts(kept)
        return QualityGateReport(
            suite_id=kept.id,
            project=kept.project,
            passed=_passed(verdicts),
            gates=tuple(GateVerdict.of(verdict) for verdict in verdicts),
        )

    def suite(self, project: str, suite_id: str) -> SuiteRecord:
        """Return a suite as it was submitted.

        Raises:
            SuiteNotFound: The project has no such suite.
        """
        kept, document = self._store.document(*_address(project, suite_id))
        return SuiteRecord(suite=parse_suite(document, project), submitted_at=kept.submitted_at)

    def history(
        self,
        project: str,
        *,
        limit: int = LISTED,
        before: int | None = None,
        name: str | None = None,
    ) -> History:
        """Return suites of a project, the newest first.

        Args:
            project: One without suites has an empty history.
            limit: The most to return, from 1 to `MAX_LISTED`.
            before: Only those of a smaller position.
            name: Only those of this name.
        """
        check_identifier(project, "project")
        _check_number("limit", limit)
        if before is not None:
            _check_number("before", before, least=0, most=2**63 - 1)
        _check_name(name)
        # One more than asked for tells whether there are older ones.
        found = self._store.newest(project, limit + 1, before=before, name=name)
        shown = found[:limit]
        return History(
            project=project,
            suites=tuple(self._summary(kept) for kept in shown),
            next_before=shown[-1].position if len(found) > limit else None,
        )

    def trend(self, project: str, *, last: int = LISTED, name: str | None = None) -> Trend:
        """Return where the metrics of a project's last suites are going.

        Args:
            project: One without suites has trends without points.
            last: How many suites, from 1 to `MAX_LISTED`.
            name: Only suites of this name.
        """
        check_identifier(project, "project")
        _check_number("last", last)
        _check_name(name)
        kept = self._store.newest(project, last, name=name)[::-1]
        return Trend(
            project=project, metrics=tuple(_metric_trend(metric, kept) for metric in METRICS)
        )

    def projects(self) -> Projects:
        """Return the projects that have suites."""
        return Projects(
            projects=tuple(
                Project(project=name, suites=number, last_submitted_at=last)
                for name, number, last in self._store.projects()
            )
        )

    def gates(self) -> GatesInForce:
        """Return the gates."""
        return GatesInForce(quality_gates=dict(self._gates))

    def _verdicts(self, kept: StoredSuite) -> tuple[Verdict, ...]:
        return evaluate(self._gates, kept.counts.metrics)

    def _summary(self, kept: StoredSuite) -> SuiteSummary:
        counts = kept.counts
        return SuiteSummary(
            suite_id=kept.id,
            name=kept.name,
            submitted_at=kept.submitted_at,
            position=kept.position,
            passed=counts.passed,
            failed=counts.failed,
            error=counts.error,
            skipped=counts.skipped,
            metrics=dict(counts.metrics),
            gates_passed=_passed(self._verdicts(kept)),
        )


def _passed(verdicts: tuple[Verdict, ...]) -> bool:
    return all(verdict.passed for verdict in verdicts)


def _address(project: str, suite_id: str) -> tuple[str, str]:
    return check_identifier(project, "project"), check_identifier(suite_id, "suite_id")


def _check_number(name: str, number: Any, *, least: int = 1, most: int = MAX_LISTED) -> None:
    if type(number) is not int or not least <= number <= most:
        raise InvalidSuite(
            f"`{name}` must be a whole number from {least} to {most}.",
            param=name,
            code="invalid_parameter",
        )


def _check_name(name: Any) -> None:
    if name is None:
        return
    try:
        usable = isinstance(name, str) and bool(name.encode())
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise InvalidSuite("`name` must be a text.", param="name", code="invalid_parameter")


def _metric_trend(metric: str, kept: Sequence[StoredSuite]) -> MetricTrend:
    points = tuple(
        TrendPoint(suite_id=one.id, submitted_at=one.submitted_at, value=one.counts.metrics[metric])
        for one in kept
    )
    return MetricTrend(
        metric=metric,
        unit=METRICS[metric].unit,
        direction=direction(metric, [point.value for point in points]),
        points=points,
    )

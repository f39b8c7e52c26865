"""A suite's results in numbers, and the metrics that follow from them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.quality.records import TestResult

__all__ = ["Counts", "counts_of"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests came to what, and how long they took.

    Attributes:
        passed: Tests that passed.
        failed: Tests that failed.
        error: Tests that broke, so that nothing is known of what they test.
        skipped: Tests that did not run.
        duration_ms: The time of all that ran, in milliseconds.
    """

    passed: int
    failed: int
    error: int
    skipped: int
    duration_ms: float

    @property
    def ran(self) -> int:
        """All but the skipped ones."""
        return self.passed + self.failed + self.error

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Each of `policy.quality_gates.METRICS` in its unit; None where no test ran."""
        if self.ran == 0:
            return {"success_rate": None, "average_duration": None, "error_rate": None}
        return {
            # One division of whole numbers: 99 of 100 are 99.0 exactly, and meet that threshold.
            "success_rate": 100 * self.passed / self.ran,
            "average_duration": self.duration_ms / self.ran,
            "error_rate": 100 * self.error / self.ran,
        }


def counts_of(results: Sequence[TestResult]) -> Counts:
    """Count results."""
    number = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    for result in results:
        number[result.status] += 1
    time = math.fsum(result.duration_ms for result in results if result.status != "skipped")
    return Counts(**number, duration_ms=time)

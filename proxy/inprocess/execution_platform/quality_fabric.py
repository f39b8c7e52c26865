"""Quality Fabric's client: submit the results of a test run, ask what the quality gates say.

    client = QualityFabricClient(project="your-service")
    suite = TestSuite(name="unit", results=[TestResult(name="a", status="passed", duration_ms=12)])
    await client.submit_test_suite(suite)
    gates = await client.check_quality_gates(suite.id)

Without an address it needs no server: the suites are in a file of the user's.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from proxy.quality.answers import (
    GateVerdict,
    History,
    MetricTrend,
    QualityGateReport,
    Submission,
    SuiteRecord,
    SuiteSummary,
    Trend,
    TrendPoint,
)
from proxy.quality.backends import choose_backend
from proxy.quality.errors import (
    InvalidSuite,
    QualityFabricError,
    QualityStoreBusy,
    QualityStoreError,
    QualityUnreachable,
    SuiteConflict,
    SuiteNotFound,
)
from proxy.quality.records import TestResult, TestSuite, check_identifier, validated_suite

__all__ = [
    "GateVerdict",
    "History",
    "InvalidSuite",
    "MetricTrend",
    "QualityFabricClient",
    "QualityFabricError",
    "QualityGateReport",
    "QualityStoreBusy",
    "QualityStoreError",
    "QualityUnreachable",
    "Submission",
    "SuiteConflict",
    "SuiteNotFound",
    "SuiteRecord",
    "SuiteSummary",
    "TestResult",
    "TestSuite",
    "Trend",
    "TrendPoint",
]

T = TypeVar("T")


class QualityFabricClient:
    """The suites of one project. Holds nothing open, and may be used from anywhere.

    Args:
        project: Up to 128 letters, digits, `.`, `_` and `-`.
        url: Of a server, for instance `http://quality.example:8090` (`EP_QUALITY_URL`); without
            one the client opens the file itself.
        database: The file (`EP_QUALITY_DB`), in place of the one in the user's state folder. It
            and `gates` mean the embedded form, whatever `EP_QUALITY_URL` says.
        gates: The gates of the embedded form, a YAML file (`EP_QUALITY_GATES`); a server has its
            own.
        api_key: The client key for a server that wants one (`EP_API_KEY`).

    Raises:
        InvalidSuite: The project cannot be one.
        ConfigurationError: A variable, or `url`, is wrong.
        PolicyError: The file of the gates is wrong; the text has every error with its line.
        QualityFabricError: The arguments contradict each other.
    """

    def __init__(
        self,
        project: str,
        *,
        url: str | None = None,
        database: Path | str | None = None,
        gates: Path | str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.project = check_identifier(project, "project")
        self._backend = choose_backend(url=url, database=database, gates=gates, api_key=api_key)

    @property
    def place(self) -> str:
        """Where the suites are: a file or an address."""
        return self._backend.place

    async def submit_test_suite(self, suite: TestSuite | Mapping[str, Any]) -> Submission:
        """Keep a suite. Once this returned, nothing takes it back but the loss of the disk.

        Submitting the same suite again is safe, for instance when no answer came.

        Args:
            suite: A suite, or a mapping of its fields.

        Raises:
            InvalidSuite: It is no suite, or one of another project; `param` says where.
            SuiteConflict: The project has another suite of its id.
            QualityStoreError: It could not be kept.
            QualityUnreachable: The server gave no answer.
        """
        return await self._backend.submit(self.project, validated_suite(suite, self.project))

    async def check_quality_gates(self, suite_id: str) -> QualityGateReport:
        """Return the verdict of each gate on a suite; `passed` is true where all of them passed.

        Args:
            suite_id: `TestSuite.id`, or that of the submission.

        Raises:
            SuiteNotFound: The project has no such suite.
            QualityStoreError: The file cannot be read.
            QualityUnreachable: The server gave no answer.
        """
        return await self._backend.check(self.project, _checked(suite_id))

    async def get_test_suite(self, suite_id: str) -> SuiteRecord:
        """Return a suite as it was submitted; raises as `check_quality_gates` does."""
        return await self._backend.suite(self.project, _checked(suite_id))

    async def history(
        self, *, limit: int = 20, before: int | None = None, name: str | None = None
    ) -> History:
        """Return the project's suites, the newest first.

        Args:
            limit: The most to return, up to 1000.
            before: The `next_before` of the answer before, for older ones.
            name: Only suites of this name.

        Raises:
            InvalidSuite: A number is out of range.
            QualityStoreError: The file cannot be read.
            QualityUnreachable: The server gave no answer.
        """
        return await self._backend.history(self.project, limit=limit, before=before, name=name)

    async def trend(self, *, last: int = 20, name: str | None = None) -> Trend:
        """Return where each metric is going: `improving`, `steady`, `worsening` or `unknown`.

        The median of the newer half of the suites is compared with that of the older half; less
        than half a percentage point, or a twentieth of a duration, is steady.

        Args:
            last: How many suites, up to 1000.
            name: Only suites of this name.

        Raises:
            InvalidSuite: The number is out of range.
            QualityStoreError: The file cannot be read.
            QualityUnreachable: The server gave no answer.
        """
        return await self._backend.trend(self.project, last=last, name=name)

    def submit_test_suite_sync(self, suite: TestSuite | Mapping[str, Any]) -> Submission:
        """Do what `submit_test_suite` does, where there is no event loop."""
        return _run(self.submit_test_suite(suite))

    def check_quality_gates_sync(self, suite_id: str) -> QualityGateReport:
        """Do what `check_quality_gates` does, where there is no event loop."""
        return _run(self.check_quality_gates(suite_id))


def _checked(suite_id: str) -> str:
    return check_identifier(suite_id, "suite_id")


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise QualityFabricError(
        "An event loop runs in this thread: await the method without `_sync` instead."
    )

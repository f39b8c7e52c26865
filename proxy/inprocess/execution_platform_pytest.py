"""pytest's plugin: submits a run to Quality Fabric and prints what the gates say.

Asked for by name, `pytest -p execution_platform_pytest`, or in a project's own `addopts`. It is no
entry point, for pytest would then load it in every run of every project in whose environment this
package is, and take all our packages for a plugin's, to be rewritten. It imports nothing but
pytest, until `--quality-project` asks for it.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from execution_platform.quality_fabric import QualityFabricClient, QualityGateReport

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; without `--quality-project` nothing is done."""
    group = parser.getgroup("quality fabric")
    group.addoption(
        "--quality-project", metavar="PROJECT", help="submit this run to Quality Fabric"
    )
    group.addoption(
        "--quality-url",
        metavar="URL",
        help="a Quality Fabric server (default: EP_QUALITY_URL, else a file of the user's)",
    )
    group.addoption(
        "--quality-suite", metavar="NAME", help="the name of this suite (default: pytest)"
    )
    group.addoption(
        "--quality-enforce",
        action="store_true",
        help="a quality gate that does not pass, or cannot be asked, fails the run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the run, where that was asked for."""
    project: str | None = config.getoption("--quality-project")
    others = ("--quality-url", "--quality-suite", "--quality-enforce")
    if project is None:
        given = [name for name in others if config.getoption(name)]
        if given:
            raise pytest.UsageError(f"{given[0]} needs --quality-project: whose run is it?")
        return
    # With pytest-xdist the reports of all workers reach the process that started them.
    if hasattr(config, "workerinput") or config.getoption("--collect-only"):
        return
    from execution_platform.quality_fabric import QualityFabricClient  # noqa: PLC0415

    from translators.errors import ExecutionPlatformError  # noqa: PLC0415

    try:
        # Now, not at the end: a mistake must not cost a whole run.
        client = QualityFabricClient(project, url=config.getoption("--quality-url"))
    except ExecutionPlatformError as error:
        raise pytest.UsageError(f"Quality Fabric: {error}") from None
    name: str | None = config.getoption("--quality-suite")
    run = _Run(client, name or "pytest", enforce=bool(config.getoption("--quality-enforce")))
    config.pluginmanager.register(run, "execution-platform-quality-run")


class _Test:
    """What became of one test, over its phases."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = "passed"
        self.seconds = 0.0
        self.message: str | None = None

    def add(self, report: pytest.TestReport) -> None:
        """Take one phase in: what fails in a fixture is an error, as pytest itself counts."""
        self.seconds += report.duration
        # `rerun` is what pytest-rerunfailures makes of a failure that it gives another try.
        if report.failed or str(report.outcome) == "rerun":
            # A test that failed and then broke in its teardown has failed: that is known.
            if self.status != "failed":
                self.status = "failed" if report.when == "call" else "error"
                self.message = _message(report)
        elif report.skipped and self.status == "passed":
            self.status = "skipped"
            self.message = getattr(report, "wasxfail", None) or _message(report)


class _Run:
    """One run of pytest, from its reports to the verdicts."""

    def __init__(self, client: QualityFabricClient, name: str, *, enforce: bool) -> None:
        self._client = client
        self._name = name
        self._enforce = enforce
        self._tests: dict[str, _Test] = {}
        self._again: list[_Test] = []
        self._began = datetime.now(UTC)
        self._left: str | None = None
        self._lines: list[tuple[str, bool]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of a test."""
        if report.when == "setup" and report.nodeid in self._tests:
            # A rerun, or another round: each is a result of its own.
            self._again.append(self._tests.pop(report.nodeid))
        self._tests.setdefault(report.nodeid, _Test(report.nodeid)).add(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be collected, or is skipped as a whole."""
        if report.passed:
            return
        found = self._tests.setdefault(report.nodeid, _Test(report.nodeid or "collection"))
        found.status = "error" if report.failed else "skipped"
        found.message = _message(report)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that the run has no end. What pytest itself stops, it stops for a reason we have."""
        if not isinstance(excinfo.value, pytest.Session.Interrupted):
            self._left = "the run was interrupted"

    def pytest_internalerror(self) -> None:
        """Note that pytest itself failed."""
        self._left = "pytest had an internal error"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Submit the run, and ask what the gates say."""
        if self._left is not None:
            self._lines.append((f"not submitted: {self._left}", False))
            return
        from translators.errors import ExecutionPlatformError  # noqa: PLC0415

        try:
            report = self._submitted()
        except ExecutionPlatformError as error:
            self._lines.append((f"not submitted: {error}", False))
            passed = False
        else:
            self._lines += [
                (f"{'pass' if gate.passed else 'FAIL'}  {gate.detail}", gate.passed)
                for gate in report.gates
            ]
            passed = report.passed
        if self._enforce and not passed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._lines.append(("the run fails for it (--quality-enforce)", False))

    def _submitted(self) -> QualityGateReport:
        from proxy.quality.records import MAX_MESSAGE, one_line, shortened  # noqa: PLC0415

        suite = {
            "name": one_line(self._name),
            "started_at": self._began,
            "ended_at": max(self._began, datetime.now(UTC)),
            "environment": {
                "python": platform.python_version(),
                "platform": one_line(platform.platform()),
                "pytest": pytest.__version__,
            },
            "results": [
                {
                    "name": one_line(test.name),
                    "status": test.status,
                    "duration_ms": max(0.0, test.seconds * 1000),
                    "message": test.message
                    and shortened(test.message.encode("utf-8", "replace").decode(), MAX_MESSAGE),
                }
                for test in (*self._again, *self._tests.values())
            ],
        }
        kept = self._client.submit_test_suite_sync(suite)
        place = self._client.place
        self._lines.append((f"suite {kept.suite_id} of {kept.project} ({place})", True))
        return self._client.check_quality_gates_sync(kept.suite_id)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print what came of it."""
        terminalreporter.section("quality gates")
        for line, good in self._lines:
            terminalreporter.write_line(line, red=not good)


def _message(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Return why, in the words of the exception and without the source around it."""
    why = report.longrepr
    if isinstance(why, tuple):
        return str(why[2])
    crash = getattr(why, "reprcrash", None)
    said = getattr(crash, "message", None) or report.longreprtext
    return str(said) or None

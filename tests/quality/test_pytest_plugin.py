"""pytest's plugin, in pytest processes of their own: silent unless asked, and then to the point."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from execution_platform.quality_fabric import QualityFabricClient, SuiteRecord

from tests.serving import QualityServer, clean_environment

MIXED = """
import pytest

def test_passes(): pass

def test_fails(): assert 1 == 2, "one is not two"

@pytest.fixture
def broken(): raise RuntimeError("no fixture")

def test_breaks(broken): pass

@pytest.fixture
def dirty():
    yield
    raise RuntimeError("no teardown")

def test_breaks_afterwards(dirty): pass

def test_fails_and_breaks(dirty): assert False, "failed first"

@pytest.mark.skip(reason="not today")
def test_skipped(): pass

@pytest.mark.xfail(reason="known")
def test_known(): assert False

@pytest.mark.parametrize("text", ["\\x00\\ud800"])
def test_odd_name(text): pass
"""


class Run:
    """Runs pytest in a folder, with a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "quality.db"
        self.env = {**clean_environment({"EP_QUALITY_DB": str(self.database)})}
        # What configures the outer run is not for the inner one.
        for name in ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_PLUGINS"):
            self.env.pop(name, None)

    def command(self, *arguments: str) -> list[str]:
        options = ["-p", "no:cacheprovider", "-W", "error", "-c", os.devnull, "--rootdir", "."]
        plugin = ["-p", "execution_platform_pytest"]
        return [sys.executable, "-m", "pytest", *plugin, *options, *arguments]

    def __call__(self, code: str, *arguments: str) -> tuple[int, str]:
        (self.folder / "test_inner.py").write_text(code)
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    def kept(self, output: str, project: str = "shop") -> SuiteRecord:
        found = re.search(r"^suite (\w+) of", output, re.MULTILINE)
        assert found is not None, output
        client = QualityFabricClient(project, database=self.database)
        import asyncio

        return asyncio.run(client.get_test_suite(found[1]))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


PASSES = "def test_passes(): pass\n"
PROJECT = ("--quality-project", "shop")


def test_it_is_silent_and_loads_nothing_unless_asked(run: Run):
    code = """
import sys

def test_nothing_is_loaded():
    ours = ("execution_platform", "proxy", "policy", "translators", "pydantic")
    assert [name for name in ours if name in sys.modules] == []
"""
    status, output = run(code)
    assert status == 0, output
    assert "quality" not in output
    assert not run.database.exists()


def test_a_failure_that_is_given_another_try_is_no_pass():
    """As pytest-rerunfailures reports it."""
    from execution_platform_pytest import _Test  # pyright: ignore[reportPrivateUsage]

    report = pytest.TestReport(
        "t.py::t", ("t.py", 1, "t"), {}, "failed", "it broke", "call", duration=0.5
    )
    report.outcome = "rerun"  # pyright: ignore[reportAttributeAccessIssue]
    test = _Test("t")
    test.add(report)
    assert test.status == "failed"


def test_a_run_is_submitted_with_each_tests_outcome(run: Run):
    status, output = run(MIXED, *PROJECT, "--quality-suite", "mixed")
    assert status == 1
    suite = run.kept(output).suite
    assert (suite.name, suite.project) == ("mixed", "shop")
    assert suite.started_at and suite.ended_at and suite.started_at <= suite.ended_at
    assert suite.environment["pytest"] == pytest.__version__
    found = {one.name.partition("::")[2]: one for one in suite.results}
    assert {name: one.status for name, one in found.items() if "odd" not in name} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_breaks": "error",
        "test_breaks_afterwards": "error",
        "test_fails_and_breaks": "failed",
        "test_skipped": "skipped",
        "test_known": "skipped",
    }
    messages: dict[str, Any] = {name: one.message for name, one in found.items()}
    assert "one is not two" in messages["test_fails"]
    assert "no fixture" in messages["test_breaks"]
    assert "failed first" in messages["test_fails_and_breaks"]
    assert "not today" in messages["test_skipped"]
    assert messages["test_known"] == "known"
    assert len(found) == 8
    assert "FAIL  success_rate is 33.33 %, not >= 99 %" in output
    assert "pass  average_duration is" in output
    assert "FAIL  error_rate is 33.33 %, not <= 1 %" in output


def test_a_file_that_cannot_be_collected_is_an_error(run: Run):
    status, output = run("import nothing_of_this_name", *PROJECT)
    assert status == 2
    (one,) = run.kept(output).suite.results
    assert (one.name, one.status) == ("test_inner.py", "error")
    assert one.message is not None
    assert "nothing_of_this_name" in one.message


def test_a_gate_fails_the_run_only_where_it_is_enforced(run: Run):
    gates = run.folder / "gates.yaml"
    gates.write_text("quality_gates:\n  average_duration: {threshold: 0, operator: '<'}\n")
    run.env["EP_QUALITY_GATES"] = str(gates)
    status, output = run(PASSES, *PROJECT)
    assert (status, "FAIL  average_duration" in output) == (0, True)
    status, output = run(PASSES, *PROJECT, "--quality-enforce")
    assert status == 1
    assert "the run fails for it (--quality-enforce)" in output
    gates.write_text("quality_gates:\n  average_duration: {threshold: 60000, operator: '<'}\n")
    assert run(PASSES, *PROJECT, "--quality-enforce")[0] == 0


def test_a_server_takes_the_run(run: Run, quality: QualityServer):
    status, output = run(PASSES, "--quality-project", "plugin", "--quality-url", quality.url)
    assert status == 0
    assert f"({quality.url}/quality)" in output
    client = QualityFabricClient("plugin", url=quality.url)
    import asyncio

    assert len(asyncio.run(client.history()).suites) == 1
    assert not run.database.exists()


def test_a_server_that_is_not_there_fails_only_what_is_enforced(run: Run):
    options = (*PROJECT, "--quality-url", "http://127.0.0.1:1")
    status, output = run(PASSES, *options)
    assert (status, "not submitted: http://127.0.0.1:1/quality" in output) == (0, True)
    status, output = run(PASSES, *options, "--quality-enforce")
    assert status == 1


def test_wrong_options_cost_no_run(run: Run):
    for options, said in (
        (("--quality-enforce",), "--quality-enforce needs --quality-project"),
        (("--quality-project", "a b"), "cannot be a project"),
        ((*PROJECT, "--quality-url", "nowhere"), "EP_QUALITY_URL"),
    ):
        status, output = run("def test_runs(): print('ran', 1 / 0)", *options)
        assert status == pytest.ExitCode.USAGE_ERROR
        assert said in output
        assert "ZeroDivisionError" not in output


def test_an_interrupted_run_is_not_submitted(run: Run):
    (run.folder / "test_inner.py").write_text(
        "import time, pathlib\n"
        "def test_long():\n    pathlib.Path('began').touch()\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        run.command(*PROJECT), cwd=run.folder, env=run.env, stdout=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while not (run.folder / "began").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "not submitted: the run was interrupted" in output
    assert not run.database.exists()


def test_collecting_alone_is_no_run(run: Run):
    status, output = run(PASSES, *PROJECT, "--collect-only")
    assert (status, "quality gates" in output) == (0, False)
    assert not run.database.exists()

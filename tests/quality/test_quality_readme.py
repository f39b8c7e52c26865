"""What the README of Quality Fabric says is done: its blocks run, with another port."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from policy.quality_gates import DEFAULT_GATES, parse_gates
from proxy.quality.openapi import openapi_document
from tests.cli.test_cli_quality import JUNIT
from tests.serving import ROOT, clean_environment

README = (ROOT / "proxy" / "quality" / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+) ?(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def blocks(language: str, tag: str = "") -> list[str]:
    return [text for found, note, text in BLOCKS if (found, note) == (language, tag)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    found = clean_environment({"XDG_STATE_HOME": str(tmp_path / "state")})
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]])
    found.pop("PYTEST_ADDOPTS", None)
    return found


def run(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_python_example_runs(tmp_path: Path, environment: dict[str, str]):
    (code,) = blocks("python")
    done = run([sys.executable, "-W", "error", "-c", code], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "FAIL success_rate is 50 %, not >= 99 %",
        "pass average_duration is 26.25 ms, <= 5000 ms",
        "pass error_rate is 0 %, <= 1 %",
    ]
    assert (tmp_path / "state" / "execution-platform" / "quality.db").exists()


def test_the_commands_run(tmp_path: Path, environment: dict[str, str]):
    (tmp_path / "test_shop.py").write_text("def test_cart(): pass\n")
    (tmp_path / "report.xml").write_text(JUNIT)
    pytest_run, others = blocks("bash")
    done = run(["bash", "-ec", pytest_run], tmp_path, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    # The report has failures, and the command says so with its status.
    submit, history = others.splitlines()
    done = run(["bash", "-ec", submit], tmp_path, environment)
    assert (done.returncode, "of shop" in done.stdout) == (1, True), done.stderr
    done = run(["bash", "-ec", history], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    # Two suites: the run of pytest and the report.
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:3]] == ["api", "unit"]


def test_serve_starts(tmp_path: Path, environment: dict[str, str]):
    (command,) = blocks("bash", "serve")
    script = f"exec {command.strip().replace('8090', '0')}"
    with subprocess.Popen(
        ["bash", "-ec", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("Quality Fabric listens on http://127.")
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_the_gates_are_the_default():
    (text,) = blocks("yaml")
    assert parse_gates(text, "README.md") == DEFAULT_GATES


def test_the_table_of_requests_is_the_interface():
    told = re.findall(r"`(GET|POST) (/[^`]+)`", README)
    paths = openapi_document()["paths"]
    served = {(method.upper(), path) for path, one in paths.items() for method in one}
    assert {(method, f"/quality{path}") for method, path in told} == {
        *served,
        ("GET", "/quality/openapi.json"),
    }

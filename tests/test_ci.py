"""In CI no test is skipped for want of a part: the run ends before it begins, and says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import agent_cli, conftest
from tests.agent_cli import agent_cli_missing

ROOT = Path(__file__).parent.parent


def nothing(*_: object) -> None:
    return None


def something(*_: object) -> object:
    return object()


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have CI, and all parts, whatever there is here."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(conftest, "recorded_folder", lambda: tmp_path)
    monkeypatch.setattr(conftest, "redis_server_missing", nothing)
    monkeypatch.setattr(conftest, "prometheus_missing", nothing)
    monkeypatch.setattr(conftest, "agent_cli_missing", nothing)


PARTS = {
    "recorded_folder": (lambda: Path("nowhere"), "CI needs the recorded traffic"),
    "redis_server_missing": (lambda: "get it", "CI needs Redis: get it"),
    "prometheus_missing": (lambda: "get it", "CI needs Prometheus: get it"),
    "agent_cli_missing": (lambda: "get it", "CI needs the Claude CLI: get it"),
}


@pytest.mark.usefixtures("complete")
def test_with_all_parts_it_begins() -> None:
    conftest.pytest_sessionstart()


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("part", PARTS)
def test_without_one_of_them_it_does_not(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    found, words = PARTS[part]
    monkeypatch.setattr(conftest, part, found)
    with pytest.raises(pytest.UsageError, match=words):
        conftest.pytest_sessionstart()
    monkeypatch.setenv("CI", "")
    conftest.pytest_sessionstart()


def test_the_claude_cli_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_cli, "find_cli", nothing)
    monkeypatch.setattr(agent_cli, "find_spec", something)
    assert "no CLI for this platform" in (agent_cli_missing() or "")
    monkeypatch.setattr(agent_cli, "find_spec", nothing)
    assert "tests/requirements.txt" in (agent_cli_missing() or "")


HIDDEN = """
import sys, pytest, importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "claude_agent_sdk" else find(name, *a)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "tests/claude_agent/test_chat.py"]))
"""


@pytest.mark.parametrize(("ci", "status", "says"), [("true", 4, "CI needs"), ("", 0, "skipped")])
def test_a_run_without_the_sdk_fails_in_ci_and_is_skipped_elsewhere(
    tmp_path: Path, ci: str, status: int, says: str
) -> None:
    # Programs to be found, and recorded traffic: none of them is looked at here.
    for program in ("redis-server", "prometheus", "promtool"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    env = {**os.environ, "CI": ci, "PATH": path, "EP_RECORDED_TRAFFIC": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout + done.stderr

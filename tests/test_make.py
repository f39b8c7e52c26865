"""What `make` installs, and says before the tests of what needs more than Python."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKE = shutil.which("make")


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
@pytest.mark.parametrize("package", ["redis-server", "prometheus"])
@pytest.mark.parametrize(
    ("ci", "status", "says"),
    [("true", 2, "CI needs {}"), ("", 0, "its tests are skipped"), ("false", 0, "No {} here")],
)
def test_without_a_package_and_root_ci_ends_at_once_and_others_are_told(
    tmp_path: Path, package: str, ci: str, status: int, says: str
) -> None:
    nobody = tmp_path / "id"
    nobody.write_text("#!/bin/bash\necho 1000\n")
    nobody.chmod(0o755)
    done = subprocess.run(
        [str(MAKE), package],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # No such program on the way, nor anything else.
        env={"PATH": str(tmp_path), "CI": ci},
        timeout=30,
    )
    assert done.returncode == status, done.stderr
    assert says.format(package) in (done.stderr if status else done.stdout)


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
def test_debians_packages_are_looked_for_before_anything_is_installed() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    rule = next(line for line in lines if line.startswith("test:"))
    assert rule.partition("##")[0].split()[1] == "$(DEBIAN)"
    assert "DEBIAN := redis-server prometheus" in lines


PINNED = re.compile(r"^([a-z0-9_.-]+(?:\[[a-z,-]+\])?)==([^ ;]+)", re.MULTILINE)
BASE, AGENT, EXTRAS, TESTS = (
    dict(PINNED.findall((ROOT / name).read_text()))
    for name in (
        "deploy/requirements.txt",
        "deploy/requirements-claude-agent.txt",
        "deploy/requirements-extras.txt",
        "tests/requirements.txt",
    )
)


def test_the_claude_agent_sdk_comes_on_top_and_changes_nothing_else() -> None:
    assert "claude-agent-sdk" in AGENT
    assert "claude-agent-sdk" not in BASE
    assert AGENT.items() > BASE.items()


def test_the_other_extras_come_on_top_and_change_nothing_else() -> None:
    assert EXTRAS.items() > BASE.items()
    assert {"redis", "google-auth[requests]", "botocore", "grpcio"} <= set(EXTRAS)
    assert "claude-agent-sdk" not in EXTRAS


def test_what_is_tested_is_what_is_deployed() -> None:
    assert TESTS.items() >= AGENT.items()
    assert TESTS.items() >= EXTRAS.items()


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("target", "installs"),
    [
        ("run", {"deploy/requirements.txt"}),
        ("claude-agent", {"deploy/requirements-claude-agent.txt"}),
    ],
)
def test_only_who_asks_for_it_gets_the_claude_agent_sdk(
    tmp_path: Path, target: str, installs: set[str]
) -> None:
    done = subprocess.run(
        [str(MAKE), "--dry-run", target, f"VENV={tmp_path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"--require-hashes -r (\S+)", done.stdout)) == installs


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
def test_help_names_every_target_of_a_newcomers() -> None:
    done = subprocess.run([str(MAKE), "help"], capture_output=True, text=True, cwd=ROOT, timeout=30)
    named = re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE)
    assert {"run", "claude-agent", "test", "check"} <= set(named)

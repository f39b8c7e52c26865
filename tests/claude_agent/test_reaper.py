"""What a server that was killed left behind is found by the next one, an agent's commands too."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from proxy.providers.claude_agent.reaper import reap
from proxy.providers.claude_agent.surroundings import PREFIX, Places

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def dead() -> int:
    """Return the id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left_by(owner: int, temporary: Path) -> Places:
    places = Places(temporary / f"{PREFIX}{owner}-x")
    places.temporary.mkdir(parents=True)
    return places


def sleeper(places: Places) -> "subprocess.Popen[bytes]":
    """Start what an agent's command would be: in a session of its own."""
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(places.temporary)}
    return subprocess.Popen(["sleep", "300"], env=env, start_new_session=True)


def test_directories_and_commands_of_a_dead_server_go(temporary: Path):
    places = left_by(dead(), temporary)
    process = sleeper(places)
    try:
        assert reap() == 1
        assert process.wait(10) == -9
        assert list(temporary.iterdir()) == []
    finally:
        process.kill()
        process.wait()


def test_those_of_a_server_that_runs_stay(temporary: Path):
    places = left_by(os.getpid(), temporary)
    process = sleeper(places)
    try:
        assert reap() == 0
        assert process.poll() is None and places.temporary.exists()
    finally:
        process.kill()
        process.wait()


def test_a_note_that_names_another_process_harms_nobody(temporary: Path):
    places = left_by(dead(), temporary)
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    places.note.write_text(str(process.pid))
    try:
        assert reap() == 1
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", [f"{PREFIX}x", f"{PREFIX}12x-a", "other-1-x"])
def test_what_has_another_name_stays(temporary: Path, name: str):
    (temporary / name).mkdir()
    assert reap() == 0
    assert (temporary / name).exists()

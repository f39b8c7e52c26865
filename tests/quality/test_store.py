"""The file: for its owner alone, whole in any number of processes, refused where it is not ours."""

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.quality.errors import QualityStoreBusy, QualityStoreError, SuiteNotFound
from proxy.quality.records import TestResult, TestSuite, parse_suite, validated_suite
from proxy.quality.setup import default_database
from proxy.quality.store import Store
from tests.serving import clean_environment


def a_suite(suite_id: str, **fields: object) -> TestSuite:
    results = [TestResult(name="a test", status="passed", duration_ms=1)]
    return validated_suite({"id": suite_id, "name": "unit", "results": results, **fields}, "shop")


def test_the_file_is_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "quality.db"
    with Store(path) as store:
        store.submit(a_suite("run-1"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}
        assert "quality.db" in modes
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_every_commit_is_synced_to_the_disk(tmp_path: Path):
    with Store(tmp_path / "quality.db") as store:
        database: sqlite3.Connection = getattr(store, "_db")  # noqa: B009
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_the_default_is_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/somewhere")
    end = Path("execution-platform") / "quality.db"
    assert default_database({"XDG_STATE_HOME": "/state"}) == Path("/state") / end
    for environ in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert default_database(environ) == Path("/somewhere/.local/state") / end


WRITER = """
import sys
from pathlib import Path
from proxy.quality.records import validated_suite
from proxy.quality.store import Store
path, writer = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    with Store(path) as store:
        for suite_id in (f"{writer}-{number}", f"shared-{number}"):
            store.submit(validated_suite({"id": suite_id, "name": "unit"}, "shop"))
"""


def test_processes_that_make_and_use_one_file_at_once_lose_nothing(tmp_path: Path):
    path = tmp_path / "quality.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"writer{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert (writer.returncode, said) == (0, "")
    with Store(path) as store:
        found = store.newest("shop", 1000)
    ids = [one.id for one in found]
    assert len(ids) == len(set(ids)) == 4 * 25 + 25
    positions = [one.position for one in found]
    assert positions == sorted(positions, reverse=True)


def test_a_file_that_others_hold_for_too_long_is_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proxy.quality.store.PATIENCE", 0.1)
    path = tmp_path / "quality.db"
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(QualityStoreBusy, match="Try again"):
            store.submit(a_suite("run-1"))
        other.execute("ROLLBACK")
        other.close()
        assert store.submit(a_suite("run-1"))[1] is True


def test_the_database_of_another_program_is_not_touched(tmp_path: Path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE suites (mine TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(QualityStoreError, match="another program. Name another file"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path):
    path = tmp_path / "quality.db"
    with Store(path) as store:
        store.submit(a_suite("run-1"))
    newer = sqlite3.connect(path, isolation_level=None)
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    with pytest.raises(QualityStoreError, match="newer version"):
        Store(path)


@pytest.mark.parametrize("content", [b"not a database, but a text " * 100, b"SQLite format 3\0xx"])
def test_a_damaged_file_is_not_touched(tmp_path: Path, content: bytes):
    path = tmp_path / "quality.db"
    path.write_bytes(content)
    with pytest.raises(QualityStoreError, match="damaged"):
        Store(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(QualityStoreError, match="EP_QUALITY_DB"):
        Store(tmp_path / "file" / "quality.db")
    with pytest.raises(QualityStoreError, match="cannot be used"):
        Store(tmp_path)


def test_nothing_is_acknowledged_into_a_file_that_was_removed(tmp_path: Path):
    path = tmp_path / "quality.db"
    with Store(path) as store:
        store.submit(a_suite("run-1"))
        path.rename(tmp_path / "elsewhere.db")
        with pytest.raises(QualityStoreError, match="removed or replaced"):
            store.submit(a_suite("run-2"))
        path.write_bytes(b"")
        with pytest.raises(QualityStoreError, match="removed or replaced"):
            store.submit(a_suite("run-3"))


def test_what_changed_on_the_disk_is_not_passed_off_as_submitted(tmp_path: Path):
    path = tmp_path / "quality.db"
    with Store(path) as store:
        store.submit(a_suite("run-1"))
        vandal = sqlite3.connect(path, isolation_level=None)
        vandal.execute("UPDATE suites SET document = replace(document, 'passed', 'failed')")
        vandal.close()
        with pytest.raises(QualityStoreError, match="not what was written"):
            store.document("shop", "run-1")


def test_a_suite_that_is_not_there(tmp_path: Path):
    said = "The project `shop` has no suite `run-1`"
    with Store(tmp_path / "quality.db") as store, pytest.raises(SuiteNotFound, match=said):
        store.summary("shop", "run-1")


def test_what_is_kept_is_the_same_however_it_was_written():
    moment = {"started_at": "2026-11-30T12:00:00Z"}
    facts = a_suite("x", environment={"b": "1", "a": "2"}, **moment)
    turned = a_suite("x", environment={"a": "2", "b": "1"}, started_at="2026-11-30T13:00:00+01:00")
    assert facts.canonical() == turned.canonical()
    assert parse_suite(facts.canonical(), "shop") == facts
    # A default left out today is not written tomorrow either: old digests stay what they are.
    assert b"ended_at" not in facts.canonical()

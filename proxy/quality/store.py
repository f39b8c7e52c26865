"""The suites on disk: one SQLite file, which any number of processes may use at once.

What `submit` returned for is on the disk: the write-ahead log is synced with every commit
(`synchronous=FULL`), so neither kill -9 nor a power cut takes it back, and a suite is one row,
whole or absent. SQLite needs a local file system; a network one may lose what it promised.
"""

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from proxy.quality.counts import Counts, counts_of
from proxy.quality.errors import (
    QualityStoreBusy,
    QualityStoreError,
    SuiteConflict,
    SuiteNotFound,
)
from proxy.quality.records import TestSuite

__all__ = ["Store", "StoredSuite"]

PATIENCE: Final = 10.0
"""Seconds to wait for other processes that use the file."""

_APPLICATION: Final = 0x45505146
"""`EPQF`, in the header of the file: it is ours."""

_VERSION: Final = 1
"""Of the tables below."""

_SCHEMA: Final = f"""
CREATE TABLE suites (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    passed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    error INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    duration_ms REAL NOT NULL,
    digest BLOB NOT NULL,
    document BLOB NOT NULL,
    UNIQUE (project, id)
);
CREATE INDEX suites_in_order ON suites (project, position);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
"""

_SUMMARY: Final = "project, id, name, submitted_at, passed, failed, error, skipped, duration_ms"
_COLUMNS: Final = f"position, {_SUMMARY}"
_WRITTEN: Final = f"{_SUMMARY}, digest, document"
_MARKS: Final = ", ".join("?" * len(_WRITTEN.split(",")))


class StoredSuite(NamedTuple):
    """A suite without its results.

    Attributes:
        position: Grows in the order in which suites were accepted.
        project: Its project.
        id: Unique in the project.
        name: Of the suite.
        submitted_at: When it was accepted.
        counts: Of its results.
    """

    position: int
    project: str
    id: str
    name: str
    submitted_at: datetime
    counts: Counts


class Store:
    """An open database. To be used by one thread at a time.

    Args:
        path: Of the file; made with mode 0600 where it is missing, in a folder of mode 0700.

    Raises:
        QualityStoreError: The file cannot be used; says why and what to do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            _create(path)
            # Any thread may be the one that uses it next.
            self._db = sqlite3.connect(
                path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        try:
            with self._explained():
                self._file = _identity(path)
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, suite: TestSuite) -> tuple[StoredSuite, bool]:
        """Keep a suite; return what is kept, and whether it is new.

        Args:
            suite: Checked, and with its project.

        Raises:
            SuiteConflict: Another suite has its id.
            QualityStoreError: It could not be kept.
        """
        document = suite.canonical()
        digest, counts = hashlib.sha256(document).digest(), counts_of(suite.results)
        key = (suite.project, suite.id)
        with self._explained(), self._transaction():
            self._check_still_there()
            there = self._db.execute(
                "SELECT digest FROM suites WHERE project = ? AND id = ?", key
            ).fetchone()
            if there is None:
                now = datetime.now(UTC).isoformat()
                self._db.execute(
                    f"INSERT INTO suites ({_WRITTEN}) VALUES ({_MARKS})",  # noqa: S608  constants
                    (*key, suite.name, now, *astuple(counts), digest, document),
                )
            elif there[0] != digest:
                raise SuiteConflict(
                    f"The project `{suite.project}` has a suite `{suite.id}` already, and it is "
                    "another one. A suite never changes: submit this one under an id of its own.",
                    param="id",
                )
            kept = self._one(*key)
        return kept, there is None

    def summary(self, project: str, suite_id: str) -> StoredSuite:
        """Return a suite without its results.

        Raises:
            SuiteNotFound: There is none.
            QualityStoreError: The file cannot be read.
        """
        with self._explained():
            return self._one(project, suite_id)

    def document(self, project: str, suite_id: str) -> tuple[StoredSuite, bytes]:
        """Return a suite and the JSON it was submitted as.

        Raises:
            SuiteNotFound: There is none.
            QualityStoreError: The file cannot be read, or what it holds is not what was written.
        """
        with self._explained():
            kept = self._one(project, suite_id)
            digest, document = self._db.execute(
                "SELECT digest, document FROM suites WHERE position = ?", (kept.position,)
            ).fetchone()
        if not isinstance(document, bytes) or hashlib.sha256(document).digest() != digest:
            raise QualityStoreError(
                f"{self._path}: the suite `{suite_id}` is not what was written. {_MEND}"
            )
        return kept, document

    def newest(
        self, project: str, limit: int, *, before: int | None = None, name: str | None = None
    ) -> Sequence[StoredSuite]:
        """Return suites of a project, the newest first.

        Args:
            project: Whose.
            limit: The most to return.
            before: Only those with a smaller position.
            name: Only those of this name.
        """
        with self._explained():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM suites WHERE project = :project "  # noqa: S608  a constant
                "AND (:before IS NULL OR position < :before) AND (:name IS NULL OR name = :name) "
                "ORDER BY position DESC LIMIT :limit",
                {"project": project, "limit": limit, "before": before, "name": name},
            ).fetchall()
        return [_stored(row) for row in rows]

    def projects(self) -> Sequence[tuple[str, int, datetime]]:
        """Return the name of each project, the number of its suites, and when the last one came."""
        with self._explained():
            rows = self._db.execute(
                "SELECT project, count(*), max(submitted_at) FROM suites GROUP BY project "
                "ORDER BY project"
            ).fetchall()
        return [(name, number, datetime.fromisoformat(last)) for name, number, last in rows]

    def _one(self, project: str | None, suite_id: str) -> StoredSuite:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM suites WHERE project = ? AND id = ?",  # noqa: S608  a constant
            (project, suite_id),
        ).fetchone()
        if row is None:
            raise SuiteNotFound(f"The project `{project}` has no suite `{suite_id}`.")
        return _stored(row)

    def _prepare(self) -> None:
        """Set the connection up, and the tables where the file is new."""
        # All of it in one transaction, which sees one state: another process may be at it.
        with self._transaction("DEFERRED"):
            is_new = self._is_new()
        self._patiently(lambda: self._db.execute("PRAGMA journal_mode = WAL").fetchone())
        self._db.execute("PRAGMA synchronous = FULL")
        if is_new:
            with self._transaction():
                if self._is_new():
                    for statement in _SCHEMA.split(";"):
                        self._db.execute(statement)

    def _is_new(self) -> bool:
        """Return whether there is nothing in the file; refuse what is not ours."""
        application, version = self._number("application_id"), self._number("user_version")
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == _APPLICATION and version <= _VERSION:
            return False
        if application == _APPLICATION:
            raise QualityStoreError(
                f"{self._path}: a newer version of Execution Platform wrote this file (format "
                f"{version}, this one knows {_VERSION}). Update, or name another file."
            )
        if application or version or tables:
            raise QualityStoreError(
                f"{self._path}: this is the database of another program. {_ELSEWHERE}"
            )
        return True

    def _check_still_there(self) -> None:
        """Refuse to write into a file that has no name any more: all of it would be lost."""
        if not self._path.exists() or _identity(self._path) != self._file:
            raise QualityStoreError(
                f"{self._path}: the file was removed or replaced while it was in use. Nothing was "
                "kept; start the service again."
            )

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

    def _patiently(self, action: Callable[[], Any]) -> None:
        """Do what SQLite refuses at once, and not after its time limit, while others do the same.

        The change to the write-ahead log is refused like that.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                action()
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Generator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # A failed COMMIT may have ended it already.
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Generator[None]:
        """Turn what SQLite and the system say into what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._explanation(error) from error
        except OSError as error:
            raise QualityStoreError(
                f"{self._path}: the database cannot be used: {error.strerror}. {_ELSEWHERE}"
            ) from error

    def _explanation(self, error: sqlite3.Error) -> QualityStoreError:
        if _is_busy(error):
            return QualityStoreBusy(
                f"{self._path}: other processes kept the database locked for {PATIENCE:g} s. "
                "Try again."
            )
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return QualityStoreError(f"{self._path}: the database is damaged ({error}). {_MEND}")
        return QualityStoreError(
            f"{self._path}: the database cannot be used: {error}. Is there room on the disk, and "
            f"may this user write there? {_ELSEWHERE}"
        )


_ELSEWHERE: Final = "Name another file with EP_QUALITY_DB."

_MEND: Final = (
    "Restore it from a backup, or save what can be read with `sqlite3 FILE .recover`; nothing was "
    "changed."
)

_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _create(path: Path) -> None:
    """Make the file, for its owner alone, where it is missing; SQLite's own would be readable."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    # The file's name is in the folder: without this a power cut may take it, and all that is in it.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _stored(row: Sequence[Any]) -> StoredSuite:
    position, project, suite_id, name, submitted_at, *counts = row
    moment = datetime.fromisoformat(submitted_at)
    return StoredSuite(position, project, suite_id, name, moment, Counts(*counts))

"""Files that may change while they are in use: noticed by their stamps, without a dependency."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["MOST_UNREST", "FileWatch", "Stamp", "Stamps", "stamp"]

MOST_UNREST: Final = 5
"""Looks after which files are read although they have not been still: something may write them
all the time."""


class Stamp(NamedTuple):
    """What tells one state of a file from the next: of the file that a symbolic link leads to."""

    modified: int
    size: int
    inode: int
    device: int


Stamps = Mapping[Path, Stamp | None]
"""By the file's name; None where there is no file, or it cannot be looked at."""


def stamp(path: Path) -> Stamp | None:
    """Return a file's stamp as of now. Links are followed: a ConfigMap is swapped by its links."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


class FileWatch:
    """Says when to read files again: once they have changed, and then stayed as they are.

    What is written bit by bit is so not read half-way, if its writer pauses for less than the time
    between two looks.

    Args:
        stamps: As they were read last, taken before each was read.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._read = dict(stamps)
        self._seen = self._read
        self._unrest = 0

    def look(self) -> bool:
        """Look at the files, which may block; return whether it is time to read them."""
        now = {path: stamp(path) for path in self._read}
        still, self._seen = now == self._seen, now
        if now == self._read:
            self._unrest = 0
            return False
        self._unrest += 1
        return still or self._unrest >= MOST_UNREST

    def were_read(self, stamps: Stamps) -> None:
        """Say that they were read, with the stamps as they were right before.

        Args:
            stamps: Of these files from now on: perhaps they are not the same ones.
        """
        self._read = self._seen = dict(stamps)
        self._unrest = 0

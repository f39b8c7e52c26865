"""What the server processes of one `--workers N` have in common: a folder, for as long as they run.

Nothing in it outlives them. Each process may put there what the others are to find: its share of
the metrics, a socket to be asked at.
"""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["shared_folder", "worker_folder"]

_VARIABLE = "EXECUTION_PLATFORM_WORKERS"
"""Set by the parent for its workers, never by a user: hence not one of the `EP_` settings."""


@contextmanager
def worker_folder() -> Generator[Path]:
    """Make the folder, readable by this user alone; it goes when the block is left.

    For the parent, before it starts a worker.
    """
    with tempfile.TemporaryDirectory(prefix="ep-workers-") as folder:
        os.environ[_VARIABLE] = folder
        try:
            yield Path(folder)
        finally:
            del os.environ[_VARIABLE]


def shared_folder() -> Path | None:
    """Return the folder, in a worker; None where one process serves alone."""
    folder = os.environ.get(_VARIABLE)
    return None if folder is None else Path(folder)

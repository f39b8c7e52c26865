"""What a crash of ours left behind: directories of the CLI's processes, and processes.

A server that is killed cannot end its processes. Most of them end by themselves, since nobody
holds the other end of their input any more; the next server that starts sees to the rest.
"""

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from proxy.providers.claude_agent.surroundings import PREFIX, Places

__all__ = ["kill_strays", "reap"]

_ROUNDS = 5
"""How often strays are looked for: one may have started another before it was killed."""

_NAME = re.compile(rf"{re.escape(PREFIX)}(\d+)-.+")


def reap() -> int:
    """Remove the directories whose owner has died, with the process in each; return how many.

    Only what is the same user's is touched. It reads and removes files: not for the event loop.
    """
    found = list(_orphaned(Path(tempfile.gettempdir())))
    for places in found:
        _kill(places)
        kill_strays(places)
        places.remove()
    return len(found)


def kill_strays(places: Places) -> None:
    """Kill what an agent's tools have started and left running.

    They are known by their environment, which names the private directory of the agent's process.
    Nothing is found where the system does not tell (macOS), nor what has scrubbed its environment.
    """
    mark = f"{places.root}{os.sep}".encode()
    for _ in range(_ROUNDS):
        found = False
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    found = True
        if not found:
            return


def _orphaned(folder: Path) -> Iterator[Places]:
    for path in folder.glob(f"{PREFIX}*"):
        name = _NAME.fullmatch(path.name)
        with suppress(OSError):
            if name is not None and path.stat().st_uid == os.getuid() and not _runs(int(name[1])):
                yield Places(path)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _kill(places: Places) -> None:
    """Kill the process that belongs to `places`, if it is still the same one."""
    with suppress(OSError, ValueError):
        pid = int(places.note.read_text())
        # Another process may have its number by now; the directory's name stands in no other's.
        if str(places.temporary).encode() in Path(f"/proc/{pid}/environ").read_bytes():
            os.killpg(pid, signal.SIGKILL)

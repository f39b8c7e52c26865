"""Processes of the benchmark: started on their cores, ended by id, and what they use.

Linux only: what a process uses is read from its CPU clock and from `/proc`.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_LARGEST_LOG = 8 << 20
_libc = ctypes.CDLL(None)


class Child:
    """A process, leader of a session of its own, which does not outlive this one.

    Args:
        command: What to run.
        cores: Where it may run.
        env: Its whole environment.
        log: What it writes to standard error goes there; standard output too, unless `piped`.
        piped: Standard output can be read here.
        cwd: Its working directory.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: Collection[int],
        env: Mapping[str, str],
        log: Path,
        piped: bool = False,
        cwd: Path | None = None,
    ) -> None:
        self.log = log

        def prepare() -> None:
            os.sched_setaffinity(0, cores)
            # Even where this process is killed: no benchmark is left running.
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

        with log.open("ab") as errors:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else errors,
                stderr=errors,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=prepare,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and what it started: politely first, after five seconds not."""
        if self.popen.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(5)
        self._signal(signal.SIGKILL)
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()

    def _signal(self, number: signal.Signals) -> None:
        # Its own session, hence nobody else's processes; the group lives while a member does.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def pids(self) -> list[int]:
        """Return it and its descendants."""
        return family(self.popen.pid)

    def said(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def shorten_log(self) -> None:
        """Empty a log that has grown large: it is appended to, so this is safe at any time."""
        if self.log.stat().st_size > _LARGEST_LOG:
            os.truncate(self.log, 0)


def family(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name is in parentheses and may hold anything.
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return what processes have used of the CPU, all threads, to the nanosecond.

    `/proc/PID/stat` counts in hundredths of a second, and `/proc/PID/schedstat` one thread.
    """
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            # The kernel's number of a process's CPU clock: see clock_getcpuclockid(3).
            total += time.clock_gettime((~pid << 3) | 2)
    return total


def rss_mb(pids: Iterable[int]) -> float:
    """Return the resident memory of processes, in MB of 1,000,000 bytes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total / 1e6


class Cores:
    """Who runs where: the system under test alone on one core, the rest on another.

    Attributes:
        system: For the system.
        load: For the upstream and the load generator.
        all: Those this process may use.
        warning: What is amiss; empty: nothing.
    """

    def __init__(self) -> None:
        self.all = sorted(os.sched_getaffinity(0))
        self.load, self.system = [self.all[0]], [self.all[-1]]
        self.warning = "" if len(self.all) > 1 else "one core for all: they disturb each other"

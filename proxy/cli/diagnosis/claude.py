"""The Claude CLI: where it is, whether it answers, and whether its processes find room."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from policy.schema import ProviderRow
from proxy.claude_cli import bundled_version, find_cli
from proxy.cli.diagnosis.findings import Finding

__all__ = ["PROCESS_BYTES", "VERSION_SECONDS", "cli_finding", "memory_finding", "memory_left"]

VERSION_SECONDS: Final = 4.0
"""For `claude --version`, which takes a fiftieth of a second."""

PROCESS_BYTES: Final = 200 * 1024 * 1024
"""What one process of the CLI takes."""

_MEMORY: Final = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def cli_finding() -> Finding | None:
    """Say which program it is and whether it runs; None where there is none.

    That there is none stands in what is said of the provider.
    """
    program = find_cli()
    if program is None:
        return None
    remedy = (
        f"Run `{program} --version` by hand. `pip install --force-reinstall "
        "'execution-platform[claude-agent]'` brings the program anew."
    )
    try:
        said, status = _version(program)
    except OSError as error:
        found = f"{program} cannot be started: {error.strerror or type(error).__name__}"
        return Finding("claude cli", "", "failed", found, remedy)
    except subprocess.TimeoutExpired:
        found = f"{program} does not answer within {VERSION_SECONDS:g} s: too slow to start"
        return Finding("claude cli", "", "failed", found, remedy)
    if status != 0 or not said:
        found = f"{program} ended with exit status {status} when asked for its version"
        return Finding("claude cli", "", "failed", found, remedy)
    version, wanted = said.split()[0], bundled_version()
    if wanted is not None and version != wanted:
        found = f"{program} is version {version}; the SDK is made for {wanted}"
        remedy = f"Install that one: `npm install -g @anthropic-ai/claude-code@{wanted}`."
        return Finding("claude cli", "", "warning", found, remedy)
    return Finding("claude cli", "", "ok", f"{program}, version {version}")


def memory_finding(rows: Mapping[str, ProviderRow], left: int | None) -> Finding | None:
    """Say whether all processes that may run at the same time find room in `left` bytes."""
    if left is None:
        return None
    processes = sum(row.processes + row.pool for row in rows.values())
    needed = processes * PROCESS_BYTES
    found = f"{_gib(left)} are free; {processes} processes may take {_gib(needed)}"
    if needed <= left:
        return Finding("claude memory", "", "ok", found)
    fits = max(1, left // PROCESS_BYTES)
    remedy = f"Set `processes` and `pool` in the policy so that together they are {fits} or fewer."
    return Finding("claude memory", "", "warning", found, remedy)


def memory_left() -> int | None:
    """Return the bytes of memory that are free for us; None where the system does not say."""
    found: list[int] = []
    try:
        for line in _MEMORY.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
        # A container has a limit of its own, or `max`.
        found.append(int(_LIMIT.read_text()) - int(_USED.read_text()))
    except (OSError, ValueError):
        return min(found, default=None)
    return min(found)


def _version(program: Path) -> tuple[str, int]:
    """Return what the program says of its version, and its exit status.

    Raises:
        OSError: It cannot be started.
        TimeoutExpired: It did not end in time; it is killed, with what it started.
    """
    with tempfile.TemporaryDirectory(prefix="ep-doctor-") as home:
        process = subprocess.Popen(  # noqa: S603  the SDK's own, or the operator's
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"HOME": home, "PATH": os.environ.get("PATH", "")},
            start_new_session=True,
        )
        with process:
            try:
                out, _ = process.communicate(timeout=VERSION_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    return out.decode(errors="replace").strip(), process.returncode


def _gib(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"

"""Runs commands: in this process, where it is quick, or as a user does."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from proxy.cli.main import main
from tests.serving import START_SECONDS, clean_environment

__all__ = ["Done", "Terminal", "in_process", "pipe"]


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    status: int
    out: str
    err: str


def in_process(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    env: Mapping[str, str],
) -> Done:
    """Run `main` with nothing in the environment but `env`."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    status = main(arguments)
    out, err = capsys.readouterr()
    return Done(status, out, err)


def pipe(
    *arguments: str, text: str = "", env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Done:
    """Run `python -m proxy` with a text on its standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        input=text.encode(),
        capture_output=True,
        check=False,
        env=clean_environment(env),
        cwd=cwd,
        timeout=START_SECONDS,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Terminal:
    """`python -m proxy` in a terminal."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEADER, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=clean_environment(),
            cwd=cwd,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, text: str, seconds: float = START_SECONDS) -> None:
        """Read on until a text is on the screen."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not appear in {self.seen!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self._ours, 65536).decode(errors="replace")
                except OSError:
                    assert text in self.seen, self.seen

    def wait(self, seconds: float = 15) -> int:
        return self._process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


# Ctrl-C goes to the processes of a controlling terminal only.
_LEADER = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from proxy.cli.main import main
sys.exit(main(sys.argv[1:]))
"""

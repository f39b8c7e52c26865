"""Real server processes for tests: the proxy, and the sandbox as the providers behind it."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

__all__ = [
    "ROOT",
    "START_SECONDS",
    "WITHOUT_CLI",
    "Proxy",
    "QualityServer",
    "SandboxProcess",
    "clean_environment",
    "run_to_end",
]

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0
"""Generous: a busy machine starts slowly, and no test is about that."""

WITHOUT_CLI = ROOT / "tests" / "without_cli.yaml"
"""A policy for tests that are not about the Claude CLI."""

_FOREIGN = ("EP_", "OTEL_", "OPENAI_", "ANTHROPIC_", "GEMINI_")


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would configure a proxy, and `more`.

    The policy is the shipped one without the Claude CLI, unless `more` has `EP_POLICY`.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    # Any test of a server can be run over either client.
    kept |= {name: os.environ[name] for name in ("EP_HTTP_CLIENT",) if name in os.environ}
    paths = (str(ROOT), str(ROOT / "proxy" / "inprocess"), kept.get("PYTHONPATH", ""))
    kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return {**kept, "EP_POLICY": str(WITHOUT_CLI), **(more or {})}


class _Process:
    """A child process; its working directory is empty, so that no `.env` is found there."""

    def __init__(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], *, unread: bool = False
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ep-test-")
        self._log = Path(self._folder.name) / "stderr"
        with self._log.open("wb") as stderr:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # A file, unless the point is a pipe that fills up because nobody reads it.
                stderr=subprocess.PIPE if unread else stderr,
                text=True,
                env=clean_environment(env),
                cwd=self._folder.name,
                process_group=0,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        assert self._popen.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._popen.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put(line)
        self._lines.put(None)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def line(self, seconds: float = START_SECONDS) -> str:
        """Return the next line of standard output; fails where none comes."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            line = None
        if line is None:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"the process did not start; it said: {self.log()}")
        return line

    def rest(self) -> str:
        """Return what is left of standard output, once the process has ended."""
        assert not self.running
        lines: list[str] = []
        while (line := self._lines.get(timeout=START_SECONDS)) is not None:
            lines.append(line)
        return "".join(lines)

    def log(self) -> str:
        """Return what was written to standard error so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log so far: each is a JSON object, but the last half written."""
        return [json.loads(line) for line in self.log().split("\n")[:-1]]

    def records(self, text: str = "", *, level: str | None = None) -> list[dict[str, Any]]:
        """Return what was logged beside the lines of requests: where a text stands, at a level."""
        return [
            line
            for line in self.lines()
            if line["event"] == "log" and text in line["message"] and level in (None, line["level"])
        ]

    def tracebacks(self) -> list[str]:
        """Return the lines of the log that tell of an exception, in whatever form."""
        return [line for line in self.log().split("\n") if "traceback" in line.lower()]

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def wait(self, seconds: float = 15.0) -> int:
        """Return the exit status; negative for a signal."""
        return self._popen.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> int:
        """End the process, whatever it does; return its exit status."""
        if self.running:
            self.send(number)
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise AssertionError(f"the process did not stop; it said: {self.log()}") from None
        finally:
            self._reader.join(5)
            assert self._popen.stdout is not None
            self._popen.stdout.close()
            if self._popen.stderr is not None:
                self._popen.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Its workers, too: they outlive a parent that is killed, and hold on to its output.
        if self._popen.returncode is None:
            os.killpg(self.pid, signal.SIGKILL)
        try:
            self.stop(signal.SIGKILL)
        finally:
            self._folder.cleanup()


class Proxy(_Process):
    """`python -m proxy serve` on a free port.

    Args:
        arguments: After `serve`; the port is chosen here.
        env: Variables beside the cleaned environment.
        policy: Written to a file that `--policy` names: a text, or what becomes JSON (which is
            YAML as well).
        unread: Standard error is a pipe that nobody reads.
        module: In place of `proxy`.
    """

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        policy: Mapping[str, Any] | str | None = None,
        unread: bool = False,
        module: str = "proxy",
    ) -> None:
        self._files = tempfile.TemporaryDirectory(prefix="ep-policy-")
        self.policy_file = Path(self._files.name) / "policy.yaml"
        if policy is not None:
            self.change_policy(policy)
            arguments = (*arguments, "--policy", str(self.policy_file))
        super().__init__(module, ["serve", "--port", "0", *arguments], env or {}, unread=unread)
        try:
            found = re.fullmatch(r"Execution Platform listens on (\S+:(\d+))\n", self.line())
            assert found is not None
        except BaseException:
            self.__exit__()
            raise
        self.url, self.port = found[1], int(found[2])

    def change_policy(self, policy: Mapping[str, Any] | str) -> None:
        """Put another policy in the file's place, as editors do it."""
        beside = self.policy_file.with_suffix(".new")
        beside.write_text(policy if isinstance(policy, str) else json.dumps(policy))
        beside.replace(self.policy_file)

    def rss(self) -> int:
        """Return the bytes of memory in use."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def decisions(self) -> list[dict[str, Any]]:
        """Return the lines of the decision log so far."""
        return self._decisions_with("")

    def _decisions_with(self, text: str) -> list[dict[str, Any]]:
        # The last line may be half written.
        lines = (line for line in self.log().split("\n")[:-1] if text in line)
        return [json.loads(line) for line in lines if '"event":"request"' in line]

    def decision(self, request_id: str, seconds: float = 5.0) -> dict[str, Any]:
        """Return the line of one request; it is written a moment after the answer's end."""
        found: list[dict[str, Any]] = []

        def written() -> bool:
            lines = self._decisions_with(request_id)
            found[:] = [line for line in lines if line["request_id"] == request_id]
            return bool(found)

        wait_until(written, seconds)
        assert len(found) == 1, found
        return found[0]

    def __exit__(self, *_: object) -> None:
        try:
            super().__exit__()
        finally:
            self._files.cleanup()


class QualityServer(_Process):
    """`python -m proxy quality serve` on a free port.

    Args:
        database: The file.
        arguments: After `quality serve`.
        env: Variables beside the cleaned environment.
    """

    def __init__(
        self, database: Path, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        options = ["--port", "0", "--db", str(database), *arguments]
        super().__init__("proxy", ["quality", "serve", *options], env or {})
        try:
            found = re.fullmatch(r"Quality Fabric listens on (\S+:(\d+))\n", self.line())
            assert found is not None
        except BaseException:
            self.__exit__()
            raise
        self.url, self.port = found[1], int(found[2])


class SandboxProcess(_Process):
    """The providers: the sandbox in a process of its own."""

    def __init__(self) -> None:
        super().__init__("proxy.sandbox", ["0"], {})
        try:
            found = dict(_dialect(self.line()) for _ in range(2))
        except BaseException:
            self.__exit__()
            raise
        self.openai, self.anthropic = found["openai"], found["anthropic"]
        self.url = self.anthropic.removesuffix("/anthropic")


def _dialect(line: str) -> tuple[str, str]:
    url = line.split()[-1]
    return next(name for name in ("openai", "anthropic") if f"/{name}" in url), url


def run_to_end(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m proxy` with arguments that should not start a server."""
    with tempfile.TemporaryDirectory(prefix="ep-test-") as folder:
        return subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=clean_environment(env),
            cwd=cwd or folder,
            timeout=START_SECONDS,
        )


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Poll until a condition holds; fail where it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)

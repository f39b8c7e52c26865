"""One process of the CLI: made for one request, and gone with it."""

import asyncio
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from policy.agents import AgentRow
from proxy.providers.claude_agent.cli_telemetry import ENDING_SECONDS
from proxy.providers.claude_agent.gate import Door
from proxy.providers.claude_agent.reaper import kill_strays
from proxy.providers.claude_agent.settings import AgentSettings
from proxy.providers.claude_agent.surroundings import (
    SECRETS,
    TELLING_FILES,
    Places,
    environment,
    flags,
    session_files,
    working_directory,
)
from translators.errors import ProviderError
from translators.json import UNREADABLE

__all__ = ["MAX_FRAME", "CliProcess"]

MAX_FRAME: Final = 64 * 1024 * 1024
"""Bytes of one line of the CLI. More is a fault, not an answer."""

_PIECE: Final = 64 * 1024
_COMPLAINT: Final = 2048
_REAP_SECONDS: Final = 5.0
_SHORTEST_SECRET: Final = 6

Frame = dict[str, Any]

_logger = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class CliProcess:
    """A process of the CLI, with its directories; `close` leaves nothing of either.

    It leads a process group of its own, so that what it may have started goes with it.

    Attributes:
        door: Its way to the API.
        parked: Whether it was started before the request that it serves.
    """

    def __init__(
        self,
        started: "_Started",
        places: Places,
        told: Mapping[str, str],
        *,
        door: Door,
        parked: bool,
        agent: AgentRow | None,
    ) -> None:
        self._transport, process, self._exited = started
        self._process = process
        self._places = places
        self._told = told
        self._agent = agent
        self.door = door
        self.parked = parked
        door.on_failure = self.kill
        self._complaints: deque[bytes] = deque(maxlen=16)
        self._listening = asyncio.create_task(self._listen())
        self._closed: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        settings: AgentSettings,
        door: Door,
        write: Callable[[Places], list[str]] | None = None,
    ) -> "CliProcess":
        """Start a process.

        Args:
            settings: The program, and whose credential it uses.
            door: Its way to the API; closed with it.
            write: Writes what it is to be told and returns the flags for that; None: it is told
                later, through its input.

        Raises:
            ProviderError: The program is not there, or cannot be run.
        """
        places: Places | None = None
        try:
            places = Places.make()
            told = environment(settings, places, os.environ, api=door.url)
            more = ["--system-prompt", ""]
            if write is not None:
                # What it is told may be large, images for instance.
                more = await asyncio.to_thread(write, places)
            program = [str(settings.cli), *flags(settings, places, os.environ), *more]
            places.note.touch()
            started = await _start(program, cwd=working_directory(settings, places), env=told)
        except BaseException as error:
            door.close()
            if places is not None:
                places.remove()
            if not isinstance(error, OSError):
                raise
            raise ProviderError(
                f"The Claude CLI cannot be started: {error.strerror or type(error).__name__}. "
                "`execution-platform doctor` tells which program it is, and tries it.",
                kind="server",
            ) from error
        with suppress(OSError):
            # For whoever clears up after a crash of ours; a disk that is full is no reason to fail.
            places.note.write_text(str(started[1].pid))
        agent = settings.agent
        return cls(started, places, told, door=door, parked=write is None, agent=agent)

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group, too."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.returncode is None

    async def write(self, data: str) -> None:
        """Write to its input.

        Raises:
            ProviderError: It has ended.
        """
        stdin = self._process.stdin
        if stdin is not None and self.alive:
            with suppress(BrokenPipeError, ConnectionResetError):
                stdin.write(data.encode())
                await stdin.drain()
                return
        await self.ended()
        raise self.failure()

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield what it writes, frame by frame, until it writes no more.

        Raises:
            ProviderError: A frame is too long, or not JSON.
        """
        stdout = self._process.stdout
        rest = bytearray()
        while stdout is not None and (piece := await stdout.read(_PIECE)):
            *lines, tail = piece.split(b"\n")
            for line in lines:
                rest += line
                if frame := _frame(rest):
                    yield frame
                rest.clear()
            rest += tail
            if len(rest) > MAX_FRAME:
                raise ProviderError(
                    f"The Claude CLI sent a frame larger than {MAX_FRAME} bytes.", kind="protocol"
                )

    def failure(self) -> ProviderError:
        """Return the error for a process that ended before its time, with its last words."""
        code = self._process.returncode
        how = "before its answer" if code is None else f"with exit status {code}"
        words = b"\n".join(self._complaints).decode(errors="replace")[-_COMPLAINT:].strip()
        for secret in self._secrets():
            words = words.replace(secret, "[key]")
        said = f": {words}" if words else "."
        return ProviderError(f"The Claude CLI ended {how}{said}", kind="server")

    def _secrets(self) -> list[str]:
        """Return the values that are not to be repeated; one of few characters is none."""
        granted = () if self._agent is None else self._agent.variables
        found = [self._told.get(name) for name in SECRETS]
        found += [os.environ.get(name) for name in granted]
        return [value for value in found if value and len(value) >= _SHORTEST_SECRET]

    async def gone(self) -> None:
        """Return when it has ended, whoever has ended it."""
        await self._exited.wait()

    def forget(self) -> None:
        """Remove the files that told it its request: it has read them."""
        for name in TELLING_FILES:
            (self._places.root / name).unlink(missing_ok=True)

    async def ended(self) -> None:
        """Wait a while until it has ended and all its complaints are read; then kill it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_REAP_SECONDS):
                await self._exited.wait()
                await asyncio.wait([self._listening])
        self.kill()

    async def finish(self) -> None:
        """Ask it to end by itself, so that it reports; kill it where it takes too long."""
        self.door.shut()
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await self._exited.wait()
        self.kill()

    def kill(self) -> None:
        """End it, what it started and its call of the API, now."""
        self.door.close()
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill it, reap it and remove its directories; once begun, this is not cancelled."""
        self.kill()
        if self._closed is None:
            self._closed = asyncio.create_task(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(_REAP_SECONDS):
                # Not with `wait`, which waits for its pipes, too: those stay open while there is
                # something in them that nobody has read, or somebody else holds their other end.
                # They are closed only then: closing looks for the process's end, and would take
                # it away from whoever is to be told.
                await self._exited.wait()
                self._transport.close()
                await self._process.wait()
        except TimeoutError:
            self._transport.close()
            _logger.warning(
                "A process of the Claude CLI (%d) was killed and does not end.", self.pid
            )
        self._listening.cancel()
        await asyncio.wait([self._listening])
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        if self._agent is not None:
            # Its tools run in sessions of their own, where killing its group does not reach them.
            kill_strays(self._places)
        for path in session_files(self.pid, self._told):
            path.unlink(missing_ok=True)
        self._places.remove()

    async def _listen(self) -> None:
        """Keep its last complaints; read on, or a full pipe would stop it."""
        stderr = self._process.stderr
        while stderr is not None and (piece := await stderr.read(_PIECE)):
            self._complaints.append(piece[-_COMPLAINT:])


_Started = tuple[asyncio.SubprocessTransport, Process, asyncio.Event]
"""With what is set when the process has ended, whoever holds its pipes."""


class _Streams(SubprocessStreamProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_PIECE, loop=loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        self.exited.set()
        super().process_exited()


async def _start(program: list[str], *, cwd: Path, env: Mapping[str, str]) -> _Started:
    """Start a program; asyncio's own function for it gives nobody the transport, to close it."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: _Streams(loop),
        *program,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    return transport, Process(transport, protocol, loop), protocol.exited


def _frame(line: bytearray) -> Frame | None:
    """Return the frame that a line holds; None for one that is not meant for us."""
    # Some builds write notes of theirs between the frames.
    if not line.startswith(b"{"):
        return None
    try:
        return _decode(line)
    except (*UNREADABLE, msgspec.ValidationError):
        raise ProviderError(
            "The Claude CLI sent a frame that is not JSON.", kind="protocol"
        ) from None

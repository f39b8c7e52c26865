"""Processes of the CLI that are started before they are needed.

Half a second goes into starting one. Parked, it waits for its first frame, and knows nothing of
the request it will serve: that is told when it is taken. None serves twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from proxy.providers.claude_agent.process import CliProcess
from translators.errors import ProviderError

__all__ = ["Pool", "memory_left"]

NEEDED: Final = 512 * 1024 * 1024
"""Bytes of memory that must be left for one more process to be parked; one takes some 200 MB."""

SHORTEST_LIFE: Final = 10.0
"""Seconds; a parked process that ends before is not replaced until a request needs one."""

_MEMORY: Final = Path("/proc/meminfo")


def memory_left() -> int | None:
    """Return the bytes of memory that processes may still take; None where nobody says."""
    with suppress(OSError, ValueError, IndexError):
        for line in _MEMORY.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


class Pool:
    """Keeps `size` processes parked, as long as there is memory for them.

    Args:
        size: How many; 0: none, each request starts its own.
        start: Starts a process.
        memory: Tells the bytes of memory that are left.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[], Awaitable[CliProcess]],
        *,
        memory: Callable[[], int | None] = memory_left,
    ) -> None:
        self._size = size
        self._start = start
        self._memory = memory
        self._parked: list[CliProcess] = []
        self._watching: dict[CliProcess, asyncio.Task[None]] = {}
        self._filling: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def size(self) -> int:
        """How many are to be kept ready; 0 once it is closed."""
        return 0 if self._closed else self._size

    @property
    def parked(self) -> int:
        """How many are ready."""
        return sum(process.alive for process in self._parked)

    async def take(self) -> CliProcess:
        """Return a process that runs and has served nobody: a parked one, or a new one.

        Raises:
            ProviderError: None could be started.
        """
        found = self._ready()
        self.fill()
        return await self._start() if found is None else found

    def fill(self) -> None:
        """Park as many as are missing, in the background."""
        idle = self._filling is None or self._filling.done()
        if idle and not self._closed and len(self._parked) < self._size:
            self._filling = asyncio.create_task(self._fill())

    async def aclose(self) -> None:
        """End all that are parked."""
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.wait([self._filling])
        for process in list(self._parked):
            self._discard(self._taken(process))
        if self._closing:
            await asyncio.wait(self._closing)

    def _ready(self) -> CliProcess | None:
        while self._parked:
            process = self._taken(self._parked[0])
            if process.alive:
                return process
            self._discard(process)
        return None

    def _taken(self, process: CliProcess) -> CliProcess:
        self._parked.remove(process)
        if (watch := self._watching.pop(process, None)) is not None:
            watch.cancel()
        return process

    def _park(self, process: CliProcess) -> None:
        self._parked.append(process)
        self._watching[process] = asyncio.create_task(self._watch(process))

    async def _watch(self, process: CliProcess) -> None:
        """Replace a parked process that ends, unless it ends so soon that the next one would."""
        begun = asyncio.get_running_loop().time()
        await process.gone()
        self._watching.pop(process)
        self._discard(self._taken(process))
        if asyncio.get_running_loop().time() - begun >= SHORTEST_LIFE:
            self.fill()

    def _discard(self, process: CliProcess) -> None:
        process.kill()
        task = asyncio.create_task(process.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _fill(self) -> None:
        while len(self._parked) < self._size:
            left = self._memory()
            if left is not None and left < NEEDED:
                return
            try:
                self._park(await self._start())
            except ProviderError:
                # Whoever needs one next tries again, and is told why there is none.
                return

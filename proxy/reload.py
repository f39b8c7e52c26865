"""Takes a policy that changes while the server runs, and keeps the old one where it is wrong.

It is read, checked and built as a whole before anything is exchanged; requests under way end as
they began (`proxy/generation.py`).
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from policy.changes import changes
from policy.schema import Policy
from proxy.addresses import is_loopback
from proxy.assembly import Assembly, Examined, access_under
from proxy.config import ConfigurationError, Settings
from proxy.file_watch import FileWatch, Stamp, Stamps, stamp
from proxy.generation import Generations
from translators.errors import ExecutionPlatformError

__all__ = ["ReadPolicy", "Reloader"]


class ReadPolicy(Protocol):
    """Reads the policy; raises what a start would say is wrong with it."""

    def __call__(self, *, seen: Callable[[Path], None]) -> Policy:
        """Return it; `seen` is called with each file of one's own right before that is read."""
        ...


log = logging.getLogger("execution_platform")


class Reloader:
    """Lives in the service's event loop; files are looked at and read in threads.

    Args:
        read: Reads the policy.
        stamps: Of the files that the current one was read from.
        settings: Of the server.
        assembly: Makes generations.
        generations: Get those that are right.

    Attributes:
        error: Why the policy was refused as its files are now; None where it serves.
    """

    def __init__(
        self,
        read: ReadPolicy,
        stamps: Stamps,
        *,
        settings: Settings,
        assembly: Assembly,
        generations: Generations,
    ) -> None:
        self.error: str | None = None
        self._read = read
        self._watch = FileWatch(stamps)
        # Shipped files change with a new version only: nothing to look at.
        self._interval = (settings.policy_reload or None) if stamps else None
        self._settings = settings
        self._assembly = assembly
        self._generations = generations
        self._asked = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="policy-reload")

    def ask(self) -> None:
        """Read the policy now, whether its files look changed or not."""
        self._asked.set()

    async def aclose(self) -> None:
        """Leave it as it is."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            asked = await self._asked_in_time()
            if asked or await asyncio.to_thread(self._watch.look):
                await self._reload(asked=asked)

    async def _asked_in_time(self) -> bool:
        """Wait until it is time to look at the files; return whether somebody asked before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._asked.wait()
        asked = self._asked.is_set()
        self._asked.clear()
        return asked

    async def _reload(self, *, asked: bool) -> None:
        stamps: dict[Path, Stamp | None] = {}
        try:
            found = await asyncio.to_thread(self._examined, stamps)
            await self._take(found, asked=asked)
        except ExecutionPlatformError as error:
            self._refuse(str(error), asked=asked)
        except Exception:
            # Whatever it is: the server goes on as it is, and takes what comes next.
            log.exception("internal error with a policy that has changed")
            self._refuse("An internal error; the log has it.", asked=asked)
        self._watch.were_read(stamps)

    def _examined(self, stamps: dict[Path, Stamp | None]) -> Examined:
        def seen(path: Path) -> None:
            stamps[path] = stamp(path)

        return self._assembly.examine(self._read(seen=seen))

    async def _take(self, found: Examined, *, asked: bool) -> None:
        current = self._generations.current
        said = changes(current.engine.policy, found.policy)
        if not said and found.reasons != current.engine.availability:
            said = "what can be used of its providers changed"
        if said:
            if not current.access.open:
                self._check_closed(found.policy)
            new = await self._assembly.generation(found, current)
            self._generations.replace(new)
            self._assembly.begin(new)
            log.info("policy: generation %d serves from now on (%s)", new.number, said)
        elif asked or self.error is not None:
            log.info("policy: generation %d stays, the policy says the same", current.number)
        self.error = None

    def _check_closed(self, policy: Policy) -> None:
        """Refuse to let everybody in, as a start would.

        Raises:
            ConfigurationError: There are no keys any more, and others than this machine could come.
        """
        keyless = access_under(self._settings, policy).open
        if keyless and not is_loopback(self._settings.host):
            raise ConfigurationError(
                "The policy has no client keys any more, and the server listens on "
                f"`{self._settings.host}`: anybody who reaches it could use your providers. Keep "
                "one of `client_keys`, or start the server anew, with --insecure-no-auth if that "
                "is what you want."
            )

    def _refuse(self, error: str, *, asked: bool) -> None:
        if asked or error != self.error:
            number = self._generations.current.number
            said = "; ".join(error.splitlines())
            log.warning("policy: refused, and generation %d stays: %s", number, said)
        self.error = error

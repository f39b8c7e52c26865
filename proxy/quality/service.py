"""Quality Fabric as a service: its store on a thread of its own, client keys, limits."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from starlette.types import Scope

from proxy.access import Access
from proxy.config import Settings
from proxy.quality.errors import QualityStoreBusy
from proxy.quality.fabric import Fabric
from proxy.quality.setup import open_fabric, read_gates
from proxy.service import Configuration, access_of
from translators.errors import ExecutionPlatformError

__all__ = ["QualityService", "check_quality", "open_quality"]

MAX_WAITING: Final = 256
"""Requests that wait for the store or use it; each may hold a whole body."""

T = TypeVar("T")

Refused = Callable[[Scope, ExecutionPlatformError], None]
"""Told of a refusal, with the scope of its request."""


def _nobody(_scope: Scope, _error: ExecutionPlatformError) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class QualityService:
    """What the endpoints need, for as long as the server runs.

    Attributes:
        settings: Limits of a request's body.
        access: Returns the client keys, which may change with the policy.
        fabric: Used on `thread` only.
        thread: SQLite blocks, and a disk may take its time: never on the event loop.
        refused: Told of every refusal.
    """

    settings: Settings
    access: Callable[[], Access]
    fabric: Fabric
    thread: ThreadPoolExecutor
    refused: Refused = _nobody
    _waiting: int = field(default=0, init=False)

    @staticmethod
    def of(scope: Scope) -> "QualityService":
        """Return the service that the application of a request was opened with."""
        return cast("QualityService", scope["state"]["quality"])

    async def do(self, operation: Callable[[Fabric], T]) -> T:
        """Return what an operation on the fabric returns.

        A submission that its client left may still be kept: nobody was told otherwise.

        Raises:
            QualityStoreBusy: Too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise QualityStoreBusy(f"{MAX_WAITING} requests wait for the database. Try again.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.thread, operation, self.fabric)
        finally:
            self._waiting -= 1


@asynccontextmanager
async def open_quality(
    configuration: Configuration,
    *,
    access: Callable[[], Access] | None = None,
    refused: Refused = _nobody,
) -> AsyncGenerator[QualityService]:
    """Open the service; leaving lets the store end what it began.

    Args:
        configuration: Names the file, the gates and the client keys.
        access: Returns the client keys; None: always those of the configuration.
        refused: Told of every refusal.

    Raises:
        PolicyError: The gates are wrong.
        QualityStoreError: The file cannot be used.
    """
    settings = configuration.settings
    gates = read_gates(settings.quality_gates)
    known = access_of(configuration)
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="quality")
    loop = asyncio.get_running_loop()
    try:
        fabric = await loop.run_in_executor(thread, open_fabric, settings.quality_db, gates)
        try:
            yield QualityService(settings, access or (lambda: known), fabric, thread, refused)
        finally:
            await loop.run_in_executor(thread, fabric.close)
    finally:
        thread.shutdown(wait=False)


def check_quality(configuration: Configuration) -> None:
    """Check what the service needs before anything is started.

    Raises:
        PolicyError: The gates are wrong.
        QualityStoreError: The file cannot be used.
    """
    settings = configuration.settings
    open_fabric(settings.quality_db, read_gates(settings.quality_gates)).close()

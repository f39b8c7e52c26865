"""Quality Fabric for its clients: a file in this process, or a server, alike in what they do."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from policy.quality_gates import Gate
from proxy.config import load_environment, load_settings
from proxy.environment import ConfigurationError
from proxy.quality.answers import History, QualityGateReport, Submission, SuiteRecord, Trend
from proxy.quality.errors import QualityFabricError
from proxy.quality.fabric import LISTED, Fabric
from proxy.quality.records import TestSuite
from proxy.quality.remote import RemoteFabric
from proxy.quality.setup import default_database, open_fabric, read_gates

__all__ = ["Backend", "EmbeddedFabric", "choose_backend"]

T = TypeVar("T")


class Backend(Protocol):
    """What a client asks for; `proxy.quality.fabric.Fabric` says what each does and raises.

    Attributes:
        place: The file or the address, for people.
    """

    @property
    def place(self) -> str:
        """The file or the address."""
        ...

    async def submit(self, project: str, suite: TestSuite) -> Submission:
        """Keep a checked suite."""
        ...

    async def check(self, project: str, suite_id: str) -> QualityGateReport:
        """Return the verdict of each gate on a suite."""
        ...

    async def suite(self, project: str, suite_id: str) -> SuiteRecord:
        """Return a suite as it was submitted."""
        ...

    async def history(
        self,
        project: str,
        *,
        limit: int = LISTED,
        before: int | None = None,
        name: str | None = None,
    ) -> History:
        """Return suites of a project, the newest first."""
        ...

    async def trend(self, project: str, *, last: int = LISTED, name: str | None = None) -> Trend:
        """Return where the metrics of a project's last suites are going."""
        ...


class EmbeddedFabric:
    """The file, opened for each operation: nothing has to be closed, and others may use it, too.

    Args:
        database: The file; None: the user's own.
        gates: In force.
    """

    def __init__(self, database: Path | None, gates: Mapping[str, Gate]) -> None:
        self._database = default_database() if database is None else database
        self._gates = gates

    @property
    def place(self) -> str:
        """The file."""
        return str(self._database)

    async def submit(self, project: str, suite: TestSuite) -> Submission:
        """Keep a checked suite."""
        return await self._do(lambda fabric: fabric.submit(suite))

    async def check(self, project: str, suite_id: str) -> QualityGateReport:
        """Return the verdict of each gate on a suite."""
        return await self._do(lambda fabric: fabric.check(project, suite_id))

    async def suite(self, project: str, suite_id: str) -> SuiteRecord:
        """Return a suite as it was submitted."""
        return await self._do(lambda fabric: fabric.suite(project, suite_id))

    async def history(
        self,
        project: str,
        *,
        limit: int = LISTED,
        before: int | None = None,
        name: str | None = None,
    ) -> History:
        """Return suites of a project, the newest first."""
        return await self._do(
            lambda fabric: fabric.history(project, limit=limit, before=before, name=name)
        )

    async def trend(self, project: str, *, last: int = LISTED, name: str | None = None) -> Trend:
        """Return where the metrics of a project's last suites are going."""
        return await self._do(lambda fabric: fabric.trend(project, last=last, name=name))

    async def _do(self, operation: Callable[[Fabric], T]) -> T:
        return await asyncio.to_thread(self._done, operation)

    def _done(self, operation: Callable[[Fabric], T]) -> T:
        fabric = open_fabric(self._database, self._gates)
        try:
            return operation(fabric)
        finally:
            fabric.close()


def choose_backend(
    *,
    url: str | None = None,
    database: Path | str | None = None,
    gates: Path | str | None = None,
    api_key: str | None = None,
) -> Backend:
    """Return the backend that the arguments name, else that of the environment, else the file.

    Args:
        url: Of a server (`EP_QUALITY_URL`).
        database: The file of the embedded form (`EP_QUALITY_DB`).
        gates: The gates of the embedded form, as YAML (`EP_QUALITY_GATES`).
        api_key: The client key for the server (`EP_API_KEY`).

    Raises:
        ConfigurationError: A variable or `url` is wrong.
        PolicyError: The file of the gates is wrong.
        QualityFabricError: The arguments contradict each other.
    """
    environment = load_environment()
    ours = {name: v for name, v in environment.items() if name.startswith("EP_QUALITY")}
    if url is not None:
        if database is not None or gates is not None:
            raise QualityFabricError(
                "With `url` the server has its own database and its own gates: leave `database` "
                "and `gates` out."
            )
        if not url.strip():
            raise ConfigurationError("url: it is empty; leave it out for the file.")
        ours["EP_QUALITY_URL"] = url
    settings = load_settings(ours)
    embedded = url is None and (database is not None or gates is not None)
    if settings.quality_url is not None and not embedded:
        key = environment.get("EP_API_KEY", "").strip() if api_key is None else api_key
        return RemoteFabric(settings.quality_url, key or None)
    return EmbeddedFabric(
        settings.quality_db if database is None else Path(database),
        read_gates(settings.quality_gates if gates is None else Path(gates)),
    )

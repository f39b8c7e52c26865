"""A server, and clients in both forms."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import QualityServer


@pytest.fixture(scope="session")
def quality(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QualityServer]:
    """A server for tests that need no database of their own; each takes a project of its own."""
    database = tmp_path_factory.mktemp("quality") / "quality.db"
    with QualityServer(database) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may touch the file of the user who runs it, or be led by the user's variables."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("EP_QUALITY_URL", "EP_QUALITY_DB", "EP_QUALITY_GATES", "EP_API_KEY"):
        monkeypatch.delenv(name, raising=False)

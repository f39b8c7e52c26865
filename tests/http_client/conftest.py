"""Each test runs with both clients, on asyncio's event loop and on uvloop's."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from proxy.http_client.options import CLIENTS, ClientKind
from tests.http_client.asking import Asker


@pytest.fixture(
    scope="module",
    params=[("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> ClientKind:
    return request.param


@pytest.fixture
async def http(kind: ClientKind) -> AsyncGenerator[Asker]:
    """A client that asks servers directly."""
    async with Asker(kind) as asker:
        yield asker


@pytest.fixture
async def native() -> AsyncGenerator[Asker]:
    """Our own client, for what aiohttp does not do."""
    async with Asker("native") as asker:
        yield asker

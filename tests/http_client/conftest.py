"""Each test runs with both clients, on asyncio's event loop and on uvloop's."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from proxy.http_client.options import CLIENTS, ClientKind
from tests.http_client.asking import Asker
from tests.http_client.authority import Authority


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


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def https(kind: ClientKind, authority: Authority) -> AsyncGenerator[Asker]:
    """A client that trusts the tests' authority."""
    async with Asker(kind, tls=authority.client()) as asker:
        yield asker

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.http.wire import DIALECTS, Upstream
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def upstream(providers: SandboxProcess) -> AsyncIterator[Upstream]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        yield await Upstream.open(client, providers)


@pytest.fixture(scope="session")
def pinging(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    """A server whose heartbeats come soon."""
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_HEARTBEAT": "0.2"}
    with Proxy(env=env, policy=standard_policy(providers, scripted=scripted_port)) as server:
        yield server


@pytest.fixture(scope="session")
def hasty(providers: SandboxProcess) -> Iterator[Proxy]:
    """A server of little patience that never sends a heartbeat."""
    env = {"EP_TIMEOUT": "1", "EP_BODY_TIMEOUT": "1", "EP_HEARTBEAT": "0"}
    env["UPSTREAM_KEY"] = UPSTREAM_KEY
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        yield server

"""Fixtures that every folder of tests may use."""

import os
from collections.abc import Iterator

import pytest

from tests.agent_cli import agent_cli_missing
from tests.guide import GUIDE, absent
from tests.prometheus_server import prometheus_missing
from tests.providers import UPSTREAM_KEY, closed_port, deaf_port, standard_policy
from tests.recordings import recorded_folder
from tests.redis_server import redis_server_missing
from tests.serving import Proxy, SandboxProcess

# What these assert is told in full, as in a test.
pytest.register_assert_rewrite("tests.golden_files", "tests.translators")


def pytest_sessionstart() -> None:
    """In CI a part that is missing is a failure; elsewhere its tests are skipped and say so."""
    if os.environ.get("CI") != "true":
        return
    if not recorded_folder().is_dir():
        raise pytest.UsageError(f"CI needs the recorded traffic, and {recorded_folder()} is empty")
    if not GUIDE.is_file():
        raise pytest.UsageError(f"CI needs the integration guide: {absent()}")
    if (missing := redis_server_missing()) is not None:
        raise pytest.UsageError(f"CI needs Redis: {missing}")
    if (missing := prometheus_missing()) is not None:
        raise pytest.UsageError(f"CI needs Prometheus: {missing}")
    if (missing := agent_cli_missing()) is not None:
        raise pytest.UsageError(f"CI needs the Claude CLI: {missing}")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def providers() -> Iterator[SandboxProcess]:
    """The sandbox in a process of its own; it knows what reached it."""
    with SandboxProcess() as process:
        yield process


@pytest.fixture(scope="session")
def scripted_port() -> int:
    """A port on which a test may play a provider itself."""
    return closed_port()


@pytest.fixture(scope="session")
def proxy(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    """A server with the standard policy, before providers whose requests can be looked at."""
    with deaf_port() as deaf:
        policy = standard_policy(providers, scripted=scripted_port, dead=closed_port(), deaf=deaf)
        with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
            yield server


@pytest.fixture(scope="session")
def shipped() -> Iterator[Proxy]:
    """A server as a new user starts it: `serve --sandbox`, with the shipped policy."""
    with Proxy("--sandbox") as server:
        yield server

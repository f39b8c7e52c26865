"""The server's processes of the Claude CLI: how many there may be, and that none outlives it."""

import asyncio
import json
import os
import signal
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI

from tests.agent_cli import NEEDS_CLI
from tests.http.agent_server import ask, client_of, policy, processes, runs, serving, user
from tests.serving import Proxy, SandboxProcess, run_to_end, wait_until

pytestmark = NEEDS_CLI


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_full_house_is_a_429_or_the_next_provider(
    providers: SandboxProcess, tmp_path: Path
) -> None:
    with serving(providers, tmp_path, processes=1, queue=0) as served:
        async with client_of(served) as client:
            first = asyncio.create_task(ask(client, True, [user("Hi [sandbox stall=3]")]))
            await asyncio.to_thread(wait_until, lambda: served.open == 1, 20)
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(
                    model="claude",
                    messages=[{"role": "user", "content": "Hi"}],
                    extra_headers={"x-ep-no-retry": "true"},
                )
            assert int(caught.value.response.headers["retry-after"]) > 0
            raw = await client.chat.completions.with_raw_response.create(
                model="either", messages=[{"role": "user", "content": "Hi"}]
            )
            assert raw.headers["x-ep-provider"] == "anthropic"
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)


async def test_the_end_of_the_server_leaves_nothing(
    providers: SandboxProcess, tmp_path: Path
) -> None:
    with serving(providers, tmp_path, {"EP_DRAIN_TIMEOUT": "0"}, pool=2) as served:
        async with client_of(served) as client:
            await asyncio.to_thread(wait_until, lambda: len(served.agents) == 2, 20)
            asked = asyncio.create_task(ask(client, True, [user("Hi [sandbox stall=3]")]))
            await asyncio.to_thread(wait_until, lambda: served.open == 1, 20)
            below = served.agents
            served.proxy.stop(signal.SIGTERM)
            await asyncio.gather(asked, return_exceptions=True)
        assert not [pid for pid in below if runs(pid)]
        assert left_in(tmp_path) == []


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def listener_of(port: int) -> str:
    """Return what /proc calls the socket that listens on a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in lines]
    (inode,) = {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    return f"socket:[{inode}]"


def sockets(pid: int) -> set[str]:
    return {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.parametrize("workers", [1, 2])
async def test_the_port_is_free_once_the_server_is_gone(
    providers: SandboxProcess, tmp_path: Path, workers: int
) -> None:
    """An agent that outlives a killed server would keep it, if it had the server's socket."""
    with serving(providers, tmp_path, {"EP_WORKERS": str(workers)}, pool=1) as served:
        parent = served.proxy.pid

        def agents() -> dict[int, int]:
            """Return the CLI's processes, and of which server process each is."""
            servers = [parent] if workers == 1 else children(parent)
            return {agent: server for server in servers for agent in processes(server)}

        await asyncio.to_thread(wait_until, lambda: len(agents()) == workers, 40)
        listener = listener_of(int(served.proxy.url.rpartition(":")[2]))
        for agent, server in agents().items():
            assert listener in sockets(server)
            assert listener not in sockets(agent)


async def test_what_a_crash_leaves_the_next_server_removes(
    providers: SandboxProcess, tmp_path: Path
) -> None:
    with serving(providers, tmp_path, pool=2) as served:
        await asyncio.to_thread(wait_until, lambda: len(served.agents) == 2, 20)
        below = served.agents
        served.proxy.send(signal.SIGKILL)
        served.proxy.wait()
    assert len(left_in(tmp_path)) == 2
    with serving(providers, tmp_path, pool=0) as served:
        await asyncio.to_thread(wait_until, lambda: left_in(tmp_path) == [], 10)
        assert not [pid for pid in below if runs(pid)]


def test_the_operators_login_is_told_of(providers: SandboxProcess, tmp_path: Path) -> None:
    given = policy(providers, api_key_env=[])
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(given))
    env = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat-1", "EP_POLICY": str(path), "UPSTREAM_KEY": "k"}
    done = run_to_end("check", env=env)
    assert "the operator's own login (CLAUDE_CODE_OAUTH_TOKEN)" in done.stdout
    assert "not for serving others" in done.stdout
    assert "sk-ant-oat-1" not in done.stdout
    env["EP_HOST"] = "0.0.0.0"
    assert "serves the operator alone" in run_to_end("check", env=env).stdout


async def test_the_shipped_architect_is_served_so_on_the_sandbox(tmp_path: Path) -> None:
    env = {"EP_POLICY": "", "TMPDIR": str(tmp_path)}
    with Proxy("--sandbox", env=env) as proxy:
        async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="any") as client:
            raw = await client.chat.completions.with_raw_response.create(
                model="architect", messages=[{"role": "user", "content": "Design a REST API"}]
            )
        assert raw.headers["x-ep-provider"] == "claude_agent"
        assert raw.parse().choices[0].finish_reason == "stop"
        proxy.stop(signal.SIGTERM)
    assert left_in(tmp_path) == []

"""How uvicorn is set: its event loop, connections that wait, connections that idle."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.server import KEEP_ALIVE
from tests.http.wire import Connection, body_of, eventually, head
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess, clean_environment

WITHOUT_UVLOOP = "import sys\nsys.modules['uvloop'] = None\n"


def _without_uvloop(folder: Path) -> Mapping[str, str]:
    """Return an environment in which Python finds no uvloop."""
    (folder / "sitecustomize.py").write_text(WITHOUT_UVLOOP)
    path = os.pathsep.join((str(folder), clean_environment()["PYTHONPATH"]))
    return {"PYTHONPATH": path, "UPSTREAM_KEY": UPSTREAM_KEY}


async def _listens(server: Proxy) -> bool:
    try:
        async with await Connection.open(server):
            return True
    except ConnectionRefusedError:
        return False


async def _answered(client: Connection, body: Mapping[str, Any]) -> None:
    """Ask over an open connection; the answer is a whole one."""
    data = json.dumps(body).encode()
    client.received = b""
    await client.send(head(length=len(data)) + data)
    await client.until(b'"finish_reason":"stop"')
    assert client.received.startswith(b"HTTP/1.1 200 "), client.received[:300]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop to be without")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_without_uvloop_it_serves_on_asyncios_loop_and_says_so(
    providers: SandboxProcess, tmp_path: Path, workers: str
) -> None:
    env = {**_without_uvloop(tmp_path), "EP_WORKERS": workers}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        # With several workers it says that it listens when it is about to.
        await eventually(lambda: _listens(server), 40, "the server")
        async with await Connection.open(server) as client:
            await _answered(client, body_of("openai_only"))
            await _answered(client, body_of("anthropic_only"))
        assert server.records("uvloop is not installed", level="warning")
        assert server.stop() in (0, -signal.SIGTERM)


async def test_with_uvloop_nothing_is_said_of_it(proxy: Proxy) -> None:
    assert not proxy.records("uvloop")


async def test_a_thousand_connections_at_once_wait_while_the_server_is_busy(
    providers: SandboxProcess,
) -> None:
    """None is refused or lost: they wait in the backlog, and are served in their turn."""
    env = {"UPSTREAM_KEY": UPSTREAM_KEY}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        server.send(signal.SIGSTOP)
        try:
            # The system takes them, as nobody else can now.
            async with asyncio.timeout(20):
                clients = await asyncio.gather(*(Connection.open(server) for _ in range(1000)))
        finally:
            server.send(signal.SIGCONT)
        try:
            await asyncio.gather(*(_answered(c, body_of("openai_only")) for c in clients[::20]))
        finally:
            for client in clients:
                await client.close()


async def test_a_connection_that_idles_is_kept(proxy: Proxy) -> None:
    """Beyond uvicorn's own five seconds, which the official SDKs' pools do not know of."""
    async with await Connection.open(proxy) as client:
        await _answered(client, body_of("openai_only"))
        await asyncio.sleep(6)
        await _answered(client, body_of("openai_only"))
    assert KEEP_ALIVE > 60

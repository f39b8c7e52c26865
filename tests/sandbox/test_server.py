import asyncio
import logging
import signal
import subprocess
import sys
from typing import Any

import httpx
import pytest

from proxy.sandbox.app import create_sandbox
from proxy.sandbox.server import SandboxServer

from .conftest import Wire
from .test_faults import sent


async def test_addresses(sandbox: SandboxServer) -> None:
    assert sandbox.port > 0
    assert sandbox.openai_base_url == f"http://127.0.0.1:{sandbox.port}/openai/v1"
    assert sandbox.anthropic_base_url == f"http://127.0.0.1:{sandbox.port}/anthropic"
    assert sandbox.gemini_base_url == f"http://127.0.0.1:{sandbox.port}/gemini"


async def test_host_process_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    loggers = {name: logging.getLogger(name) for name in ("uvicorn", "uvicorn.access")}
    before = {n: (list(g.handlers), g.propagate, g.level) for n, g in loggers.items()}
    tasks = asyncio.all_tasks()
    async with SandboxServer() as server:
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        async with httpx.AsyncClient() as client:
            await client.get(f"{server.base_url}/_sandbox/stats")
    assert {n: (list(g.handlers), g.propagate, g.level) for n, g in loggers.items()} == before
    assert [r for r in caplog.records if r.name.startswith("uvicorn")] == []
    assert asyncio.all_tasks() == tasks


async def test_leaving_cuts_open_streams() -> None:
    async with SandboxServer() as server:
        raws = [await sent(server, "openai", "[sandbox stall=2]") for _ in range(3)]
        for raw in raws:
            await raw.read_until(b"data: ")
        idle = await asyncio.open_connection("127.0.0.1", server.port)
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 2
    for raw in raws:
        await raw.read_to_end()
        assert not raw.received.endswith(b"0\r\n\r\n")
        await raw.close()
    assert await idle[0].read() == b""
    idle[1].close()
    await idle[1].wait_closed()


async def test_port_can_be_chosen_and_taken_again() -> None:
    async with SandboxServer() as first:
        port = first.port
        with pytest.raises(OSError, match=r".*"):
            async with SandboxServer(port=port):
                pass
    async with SandboxServer(port=port) as second:
        assert second.port == port


async def test_stats_and_requests(wire: Wire) -> None:
    await wire.openai("one")
    await wire.anthropic("two", stream=True)
    await wire.gemini("three")
    stats = await wire.stats()
    done = {"started": 1, "finished": 1, "open": 0, "aborted_by_client": 0}
    dialects = {"openai": done, "anthropic": done, "gemini": done}
    assert stats == {"dialects": dialects, "connections_opened": 1}
    first, second, third = await wire.requests()
    assert (first["method"], first["path"]) == ("POST", "/openai/v1/chat/completions")
    assert first["headers"]["authorization"] == "Bearer sk-sandbox"
    assert first["body"]["messages"][0]["content"] == "one"
    assert second["headers"]["anthropic-version"] == "2026-10-21"
    assert third["path"] == "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
    await wire.client.delete(f"{wire.server.base_url}/_sandbox/requests")
    assert await wire.requests() == []


async def test_only_the_last_requests_are_kept(wire: Wire) -> None:
    for i in range(203):
        await wire.openai(f"{i} [sandbox fail=400]")
    kept = await wire.requests()
    assert len(kept) == 200
    assert kept[0]["body"]["messages"][0]["content"].startswith("3 ")


async def test_unknown_paths_are_refused_in_shape(wire: Wire) -> None:
    base = wire.server.base_url
    key = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    answer = await wire.client.get(f"{base}/openai/v1/zork", headers=key)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        404,
        "Invalid URL (GET /v1/zork)",
    )
    answer = await wire.client.get(f"{base}/openai/v1/chat/completions", headers=key)
    assert answer.status_code == 404
    answer = await wire.client.get(f"{base}/anthropic/v1/zork", headers=key)
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
    answer = await wire.client.get(f"{base}/openai/v1/models/does-not-exist", headers=key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    answer = await wire.client.get(f"{base}/anthropic/v1/models/does-not-exist", headers=key)
    assert answer.status_code == 404
    answer = await wire.client.get(f"{base}/anthropic/v1/models", headers={})
    assert answer.status_code == 401


async def test_the_application_runs_under_any_server() -> None:
    transport = httpx.ASGITransport(create_sandbox())
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        body: Any = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}]}
        answer = await client.post(
            "/openai/v1/chat/completions", headers={"authorization": "Bearer k"}, json=body
        )
    assert answer.status_code == 200


def test_no_vendor_library_is_imported() -> None:
    code = (
        "import sys, proxy.sandbox.server\n"
        "bad = {'openai', 'anthropic', 'google', 'aiohttp', 'httpx', 'httpx2', 'translators',"
        " 'policy', 'opentelemetry'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

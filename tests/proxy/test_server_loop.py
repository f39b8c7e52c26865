"""A server that has nothing to do sleeps, and a signal wakes it."""

import asyncio
import signal

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from proxy import server as served

AT_ONCE = 5.0
"""Seconds; the next look at the clock is much later."""


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never asked."""


def server_of() -> served.Server:
    config = uvicorn.Config(_nothing, lifespan="off", log_config=None)
    config.load()
    return served.Server(config, lambda: None)


@pytest.mark.parametrize("early", [False, True], ids=["while it waits", "before it waits"])
async def test_a_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, early: bool) -> None:
    monkeypatch.setattr(served, "TICK", 3600.0)
    server = server_of()
    if early:
        server.handle_exit(signal.SIGTERM, None)
    loop = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.05)
    if not early:
        assert not loop.done()
        server.handle_exit(signal.SIGTERM, None)
    async with asyncio.timeout(AT_ONCE):
        await loop
    # A second one is for whoever waits for the last answers.
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit


async def test_the_date_of_answers_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "TICK", 0.01)
    server = server_of()
    loop = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.05)
    monkeypatch.setattr("uvicorn.server.time.time", lambda: 0.0)
    async with asyncio.timeout(AT_ONCE):
        while dict(server.server_state.default_headers)[b"date"][:4] != b"Thu,":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    server.handle_exit(signal.SIGTERM, None)
    await loop

"""Whoever leaves, at whatever moment, leaves no process, no call of the API and no file behind."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.call import Call
from proxy.providers.claude_agent.surroundings import PREFIX
from tests.claude_agent.running import NEEDS_CLI, Agent, children, leftovers, running
from tests.http.agent_server import runs
from tests.serving import ROOT
from translators.errors import ProviderError

pytestmark = NEEDS_CLI

SECOND = 1.0
"""By when the API must have seen the client go."""


async def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.1, 0.3, 0.6, 0.9])
async def test_a_request_is_cancelled_at_any_moment(agent: Agent, moment: float):
    task = asyncio.create_task(agent.whole("Hi [sandbox words=5 stall=3]"))
    await asyncio.sleep(moment)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: leftovers() == [], SECOND)
    await until(lambda: agent.open == 0, SECOND)
    assert agent.transport.admission.inside == 0


@pytest.mark.parametrize("text", ["Hi [sandbox stall=0]", "Hi [sandbox words=5 stall=4]"])
async def test_the_api_sees_a_client_leave(agent: Agent, text: str):
    task = asyncio.create_task(agent.whole(text))
    await until(lambda: agent.open == 1, 30)
    await asyncio.sleep(0.2)
    task.cancel()
    await until(lambda: agent.open == 0, SECOND)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert agent.aborted == 1
    assert len(agent.calls) == 1


async def test_a_stream_is_closed_in_the_middle(agent: Agent):
    answer = await agent.prepare("Hi [sandbox words=50 gap=0.05]").open(Call())
    await anext(answer)
    assert len(children()) == 1
    await answer.aclose()
    assert leftovers() == []
    await until(lambda: agent.open == 0, SECOND)
    await answer.aclose()  # Twice does no harm.
    assert agent.transport.admission.inside == 0


async def test_the_end_of_the_server_ends_what_runs():
    async with running() as agent:
        answers = [await agent.prepare("Hi [sandbox stall=3]").open(Call()) for _ in range(2)]
        assert len(children()) == 2
        await agent.transport.aclose()
        assert leftovers() == []
        for answer in answers:
            await answer.aclose()


@pytest.mark.parametrize("pool", [0, 1])
async def test_the_end_of_the_server_ends_what_begins(pool: int):
    """Whoever waits for it is told, and at once; what was being started goes, too."""
    async with running(pool=pool) as agent:
        asked = [asyncio.create_task(agent.whole("Hi [sandbox stall=3]")) for _ in range(2)]
        await asyncio.sleep(0.3)
        await agent.transport.aclose()
        async with asyncio.timeout(20):
            ended = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(error, ProviderError) for error in ended)
        await until(lambda: leftovers() == [], 5)
        assert agent.transport.admission.inside == 0
        with pytest.raises(ProviderError, match="stopping"):
            await agent.whole("Hi")


async def test_an_answer_that_nobody_reads_is_ended_at_once():
    """Its pipe is full: it would never come to the end of it."""
    async with running() as agent:
        answer = await agent.prepare("Hi [sandbox words=40000 chunks=40000]").open(Call())
        await anext(answer)
        await asyncio.sleep(1)
        async with asyncio.timeout(4):
            await answer.aclose()
        assert leftovers() == []


async def test_what_the_cli_started_goes_with_it(tmp_path: Path):
    """The whole process group is killed, not only its leader."""
    note = tmp_path / "child"
    cli = tmp_path / "claude"
    cli.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {note}\nwait\n")
    cli.chmod(0o755)
    async with running(cli=cli) as agent:
        task = asyncio.create_task(agent.whole("Hi"))
        await until(lambda: note.exists() and note.read_text().strip() != "", 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    child = int(note.read_text())
    await until(lambda: not runs(child), SECOND)


async def test_many_requests_in_a_row_leave_nothing(agent: Agent):
    for _ in range(5):
        await agent.whole("Hi [sandbox words=3]")
        assert leftovers() == []
    open_files = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await agent.whole("Hi [sandbox words=3]")
    assert len(os.listdir("/proc/self/fd")) <= open_files


_CRASH = """
import asyncio, os, signal, sys
from tests.claude_agent.running import running
from proxy.call import Call

async def main():
    async with running() as agent:
        answer = await agent.prepare("Hi [sandbox stall=3]").open(Call())
        await anext(answer)
        (conversation,) = agent.transport._live
        print(conversation._process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_crash_of_ours_is_cleared_up_after():
    crashed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CRASH],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=False,
    )
    assert crashed.returncode == -signal.SIGKILL
    pid = int(crashed.stdout)
    async with running() as agent:
        agent.transport.start()
        await until(lambda: not runs(pid), 10)
        await until(lambda: not _left_by(pid), 10)


def _left_by(pid: int) -> list[Path]:
    folder = Path(tempfile.gettempdir())
    return [path for path in folder.glob(f"{PREFIX}*") if _note(path) == str(pid)]


def _note(path: Path) -> str:
    try:
        return (path / "pid").read_text()
    except OSError:
        return ""

"""Parked processes serve one request each, as a new one would, and are replaced."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from proxy.call import Call
from proxy.providers.claude_agent import pool as pools
from proxy.providers.claude_agent.pool import NEEDED, Pool, memory_left
from proxy.providers.claude_agent.process import CliProcess
from tests.claude_agent.running import NEEDS_CLI, children, leftovers, running
from tests.claude_agent.test_cancellation import until
from tests.claude_agent.test_chat import TOOLS, unmarked
from translators.errors import ProviderError

pytestmark = NEEDS_CLI


async def test_a_parked_process_serves_one_request_and_is_replaced():
    async with running(pool=2) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked == 2, 30)
        parked = set(children())
        assert len(parked) == 2
        answer = await agent.prepare("Hi [sandbox words=5 stall=3]").open(Call())
        await anext(answer)
        await until(lambda: agent.transport.pool.parked == 2, 30)
        assert len(parked & set(children())) == 2  # One of them serves, one is parked still.
        assert len(children()) == 3
        await answer.aclose()
        assert len(parked & set(children())) == 1
        assert len(children()) == 2


async def test_each_request_is_told_to_its_process_only():
    """Model, prompt, tools and parameters are those of the request, and no earlier one's."""
    async with running(pool=1) as agent:
        agent.transport.start()
        for number, model in enumerate(("claude-sonnet-5", "claude-opus-4-6", "claude-haiku-4-5")):
            await until(lambda: agent.transport.pool.parked == 1, 30)
            messages = [
                {"role": "system", "content": f"prompt {number}"},
                {"role": "user", "content": "before"},
                {"role": "assistant", "content": f"answer {number}"},
                {"role": "user", "content": "Hi [sandbox words=3]"},
            ]
            tools: dict[str, Any] = {"tools": TOOLS[:number]} if number else {}
            await agent.whole(messages=messages, model=model, max_tokens=50 + number, **tools)
            body = agent.calls[-1]["body"]
            assert body["model"].startswith(model)
            assert body["max_tokens"] == 50 + number
            assert [block["text"] for block in body["system"][1:]] == [f"prompt {number}"]
            assert len(body["tools"]) == number
            assert [turn["content"][0]["text"] for turn in unmarked(body["messages"])] == [
                "before",
                f"answer {number}",
                "Hi [sandbox words=3]",
            ]
        assert len(agent.calls) == 3


async def test_a_parked_process_that_died_is_not_taken():
    async with running(pool=1) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked == 1, 30)
        (parked,) = children()
        os.kill(parked, signal.SIGKILL)
        await until(lambda: agent.transport.pool.parked == 0, 30)
        answer = await agent.whole("Hi [sandbox words=3]")
        assert answer.choices[0].finish_reason == "stop"
        assert parked not in children()


async def test_a_parked_process_that_died_is_replaced_unless_all_would(
    monkeypatch: pytest.MonkeyPatch,
):
    async with running(pool=1) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked == 1, 30)
        (parked,) = children()
        os.kill(parked, signal.SIGKILL)
        # It has hardly lived: the next one would not either.
        await until(lambda: leftovers() == [], 30)
        assert agent.transport.gate.doors == 0
        monkeypatch.setattr(pools, "SHORTEST_LIFE", 0.0)
        agent.transport.pool.fill()
        await until(lambda: agent.transport.pool.parked == 1, 30)
        (parked,) = children()
        os.kill(parked, signal.SIGKILL)
        await until(lambda: children() not in ([parked], []), 30)
        await until(lambda: agent.transport.pool.parked == 1, 30)


async def test_where_no_directory_can_be_made_that_is_told_and_nothing_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    for pool in (0, 1):
        async with running(pool=pool) as agent:
            agent.transport.start()
            with pytest.raises(ProviderError, match="cannot be started"):
                await agent.whole("Hi")
            assert agent.transport.admission.inside == 0
            assert agent.transport.gate.doors == 0
    monkeypatch.undo()


async def test_a_parked_process_that_dies_unnoticed_costs_an_error_and_nothing_else():
    async with running(pool=1) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked == 1, 30)
        await asyncio.sleep(1)
        task = asyncio.create_task(agent.whole("Hi [sandbox words=3]"))
        os.kill(children()[0], signal.SIGKILL)
        with pytest.raises(ProviderError):
            await task
        assert agent.transport.admission.inside == 0


async def test_none_is_parked_where_memory_is_short():
    tries: list[int] = []

    async def start() -> CliProcess:
        tries.append(1)
        raise ProviderError("no", kind="server")

    pool = Pool(2, start, memory=lambda: NEEDED - 1)
    pool.fill()
    await asyncio.sleep(0.05)
    assert tries == []
    await pool.aclose()


async def test_a_closed_pool_leaves_nothing_and_parks_no_more():
    async with running(pool=3) as agent:
        agent.transport.start()
        await until(lambda: agent.transport.pool.parked > 0, 30)
        await agent.transport.pool.aclose()
        assert leftovers() == []
        agent.transport.pool.fill()
        await asyncio.sleep(0)
        assert agent.transport.pool.parked == 0


async def test_a_cli_that_cannot_be_started_is_not_tried_for_ever():
    async def fail() -> CliProcess:
        nonlocal tries
        tries += 1
        raise ProviderError("no", kind="server")

    tries = 0
    pool = Pool(2, fail)
    pool.fill()
    await asyncio.sleep(0.05)
    assert tries == 1
    with pytest.raises(ProviderError):
        await pool.take()
    await pool.aclose()


def test_the_memory_that_is_left_is_known():
    left = memory_left()
    assert left is None or left > 0


async def test_requests_beyond_the_limit_wait_and_are_turned_away():
    async with running(processes=1, queue=1, patience=30.0) as agent:
        answer = await agent.prepare("Hi [sandbox words=5 stall=3]").open(Call())
        waiting = asyncio.create_task(agent.whole("Hi [sandbox words=3]"))
        await until(lambda: agent.transport.admission.waiting == 1, 30)
        with pytest.raises(ProviderError) as caught:
            await agent.whole("Hi")
        assert caught.value.kind == "rate_limit"
        assert len(children()) == 1
        await answer.aclose()
        assert (await waiting).choices[0].finish_reason == "stop"

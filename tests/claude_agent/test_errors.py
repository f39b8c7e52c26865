"""What goes wrong at the API, in the CLI or on the machine has its place in our tree of errors."""

import asyncio
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from policy.providers import Timeouts
from proxy.call import Call
from tests.claude_agent.running import KEY, NEEDS_CLI, Agent, children, running
from translators.errors import ProviderError, StreamTruncated
from translators.errors import TimeoutError as ProviderTimeout

pytestmark = NEEDS_CLI

Json = dict[str, Any]


async def failure(agent: Agent, text: str) -> tuple[ProviderError, list[Json]]:
    """Return the error that a stream ends with, and the chunks before it."""
    chunks: list[Json] = []
    with pytest.raises(ProviderError) as caught:
        async for chunk in agent.chunks(text):
            chunks.append(chunk)
    return caught.value, chunks


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, "invalid", 400),
        (401, "auth", 502),
        (403, "auth", 502),
        (404, "not_found", 404),
        (413, "too_large", 413),
        (429, "rate_limit", 429),
        (500, "server", 502),
        (529, "overloaded", 503),
    ],
)
async def test_a_status_of_the_api_has_its_kind(agent: Agent, status: int, kind: str, hint: int):
    error, chunks = await failure(agent, f"Hi [sandbox fail={status}]")
    assert (error.kind, error.status, error.status_hint) == (kind, status, hint)
    assert chunks == []
    assert "API Error" not in error.message


@pytest.mark.parametrize(
    ("fail", "kind", "code"),
    [
        ("context", "invalid", "context_length_exceeded"),
        ("quota", "quota", "insufficient_quota"),
    ],
)
async def test_what_only_the_text_says_is_read(agent: Agent, fail: str, kind: str, code: str):
    error, _ = await failure(agent, f"Hi [sandbox fail={fail}]")
    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize("fault", ["cut=6", "eof=6", "error=6"])
async def test_a_broken_answer_never_looks_finished(agent: Agent, fault: str):
    """The CLI closes a broken stream with events of its own, and a null stop reason."""
    error, chunks = await failure(agent, f"Hi [sandbox words=30 gap=0.01 {fault}]")
    assert error.status_hint >= 500
    assert chunks != []
    assert all(choice["finish_reason"] is None for c in chunks for choice in c["choices"])


async def test_what_the_cli_does_not_tell_is_read_at_the_gate(agent: Agent):
    call = Call()
    with pytest.raises(ProviderError) as caught:
        await agent.prepare("Hi [sandbox fail=429 retry_after=7]").complete(call)
    error = caught.value
    assert (error.retry_after, error.native_type) == (7.0, "rate_limit_error")
    assert call.status == 429 and (call.request_id or "").startswith("req_")
    answered = Call()
    await agent.prepare("Hi").complete(answered)
    assert answered.status == 200 and answered.request_id != call.request_id


async def test_the_trace_of_the_attempt_goes_along_and_no_other(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TRACEPARENT", "00-11111111111111111111111111111111-1111111111111111-01")
    own = {"traceparent": "00-22222222222222222222222222222222-2222222222222222-01"}
    await agent.prepare("Hi").complete(Call(carrier=own))
    await agent.prepare("Hi").complete(Call())
    first, second = (call["headers"] for call in agent.calls)
    assert first["traceparent"] == own["traceparent"]
    assert "traceparent" not in second


async def test_an_api_that_is_not_there_is_a_network_error():
    async with running(base_url="http://127.0.0.1:9") as agent:
        error, _ = await failure(agent, "Hi")
    assert (error.kind, error.status) == ("network", None)


async def test_silence_has_a_limit():
    async with running(timeouts=Timeouts(idle=0.5)) as agent:
        error, _ = await failure(agent, "Hi [sandbox words=5 stall=3]")
        assert isinstance(error, ProviderTimeout) and error.phase == "idle"
    async with running(timeouts=Timeouts(idle=30, total=0.5)) as agent:
        error, _ = await failure(agent, "Hi [sandbox words=5 stall=3]")
        assert isinstance(error, ProviderTimeout) and error.phase == "total"


async def test_a_killed_process_is_told(agent: Agent):
    with pytest.raises(ProviderError) as caught:
        async for _ in agent.chunks("Hi [sandbox words=5 stall=3]"):
            os.kill(children()[0], signal.SIGKILL)
    assert caught.value.kind == "server"
    assert "-9" in caught.value.message
    assert not isinstance(caught.value, StreamTruncated)


@pytest.mark.parametrize("path", ["/nowhere/claude", "/etc/hostname"])
async def test_a_missing_cli_is_told(path: str):
    async with running(cli=Path(path)) as agent:
        error, _ = await failure(agent, "Hi")
        assert agent.transport.admission.inside == 0
    assert error.kind == "server"
    assert "cannot be started" in error.message


def program(folder: Path, script: str) -> Path:
    path = folder / "claude"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


async def test_the_last_words_of_the_cli_are_told_without_the_key(tmp_path: Path):
    cli = program(tmp_path, 'echo "unknown option --bare for $ANTHROPIC_API_KEY" >&2; exit 3')
    async with running(cli=cli) as agent:
        error, _ = await failure(agent, "Hi")
    assert "status 3" in error.message and "unknown option --bare" in error.message
    assert KEY not in error.message


async def test_what_the_cli_complains_of_is_bounded(tmp_path: Path):
    cli = program(tmp_path, "yes complaint | head -c 9000000 >&2; exit 3")
    async with running(cli=cli) as agent:
        error, _ = await failure(agent, "Hi")
    assert len(error.message) < 4096


async def test_a_cli_that_talks_nonsense_is_a_broken_protocol(tmp_path: Path):
    cli = program(tmp_path, "echo not for us; echo '{broken'; sleep 60")
    async with running(cli=cli) as agent:
        error, _ = await failure(agent, "Hi")
    assert error.kind == "protocol"


async def test_a_cli_that_never_gets_ready_has_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proxy.providers.claude_agent.transport.START_SECONDS", 0.5)
    async with running(cli=program(tmp_path, "sleep 60 & wait")) as agent:
        error, _ = await failure(agent, "Hi")
        assert isinstance(error, ProviderTimeout) and error.phase == "connect"
        assert "not ready within 0.5 s" in str(error)
        assert "`execution-platform doctor`" in str(error)
        await asyncio.sleep(0)
        assert agent.transport.admission.inside == 0

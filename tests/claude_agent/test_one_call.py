"""One request of a client is one call of the API, however it ends.

Left alone, the CLI has a cut answer continued, a refused one repeated, an empty one asked for
again, and a failed call tried anew: up to eleven calls, all of them billed.
"""

import asyncio

import pytest

from proxy.call import Call
from proxy.providers.claude_agent.process import CliProcess
from tests.claude_agent.running import NEEDS_CLI, Agent, running
from tests.claude_agent.test_chat import TOOLS
from translators.errors import ProviderError

pytestmark = NEEDS_CLI

ENDS = {
    "end_turn": ("[sandbox words=5]", "stop"),
    "max_tokens": ("[sandbox words=5 stop_reason=max_tokens]", "length"),
    "max_tokens in thoughts": ('[sandbox think say="" stop_reason=max_tokens]', "length"),
    "refusal": ("[sandbox refuse]", "content_filter"),
    "empty": ('[sandbox say=""]', "stop"),
    "only thoughts": ('[sandbox think say=""]', "stop"),
    "stop_sequence": ("[sandbox words=5 stop_reason=stop_sequence]", "stop"),
    "pause_turn": ("[sandbox words=5 stop_reason=pause_turn]", "length"),
    "context": ("[sandbox words=5 stop_reason=model_context_window_exceeded]", "length"),
    "unknown": ("[sandbox words=5 stop_reason=brand_new]", "stop"),
    "compaction": ("[sandbox words=5 stop_reason=compaction]", "length"),
    "tool_use": ("[sandbox tool=weather]", "tool_calls"),
    "three calls": ("[sandbox tools=3]", "tool_calls"),
    "a call that is not on offer": ("[sandbox tool=weather args={}]", "tool_calls"),
    "a call cut short": ("[sandbox tool=weather stop_reason=max_tokens]", "length"),
}


async def settled(agent: Agent) -> int:
    """Return how many calls there were, after the time in which the CLI would make another."""
    await agent.transport.aclose()
    await asyncio.sleep(0.1)
    return len(agent.calls)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("way", "pool"), [("whole", 0), ("streamed", 1)])
async def test_an_answer_is_one_call(way: str, pool: int, end: str):
    """Also where all of it comes at once, and the CLI has begun the next call when it is killed."""
    text, reason = ENDS[end]
    async with running(pool=pool) as agent:
        answer = await getattr(agent, way)(f"Hi {text}", tools=TOOLS, reasoning_effort="low")
        assert answer.choices[0].finish_reason == reason
        assert await settled(agent) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 503, 529])
async def test_a_failure_is_one_call(agent: Agent, status: int):
    with pytest.raises(ProviderError):
        await agent.whole(f"Hi [sandbox fail={status}]")
    assert await settled(agent) == 1


async def test_a_model_that_nobody_knows_is_one_call(agent: Agent):
    with pytest.raises(ProviderError) as caught:
        await agent.whole("Hi", model="claude-does-not-exist")
    assert caught.value.code == "model_not_found"
    assert await settled(agent) == 1


@pytest.mark.parametrize("fault", ["cut=4", "eof=4", "error=4", "garbage=4 eof=6"])
async def test_a_broken_answer_is_one_call(agent: Agent, fault: str):
    with pytest.raises(ProviderError):
        await agent.whole(f"Hi [sandbox words=20 gap=0.01 {fault}]")
    assert await settled(agent) == 1


def spare(process: CliProcess) -> None:
    """Stand in for `CliProcess.kill`."""


@pytest.mark.parametrize("text", ["[sandbox words=5", "[sandbox tool=weather", "[sandbox think"])
async def test_a_cli_that_is_killed_late_calls_nobody(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, text: str
):
    """One call passes the gate, whatever the CLI goes on to do."""
    answer = await agent.prepare(
        f"Hi {text} stop_reason=max_tokens gap=0.02]", tools=TOOLS, reasoning_effort="low"
    ).open(Call())
    await anext(answer)
    with monkeypatch.context() as late:
        late.setattr(CliProcess, "kill", spare)
        async for _ in answer:
            pass
        await asyncio.sleep(1)  # Left alone, it has called again by now.
    await answer.aclose()
    assert await settled(agent) == 1

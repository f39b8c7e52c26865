"""Gauges of what is: gates, the policy, the Claude CLI's processes; and what an agent cost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.claude_agent.running import NEEDS_CLI
from tests.http.agent_server import Served, ask, client_of, serving, user
from tests.http.wire import chat
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.scrape import page, sample, samples
from tests.serving import Proxy, SandboxProcess, wait_until

Json = dict[str, Any]


def policy_with_gates(providers: SandboxProcess, *personas: str) -> Json:
    policy = standard_policy(providers)
    both = {"provider_preferences": ["anthropic", "openai"]}
    policy["personas"] = dict.fromkeys(personas, both)
    return {**policy, "live_gates": {"min_samples": 2, "cooldown": 600}}


@pytest.fixture
def gated(providers: SandboxProcess) -> Iterator[Proxy]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_POLICY_RELOAD": "0.1"}
    with Proxy(env=env, policy=policy_with_gates(providers, "writer", "reader")) as server:
        yield server


def gate(persona: str, provider: str, model: str) -> str:
    labels = {"ep_persona": persona, "ep_provider": provider, "gen_ai_request_model": model}
    return sample("ep_gate_open", **labels)


async def test_an_open_gate_is_1_and_one_that_is_gone_is_0(
    gated: Proxy, providers: SandboxProcess
) -> None:
    for _ in range(2):
        await chat(gated, "writer", "[sandbox provider=anthropic fail=529]")
    open_gate = gate("writer", "anthropic", "claude-sonnet-4-6")
    found = samples(page(gated))
    assert found[open_gate] == 1
    assert found[gate("writer", "openai", "gpt-4.1")] == 0
    assert gate("reader", "anthropic", "claude-sonnet-4-6") not in found
    gated.change_policy(policy_with_gates(providers, "reader"))
    wait_until(lambda: samples(page(gated))[open_gate] == 0, 20)


async def test_the_policy_that_serves_and_one_that_is_wrong_are_told(
    gated: Proxy, providers: SandboxProcess
) -> None:
    number, wrong = sample("ep_policy_generation"), sample("ep_policy_wrong")
    found = samples(page(gated))
    assert (found[number], found[wrong]) == (1, 0)
    gated.change_policy("personas: {writer: {provider_preferences: [nobody]}}")
    wait_until(lambda: samples(page(gated))[wrong] == 1, 20)
    assert samples(page(gated))[number] == 1
    gated.change_policy(policy_with_gates(providers, "other"))
    wait_until(lambda: samples(page(gated))[number] == 2, 20)
    assert samples(page(gated))[wrong] == 0


def test_the_version_is_told(gated: Proxy) -> None:
    from proxy import __version__

    found = samples(page(gated))
    assert found[sample("ep_build_info", version=__version__)] == 1
    # Where none are made none are lost, and an alert has something to look at.
    assert found[sample("ep_spans_exported_total")] == 0


@pytest.fixture
def served(providers: SandboxProcess, tmp_path: Path) -> Iterator[Served]:
    # What it cost an agent tells; a row that only answers tells tokens.
    work = tmp_path / "work"
    work.mkdir()
    agent = {"tools": ["Read"], "working_directory": str(work), "max_turns": 2}
    with serving(providers, tmp_path, pool=1, agent=agent) as found:
        yield found


@NEEDS_CLI
async def test_the_processes_of_the_claude_cli_and_what_it_cost(served: Served) -> None:
    def processes(state: str) -> float:
        name = sample("ep_agent_processes", ep_provider="agent", ep_state=state)
        return samples(page(served.proxy))[name]

    wait_until(lambda: processes("parked") == 1, 30)
    assert processes("serving") == 0
    async with client_of(served) as sdk:
        await ask(sdk, False, [user("Hi")])
    wait_until(lambda: processes("parked") == 1 and processes("serving") == 0, 30)
    found = samples(page(served.proxy))
    assert found[sample("ep_agent_waiting", ep_provider="agent")] == 0
    asked = sample(
        "gen_ai_client_operation_duration_seconds_count",
        gen_ai_operation_name="invoke_agent",
        gen_ai_provider_name="anthropic",
        gen_ai_request_model="claude-sonnet-5",
        ep_upstream_name="agent",
        ep_attempt_reason="initial",
    )
    assert found[asked] == 1
    (cost,) = (value for name, value in found.items() if name.startswith("ep_cost_usd_total"))
    assert 0 < cost < 1

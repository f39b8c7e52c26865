"""What of a server outlives a policy: what became of its answers, and what was kept of them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from policy.schema import Policy, Target, Timeouts
from proxy.assembly import Assembly
from proxy.config import Settings
from proxy.generation import Generation, Generations
from proxy.ticker import Ticker

ONE = Target("one", "m", Timeouts())
ROW = {"dialect": "openai_chat", "base_url": "http://127.0.0.1:9/v1", "model": "m"}


def policy(prompt: str = "Be brief.", **fields: Any) -> Policy:
    persona = {"provider_preferences": ["one"], "system_prompt": prompt, "cache": {"ttl": 60}}
    given = {"providers": {"one": ROW}, "personas": {"p": persona}, "live_gates": {}, **fields}
    return Policy.model_validate(given)


class Made:
    """Generations, one after the other, as a server has them."""

    def __init__(self) -> None:
        self.ticker = Ticker()
        self.assembly = Assembly(Settings(), {}, self.ticker)
        self.generations: Generations | None = None

    async def follow(self, policy: Policy) -> Generation:
        before = None if self.generations is None else self.generations.current
        made = await self.assembly.generation(self.assembly.examine(policy), before)
        if self.generations is None:
            self.generations = Generations(made)
        else:
            self.generations.replace(made)
        self.assembly.begin(made)
        return made


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    made = Made()
    yield made
    assert made.generations is not None
    await made.generations.aclose()
    made.ticker.close()


async def test_gates_and_kept_answers_outlive_a_policy(made: Made):
    first = (await made.follow(policy())).engine
    assert first.gates is not None and first.cache is not None
    first.gates.admit("p", ONE, force=False)
    second = (await made.follow(policy("Be long."))).engine
    assert second.gates is not None and second.gates is first.gates
    assert second.cache is first.cache
    assert list(second.gates.report("p")) == ["one"]


async def test_a_provider_that_changed_begins_anew(made: Made):
    first = (await made.follow(policy())).engine
    assert first.gates is not None
    first.gates.admit("p", ONE, force=False)
    second = (await made.follow(policy(providers={"one": {**ROW, "model": "n"}}))).engine
    assert second.gates is not None and second.gates.report("p") == {}


async def test_other_bounds_are_another_cache_and_none_is_none(made: Made):
    first = (await made.follow(policy())).engine
    second = (await made.follow(policy(response_cache={"max_entries": 5}))).engine
    assert second.cache is not None and second.cache is not first.cache
    third = (await made.follow(policy(live_gates={"enabled": False}))).engine
    assert third.gates is None
    plain = {"p": {"provider_preferences": ["one"]}}
    assert (await made.follow(policy(personas=plain))).engine.cache is None

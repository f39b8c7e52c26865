"""Generations of the policy inside the process: what they share, and when it is closed."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.schema import Policy
from proxy.access import Access
from proxy.engine import Engine
from proxy.generation import Generation, Generations, Part
from proxy.health import Health
from proxy.preparation import Preparation
from proxy.providers.api_choice import ApiChoice, Likeness
from proxy.reasoning_store import NO_REASONING_STORE, MemoryReasoningStore
from proxy.service import Service, load_configuration, open_service
from tests.serving import wait_until

Json = dict[str, Any]


def row(**more: Any) -> Json:
    return {"dialect": "openai_chat", "base_url": "http://127.0.0.1:9/v1", "model": "m", **more}


def generation(*parts: Part[Any], number: int = 1) -> Generation:
    engine = Engine(Policy(), {}, Preparation(Policy(), {}))
    providers = {str(index): part for index, part in enumerate(parts)}
    return Generation(engine, Access((), ()), Health(engine), providers, number=number)


def part(closed: list[str], name: str) -> Part[Any]:
    async def close() -> None:
        closed.append(name)

    return Part[Any](name, name, close)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class TestLifetimes:
    async def test_a_part_goes_with_the_last_request_of_the_last_generation_that_has_it(
        self,
    ) -> None:
        closed: list[str] = []
        old, shared, new = (part(closed, name) for name in ("old", "shared", "new"))
        generations = Generations(generation(old, shared))
        with generations.current, generations.current as first:
            generations.replace(generation(shared, number=2))
            with generations.current as second:
                assert second is not first
                generations.replace(generation(new, number=3))
                await settled()
                assert closed == []
            await settled()
            # The first has it still.
            assert closed == []
        await settled()
        assert closed == ["old", "shared"]
        await generations.aclose()
        assert closed == ["old", "shared", "new"]

    async def test_one_that_nobody_uses_goes_at_once(self) -> None:
        closed: list[str] = []
        generations = Generations(generation(part(closed, "old")))
        with generations.current:
            pass
        assert closed == []
        generations.replace(generation())
        await settled()
        assert closed == ["old"]

    async def test_closing_waits_for_no_request(self) -> None:
        closed: list[str] = []
        generations = Generations(generation(part(closed, "old")))
        with generations.current:
            generations.replace(generation(part(closed, "new")))
            await generations.aclose()
            assert closed == ["old", "new"]
        await settled()
        assert closed == ["old", "new"]

    async def test_a_part_that_does_not_close_keeps_no_other_open(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        closed: list[str] = []

        async def fail() -> None:
            raise OSError("it is stuck")

        generations = Generations(generation(Part[Any]("a", "a", fail), part(closed, "b")))
        await generations.aclose()
        assert closed == ["b"]
        assert "a part of policy generation 1 did not close" in caplog.text


class Served:
    """A service with a policy file, that is asked to read it again."""

    def __init__(self, service: Service, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.service, self.file, self.caplog = service, file, caplog

    async def change(self, policy: Json) -> Generation:
        """Return the generation after a change that was taken, or refused."""
        await asyncio.to_thread(self.file.write_text, json.dumps(policy))
        self.caplog.clear()
        assert self.service.reloader is not None
        self.service.reloader.ask()
        await asyncio.to_thread(wait_until, lambda: "policy: " in self.caplog.text, 10)
        return self.service.generation


@asynccontextmanager
async def serving(
    file: Path, caplog: pytest.LogCaptureFixture, policy: Json
) -> AsyncGenerator[Served]:
    await asyncio.to_thread(file.write_text, json.dumps(policy))
    caplog.set_level(logging.INFO, "execution_platform")
    given = {"EP_POLICY": str(file), "EP_POLICY_RELOAD": "0", "EP_LOG_LEVEL": "warning"}
    async with open_service(load_configuration(given), serves=True) as service:
        yield Served(service, file, caplog)


@pytest.fixture
def start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[[Json], Any]:
    return lambda policy: serving(tmp_path / "policy.yaml", caplog, policy)


def two(**more: Any) -> Json:
    personas = {"a": {"provider_preferences": ["one"]}, "b": {"provider_preferences": ["two"]}}
    return {"providers": {"one": row(), "two": row()}, "personas": personas, **more}


class TestReloading:
    async def test_a_row_that_stays_keeps_its_provider_and_what_that_learned(
        self, start: Callable[[Json], Any]
    ) -> None:
        async with start(two()) as served:
            before = served.service.generation
            one, other = (before.providers[name].value for name in ("one", "two"))
            assert isinstance(one, ApiChoice)
            one.learn(Likeness("m", True, None))
            changed = two(strict=True, client_keys=[{"name": "k", "sha256": "ab" * 32}])
            changed["providers"]["two"] = row(timeouts={"idle": 3})
            after = await served.change(changed)
            assert after.number == before.number + 1
            assert after.providers["one"].value is one
            assert after.providers["two"].value is not other
            assert after.engine.preparation.providers["two"] is after.providers["two"].value
            assert after.engine.preparation.strict
            assert not after.access.open
            assert before.access.open

    async def test_bounds_change_and_what_is_remembered_stays(
        self, start: Callable[[Json], Any]
    ) -> None:
        async with start(two()) as served:
            store = served.service.generation.engine.reasoning
            assert isinstance(store, MemoryReasoningStore)
            store.remember("me", {"x": 1, "y": 2, "z": 3})
            after = await served.change(two(reasoning_store={"max_entries": 2}))
            assert after.engine.reasoning is store
            assert await store.recall("me", ["x", "y", "z"]) == {"y": 2, "z": 3}
            after = await served.change(two(reasoning_store={"enabled": False}))
            assert after.engine.reasoning is NO_REASONING_STORE
            await settled()
            assert len(store) == 0

    async def test_media_rules_follow(self, start: Callable[[Json], Any]) -> None:
        async with start(two()) as served:
            media = served.service.generation.engine.preparation.media
            same = await served.change(two(strict=True))
            assert same.engine.preparation.media is media
            other = await served.change(two(media={"fetch": False}))
            assert other.engine.preparation.media is not media

    async def test_the_environment_still_wins(
        self, start: Callable[[Json], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EP_DEFAULT_PROVIDER", "two")
        async with start(two()) as served:
            changed = two(personas={"a": {"provider_preferences": ["one"]}}, strict=True)
            after = await served.change(changed)
            assert after.engine.policy.default_provider == "two"
            monkeypatch.delenv("EP_DEFAULT_PROVIDER")
            again = await served.change(two())
            assert again.engine.policy.default_provider == "two"

    async def test_the_same_again_is_no_new_generation(self, start: Callable[[Json], Any]) -> None:
        async with start(two()) as served:
            before = served.service.generation
            assert await served.change(two()) is before
            assert "the policy says the same" in served.caplog.text

    async def test_a_fault_of_our_own_leaves_the_old_one_and_the_next_is_taken(
        self, start: Callable[[Json], Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with start(two()) as served:
            before = served.service.generation

            def broken(*_: object, **__: object) -> None:
                raise ZeroDivisionError

            with monkeypatch.context() as patch:
                patch.setattr("proxy.assembly.realm_of", broken)
                changed = two(strict=True)
                changed["providers"]["one"] = row(model="other")
                assert await served.change(changed) is before
                assert (
                    served.service.policy_state()["error"] == "An internal error; the log has it."
                )
            assert (await served.change(two(strict=True))).number == 2
            assert served.service.policy_state()["error"] is None


async def test_another_age_holds_for_what_is_remembered_already() -> None:
    now = [0.0]
    store = MemoryReasoningStore(max_entries=9, max_bytes=9000, max_age=100.0, clock=lambda: now[0])
    store.remember("me", {"old": 1})
    now[0] = 50.0
    store.remember("me", {"new": 2})
    store.keep_within(max_entries=9, max_bytes=9000, max_age=20.0)
    assert await store.recall("me", ["old", "new"]) == {"new": 2}
    store.keep_within(max_entries=9, max_bytes=9000, max_age=1000.0)
    now[0] = 500.0
    assert await store.recall("me", ["old", "new"]) == {"new": 2}

"""A policy that changes while the server runs: no request notices but by being served by it."""

import asyncio
import hashlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from tests.agent_cli import NEEDS_CLI
from tests.http import agent_server
from tests.http.wire import Upstream, chat, eventually, new_client, new_sdk, unique
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess, clean_environment, wait_until

Json = dict[str, Any]
ENV = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_POLICY_RELOAD": "0.05"}
KEY, OTHER = "ep-steady-5d10", "ep-other-93ab"
LOGGER = "execution_platform"


@pytest.fixture(scope="module")
def second() -> Iterator[SandboxProcess]:
    """Where the providers move to."""
    with SandboxProcess() as process:
        yield process


def hashed(key: str, name: str) -> Json:
    return {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()}


def policy(sandbox: SandboxProcess, *more: str, **top: Any) -> Json:
    row = {"api_key_env": "UPSTREAM_KEY", "discover": False}
    providers = {
        "openai": {
            "dialect": "openai_chat",
            "base_url": sandbox.openai,
            "api_key_env": "UPSTREAM_KEY",
            "model": "gpt-4.1",
        },
        "anthropic": {
            **row,
            "dialect": "anthropic_messages",
            "base_url": sandbox.anthropic,
            "model": "claude-sonnet-4-6",
        },
    }
    personas = {
        "writer": ["openai"],
        "reader": ["anthropic"],
        **{name: ["openai"] for name in more},
    }
    return {
        "providers": providers,
        "personas": {name: {"provider_preferences": chain} for name, chain in personas.items()},
        **top,
    }


async def state(proxy: Proxy, key: str = "any") -> Json:
    async with new_client(proxy) as client:
        answer = await client.get("/readyz", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    # Whoever has no key is told nothing of it.
    return answer.json().get("policy", {})


async def serves(proxy: Proxy, generation: int, key: str = "any", seconds: float = 20.0) -> None:
    async def there() -> bool:
        return (await state(proxy, key)).get("generation") == generation

    await eventually(there, seconds, f"generation {generation}")


def descriptors(proxy: Proxy) -> list[str]:
    """Return what the server has open."""
    found: list[str] = []
    for link in Path(f"/proc/{proxy.pid}/fd").iterdir():
        with suppress(OSError):
            found.append(os.readlink(link))
    return found


def connections(proxy: Proxy, url: str) -> set[str]:
    """Return the server's own addresses of its connections to a URL's port."""
    inodes = {name[8:-1] for name in descriptors(proxy) if name.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f":{urlsplit(url).port:04X}"
    return {row[1] for row in rows if row[2].endswith(port) and row[9] in inodes}


@dataclass
class Load:
    """Requests of OpenAI's SDK, one after the other, streamed and not."""

    sdk: AsyncOpenAI
    answers: int = 0
    failures: list[Any] = field(default_factory=list[Any])
    over: bool = False

    async def run(self, number: int) -> None:
        while not self.over:
            text = f"{unique()} [sandbox words=6 chunks=6 gap=0.01]"
            persona = ("writer", "reader")[(self.answers + number) % 2]
            try:
                said = await self._ask(persona, text, stream=bool((self.answers // 2) % 2))
            except openai.OpenAIError as error:
                self.failures.append(error)
            else:
                if said != 6:
                    self.failures.append(f"{said} words")
            self.answers += 1

    async def _ask(self, persona: str, text: str, *, stream: bool) -> int:
        """Return how many words the answer has."""
        asked = self.sdk.chat.completions
        if not stream:
            whole = await asked.create(model=persona, messages=[{"role": "user", "content": text}])
            assert whole.choices[0].finish_reason == "stop"
            return len((whole.choices[0].message.content or "").split())
        async with asked.stream(
            model=persona, messages=[{"role": "user", "content": text}]
        ) as events:
            final = await events.get_final_completion()
        assert final.choices[0].finish_reason == "stop"
        return len((final.choices[0].message.content or "").split())


async def long_answer(sdk: AsyncOpenAI, marker: str, begun: asyncio.Event) -> tuple[str, str]:
    """Return the id and the end of an answer that takes until `say` is over."""
    raw = await sdk.chat.completions.with_raw_response.create(
        model="writer",
        messages=[{"role": "user", "content": f"{marker} [sandbox words=90 chunks=90 gap=0.1]"}],
        stream=True,
    )
    words, finish = 0, ""
    async for chunk in raw.parse():
        for choice in chunk.choices:
            words += bool(choice.delta.content)
            finish = choice.finish_reason or finish
        if words == 2:
            begun.set()
    assert words >= 90
    return raw.headers["x-request-id"], finish


async def test_ten_changes_under_load_lose_no_request(
    providers: SandboxProcess, second: SandboxProcess
) -> None:
    keys = [hashed(KEY, "steady")]
    places = [providers, second]
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        journals = {place.url: await Upstream.open(client, place) for place in places}
        with Proxy(env=ENV, policy=policy(providers, client_keys=keys)) as proxy:
            async with new_sdk(proxy).with_options(api_key=KEY) as sdk:
                load, begun, marker = Load(sdk), asyncio.Event(), unique()
                workers = [asyncio.create_task(load.run(number)) for number in range(4)]
                slow = asyncio.create_task(long_answer(sdk, marker, begun))
                try:
                    await asyncio.wait_for(begun.wait(), 20)
                    for number in range(1, 11):
                        place, extra = places[number % 2], f"extra{number}"
                        row = hashed(f"{OTHER}-{number}", f"other {number}")
                        proxy.change_policy(policy(place, extra, client_keys=[*keys, row]))
                        await serves(proxy, number + 1, KEY)
                        # Of each change all has come: key, persona, provider.
                        headers = {"authorization": f"Bearer {OTHER}-{number}"}
                        answer = await chat(proxy, extra, found := unique(), headers=headers)
                        assert answer.status_code == 200
                        assert await journals[place.url].request(found)
                        headers = {"authorization": f"Bearer {OTHER}-{number - 1}"}
                        assert (await chat(proxy, extra, headers=headers)).status_code == 401
                        gone = await chat(
                            proxy, f"extra{number - 1}", headers={"authorization": f"Bearer {KEY}"}
                        )
                        assert gone.status_code == 404
                    proxy.change_policy(policy(second, client_keys=keys))
                    await serves(proxy, 12, KEY)
                    id, finish = await slow
                finally:
                    load.over = True
                    await asyncio.gather(*workers)
            assert load.failures == []
            assert load.answers > 40
            assert finish == "stop"
            # It ended where it had begun, on a policy that ten others have followed.
            assert await journals[providers.url].request(marker)
            assert proxy.decision(id)["policy"] == 1
            await asyncio.to_thread(wait_until, lambda: not connections(proxy, providers.url))
            assert connections(proxy, second.url)
            told = proxy.records("serves from now on")
            assert len(told) == 11
            assert {(one["level"], one["logger"]) for one in told} == {("info", LOGGER)}
            assert all(one["message"].startswith("policy: ") for one in told)
            first = told[0]["message"]
            assert "generation 2 serves from now on (persona added: extra1; " in first
            assert "providers changed: openai, anthropic; client_keys changed)" in first
            assert {one["level"] for one in proxy.records()} == {"info"}
            assert proxy.tracebacks() == []
            for secret in (KEY, OTHER, UPSTREAM_KEY):
                assert secret not in proxy.log()


async def test_changes_leave_no_descriptor_behind(
    providers: SandboxProcess, second: SandboxProcess
) -> None:
    with Proxy(env=ENV, policy=policy(providers)) as proxy:
        counts: list[int] = []
        for number, place in enumerate([providers, second] * 4, start=1):
            proxy.change_policy(policy(place, f"extra{number}"))
            await serves(proxy, number + 1)
            for persona in ("writer", "reader"):
                assert (await chat(proxy, persona)).status_code == 200
            other = places_without(place, providers, second)
            await asyncio.to_thread(wait_until, lambda: not connections(proxy, other.url))  # noqa: B023
            counts.append(len(descriptors(proxy)))
        # The threads that look at files come one by one; they open nothing.
        assert max(counts[2:]) - min(counts[2:]) <= 2, counts


def places_without(place: SandboxProcess, *places: SandboxProcess) -> SandboxProcess:
    return next(other for other in places if other is not place)


async def test_a_provider_that_did_not_change_keeps_its_connections(
    providers: SandboxProcess,
) -> None:
    with Proxy(env=ENV, policy=policy(providers)) as proxy:
        assert (await chat(proxy, "writer")).status_code == 200
        before = connections(proxy, providers.url)
        assert len(before) == 1
        changed = policy(providers, "new", strict=True)
        changed["providers"]["anthropic"]["model"] = "claude-opus-4-8"
        proxy.change_policy(changed)
        await serves(proxy, 2)
        assert (await chat(proxy, "new")).status_code == 200
        assert connections(proxy, providers.url) == before
        async with new_client(proxy) as client:
            models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ["writer", "reader", "new"]


async def test_a_wrong_policy_is_refused_until_it_is_mended(providers: SandboxProcess) -> None:
    keys = [hashed(KEY, "steady")]
    with Proxy(env=ENV, policy=policy(providers, client_keys=keys)) as proxy:
        first = await state(proxy, KEY)
        assert first["generation"] == 1
        assert first["error"] is None
        assert first["file"] == str(proxy.policy_file)
        assert first["loaded_at"].endswith("+00:00")

        async def refused(*said: str) -> None:
            async def told() -> bool:
                error = (await state(proxy, KEY))["error"] or ""
                return all(text in error for text in said)

            await eventually(told, 20, f"the refusal with {said}")
            assert (await state(proxy, KEY)) == {
                **first,
                "error": (await state(proxy, KEY))["error"],
            }
            headers = {"authorization": f"Bearer {KEY}"}
            assert (await chat(proxy, "writer", headers=headers)).status_code == 200

        wrong = policy(providers, client_keys=keys)
        wrong["personas"]["writer"]["provider_preferences"] = ["opnai"]
        wrong["personas"]["reader"]["requires"] = ["visio"]
        proxy.change_policy(wrong)
        await refused(
            "policy.yaml:1: ", "unknown provider `opnai`. Did you mean `openai`?", "visio"
        )
        # Whoever has no key sees what stood there before: the status.
        async with new_client(proxy) as client:
            assert (await client.get("/readyz")).json() == {"status": "ready"}
        os.utime(proxy.policy_file)
        await asyncio.sleep(0.3)
        (told,) = proxy.records("refused")
        assert (told["level"], told["logger"]) == ("warning", LOGGER)
        assert told["message"].startswith("policy: refused")
        assert "generation 1 stays" in told["message"]
        assert "visio" in told["message"]
        proxy.policy_file.write_text("personas: {writer: {")
        await refused("policy.yaml:1: ", "<stream end>")
        proxy.policy_file.unlink()
        await refused("the file cannot be read (No such file or directory)")
        named = policy(providers, client_keys=keys)
        named["personas"]["writer"]["system_prompt_file"] = "prompt.md"
        proxy.change_policy(named)
        await refused("personas.writer.system_prompt_file: cannot read the file `prompt.md`")
        proxy.policy_file.with_name("prompt.md").write_text("You write.")
        await serves(proxy, 2, KEY)
        assert (await state(proxy, KEY))["error"] is None
        # A prompt is part of the policy.
        proxy.policy_file.with_name("prompt.md").write_text("You write well.")
        await serves(proxy, 3, KEY)
        assert "persona changed: writer" in proxy.records()[-1]["message"]
        assert len(proxy.records(level="warning")) == 4


async def test_the_last_key_does_not_go_where_others_could_come(providers: SandboxProcess) -> None:
    keys = [hashed(KEY, "steady")]
    with Proxy("--host", "0.0.0.0", env=ENV, policy=policy(providers, client_keys=keys)) as proxy:
        proxy.url = f"http://127.0.0.1:{proxy.port}"
        proxy.change_policy(policy(providers, "new"))

        async def told() -> bool:
            return "no client keys any more" in ((await state(proxy, KEY))["error"] or "")

        await eventually(told, 20, "the refusal")
        assert (await chat(proxy, "writer")).status_code == 401
        proxy.change_policy(policy(providers, "new", client_keys=[hashed(OTHER, "other")]))
        await serves(proxy, 2, OTHER)


async def test_sighup_reads_it_at_once(providers: SandboxProcess) -> None:
    env = {**ENV, "EP_POLICY_RELOAD": "0"}
    with Proxy(env=env, policy=policy(providers)) as proxy:
        proxy.change_policy(policy(providers, "new"))
        await asyncio.sleep(0.3)
        assert (await state(proxy))["generation"] == 1
        proxy.send(signal.SIGHUP)
        await serves(proxy, 2)
        proxy.send(signal.SIGHUP)
        await asyncio.to_thread(wait_until, lambda: "the policy says the same" in proxy.log())
        assert (await state(proxy))["generation"] == 2
        assert proxy.stop(signal.SIGTERM) in (0, -signal.SIGTERM)


@pytest.fixture
def several(providers: SandboxProcess, interval: str) -> Iterator[Proxy]:
    env = {**ENV, "EP_POLICY_RELOAD": interval}
    with Proxy("--workers", "2", env=env, policy=policy(providers)) as proxy:
        try:
            yield proxy
        finally:
            # Killed, it would leave its workers behind.
            proxy.stop(signal.SIGTERM, 30)


@pytest.mark.parametrize("interval", ["0", "0.05"])
async def test_every_worker_takes_it(
    several: Proxy, providers: SandboxProcess, interval: str
) -> None:
    proxy = several
    served = "policy: generation 2 serves from now on"

    async def answers() -> bool:
        with suppress(httpx.TransportError):
            return (await chat(proxy, "writer")).status_code == 200
        return False

    await eventually(answers, 30, "the start of a worker")
    # The other one may still be on its way, and would then begin with the new policy.
    await asyncio.sleep(3)
    pids = workers(proxy)
    proxy.change_policy(policy(providers, "new"))
    if interval == "0":
        proxy.send(signal.SIGHUP)
    await asyncio.to_thread(wait_until, lambda: len(proxy.records(served, level="info")) == 2, 20)
    for _ in range(8):
        assert (await chat(proxy, "new")).status_code == 200
    assert workers(proxy) == pids


def workers(proxy: Proxy) -> list[str]:
    return Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split()


def test_a_server_ends_with_its_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    # The first of a session gets the terminal that it opens.
    command = f'exec "$0" -m proxy serve --sandbox --port 0 < {os.ttyname(theirs)}'
    with subprocess.Popen(
        ["/bin/sh", "-c", command, sys.executable],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
        cwd=tmp_path,
        start_new_session=True,
    ) as server:
        try:
            os.close(theirs)
            assert server.stdout is not None
            assert b"listens on" in server.stdout.readline()
            server.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(1)
            os.close(ours)
            assert server.wait(20) in (0, -signal.SIGTERM)
        finally:
            server.kill()


@NEEDS_CLI
async def test_parked_processes_go_with_the_row_that_changed(
    providers: SandboxProcess, tmp_path: Path
) -> None:
    with agent_server.serving(providers, tmp_path, {"EP_POLICY_RELOAD": "0.05"}, pool=1) as served:
        proxy = served.proxy

        async def parked(*, other_than: int = 0) -> int:
            def there() -> bool:
                return len(served.agents) == 1 and served.agents != [other_than]

            await asyncio.to_thread(wait_until, there, 30)
            return served.agents[0]

        pid = await parked()
        changed = agent_server.policy(providers, pool=1)
        changed["personas"]["new"] = {"provider_preferences": ["anthropic"]}
        proxy.change_policy(changed)
        await serves(proxy, 2)
        assert await parked() == pid
        changed["providers"]["agent"]["model"] = "claude-opus-4-8"
        proxy.change_policy(changed)
        await serves(proxy, 3)
        other = await parked(other_than=pid)
        assert not agent_server.runs(pid)
        # Whom nobody asks any more keeps nothing ready.
        for row in changed["personas"].values():
            row["provider_preferences"] = ["anthropic"]
        proxy.change_policy(changed)
        await serves(proxy, 4)
        await asyncio.to_thread(wait_until, lambda: served.agents == [], 10)
        assert not agent_server.runs(other)

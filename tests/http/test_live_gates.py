"""A provider that fails a live gate is passed over until it has recovered; everyone can see it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.decision_records import record, verdicts
from tests.http.wire import Upstream, assert_error, chat, eventually, new_client, unique
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess, run_to_end

FAIL = '[sandbox provider=anthropic fail=529] [sandbox say="all is well"]'
BREAK = '[sandbox provider=anthropic cut=5] [sandbox say="all is well and goes on and on"]'
SAMPLES = 4


def _policy(providers: SandboxProcess, *personas: str, **gates: Any) -> dict[str, Any]:
    policy = standard_policy(providers)
    both = {"provider_preferences": ["anthropic", "openai"]}
    alone = {"provider_preferences": ["anthropic"]}
    policy["personas"] = {name: alone if "alone" in name else both for name in personas}
    if gates:
        policy["live_gates"] = {"min_samples": SAMPLES, **gates}
    return policy


def _serving(policy: dict[str, Any]) -> Proxy:
    return Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy)


@pytest.fixture(scope="module")
def patient(providers: SandboxProcess) -> Iterator[Proxy]:
    """A server whose gates, once open, stay open. Each test has a persona of its own."""
    names = ("writer", "reader", "breaker", "alone", "keeper", "leaver", "refused", "late")
    policy = _policy(providers, *names, cooldown=600)
    backwards = {"provider_preferences": ["openai", "anthropic"]}
    policy["personas"]["backwards"] = backwards
    with _serving(policy) as server:
        yield server


async def _ready(proxy: Proxy) -> dict[str, Any]:
    async with new_client(proxy) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    return answer.json()


async def _gates(proxy: Proxy, persona: str) -> dict[str, Any]:
    return (await _ready(proxy))["personas"][persona]["live_gates"]


async def _state(proxy: Proxy, persona: str) -> str:
    return (await _gates(proxy, persona))["anthropic"]["state"]


async def _open(proxy: Proxy, persona: str) -> None:
    for _ in range(SAMPLES):
        answer = await chat(proxy, persona, FAIL)
        assert answer.headers["x-ep-attempts"] == "2"
    assert await _state(proxy, persona) == "open"


async def test_a_failing_provider_is_passed_over_and_nobody_calls_it(
    patient: Proxy, upstream: Upstream
) -> None:
    await _open(patient, "writer")
    assert await upstream.count("started", "anthropic") == SAMPLES
    answers = [await chat(patient, "writer", "Hi") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-ep-provider"] for answer in answers} == {"openai"}
    assert {answer.headers["x-ep-attempts"] for answer in answers} == {"1"}
    assert await upstream.count("started", "anthropic") == SAMPLES
    line = patient.decision(answers[-1].headers["x-request-id"])
    (rejected,) = line["rejected"]
    assert (rejected["provider"], rejected["reason"]) == ("anthropic", "gate")
    assert "success_rate is 0 %, not >= 90 %" in rejected["detail"]
    found = await record(patient, answers[-1].headers["x-request-id"])
    assert verdicts(found) == [("anthropic", "rejected"), ("openai", "answered")]
    assert found["candidates"][0]["reason"] == "gate"
    assert found["candidates"][0]["detail"] == rejected["detail"]
    opened = "Live gate open: `anthropic` for persona `writer`"
    assert patient.records(opened, level="warning")


async def test_readiness_names_the_persona_the_provider_and_the_metric(patient: Proxy) -> None:
    await _open(patient, "reader")
    body = await _ready(patient)
    reader = body["personas"]["reader"]
    assert (reader["status"], reader["provider"]) == ("ok", "openai")
    gate = reader["live_gates"]["anthropic"]
    assert gate["state"] == "open"
    assert gate["detail"] == (
        f"success_rate is 0 %, not >= 90 % over the last 60 s ({SAMPLES} attempts)"
    )
    assert 0 < gate["tried_again_in"] <= 600
    fine = reader["live_gates"]["openai"]
    assert fine == {
        **{"state": "closed", "attempts": SAMPLES, "success_rate_percent": 100.0},
        **{"error_rate_percent": 0.0, "average_duration_ms": fine["average_duration_ms"]},
    }
    # The same provider, for a persona whose requests it answers, is as it was.
    answer = await chat(patient, "keeper", "Hi")
    assert answer.headers["x-ep-provider"] == "anthropic"
    assert await _state(patient, "keeper") == "closed"


async def test_streams_that_break_after_they_began_count(patient: Proxy) -> None:
    for _ in range(SAMPLES):
        answer = await chat(patient, "breaker", BREAK, stream=True)
        assert answer.status_code == 200
        assert answer.headers["x-ep-provider"] == "anthropic"
        assert b"[DONE]" not in answer.content
    gate = (await _gates(patient, "breaker"))["anthropic"]
    assert gate["state"] == "open", gate


async def test_where_nobody_else_can_serve_it_is_asked_all_the_same(
    patient: Proxy, upstream: Upstream
) -> None:
    while await upstream.count("started", "anthropic") < SAMPLES:
        assert_error(await chat(patient, "alone", FAIL), 503, code="server_is_overloaded")
    body = await _ready(patient)
    assert body["status"] == "degraded"
    assert body["personas"]["alone"]["status"] == "degraded"
    assert body["personas"]["alone"]["live_gates"]["anthropic"]["state"] == "open"
    answer = await chat(patient, "alone", "Hi")
    assert answer.status_code == 200
    line = patient.decision(answer.headers["x-request-id"])
    assert "asked all the same" in line["reason"]


async def test_where_the_others_cannot_express_the_request_it_is_asked_all_the_same(
    patient: Proxy,
) -> None:
    for _ in range(SAMPLES):
        await chat(patient, "backwards", "[sandbox provider=openai fail=529]")
    assert (await chat(patient, "backwards")).headers["x-ep-provider"] == "anthropic"
    # Anthropic's API has no `seed`, and a strict request wants nothing ignored.
    answer = await chat(patient, "backwards", "Hi", seed=7, headers={"x-ep-strict": "true"})
    assert (answer.status_code, answer.headers["x-ep-provider"]) == (200, "openai")
    line = patient.decision(answer.headers["x-request-id"])
    assert [(r["provider"], r["reason"]) for r in line["rejected"]] == [
        ("anthropic", "translation")
    ]
    assert "asked all the same" in line["reason"]


async def test_a_gate_that_opened_since_the_decision_is_heeded(
    patient: Proxy, upstream: Upstream
) -> None:
    marker = unique()
    late = asyncio.create_task(
        chat(patient, "late", f"{marker} [sandbox provider=anthropic delay=4 fail=529]")
    )

    async def asked() -> bool:
        return bool(await upstream.requests(marker))

    await eventually(asked)
    while (await _gates(patient, "late")).get("openai", {}).get("state") != "open":
        assert_error(await chat(patient, "late", "[sandbox fail=529]"), 503)
    assert not late.done()
    answer = await late
    assert_error(answer, 503, code="server_is_overloaded")
    assert answer.headers["x-ep-attempts"] == "1"
    assert len(await upstream.requests(marker)) == 1
    (rejected,) = patient.decision(answer.headers["x-request-id"])["rejected"]
    assert (rejected["provider"], rejected["reason"]) == ("openai", "gate")


async def test_requests_that_are_at_fault_themselves_count_for_nothing(patient: Proxy) -> None:
    for fail in (400, 404, 413, 401):
        for _ in range(2):
            await chat(patient, "refused", f"[sandbox provider=anthropic fail={fail}]")
    assert (await _gates(patient, "refused"))["anthropic"] == {"state": "closed", "attempts": 0}


async def test_clients_that_leave_count_for_nothing(patient: Proxy, upstream: Upstream) -> None:
    async with new_client(patient) as client:
        for text in ("[sandbox delay=20]", "[sandbox words=40 gap=0.5]"):
            for _ in range(SAMPLES):
                body = {"model": "leaver", "messages": [{"role": "user", "content": text}]}
                asked = asyncio.create_task(
                    client.post("/v1/chat/completions", json={**body, "stream": True})
                )

                async def arrived() -> bool:
                    return await upstream.count("open", "anthropic") == 1

                await eventually(arrived)
                asked.cancel()
                await asyncio.wait([asked])
                await upstream.closed("anthropic")
    assert (await _gates(patient, "leaver"))["anthropic"] == {"state": "closed", "attempts": 0}


async def test_who_was_given_the_rest_of_the_time_is_not_blamed_for_using_it(
    providers: SandboxProcess,
) -> None:
    policy = _policy(providers, "writer", cooldown=600)
    policy["providers"]["anthropic"]["timeouts"] = {"first_token": 1.4}
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_TIMEOUT": "2", "EP_HEARTBEAT": "0"}
    with Proxy(env=env, policy=policy) as server:
        for _ in range(2):
            assert_error(await chat(server, "writer", "[sandbox delay=20]", stream=True), 504)
        gates = await _gates(server, "writer")
    assert gates["anthropic"]["attempts"] == 2
    assert gates["anthropic"]["error_rate_percent"] == 100
    assert gates["openai"]["attempts"] == 0


async def test_one_probe_at_a_time_and_the_provider_comes_back(
    providers: SandboxProcess, upstream: Upstream
) -> None:
    policy = _policy(providers, "writer", cooldown=3, recover=2)
    with _serving(policy) as server:

        async def half_open() -> bool:
            return await _state(server, "writer") == "half_open"

        await _open(server, "writer")
        assert await upstream.count("started", "anthropic") == SAMPLES
        await eventually(half_open, 20)
        slow = asyncio.create_task(chat(server, "writer", "[sandbox provider=anthropic delay=1]"))

        async def probing() -> bool:
            return await upstream.count("open", "anthropic") == 1

        await eventually(probing)
        beside = await asyncio.gather(*(chat(server, "writer", "Hi") for _ in range(5)))
        assert {answer.headers["x-ep-provider"] for answer in beside} == {"openai"}
        assert {answer.headers["x-ep-attempts"] for answer in beside} == {"1"}
        assert (await slow).headers["x-ep-provider"] == "anthropic"
        assert await upstream.count("started", "anthropic") == SAMPLES + 1
        assert await _state(server, "writer") == "half_open"
        second = await chat(server, "writer", "Hi")
        assert second.headers["x-ep-provider"] == "anthropic"
        assert await _state(server, "writer") == "closed"
        closed = "Live gate closed: `anthropic` for persona `writer`"
        assert server.records(closed, level="info")
        for _ in range(3):
            assert (await chat(server, "writer")).headers["x-ep-provider"] == "anthropic"


async def test_a_bad_probe_is_one_call_and_its_client_does_not_notice(
    providers: SandboxProcess, upstream: Upstream
) -> None:
    with _serving(_policy(providers, "writer", cooldown=2)) as server:

        async def half_open() -> bool:
            return await _state(server, "writer") == "half_open"

        await _open(server, "writer")
        await eventually(half_open, 20)
        before = await upstream.count("started", "anthropic")
        answers = await asyncio.gather(*(chat(server, "writer", FAIL) for _ in range(6)))
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-ep-provider"] for answer in answers} == {"openai"}
        assert await upstream.count("started", "anthropic") == before + 1
        assert server.log().count("and it failed when it was tried again") >= 1


async def test_without_the_key_nothing_changes(
    providers: SandboxProcess, upstream: Upstream
) -> None:
    with _serving(_policy(providers, "writer")) as server:
        for _ in range(30):
            assert (await chat(server, "writer", FAIL)).headers["x-ep-attempts"] == "2"
        assert await upstream.count("started", "anthropic") == 30
        writer = (await _ready(server))["personas"]["writer"]
        assert writer == {"status": "ok", "provider": "anthropic"}
        assert "Live gate" not in server.log()


async def test_explain_asks_a_server_whom_it_passes_over(providers: SandboxProcess):
    policy = _policy(providers, "writer", cooldown=600)
    with _serving(policy) as proxy:
        env = {"EP_POLICY": str(proxy.policy_file), "UPSTREAM_KEY": UPSTREAM_KEY}
        asked = ("explain", "writer", "--url", proxy.url)
        before = await asyncio.to_thread(run_to_end, *asked, env=env)
        assert "Chosen     anthropic" in before.stdout
        await _open(proxy, "writer")
        after = await asyncio.to_thread(run_to_end, *asked, env=env)
        assert "Chosen     openai" in after.stdout
        assert "success_rate is 0 %" in after.stdout
        assert "anthropic: open" in after.stdout
        await asyncio.to_thread(proxy.stop)
        gone = await asyncio.to_thread(run_to_end, *asked, env=env)
        assert gone.returncode == 1
        assert "cannot be reached" in gone.stdout + gone.stderr

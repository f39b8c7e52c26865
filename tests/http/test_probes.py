"""`/healthz`: the process lives. `/readyz`: what could be served right now, and why not more."""

from typing import Any

import pytest

from tests.http.wire import assert_error, chat, new_client
from tests.providers import PROMPT, UPSTREAM_KEY, closed_port, standard_policy
from tests.serving import ROOT, Proxy, SandboxProcess


async def _ready(proxy: Proxy) -> tuple[int, Any]:
    async with new_client(proxy) as client:
        answer = await client.get("/readyz")
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


async def test_the_process_lives(proxy: Proxy) -> None:
    async with new_client(proxy) as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"]


async def test_the_sandbox_can_serve_every_shipped_persona(shipped: Proxy) -> None:
    status, body = await _ready(shipped)
    assert (status, body["status"]) == (200, "ready")
    assert {persona["status"] for persona in body["personas"].values()} == {"ok"}
    assert body["providers"]["openai"]["configured"] is True
    assert body["providers"]["openai"]["reachable"] is True


async def test_a_provider_nobody_reaches_is_named_and_so_are_the_personas_it_leaves(
    proxy: Proxy,
) -> None:
    status, body = await _ready(proxy)
    assert (status, body["status"]) == (200, "degraded")
    dead = body["providers"]["dead"]
    assert dead["configured"] is True
    assert dead["reachable"] is False
    assert dead["status"] == "unreachable"
    assert "no connection to 127.0.0.1:" in dead["detail"]
    assert body["providers"]["openai"] == {
        **{"dialect": "openai_chat", "configured": True, "status": "ok", "reachable": True},
    }
    assert body["personas"]["dead_only"]["status"] == "unavailable"
    assert body["personas"]["dead_first"] == {"status": "ok", "provider": "openai"}


@pytest.mark.parametrize("env", [{}, {"UPSTREAM_KEY": "  "}])
async def test_a_missing_key_is_named_by_its_variable(
    providers: SandboxProcess, env: dict[str, str]
) -> None:
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        status, body = await _ready(server)
        openai = body["providers"]["openai"]
        error = assert_error(await chat(server, "openai_only"), 503, code="no_provider")
    assert (status, body["status"]) == (503, "unavailable")
    assert openai["configured"] is False
    assert openai["status"] == "unavailable"
    assert "UPSTREAM_KEY" in openai["detail"]
    assert "UPSTREAM_KEY" in error["message"]


async def test_one_provider_without_a_key_leaves_the_persona_ready_with_the_other(
    providers: SandboxProcess,
) -> None:
    policy = standard_policy(providers)
    policy["providers"]["openai"]["api_key_env"] = "NO_SUCH_KEY"
    policy["personas"] = {
        "writer": {"provider_preferences": ["openai", "anthropic"], "system_prompt": PROMPT}
    }
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        status, body = await _ready(server)
        answer = await chat(server, "writer")
        models = (await _models(server))["data"]
    assert (status, body["status"]) == (200, "ready")
    assert body["personas"]["writer"] == {"status": "ok", "provider": "anthropic"}
    assert answer.headers["x-ep-provider"] == "anthropic"
    assert answer.headers["x-ep-attempts"] == "1"
    assert [model["providers"] for model in models] == [["anthropic"]]


async def _models(proxy: Proxy) -> Any:
    async with new_client(proxy) as client:
        return (await client.get("/v1/models")).json()


async def test_readiness_tells_no_key_and_no_path(proxy: Proxy) -> None:
    async with new_client(proxy) as client:
        text = (await client.get("/readyz")).text
    for secret in (UPSTREAM_KEY, str(ROOT), "http://"):
        assert secret not in text


async def test_an_unreachable_first_preference_leaves_the_persona_ready(
    providers: SandboxProcess,
) -> None:
    policy = standard_policy(providers, dead=closed_port())
    policy["personas"] = {"writer": {"provider_preferences": ["dead", "openai"]}}
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        status, _ = await _ready(server)
        answer = await chat(server, "writer")
        again, _ = await _ready(server)
    assert (status, again) == (200, 200)
    assert answer.headers["x-ep-provider"] == "openai"

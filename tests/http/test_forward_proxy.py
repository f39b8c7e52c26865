"""A server behind a forward proxy: what it is asked goes through it, and so does the look at it."""

import asyncio

import httpx

from tests.http.wire import chat, events_of, text_of
from tests.http_client.forwarding import ForwardingProxy
from tests.providers import UPSTREAM_KEY, closed_port
from tests.serving import Proxy, SandboxProcess


def policy_behind(host: str) -> dict[str, object]:
    row = {
        "dialect": "openai_chat",
        "base_url": f"http://{host}/openai/v1",
        "api_key_env": "UPSTREAM_KEY",
        "model": "gpt-4.1",
    }
    return {
        "providers": {"far": row},
        "personas": {"far_only": {"provider_preferences": ["far"]}},
    }


async def test_providers_are_asked_through_the_forward_proxy(providers: SandboxProcess) -> None:
    """No name server knows the provider: only the proxy gets there."""
    port = int(providers.url.rpartition(":")[2])
    policy = policy_behind(f"api.far.invalid:{port}")
    forward = ForwardingProxy()
    async with forward.before(port):
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, "HTTP_PROXY": f"http://me:pw@127.0.0.1:{forward.port}"}
        with await asyncio.to_thread(lambda: Proxy(env=env, policy=policy)) as server:
            answer = await chat(server, "far_only", "[sandbox say='through']", stream=True)
            assert events_of(answer.content)[-1] == "[DONE]"
            assert text_of(events_of(answer.content)[:-1])
            async with httpx.AsyncClient(trust_env=False) as client:
                ready = (await client.get(f"{server.url}/readyz")).json()
            log = server.log()
    assert ready["providers"]["far"]["status"] == "ok"
    asked = [head for head in forward.heads if head.startswith("POST")]
    assert asked[0].startswith(f"POST http://api.far.invalid:{port}/openai/v1/chat/completions ")
    assert "bWU6cHc=" in asked[0]
    assert "bWU6cHc=" not in log
    assert "me:pw" not in log


async def test_a_forward_proxy_that_is_gone_is_named() -> None:
    closed = closed_port()
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "ALL_PROXY": f"http://me:pw@127.0.0.1:{closed}"}
    policy = policy_behind("api.far.invalid")
    with await asyncio.to_thread(lambda: Proxy(env=env, policy=policy)) as server:
        answer = await chat(server, "far_only")
        async with httpx.AsyncClient(trust_env=False) as client:
            ready = (await client.get(f"{server.url}/readyz")).json()
    assert answer.status_code == 502
    assert f"127.0.0.1:{closed}" in answer.json()["error"]["message"]
    assert "pw@" not in answer.text
    assert f"the forward proxy 127.0.0.1:{closed}" in ready["providers"]["far"]["detail"]

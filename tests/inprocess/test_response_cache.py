"""Repeated requests of a program: the answer says that it was given before."""

import json
from pathlib import Path

import pytest
from execution_platform.exceptions import InvalidRequest
from execution_platform.router import PersonaRouter

from tests.inprocess.sandboxed import Upstream, ask, pieces, run
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy


@pytest.fixture
def cached(upstream: Upstream) -> Upstream:
    """The policy of `upstream`, whose personas keep their answers."""
    policy = json.loads(Path(upstream.policy).read_text())
    for persona in policy["personas"].values():
        persona["cache"] = {"ttl": 300}
    upstream.policy.write_text(json.dumps(policy))
    return upstream


def check(cached: Upstream, router: PersonaRouter) -> None:
    request = ask("Tell me [sandbox words=30]")

    async def main() -> None:
        client = router.get_client("openai_only")
        cached.requests()
        first = await client.chat(request)
        assert (first.cached, first.served.attempts) == (False, 1)
        again = await client.chat(request)
        assert (again.cached, again.served.attempts, again.provider) == (True, 0, "openai")
        assert (again.text, again.id, again.usage) == (first.text, first.id, first.usage)
        stream = client.chat(request)
        text = "".join([chunk.delta_text or "" async for chunk in stream])
        assert text == first.text
        assert (stream.served.cached, stream.served.attempts) == (True, 0)
        assert len(cached.requests()) == 1
        anew = await client.chat(ask("Tell me [sandbox words=30]", cache_control="no-cache"))
        assert (anew.cached, anew.served.attempts) == (False, 1)
        other = await client.chat(ask("Tell me more"))
        assert not other.cached
        with pytest.raises(InvalidRequest) as raised:
            await client.chat(ask("Hi", cache_control="never\r\nx: y"))
        assert raised.value.param == "cache_control"
        await router.aclose()

    run(main)


def test_in_the_process(cached: Upstream) -> None:
    check(cached, cached.router())


def test_by_a_running_proxy(cached: Upstream) -> None:
    policy = json.loads(cached.policy.read_text())
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        check(cached, PersonaRouter(base_url=server.url))


def test_a_model_of_the_callers_choice_has_answers_of_its_own(cached: Upstream) -> None:
    async def main() -> None:
        router = cached.router()
        client = router.get_client("two_models")
        for model, wanted in (("openai/gpt-4.1", False), ("second_openai/gpt-4.1-mini", False)):
            for known in (wanted, True):
                answer = await client.chat(ask("Hi [sandbox words=5]", model=model))
                assert answer.cached is known
        await router.aclose()

    run(main)


def test_a_stream_that_was_left_is_not_kept(cached: Upstream) -> None:
    async def main() -> None:
        router = cached.router()
        client = router.get_client("openai_only")
        request = ask("Go [sandbox words=50 gap=0.01]")
        async with client.chat(request) as stream:
            await anext(stream)
        assert not (await client.chat(request)).cached
        assert "".join([c.delta_text or "" for c in await pieces(client, request)])
        await router.aclose()

    run(main)

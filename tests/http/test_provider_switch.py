"""A conversation that goes from provider to provider: nothing foreign is sent, nothing fails."""

from collections.abc import AsyncIterator, Iterator
from itertools import cycle

import pytest
from openai import AsyncOpenAI

from tests.http.conversations import (
    CLIENTS,
    Json,
    answer_to,
    ask,
    reasoning_policy,
    results_of,
    user,
)
from tests.http.wire import Upstream, new_sdk, unique
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

RINGS = {
    "responses": ("openai", "anthropic", "gemini"),
    "chat": ("chat", "anthropic", "gemini"),
    "referred": ("referred", "gemini", "anthropic"),
}
TURNS = 6
"""As many as it takes that each provider goes on with a call of each."""


@pytest.fixture(scope="module")
def server(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=reasoning_policy(providers)) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("within", [True, False], ids=["within_a_turn", "between_turns"])
@pytest.mark.parametrize("ring", RINGS)
async def test_rows_32_33_a_conversation_may_change_its_provider_at_any_time(
    sdk: AsyncOpenAI,
    upstream: Upstream,
    ring: str,
    client: str,
    stream: bool,
    within: bool,
) -> None:
    marker, keep = unique(), CLIENTS[client]
    turns, messages = cycle(RINGS[ring]), list[Json]()
    for number in range(TURNS):
        persona, calls = next(turns), 1 + number // 2 % 2
        messages.append(user(f"{marker} {number}", calls=calls, think=f"Thought {number}."))
        message = await answer_to(sdk, persona, messages, stream=stream)
        assert len(message.tool_calls or ()) == calls
        messages += [keep(message), *results_of(message)]
        final = await ask(sdk, next(turns) if within else persona, messages, stream=stream)
        assert final.content
        messages.append(keep(final))

    requests = await upstream.requests(marker)
    # One more where a server had to refer to its other API first.
    assert len(requests) in (2 * TURNS, 2 * TURNS + 1)
    _check_nothing_foreign(requests)


def _check_nothing_foreign(requests: list[Json]) -> None:
    """Each provider got its own thoughts of earlier turns, and nobody else's."""
    thoughts: dict[str, list[int]] = {"anthropic": [], "gemini": []}
    for request in requests:
        sent = str(request["body"])
        assert "extra_content" not in sent
        assert "reasoning_details" not in sent
        assert "reasoning_content" not in sent
        if "/anthropic/" in request["path"]:
            thoughts["anthropic"].append(sent.count("'type': 'thinking'"))
        elif "/gemini/" in request["path"]:
            thoughts["gemini"].append(sent.count("thoughtSignature"))
        else:
            assert "thoughtSignature" not in sent
            assert "thinking_blocks" not in sent
    for counts in thoughts.values():
        assert counts == sorted(counts), "what was once sent is sent again"
        assert counts[-1] > 0


@pytest.mark.parametrize("persona", ["chat", "gemini", "anthropic"])
@pytest.mark.parametrize("other", ["gemini", "anthropic"])
async def test_what_the_store_knows_of_another_provider_is_no_fault_of_a_strict_request(
    sdk: AsyncOpenAI, persona: str, other: str
) -> None:
    question = user(unique(), calls=1, think="Hm.")
    message = await answer_to(sdk, other, [question])
    messages = [question, CLIENTS["ids"](message), *results_of(message)]
    # Whatever is ignored in a strict request is a 400.
    answer = await ask(sdk, persona, messages, headers={"x-ep-strict": "true"})
    assert answer.content

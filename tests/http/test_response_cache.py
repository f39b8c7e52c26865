"""Repeated requests, over real sockets: a hit calls nobody, and says so."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast

import httpx
import pytest
from openai import AsyncOpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion

from tests.http.conversations import (
    CLIENTS,
    TOOLS,
    Json,
    answer_to,
    ask,
    reasoning_policy,
    results_of,
    user,
)
from tests.http.wire import (
    Connection,
    Upstream,
    assert_error,
    body_of,
    chat,
    events_of,
    eventually,
    new_sdk,
    text_of,
    unique,
)
from tests.providers import UPSTREAM_KEY, closed_port, standard_policy
from tests.redis_server import RedisServer
from tests.serving import Proxy, SandboxProcess
from tests.telemetry.otlp_sink import OtlpSink

KEY = {"UPSTREAM_KEY": UPSTREAM_KEY}
BY_ADDRESS = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
KEYS = {"EP_CLIENT_KEYS": "key-of-one,key-of-two"}


def cached_policy(providers: SandboxProcess, *, ttl: float = 300, **more: Any) -> Json:
    policy = standard_policy(providers)
    for persona in policy["personas"].values():
        persona["cache"] = {"ttl": ttl}
    policy["personas"]["plain"] = {"provider_preferences": ["openai"]}
    return {**policy, **more}


@pytest.fixture(scope="module")
def server(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env=KEY, policy=cached_policy(providers)) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


def said(answer: httpx.Response) -> str:
    if answer.headers["content-type"] == "application/json":
        return answer.json()["choices"][0]["message"]["content"]
    events = events_of(answer.content)
    assert events[-1] == "[DONE]"
    return text_of(events)


def id_of(answer: httpx.Response) -> str:
    if answer.headers["content-type"] == "application/json":
        return answer.json()["id"]
    return events_of(answer.content)[0]["id"]


@pytest.mark.parametrize("first", [True, False], ids=["stream_first", "whole_first"])
@pytest.mark.parametrize("second", [True, False], ids=["stream_again", "whole_again"])
async def test_a_hit_calls_nobody_and_says_the_same(
    server: Proxy, upstream: Upstream, dialect: str, first: bool, second: bool
) -> None:
    text, persona = f"{unique()} [sandbox words=40]", f"{dialect}_only"
    one = await chat(server, persona, text, stream=first)
    other = await chat(server, persona, text, stream=second)
    assert await upstream.count("started") == 1
    assert (one.headers["x-ep-cache"], other.headers["x-ep-cache"]) == ("miss", "hit")
    assert (one.headers["x-ep-attempts"], other.headers["x-ep-attempts"]) == ("1", "0")
    assert one.headers["x-ep-provider"] == other.headers["x-ep-provider"] == dialect
    assert "age" not in one.headers
    assert 0 <= int(other.headers["age"]) < 60
    assert float(other.headers["x-ep-overhead-ms"]) >= 0
    assert one.headers["x-request-id"] != other.headers["x-request-id"]
    assert said(one) == said(other) != ""
    # The answer is the one that was given, and can be traced by its id.
    assert id_of(one) == id_of(other)
    line = server.decision(other.headers["x-request-id"])
    assert (line["cache"], line["attempts"], line["provider"]) == ("hit", 0, dialect)
    assert (line["finish_reason"], line["end"], line["usage"]) == ("stop", "completed", None)
    assert server.decision(one.headers["x-request-id"])["cache"] == "miss"


@pytest.mark.parametrize("fields", [{}, {"tools": TOOLS}], ids=["text", "calls"])
@pytest.mark.parametrize("usage", [True, False])
async def test_the_sdk_makes_the_same_of_a_replay(
    sdk: AsyncOpenAI, dialect: str, fields: Json, usage: bool
) -> None:
    text = f"{unique()} [sandbox{' tool=get_time,get_weather' if fields else ' words=3000'}]"
    asked: Any = {"model": f"{dialect}_only", "messages": [{"role": "user", "content": text}]}
    whole = cast("ChatCompletion", await sdk.chat.completions.create(**asked, **fields))
    state = ChatCompletionStreamState()
    counts: list[Any] = []
    more: Any = {"stream_options": {"include_usage": True}} if usage else {}
    chunks: Any = await sdk.chat.completions.create(**asked, **fields, **more, stream=True)
    async for chunk in chunks:
        state.handle_chunk(chunk)
        counts.append(chunk.usage)
    told = state.get_final_completion()
    assert told.choices[0].finish_reason == whole.choices[0].finish_reason
    assert told.choices[0].message.content == whole.choices[0].message.content
    calls = [call.model_dump() for call in whole.choices[0].message.tool_calls or ()]
    again = [call.model_dump() for call in told.choices[0].message.tool_calls or ()]
    for call in again:
        call.pop("index")
        call["function"].pop("parsed_arguments")
    assert again == calls
    assert bool(calls) == bool(fields)
    assert told.id == whole.id
    assert whole.usage is not None
    assert counts[-1] == (whole.usage if usage else None)


async def test_a_stream_without_usage_serves_those_who_want_it(server: Proxy) -> None:
    text = unique()
    await chat(server, "openai_only", text, stream=True)
    whole = await chat(server, "openai_only", text)
    assert whole.headers["x-ep-cache"] == "hit"
    assert whole.json()["usage"]["completion_tokens"] > 0
    assert whole.json()["object"] == "chat.completion"


async def test_other_personas_have_no_cache(server: Proxy, upstream: Upstream) -> None:
    text = unique()
    for _ in range(2):
        answer = await chat(server, "plain", text)
        assert not {"x-ep-cache", "age"} & answer.headers.keys()
        assert "cache" not in server.decision(answer.headers["x-request-id"])
    assert await upstream.count("started") == 2
    # And a persona's answers are its own.
    assert (await chat(server, "openai_only", text)).headers["x-ep-cache"] == "miss"
    assert (await chat(server, "openai_first", text)).headers["x-ep-cache"] == "miss"


async def test_clients_never_get_each_others_answers(providers: SandboxProcess) -> None:
    text = unique()
    with Proxy(env=KEY | KEYS, policy=cached_policy(providers)) as server:
        for key, wanted in (("one", "miss"), ("two", "miss"), ("one", "hit"), ("two", "hit")):
            headers = {"authorization": f"Bearer key-of-{key}"}
            answer = await chat(server, "openai_only", text, headers=headers)
            assert answer.headers["x-ep-cache"] == wanted
        assert (await chat(server, "openai_only", text)).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "first", "second"),
    [
        ("no-cache", "miss", "hit"),
        ("no-store", "miss", "miss"),
        ("No-Store, NO-CACHE", "miss", "miss"),
        ("max-age=0", "miss", "hit"),
        ("max-age=600, odd", "miss", "hit"),
    ],
)
async def test_a_request_may_want_none(server: Proxy, wanted: str, first: str, second: str) -> None:
    text, headers = unique(), {"cache-control": wanted}
    answer = await chat(server, "openai_only", text, headers=headers)
    assert answer.headers["x-ep-cache"] == first
    # What it left for those who want one.
    answer = await chat(server, "openai_only", text)
    assert answer.headers["x-ep-cache"] == second
    if wanted in ("no-cache", "max-age=0"):
        before = id_of(answer)
        await asyncio.sleep(0.01)
        anew = await chat(server, "openai_only", text, headers=headers)
        assert anew.headers["x-ep-cache"] == "miss"
        assert id_of(anew) != before
        # The later answer is the one that is kept.
        assert id_of(await chat(server, "openai_only", text)) == id_of(anew)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "directive",
    ["words=20 cut=5", "fail=500", "refuse", "stop_reason=max_tokens", "garbage=3"],
)
async def test_what_failed_or_was_cut_short_is_not_kept(
    server: Proxy, upstream: Upstream, directive: str, stream: bool
) -> None:
    text = f"{unique()} [sandbox {directive}]"
    for number in (1, 2):
        answer = await chat(server, "anthropic_only", text, stream=stream)
        assert answer.headers["x-ep-cache"] == "miss"
        assert await upstream.count("started", "anthropic") >= number


async def test_an_answer_at_its_limit_is_not_kept(server: Proxy, dialect: str) -> None:
    text = f"{unique()} [sandbox words=200]"
    for _ in range(2):
        answer = await chat(server, f"{dialect}_only", text, max_tokens=5)
        assert answer.json()["choices"][0]["finish_reason"] == "length"
        assert answer.headers["x-ep-cache"] == "miss"


async def test_nothing_is_kept_of_an_answer_whose_client_left(
    server: Proxy, upstream: Upstream, dialect: str
) -> None:
    text, persona = f"{unique()} [sandbox words=100 gap=0.02]", f"{dialect}_only"
    connection = await Connection.ask(server, body_of(persona, text, stream=True))
    await connection.until(b'"content":')
    await connection.close()
    await upstream.closed()
    assert (await chat(server, persona, text, stream=True)).headers["x-ep-cache"] == "miss"
    assert (await chat(server, persona, text)).headers["x-ep-cache"] == "hit"


async def test_an_answer_after_a_fallback_is_kept_as_that_providers(
    server: Proxy, upstream: Upstream
) -> None:
    text = f"{unique()} [sandbox provider=openai fail=500]"
    one = await chat(server, "openai_first", text, seed=7)
    other = await chat(server, "openai_first", text, seed=7)
    assert await upstream.count("started") == 2
    assert (one.headers["x-ep-attempts"], other.headers["x-ep-attempts"]) == ("2", "0")
    assert other.headers["x-ep-cache"] == "hit"
    assert one.headers["x-ep-provider"] == other.headers["x-ep-provider"] == "anthropic"
    # What that provider did not get is told again.
    assert one.headers["x-ep-ignored-params"] == other.headers["x-ep-ignored-params"] == "seed"


async def test_a_strict_request_gets_no_answer_that_ignored_something(server: Proxy) -> None:
    text, strict = unique(), {"x-ep-strict": "true"}
    await chat(server, "anthropic_only", text, seed=7)
    refused = await chat(server, "anthropic_only", text, seed=7, headers=strict)
    assert_error(refused, 400, param="seed")
    assert (await chat(server, "anthropic_only", text, seed=7)).headers["x-ep-cache"] == "hit"
    await chat(server, "openai_only", text, seed=7)
    answer = await chat(server, "openai_only", text, seed=7, headers=strict)
    assert answer.headers["x-ep-cache"] == "hit"


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("choices", {"n": 2}),
        ("store", {"store": True}),
        ("media_by_address", {"messages": [{"role": "user", "content": [BY_ADDRESS]}]}),
    ],
)
async def test_what_must_be_new_says_why(server: Proxy, word: str, fields: Json) -> None:
    text = unique()
    for _ in range(2):
        answer = await chat(server, "openai_only", text, **fields)
        assert answer.status_code == 200
        assert answer.headers["x-ep-cache"] == "miss"
        assert server.decision(answer.headers["x-request-id"])["cache_why_not"] == word


async def test_equal_requests_at_once_all_go_out(server: Proxy, upstream: Upstream) -> None:
    text = f"{unique()} [sandbox words=5 first=0.3]"
    answers = await asyncio.gather(
        *(chat(server, "openai_only", text, stream=n % 2 == 0) for n in range(10))
    )
    assert {answer.headers["x-ep-cache"] for answer in answers} == {"miss"}
    assert await upstream.count("started") == 10
    again = await chat(server, "openai_only", text)
    assert again.headers["x-ep-cache"] == "hit"
    assert id_of(again) in {id_of(answer) for answer in answers}


async def test_many_at_once_are_not_mixed_up(server: Proxy) -> None:
    texts = [unique() for _ in range(8)]
    for text in texts:
        await chat(server, "openai_only", text)

    async def one(number: int) -> None:
        text = texts[number % 8]
        answer = await chat(server, "openai_only", text, stream=number % 3 == 0)
        assert answer.headers["x-ep-cache"] == "hit"
        assert text in said(answer)

    await asyncio.gather(*(one(number) for number in range(80)))


async def test_time_ends_it(providers: SandboxProcess) -> None:
    text = unique()
    with Proxy(env=KEY, policy=cached_policy(providers, ttl=0.5)) as server:
        await chat(server, "openai_only", text)

        async def over() -> bool:
            answer = await chat(server, "openai_only", text)
            return answer.headers["x-ep-cache"] == "miss"

        await eventually(over, 10)


async def test_a_large_answer_is_not_kept(providers: SandboxProcess) -> None:
    bounds = {"max_answer_bytes": 2000}
    policy = cached_policy(providers, response_cache=bounds)
    with Proxy(env=KEY, policy=policy) as server:
        for stream in (True, False):
            for words, wanted in ((2000, "miss"), (5, "hit")):
                text = f"{unique()} [sandbox words={words}]"
                await chat(server, "openai_only", text, stream=stream)
                answer = await chat(server, "openai_only", text, stream=stream)
                assert answer.headers["x-ep-cache"] == wanted


@pytest.mark.parametrize("stream", [True, False])
async def test_a_hit_is_on_the_servers_span_and_has_no_attempt(
    providers: SandboxProcess, stream: bool
) -> None:
    text = unique()
    with OtlpSink() as sink:
        env = {**KEY, **sink.environment}
        with Proxy(env=env, policy=cached_policy(providers)) as server:
            for digit, spans, word in (("a", 2, "miss"), ("b", 1, "hit")):
                trace = digit * 32
                headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
                await chat(server, "openai_only", text, stream=stream, headers=headers)
                found = sink.wait_for(trace, spans)
                (root,) = [span for span in found if span.kind == "SERVER"]
                assert root.attributes["ep.cache"] == word
                assert root.attributes["ep.provider.served"] == "openai"
                assert root.attributes["ep.attempts"] == spans - 1
                assert not [name for name in root.attributes if name.startswith("gen_ai.")]
            server.stop()
        assert len([span for span in sink.spans if span.trace == "b" * 32]) == 1


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as process:
        yield process


async def test_replicas_share_it_in_redis_and_a_changed_policy_does_not(
    providers: SandboxProcess, redis: RedisServer
) -> None:
    text, env = unique(), {**KEY, "EP_REDIS_URL": redis.url}
    policy = cached_policy(providers)
    with Proxy(env=env, policy=policy) as one, Proxy(env=env, policy=policy) as other:
        given = await chat(one, "openai_only", text, stream=True)

        async def known() -> bool:
            answer = await chat(other, "openai_only", text, headers={"cache-control": "no-store"})
            return answer.headers["x-ep-cache"] == "hit"

        await eventually(known, 10)
        answer = await chat(other, "openai_only", text)
        assert id_of(answer) == id_of(given)
    changed = json.loads(json.dumps(policy))
    changed["personas"]["openai_only"]["system_prompt"] = "Another prompt."
    with Proxy(env=env, policy=changed) as third:
        assert (await chat(third, "openai_only", text)).headers["x-ep-cache"] == "miss"
    with Proxy(env=env, policy=policy) as fourth:
        # A restart loses nothing.
        assert (await chat(fourth, "openai_only", text)).headers["x-ep-cache"] == "hit"


async def test_without_its_redis_a_server_asks_the_providers(providers: SandboxProcess) -> None:
    env = {**KEY, "EP_REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0"}
    with Proxy(env=env, policy=cached_policy(providers)) as server:
        for number in range(6):
            answer = await chat(server, "openai_only", f"{unique()}{number}")
            assert answer.status_code == 200
            assert answer.headers["x-ep-cache"] == "miss"
        server.stop()
        assert "The response cache in Redis" in server.log()


@pytest.mark.parametrize("persona", ["anthropic", "gemini", "openai"])
async def test_thinking_goes_on_after_a_hit_whose_reasoning_was_forgotten(
    providers: SandboxProcess, upstream: Upstream, persona: str
) -> None:
    policy: Any = reasoning_policy(providers)
    policy["personas"][persona]["cache"] = {"ttl": 300}
    # One call's worth: what comes between pushes the first one out.
    policy["reasoning_store"] = {"max_entries": 1}
    marker = unique()
    question = user(marker, calls=1, think="Hm.")

    async def next_turn(sdk: AsyncOpenAI, message: Any) -> Mapping[str, Any]:
        messages = [question, CLIENTS["ids"](message), *results_of(message)]
        await ask(sdk, persona, messages, headers={"cache-control": "no-cache"})
        return cast("Mapping[str, Any]", (await upstream.requests(marker))[-1]["body"])

    with Proxy(env=KEY, policy=policy) as server:
        async with new_sdk(server) as sdk:
            first = await answer_to(sdk, persona, [question])
            wanted = await next_turn(sdk, first)
            await answer_to(sdk, persona, [user(unique(), calls=1, think="No.")], stream=True)
            forgotten = await next_turn(sdk, first)
            again = await answer_to(sdk, persona, [question], stream=True)
            found = await next_turn(sdk, again)
            assert again.tool_calls == first.tool_calls
    assert forgotten != wanted
    assert found == wanted

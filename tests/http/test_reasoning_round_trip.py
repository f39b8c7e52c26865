"""Thinking and its signatures reach the provider again, whatever the client sends back."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.chat import ChatCompletionMessage
from redis.asyncio import Redis

from tests.http.conversations import (
    CLIENTS,
    TOOLS,
    VENDORS,
    Json,
    answer_to,
    ask,
    call_extras,
    reasoning_policy,
    results_of,
    user,
)
from tests.http.wire import Connection, Upstream, eventually, new_client, new_sdk, unique
from tests.providers import UPSTREAM_KEY
from tests.redis_server import PASSWORD, RedisServer
from tests.serving import Proxy, SandboxProcess, run_to_end
from tests.telemetry.otlp_sink import OtlpSink

DUMMY = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
KEY = {"UPSTREAM_KEY": UPSTREAM_KEY}

PERSONAS = ("anthropic", "gemini", "openai", "referred")

WITHOUT: Mapping[str, list[Any]] = {
    "anthropic": [None],
    "gemini": [{"thought_signature": DUMMY}],
    "openai": [None],
}
"""What each provider gets of a call whose reasoning is gone."""


@pytest.fixture(scope="module")
def server(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env=KEY, policy=reasoning_policy(providers)) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as process:
        yield process


def sent_back(persona: str, request: Json) -> list[Any]:
    """Return, for each call in a request as the provider got it, the reasoning before it."""
    body = request["body"]
    if persona == "gemini":
        parts = [part for content in body["contents"] for part in content["parts"]]
        signed = [part.get("thoughtSignature") for part in parts if "functionCall" in part]
        return [{"thought_signature": signature} if signature else None for signature in signed]
    if persona == "anthropic":
        # An answer of its own begins with each message.
        blocks = [e for message in body["messages"] for e in (message, *message["content"])]
        thinking = ("thinking", "redacted_thinking")
        return _before_calls("thinking_blocks", blocks, thinking, "tool_use")
    return _before_calls("reasoning_items", body["input"], ("reasoning",), "function_call")


def _before_calls(
    name: str, entries: list[Json], thinking: tuple[str, ...], call: str
) -> list[Json | None]:
    found: list[Json | None] = []
    thoughts: list[Json] = []
    for entry in entries:
        if entry.get("role") == "user":
            thoughts = []
        elif entry.get("type") in thinking:
            thoughts.append(entry)
        elif entry.get("type") == call:
            found.append({name: thoughts} if thoughts else None)
            thoughts = []
    return found


def given(persona: str, message: ChatCompletionMessage) -> list[Any]:
    """Return what the calls of an answer carry of their own provider's."""
    return [extra and extra[VENDORS[persona]] for extra in call_extras(message)]


def same(persona: str, sent: list[Any], wanted: list[Any]) -> bool:
    if persona == "gemini":
        # Both alphabets of base64 are one value: what is sent may be in the other one.
        def plain(value: Any) -> str:
            return json.dumps(value).translate(str.maketrans("-_", "+/")).replace("=", "")

        return plain(sent) == plain(wanted)
    return sent == wanted


@pytest.mark.parametrize("count", [1, 2], ids=["one", "parallel"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("persona", PERSONAS)
async def test_rows_29_30_31_the_provider_gets_the_very_signature_again(
    sdk: AsyncOpenAI, upstream: Upstream, persona: str, client: str, stream: bool, count: int
) -> None:
    marker = unique()
    messages = [user(marker, calls=count, think=f"I think of {marker}.")]
    message = await answer_to(sdk, persona, messages, stream=stream)
    assert len(message.tool_calls or ()) == count
    wanted = given(persona, message)
    assert wanted[0], "the answer does not say what it thought"
    if persona == "anthropic":
        (block,) = wanted[0]["thinking_blocks"]
        assert block["thinking"] == f"I think of {marker}."
        assert block["signature"]

    messages += [CLIENTS[client](message), *results_of(message)]
    final = await ask(sdk, persona, messages, stream=stream)
    assert final.content
    *_, second = await upstream.requests(marker)
    assert same(persona, sent_back(persona, second), wanted)

    # And in the next turn of the user's, with a new call.
    messages += [CLIENTS[client](final), user(marker, calls=1, think="Once more.")]
    another = await answer_to(sdk, persona, messages, stream=stream)
    messages += [CLIENTS[client](another), *results_of(another)]
    await ask(sdk, persona, messages, stream=stream)
    *_, last = await upstream.requests(marker)
    assert same(persona, sent_back(persona, last), [*wanted, *given(persona, another)])


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_29_redacted_thinking_comes_back_as_well(
    sdk: AsyncOpenAI, upstream: Upstream, stream: bool
) -> None:
    marker = unique()
    question = user(f"[sandbox redacted] {marker}", calls=1, think="Hidden.")
    message = await answer_to(sdk, "anthropic", [question], stream=stream)
    (wanted,) = given("anthropic", message)
    kinds = [block["type"] for block in wanted["thinking_blocks"]]
    assert sorted(kinds) == ["redacted_thinking", "thinking"]
    await ask(sdk, "anthropic", [question, CLIENTS["ids"](message), *results_of(message)])
    _, second = await upstream.requests(marker)
    assert sent_back("anthropic", second) == [wanted]


@pytest.mark.parametrize("persona", WITHOUT)
async def test_a_client_that_left_with_the_call_goes_on_with_its_reasoning(
    server: Proxy, sdk: AsyncOpenAI, upstream: Upstream, persona: str
) -> None:
    marker = unique()
    question = user(f"[sandbox gap=0.3] {marker}", calls=2, think="Hm.")
    body = {"model": persona, "messages": [question], "tools": TOOLS, "stream": True}
    async with await Connection.ask(server, body) as connection:
        while b"\n\n" not in connection.received.partition(b'"tool_calls":')[2]:
            data = await connection.reader.read(65536)
            assert data, connection.received
            connection.received += data
        events = [
            json.loads(line.removeprefix("data: "))
            for line in connection.received.decode(errors="replace").split("\n")
            if line.startswith("data: {") and line.endswith("}")
        ]
    deltas = [c["delta"] for event in events for c in event["choices"]]
    call = next(delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta)
    wanted = call["extra_content"][VENDORS[persona]]
    known: Json = {"id": call["id"], "type": "function", "function": call["function"]}
    known["function"]["arguments"] = "{}"
    result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
    answer = {"role": "assistant", "content": None, "tool_calls": [known]}
    await ask(sdk, persona, [question, answer, result])
    _, second = await upstream.requests(marker)
    assert sent_back(persona, second) == [wanted]


async def begun(sdk: AsyncOpenAI, persona: str, marker: str) -> list[Json]:
    """Return a conversation up to the results of its call, as a client has it that keeps ids."""
    question = user(marker, calls=1, think=f"I think of {marker}.")
    message = await answer_to(sdk, persona, [question])
    return [question, CLIENTS["ids"](message), *results_of(message)]


def sdk_of(server: Proxy, key: str) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(trust_env=False, verify=False, timeout=30)
    return AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, http_client=http)


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "memory"])
@pytest.mark.parametrize("persona", WITHOUT)
async def test_no_caller_gets_anothers_reasoning(
    providers: SandboxProcess,
    upstream: Upstream,
    request: pytest.FixtureRequest,
    shared: bool,
    persona: str,
) -> None:
    env = {**KEY, "EP_CLIENT_KEYS": "key-of-one,key-of-two"}
    if shared:
        env["EP_REDIS_URL"] = request.getfixturevalue("redis").url
    with Proxy(env=env, policy=reasoning_policy(providers)) as server:
        async with sdk_of(server, "key-of-one") as one, sdk_of(server, "key-of-two") as two:
            marker = unique()
            conversation = await begun(one, persona, marker)
            await ask(two, persona, conversation)
            await ask(one, persona, conversation)
            _, by_two, by_one = await upstream.requests(marker)
            assert sent_back(persona, by_two) == WITHOUT[persona]
            assert sent_back(persona, by_one) not in ([None], WITHOUT[persona])


@pytest.mark.parametrize("persona", WITHOUT)
async def test_reasoning_goes_back_to_its_account_under_whatever_name(
    providers: SandboxProcess, upstream: Upstream, persona: str
) -> None:
    policy = reasoning_policy(providers)
    rows, personas = policy["providers"], policy["personas"]
    rows["renamed"] = dict(rows[persona])
    rows["foreign"] = {**rows[persona], "api_key_env": "ANOTHER_KEY"}
    for name in ("renamed", "foreign"):
        personas[name] = {**personas[persona], "provider_preferences": [name]}
    with Proxy(env={**KEY, "ANOTHER_KEY": "of-another-account"}, policy=policy) as server:
        async with new_sdk(server) as sdk:
            marker = unique()
            conversation = await begun(sdk, persona, marker)
            for name in ("foreign", "renamed"):
                strict = {"x-ep-strict": "true"}
                await sdk.chat.completions.create(
                    model=name, messages=cast("Any", conversation), extra_headers=strict
                )
    _, foreign, renamed = await upstream.requests(marker)
    assert sent_back(persona, foreign) == WITHOUT[persona]
    assert sent_back(persona, renamed) not in ([None], WITHOUT[persona])


def spoilt(value: Any) -> Any:
    """Return the same with every signature that it holds changed, as another account's are."""
    if isinstance(value, list):
        return [spoilt(entry) for entry in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    signed = ("signature", "thought_signature", "encrypted_content", "data")
    return {
        name: "b3RoZXJz" + entry[8:] if name in signed and isinstance(entry, str) else spoilt(entry)
        for name, entry in cast("Json", value).items()
    }


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client", ["everything", "tool_calls"])
@pytest.mark.parametrize("persona", PERSONAS)
async def test_refused_reasoning_is_left_out_and_reported(
    server: Proxy, sdk: AsyncOpenAI, upstream: Upstream, persona: str, client: str, stream: bool
) -> None:
    marker = unique()
    question = user(marker, calls=1, think="Hm.")
    message = await answer_to(sdk, persona, [question])
    messages = [question, spoilt(CLIENTS[client](message)), *results_of(message)]
    body: Json = {"model": persona, "messages": messages, "tools": TOOLS, "stream": stream}
    async with new_client(server) as http:
        answer = await http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-ep-attempts"] == "1"
        told = answer.headers["x-ep-ignored-params"].split(", ")
        assert "messages[].tool_calls[].extra_content" in told
        detailed = "reasoning_details" in messages[1]
        assert ("messages[].reasoning_details" in told) == detailed
        assert not (detailed and client == "tool_calls")
        *_, last = await upstream.requests(marker)
        assert sent_back(persona, last) == WITHOUT.get(persona, [None])

        refused = await http.post(
            "/v1/chat/completions", json=body, headers={"x-ep-strict": "true"}
        )
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] in told


async def test_a_server_that_just_started_refers_a_request_with_its_reasoning(
    providers: SandboxProcess, upstream: Upstream, redis: RedisServer
) -> None:
    marker, policy = unique(), reasoning_policy(providers)
    env = {**KEY, "EP_REDIS_URL": redis.url}
    with Proxy(env=env, policy=policy) as first:
        async with new_sdk(first) as sdk:
            conversation = await begun(sdk, "referred", marker)
        # A server that is stopped writes what waits to be written.
        first.stop()
    with Proxy(env=env, policy=policy) as second:
        async with new_sdk(second) as sdk:
            await sdk.chat.completions.create(
                model="referred",
                messages=cast("Any", conversation),
                tools=TOOLS,
                extra_headers={"x-ep-strict": "true"},
            )
    *_, refused, sent = await upstream.requests(marker)
    assert refused["path"].endswith("/chat/completions")
    assert "extra_content" not in str(refused["body"])
    assert sent["path"].endswith("/responses")
    assert sent_back("referred", sent)[0]


@pytest.mark.parametrize("persona", WITHOUT)
async def test_after_a_restart_the_conversation_goes_on_without_the_thinking(
    providers: SandboxProcess, upstream: Upstream, persona: str
) -> None:
    marker, policy = unique(), reasoning_policy(providers)
    with Proxy(env=KEY, policy=policy) as server:
        async with new_sdk(server) as sdk:
            conversation = await begun(sdk, persona, marker)
    with Proxy(env=KEY, policy=policy) as server:
        async with new_sdk(server) as sdk:
            assert (await ask(sdk, persona, conversation)).content
    _, second = await upstream.requests(marker)
    assert sent_back(persona, second) == WITHOUT[persona]


@pytest.mark.parametrize("persona", WITHOUT)
async def test_servers_with_one_redis_know_of_each_others_answers(
    providers: SandboxProcess, upstream: Upstream, redis: RedisServer, persona: str
) -> None:
    marker, policy = unique(), reasoning_policy(providers)
    env = {**KEY, "EP_REDIS_URL": redis.url}
    with Proxy(env=env, policy=policy) as first:
        async with new_sdk(first) as sdk:
            conversation = await begun(sdk, persona, marker)
        with Proxy(env=env, policy=policy) as second:
            async with new_sdk(second) as sdk:

                async def known() -> bool:
                    await ask(sdk, persona, conversation)
                    *_, last = await upstream.requests(marker)
                    return DUMMY not in str(sent_back(persona, last)) and any(
                        sent_back(persona, last)
                    )

                # Writing is no part of the answer: the other server may be a moment too early.
                await eventually(known)
        # A server that is stopped writes what waits to be written.
        async with new_sdk(first) as sdk:
            last_words, conversation = unique(), await begun(sdk, persona, marker)
        first.stop()
    with Proxy(env=env, policy=policy) as third:
        async with new_sdk(third) as sdk:
            conversation[0]["content"] += last_words
            await ask(sdk, persona, conversation)
        request = await upstream.request(last_words)
        assert sent_back(persona, request)[0]
        assert DUMMY not in str(sent_back(persona, request))
        assert PASSWORD not in first.log() + third.log()


async def test_with_redis_down_requests_go_on_without(
    providers: SandboxProcess, upstream: Upstream
) -> None:
    with RedisServer() as redis:
        env = {**KEY, "EP_REDIS_URL": redis.url}
        with Proxy(env=env, policy=reasoning_policy(providers)) as server:
            async with new_sdk(server) as sdk:
                marker = unique()
                conversation = await begun(sdk, "gemini", marker)
                await ask(sdk, "gemini", conversation)
                client = cast("Any", Redis).from_url(redis.url)

                async def is_written() -> bool:
                    return await client.dbsize() == 1

                await eventually(is_written)
                await client.aclose()
                redis.stop()
                await ask(sdk, "gemini", conversation)
                await ask(sdk, "gemini", await begun(sdk, "gemini", unique()))
            _, before, after = await upstream.requests(marker)
            assert DUMMY not in str(sent_back("gemini", before))
            assert sent_back("gemini", after) == [{"thought_signature": DUMMY}]
            warnings = [line for line in server.log().split("\n") if "in Redis" in line]
            assert len(warnings) == 1
            assert PASSWORD not in server.log()


def test_a_wrong_address_stops_the_start() -> None:
    ended = run_to_end("serve", "--sandbox", "--port", "0", env={"EP_REDIS_URL": "localhost"})
    assert ended.returncode == 1
    assert "EP_REDIS_URL: the value is not right" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_store_that_is_off_keeps_nothing(
    providers: SandboxProcess, upstream: Upstream
) -> None:
    policy = {**reasoning_policy(providers), "reasoning_store": {"enabled": False}}
    with Proxy(env=KEY, policy=policy) as server:
        async with new_sdk(server) as sdk:
            marker = unique()
            await ask(sdk, "gemini", await begun(sdk, "gemini", marker))
    _, second = await upstream.requests(marker)
    assert sent_back("gemini", second) == [{"thought_signature": DUMMY}]


@pytest.mark.parametrize("persona", WITHOUT)
async def test_what_was_put_back_is_counted_and_nothing_of_it_is_logged_or_traced(
    providers: SandboxProcess, persona: str
) -> None:
    with OtlpSink() as sink:
        env = {**KEY, **sink.environment, "EP_LOG_LEVEL": "debug"}
        with Proxy(env=env, policy=reasoning_policy(providers)) as server:
            async with new_sdk(server) as sdk, new_client(server) as client:
                marker, trace = unique(), "4bf92f3577b34da6a3ce929d0e0e4736"
                question = user("Hi", calls=2, think=f"I think of {marker}.")
                message = await answer_to(sdk, persona, [question])
                wanted = [extra for extra in given(persona, message) if extra]
                messages = [question, CLIENTS["ids"](message), *results_of(message)]
                answer = await client.post(
                    "/v1/chat/completions",
                    json={"model": persona, "messages": messages, "tools": TOOLS},
                    headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
                )
                assert answer.status_code == 200
            spans = sink.wait_for(trace, 2)
            server_span = next(span for span in spans if span.kind == "SERVER")
            assert server_span.attributes["ep.reasoning.restored"] == len(wanted)
            server.stop()
            told = server.log() + json.dumps([span.attributes for span in sink.spans])
        assert marker not in told
        assert (wanted[0].get("thought_signature") or marker) not in told
        plain = [s for s in sink.spans if s.kind == "SERVER" and s.trace != trace]
        assert plain
        assert all("ep.reasoning.restored" not in span.attributes for span in plain)

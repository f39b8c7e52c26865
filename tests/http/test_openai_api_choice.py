"""OpenAI's two APIs behind one provider: the one that takes the request is found by itself."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion

from tests.http.conversations import CLIENTS, Json, results_of
from tests.http.openai_apis import CHAT, RESPONSES, TOOLS, api_policy, fresh, paths
from tests.http.wire import Upstream, assert_error, chat, events_of, new_sdk, text_of, unique
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess
from tests.telemetry.otlp_sink import OtlpSink

KEY = {"UPSTREAM_KEY": UPSTREAM_KEY}
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def server(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    with Proxy(env=KEY, policy=api_policy(providers, scripted_port)) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


async def _asked(
    sdk: AsyncOpenAI, model: str, messages: list[Any], *, stream: bool = False, **fields: Any
) -> ChatCompletion:
    wanted: Any = {"model": model, "messages": messages, "tools": TOOLS, **fields}
    if not stream:
        return cast("ChatCompletion", await sdk.chat.completions.create(**wanted))
    state = ChatCompletionStreamState()
    async for chunk in await sdk.chat.completions.create(stream=True, **wanted):
        state.handle_chunk(chunk)
    return state.get_final_completion()


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


@STREAM
@pytest.mark.parametrize("effort", [None, "high"])
async def test_row_94_tools_with_reasoning_work_without_the_users_doing(
    sdk: AsyncOpenAI, upstream: Upstream, stream: bool, effort: str | None
) -> None:
    model, fields = fresh(), {} if effort is None else {"reasoning_effort": effort}
    first, second = unique(), unique()
    for marker in (first, second):
        question = _user(f"{marker} [sandbox tool=get_weather think=Hm]")
        answer = await _asked(sdk, model, [question], stream=stream, **fields)
        (choice,) = answer.choices
        assert choice.finish_reason == "tool_calls"
        (call,) = choice.message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "get_weather"
        assert json.loads(call.function.arguments) == {"city": "sample city"}
        assert cast("Any", choice.message).reasoning_content == "Hm"
        assert answer.model == model.removeprefix("auto/")
    assert await paths(upstream, first) == [CHAT, RESPONSES]
    # What was learned is not paid for again.
    assert await paths(upstream, second) == [RESPONSES]
    _, sent = await upstream.requests(first)
    reasoning: Json = sent["body"]["reasoning"]
    assert reasoning.get("effort") == effort


async def test_row_94_a_persona_works_too(sdk: AsyncOpenAI) -> None:
    answer = await _asked(sdk, "engineer", [_user("Hi")], stream=True)
    assert 'My instructions begin with: "You are an engineer."' in (
        answer.choices[0].message.content or ""
    )


@STREAM
async def test_both_requests_are_one_attempt(server: Proxy, stream: bool) -> None:
    answer = await chat(server, fresh(), "[sandbox say=ok]", tools=TOOLS, stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ep-attempts"] == "1"
    assert answer.headers["x-ep-provider"] == "auto"


@pytest.mark.parametrize("fields", [{"effort": "none"}, {"model": "gpt-4.1"}, {"tools": None}])
async def test_what_chat_completions_takes_stays_there(
    server: Proxy, upstream: Upstream, fields: Json
) -> None:
    marker = unique()
    more: Json = {"tools": TOOLS} if "tools" not in fields else {}
    more |= {"reasoning_effort": fields["effort"]} if "effort" in fields else {}
    model = f"auto/{fields['model']}" if "model" in fields else fresh()
    for _ in range(2):
        answer = await chat(server, model, marker, **more)
        assert answer.status_code == 200, answer.text
    assert await paths(upstream, marker) == [CHAT, CHAT]


async def test_only_requests_alike_are_sent_where_the_last_one_went(
    server: Proxy, upstream: Upstream
) -> None:
    model, marker = fresh(), unique()
    await chat(server, model, "[sandbox say=ok]", tools=TOOLS)
    await chat(server, model, f"{marker} plain")
    await chat(server, model, f"{marker} restful", tools=TOOLS, reasoning_effort="none")
    await chat(server, model, f"{marker} again", tools=TOOLS)
    assert await paths(upstream, marker) == [CHAT, CHAT, RESPONSES]


@STREAM
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("client", list(CLIENTS))
async def test_rows_29_94_the_tool_round_trip_brings_the_encrypted_reasoning_back(
    sdk: AsyncOpenAI, upstream: Upstream, client: str, *, calls: int, stream: bool
) -> None:
    model, marker = fresh(), unique()
    messages: list[Any] = [_user(f"{marker} [sandbox tools={calls} rounds=2]")]
    for _ in range(2):
        answer = await _asked(sdk, model, messages, stream=stream)
        message = answer.choices[0].message
        assert len(message.tool_calls or ()) == calls
        messages += [CLIENTS[client](message), *results_of(message)]
    last = await _asked(sdk, model, messages, stream=stream)
    assert "returned: 21 degrees" in (last.choices[0].message.content or "")
    *_, sent = await upstream.requests(marker)
    assert sent["path"] == RESPONSES
    kinds = [item["type"] for item in sent["body"]["input"] if "role" not in item]
    turn = ["reasoning", *["function_call"] * calls, *["function_call_output"] * calls]
    assert kinds == turn * 2
    # The service, which checks it, has taken it; it must not keep anything itself.
    assert sent["body"]["store"] is False


@pytest.mark.parametrize("row", ["responses", "native"])
@STREAM
async def test_responses_alone_when_the_policy_says_so(
    server: Proxy, upstream: Upstream, row: str, stream: bool
) -> None:
    marker = unique()
    answer = await chat(server, f"{row}/gpt-4.1", f"{marker} [sandbox say=ok]", stream=stream)
    assert answer.status_code == 200, answer.text
    said = (
        text_of(events_of(answer.text))
        if stream
        else answer.json()["choices"][0]["message"]["content"]
    )
    assert said == "ok"
    assert await paths(upstream, marker) == [RESPONSES]


async def test_chat_completions_alone_when_the_policy_says_so(
    sdk: AsyncOpenAI, upstream: Upstream
) -> None:
    marker = unique()
    with pytest.raises(BadRequestError) as caught:
        await _asked(sdk, fresh("chat"), [_user(marker)])
    assert "use /v1/responses or set reasoning_effort to 'none'" in caught.value.message
    assert caught.value.param == "reasoning_effort"
    assert await paths(upstream, marker) == [CHAT]


@STREAM
async def test_row_94_a_model_that_only_responses_has(
    server: Proxy, upstream: Upstream, stream: bool
) -> None:
    marker, model = unique(), f"auto/gpt-5.4-pro-{unique()}"
    for _ in range(2):
        answer = await chat(server, model, f"{marker} [sandbox say=ok]", stream=stream)
        assert answer.status_code == 200, answer.text
    assert await paths(upstream, marker) == [CHAT, RESPONSES, RESPONSES]


@STREAM
async def test_the_report_is_that_of_the_api_that_answered(server: Proxy, stream: bool) -> None:
    model = fresh()
    for _ in range(2):
        answer = await chat(server, model, "Hi", tools=TOOLS, seed=7, stream=stream)
        assert answer.headers["x-ep-ignored-params"] == "seed"
        decision = server.decision(answer.headers["x-request-id"])
        assert decision["ignored"] == ["seed"]
    plain = await chat(server, model, "Hi", seed=7, stream=stream)
    assert "x-ep-ignored-params" not in plain.headers


@STREAM
async def test_strict_holds_for_the_api_that_a_request_is_referred_to(
    server: Proxy, upstream: Upstream, stream: bool
) -> None:
    model, marker = fresh(), unique()
    strict = {"x-ep-strict": "true"}
    answer = await chat(server, model, marker, tools=TOOLS, seed=7, stream=stream, headers=strict)
    error = assert_error(answer, 400, param="seed", type="invalid_request_error")
    assert "strict" in error["message"]
    assert await paths(upstream, marker) == [CHAT]
    # And where it is known beforehand, nothing is sent at all.
    await chat(server, model, "[sandbox say=ok]", tools=TOOLS)
    again = await chat(server, model, marker, tools=TOOLS, seed=7, stream=stream, headers=strict)
    assert_error(again, 400, param="seed")
    assert await paths(upstream, marker) == [CHAT]
    fine = await chat(server, model, marker, tools=TOOLS, stream=stream, headers=strict)
    assert fine.status_code == 200, fine.text


@STREAM
async def test_what_responses_cannot_express_moves_on_to_the_next_provider(
    server: Proxy, upstream: Upstream, stream: bool
) -> None:
    marker = unique()
    answer = await chat(server, "pro_first", f"{marker} [sandbox say=ok]", stop="x", stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ep-provider"] == "anthropic"
    assert answer.headers["x-ep-attempts"] == "2"
    assert await paths(upstream, marker) == [CHAT, "/anthropic/v1/messages"]


@STREAM
async def test_what_responses_cannot_express_is_a_400_where_nobody_else_can(
    server: Proxy, stream: bool
) -> None:
    answer = await chat(server, f"auto/gpt-5-pro-{unique()}", "Hi", stop="x", stream=stream)
    assert_error(answer, 400, param="stop", type="invalid_request_error")


@STREAM
async def test_row_27_several_choices_come_from_as_many_requests(
    server: Proxy, upstream: Upstream, stream: bool
) -> None:
    model = fresh()
    for number in (2, 3):
        marker = unique()
        answer = await chat(
            server, model, f"{marker} [sandbox tool=get_time]", tools=TOOLS, n=number, stream=stream
        )
        assert answer.status_code == 200, answer.text
        if stream:
            chunks = [event for event in events_of(answer.text) if event != "[DONE]"]
            seen = {choice["index"] for chunk in chunks for choice in chunk["choices"]}
        else:
            seen = {choice["index"] for choice in answer.json()["choices"]}
        assert seen == set(range(number))
        first = [CHAT] if number == 2 else []
        assert await paths(upstream, marker) == [*first, *[RESPONSES] * number]
        assert answer.headers["x-ep-emulated-params"] == "n"


async def test_the_trace_says_which_api_answered(
    providers: SandboxProcess, scripted_port: int
) -> None:
    with OtlpSink() as sink:
        env = {**KEY, **sink.environment}
        with Proxy(env=env, policy=api_policy(providers, scripted_port)) as server:
            model = fresh()
            for digit in "123":
                fields: Json = {"tools": TOOLS} if digit != "3" else {}
                trace = {"traceparent": f"00-{digit * 32}-00f067aa0ba902b7-01"}
                await chat(server, model, "Hi", seed=7, headers=trace, **fields)
            found = {digit: sink.wait_for(digit * 32, 2) for digit in "123"}
    clients = {d: next(s for s in spans if s.kind == "CLIENT") for d, spans in found.items()}
    dialects = {d: span.attributes["ep.upstream.dialect"] for d, span in clients.items()}
    assert dialects == {"1": "openai_responses", "2": "openai_responses", "3": "openai_chat"}
    assert [clients[d].attributes.get("ep.params.ignored") for d in "123"] == [
        ["seed"],
        ["seed"],
        None,
    ]


def _row_alone(dialect: str) -> Json:
    """Return a policy with a provider whose address the sandbox takes over."""
    row = {"dialect": dialect, "base_url": "https://api.openai.com/v1", "model": "gpt-6-sol"}
    return {
        "allow_direct_models": True,
        "providers": {"mine": {**row, "api_key_env": "NO_SUCH_KEY"}},
        "personas": {"engineer": {"provider_preferences": ["mine"]}},
    }


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_row_94_it_works_on_the_sandbox_with_a_row_of_two_lines(dialect: str) -> None:
    with Proxy("--sandbox", policy=_row_alone(dialect)) as server:
        answer = asyncio.run(chat(server, "engineer", "[sandbox tool=get_time]", tools=TOOLS))
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"


@STREAM
async def test_row_94_functions_and_custom_tools_too(server: Proxy, stream: bool) -> None:
    functions = [tool["function"] for tool in TOOLS]
    custom = [{"type": "custom", "custom": {"name": "take_note"}}]
    cases: list[tuple[str, Json, str, str]] = [
        ("get_time", {"functions": functions}, "function_call", "function_call"),
        ("take_note", {"tools": custom}, "tool_calls", "tool_calls"),
    ]
    for name, offered, finish, key in cases:
        model = fresh()
        for _ in range(2):
            answer = await chat(server, model, f"[sandbox tool={name}]", stream=stream, **offered)
            assert answer.status_code == 200, answer.text
            if stream:
                chunks = [event for event in events_of(answer.text) if event != "[DONE]"]
                choices = [choice for chunk in chunks for choice in chunk["choices"]]
                assert choices[-1]["finish_reason"] == finish
                assert any(key in choice["delta"] for choice in choices)
            else:
                (choice,) = answer.json()["choices"]
                assert choice["finish_reason"] == finish
                assert choice["message"][key]

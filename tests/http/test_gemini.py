"""Gemini behind the server, over real sockets, with the OpenAI SDK as its users use it."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError, RateLimitError
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.http.wire import Connection, Upstream, body_of, chat, eventually, new_sdk, unique
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

OLD, NEW, FIXED = "gemini-2.5-flash", "gemini-3-flash-preview", "gemini-3.6-flash"
CAPABILITIES = [
    *("system_prompts", "streaming", "tool_calling", "custom_tools", "vision", "pdf", "audio"),
    *("json_mode", "json_schema", "reasoning", "logprobs", "multiple_choices", "web_search"),
]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "9 lives")
]
FORM: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "kind": {"const": "human"}},
            "required": ["name", "kind"],
            "additionalProperties": False,
        },
    },
}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def server(providers: SandboxProcess) -> Iterator[Proxy]:
    def row(model: str, **more: Any) -> dict[str, Any]:
        url = f"{providers.url}/gemini"
        head = {"dialect": "gemini_generate", "base_url": url, "api_key_env": "UPSTREAM_KEY"}
        return {**head, "model": model, "capabilities": CAPABILITIES, **more}

    rows = {
        "old": row(OLD),
        "new": row(NEW),
        "fixed": row(FIXED),
        "short": row(OLD, timeouts={"connect": 0.4, "first_token": 0.5, "idle": 0.5}),
        "stable": row("gemini-flash-latest", api_version="v1"),
        "openai": {
            **{"dialect": "openai_chat", "base_url": providers.openai, "model": "gpt-4.1"},
            **{"api_key_env": "UPSTREAM_KEY", "capabilities": CAPABILITIES},
        },
    }
    personas: dict[str, Any] = {name: {"provider_preferences": [name]} for name in rows}
    personas["gemini_first"] = {"provider_preferences": ["old", "openai"]}
    policy = {"providers": rows, "personas": personas}
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


def user(text: Any) -> Any:
    return {"role": "user", "content": text}


async def ask(sdk: AsyncOpenAI, model: str, *messages: Any, stream: bool, **fields: Any) -> Any:
    """Return the completion, however it came; a stream is put together by the SDK."""
    create: Any = sdk.chat.completions.create
    if not stream:
        return await create(model=model, messages=list(messages), **fields)
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    fields |= {"stream": True, "stream_options": {"include_usage": True}}
    async for chunk in await create(model=model, messages=list(messages), **fields):
        state.handle_chunk(chunk)
    return state.current_completion_snapshot


@both
@pytest.mark.parametrize("model", ["old", "new", "fixed"])
async def test_text(sdk: AsyncOpenAI, model: str, stream: bool) -> None:
    answer = await ask(sdk, model, user("[sandbox words=9]"), stream=stream, max_tokens=50)
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert len(choice.message.content.split()) == 9
    assert answer.model == {"old": OLD, "new": NEW, "fixed": FIXED}[model]
    assert answer.usage.completion_tokens == 9
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9


@both
@pytest.mark.parametrize("model", ["old", "new"])
async def test_rows_4_5_6_22_parallel_calls_are_made_and_answered(
    sdk: AsyncOpenAI, model: str, stream: bool
) -> None:
    # The provider knows the second tool by another name: it refuses digits and spaces.
    names = "get_weather,_x_9-20lives,get_weather"
    ask_for = user(f'[sandbox tool={names} args={{"city": "Oslo"}}]')
    first = await ask(sdk, model, ask_for, stream=stream, tools=TOOLS)
    (choice,) = first.choices
    assert choice.finish_reason == "tool_calls"
    calls: list[Any] = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "9 lives", "get_weather"]
    assert {call.function.arguments for call in calls} == {'{"city":"Oslo"}'}
    assert len({call.id for call in calls}) == 3
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {number}"}
        for number, call in enumerate(calls)
    ]
    kept = [{"id": c.id, "type": "function", "function": _named(c)} for c in calls]
    said = {"role": "assistant", "content": choice.message.content, "tool_calls": kept}
    last = await ask(sdk, model, ask_for, said, *reversed(results), stream=stream, tools=TOOLS)
    text = last.choices[0].message.content
    places = [text.index(f"result {number}") for number in range(3)]
    assert places == sorted(places)


def _named(call: Any) -> dict[str, str]:
    return {"name": call.function.name, "arguments": call.function.arguments}


@both
async def test_row_29_thoughts_and_signatures_survive_a_message_sent_back(
    sdk: AsyncOpenAI, server: Proxy, upstream: Upstream, stream: bool
) -> None:
    marker = unique()
    ask_for = user(f"{marker} [sandbox tool=get_weather think=Hmm]")
    first = await ask(sdk, "new", ask_for, stream=stream, tools=TOOLS, reasoning_effort="high")
    message = first.choices[0].message
    assert message.reasoning_content == "Hmm"
    (call,) = message.tool_calls
    signature = call.extra_content["google"]["thought_signature"]
    back = message.model_dump(exclude_none=True, warnings=False)
    back.pop("parsed", None)
    for made in back["tool_calls"]:
        made["function"].pop("parsed_arguments", None)
    result = {"role": "tool", "tool_call_id": call.id, "content": "fine"}
    answer = await ask(sdk, "new", ask_for, back, result, stream=stream, tools=TOOLS)
    assert answer.choices[0].finish_reason == "stop"
    final = answer.choices[0].message
    sealed: Any = final.reasoning_details
    assert sealed[0]["type"] == "reasoning.encrypted"
    back_again = final.model_dump(exclude_none=True, warnings=False)
    back_again.pop("parsed", None)
    rest = user(f"{marker} And then?")
    await ask(sdk, "new", ask_for, back, result, back_again, rest, stream=stream, tools=TOOLS)
    *_, sent = await upstream.requests(marker)
    parts = [part for content in sent["body"]["contents"] for part in content["parts"]]
    signed = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    assert signed == [signature, sealed[0]["data"]]


@both
@pytest.mark.parametrize("tools", [None, TOOLS], ids=["alone", "beside tools"])
@pytest.mark.parametrize("model", ["old", "new"])
async def test_rows_42_45_json_keeps_to_its_schema(
    sdk: AsyncOpenAI, model: str, tools: Any, stream: bool
) -> None:
    fields = {"response_format": FORM} | ({"tools": tools} if tools else {})
    text = "Go"
    if model == "old" and tools:  # This model cannot: the prompt asks, and the proxy checks.
        text = '[sandbox say="Here it is: {\\"name\\": \\"x\\", \\"kind\\": \\"human\\"}"]'
    answer = await ask(sdk, model, user(text), stream=stream, **fields)
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "kind"}


@both
async def test_search_stands_beside_functions_in_every_turn(sdk: AsyncOpenAI, stream: bool) -> None:
    fields: Any = {"tools": TOOLS, "web_search_options": {}}
    first = user("[sandbox tool=get_weather]")
    said = (await ask(sdk, "new", first, stream=stream, **fields)).choices[0].message
    (call,) = said.tool_calls
    searched: Any = {"toolCall": {"id": "s", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}}
    google: Any = {**call.extra_content["google"], "server_tools": [searched]}
    made = {"id": call.id, "type": "function", "function": _named(call)}
    back: Any = {"role": "assistant", "tool_calls": [{**made, "extra_content": {"google": google}}]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "fine"}
    last = await ask(sdk, "new", first, back, result, stream=stream, **fields)
    assert last.choices[0].finish_reason == "stop"
    with pytest.raises(BadRequestError) as caught:
        await ask(sdk, "old", first, stream=stream, **fields)
    assert caught.value.param == "web_search_options"


@both
async def test_row_54_choices_are_as_many_requests(
    sdk: AsyncOpenAI, upstream: Upstream, stream: bool
) -> None:
    marker = unique()
    answer = await ask(sdk, "old", user(f"{marker} [sandbox words=5]"), stream=stream, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}
    assert answer.usage.completion_tokens == 10
    assert len(await upstream.requests(marker)) == 2


@both
@pytest.mark.parametrize("hops", [2, 5])
async def test_answer_in_hops_is_one_answer(
    sdk: AsyncOpenAI, upstream: Upstream, hops: int, stream: bool
) -> None:
    marker = unique()
    ask_for = user(f"{marker} [sandbox words=20 hops={hops}]")
    answer = await ask(sdk, "new", ask_for, stream=stream)
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    assert len(choice.message.content.split()) == 20
    sent = [request["body"] for request in await upstream.requests(marker)]
    assert len(sent) == hops
    tokens = [body.pop("continuationToken", None) for body in sent]
    assert tokens[0] is None
    assert len(set(tokens)) == hops
    assert all(body == sent[0] for body in sent)
    assert answer.usage.completion_tokens == 20
    assert answer.usage.prompt_tokens % hops == 0


@both
async def test_answer_that_never_ends_is_cut_like_one_at_its_limit(
    sdk: AsyncOpenAI, stream: bool
) -> None:
    answer = await ask(sdk, "new", user("[sandbox words=40 hops=20]"), stream=stream)
    assert answer.choices[0].finish_reason == "length"


@both
async def test_blocked_prompt_is_a_refusal(sdk: AsyncOpenAI, stream: bool) -> None:
    answer = await ask(sdk, "old", user("[sandbox refuse]"), stream=stream)
    (choice,) = answer.choices
    assert choice.finish_reason == "content_filter"
    assert "PROHIBITED_CONTENT" in choice.message.refusal


ERRORS = [
    ("fail=400", 400, "invalid_request_error", None),
    ("fail=context", 400, "invalid_request_error", "context_length_exceeded"),
    ("fail=403", 502, "server_error", "upstream_authentication_failed"),
    ("fail=404", 404, "invalid_request_error", "not_found"),
    ("fail=500", 502, "server_error", "upstream_error"),
    ("fail=503", 503, "service_unavailable_error", "server_is_overloaded"),
    ("fail=quota", 429, "insufficient_quota", "insufficient_quota"),
]


@both
@pytest.mark.parametrize(("cause", "status", "kind", "code"), ERRORS)
async def test_errors_have_openais_form(
    sdk: AsyncOpenAI, cause: str, status: int, kind: str, code: str | None, stream: bool
) -> None:
    with pytest.raises(APIStatusError) as caught:
        await ask(sdk, "old", user(f"[sandbox {cause}]"), stream=stream)
    found = caught.value
    assert (found.status_code, found.type, found.code) == (status, kind, code)


@both
async def test_row_97_retry_info_is_a_header(sdk: AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(RateLimitError) as caught:
        ask_for = user("[sandbox fail=429 retry_after=34.2]")
        await ask(sdk, "old", ask_for, stream=stream)
    assert caught.value.response.headers["retry-after"] == "35"
    assert caught.value.code == "rate_limit_exceeded"


@both
async def test_fallback_is_invisible(sdk: AsyncOpenAI, stream: bool) -> None:
    ask_for = user("[sandbox provider=gemini fail=503] [sandbox words=4]")
    answer = await ask(sdk, "gemini_first", ask_for, stream=stream)
    assert answer.model.startswith("gpt-4.1")


async def test_model_that_the_version_lacks_is_not_found(sdk: AsyncOpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        await ask(sdk, "stable", user("Hi"), stream=False)
    assert caught.value.code == "model_not_found"
    assert "v1beta" in caught.value.message


BROKEN = [
    ("cut=6", "upstream_error", None),
    ("eof=6", "upstream_incomplete", None),
    ("stall=6", "timeout", None),
    ("error=6", "server_is_overloaded", "high demand"),
    ("error=6 error_type=INTERNAL", None, "Internal error encountered."),
    ("garbage=6", None, None),
]


@pytest.mark.parametrize(("cause", "code", "words"), BROKEN)
async def test_rows_65_66_broken_stream_is_an_error_with_its_cause(
    sdk: AsyncOpenAI, cause: str, code: str | None, words: str | None
) -> None:
    seen = ""
    stream = await sdk.chat.completions.create(
        model="short", messages=[user(f"[sandbox words=60 {cause}]")], stream=True
    )
    with pytest.raises(APIError) as caught:
        async for chunk in stream:
            assert chunk.choices[0].finish_reason is None
            seen += chunk.choices[0].delta.content or ""
    assert seen.startswith("the proxy sends")
    assert code is None or caught.value.code == code
    assert words is None or words in caught.value.message


async def test_row_71_error_before_the_first_word_is_followed_by_a_fallback(
    sdk: AsyncOpenAI,
) -> None:
    ask_for = user("[sandbox provider=gemini error=0] [sandbox words=4]")
    answer = await ask(sdk, "gemini_first", ask_for, stream=True)
    assert answer.model.startswith("gpt-4.1")


@pytest.mark.parametrize(
    ("phase", "stream"),
    [("delay=30", False), ("delay=30", True), ("first=30", True), ("stall=6 words=60", True)],
)
async def test_rows_63_89_leaving_ends_the_upstream_request(
    server: Proxy, upstream: Upstream, phase: str, stream: bool
) -> None:
    body = body_of("old", f"[sandbox {phase}]", stream=stream)

    async def begun() -> bool:
        return await upstream.count("started", "gemini") == 1

    async def aborted() -> bool:
        return await upstream.count("aborted_by_client", "gemini") == 1

    async with await Connection.ask(server, body) as client:
        await eventually(begun, what="the request")
        if "stall" in phase:
            await client.until(b"the proxy")
        await client.close()
        await eventually(aborted, 1.0, "the end of the upstream request")
        await upstream.closed("gemini")


async def test_leaving_between_two_hops_ends_the_upstream_request(
    server: Proxy, upstream: Upstream
) -> None:
    body = body_of("old", "[sandbox words=60 hops=2 gap=0.02]", stream=True)

    async def second() -> bool:
        return await upstream.count("started", "gemini") == 2

    async with await Connection.ask(server, body) as client:
        await eventually(second, what="the second request")
        await client.close()
        await upstream.closed("gemini")


async def test_strict_requests_and_the_report(server: Proxy) -> None:
    answer = await chat(server, "old", "[sandbox words=3]", user="u", parallel_tool_calls=True, n=1)
    assert answer.headers["x-ep-ignored-params"] == "user"
    emulated = await chat(server, "old", "[sandbox words=3]", n=2)
    assert emulated.headers["x-ep-emulated-params"] == "n"
    refused = await chat(server, "old", "Hi", headers={"x-ep-strict": "true"}, verbosity="low")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "verbosity"


async def test_row_25_one_call_at_a_time_cannot_be_asked_for_and_is_reported(
    server: Proxy,
) -> None:
    fields: Any = {"tools": TOOLS, "parallel_tool_calls": False}
    told = await chat(server, "old", "[sandbox words=3]", **fields)
    assert told.headers["x-ep-ignored-params"] == "parallel_tool_calls"
    strict = await chat(server, "old", "Hi", headers={"x-ep-strict": "true"}, **fields)
    assert strict.json()["error"]["param"] == "parallel_tool_calls"


async def test_row_49_media_that_cannot_be_had_are_a_400_that_names_them(
    sdk: AsyncOpenAI,
) -> None:
    image = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/a.png"}}
    with pytest.raises(BadRequestError) as caught:
        await ask(sdk, "old", user([image]), stream=False)
    assert caught.value.param == "messages[0].content[0].image_url.url"

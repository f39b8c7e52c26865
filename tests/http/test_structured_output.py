"""JSON over real sockets, from providers that do not enforce it: checked, mended, or an error."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.http.scripted import ENDINGS, OPENINGS, Stage, delta, scripted
from tests.http.structured import structured_policy
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
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

Json = dict[str, Any]

ANY: Json = {"type": "json_object"}
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
TOOLS: Any = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}},
]


class City(BaseModel):
    """What the SDK makes a strict schema of."""

    name: str
    people: int


def wanted(schema: Json, *, strict: bool = False) -> Json:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": strict}}


def quoted(text: str) -> str:
    return json.dumps(text)


@pytest.fixture(scope="module")
def server(providers: SandboxProcess, scripted_port: int) -> Iterator[Proxy]:
    policy = structured_policy(providers, scripted=scripted_port)
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_HEARTBEAT": "0.2"}
    with Proxy(env=env, policy=policy) as process:
        yield process


@pytest.fixture
async def sdk(server: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(server) as client:
        yield client


async def content_of(server: Proxy, persona: str, text: str, **more: Any) -> tuple[str, int, str]:
    """Return what is said, the tokens it took, and what was emulated."""
    options: Json = {"stream_options": {"include_usage": True}} if more.get("stream") else {}
    answer = await chat(server, persona, text, **more, **options)
    assert answer.status_code == 200, answer.text
    emulated = answer.headers.get("x-ep-emulated-params", "")
    if not more.get("stream"):
        body = answer.json()
        assert body["choices"][0]["finish_reason"] == "stop"
        return body["choices"][0]["message"]["content"], body["usage"]["total_tokens"], emulated
    *chunks, done = events_of(answer.content)
    assert done == "[DONE]"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    return text_of(chunks), chunks[-1]["usage"]["total_tokens"], emulated


@BOTH
async def test_row_44_any_json_object_is_asked_for_and_checked(
    server: Proxy, upstream: Upstream, stream: bool
):
    marker = unique()
    content, _, emulated = await content_of(
        server, "anthropic", marker, stream=stream, response_format=ANY
    )
    assert isinstance(json.loads(content), dict)
    assert emulated == "response_format"
    sent = await upstream.request(marker)
    assert "JSON object and nothing else" in json.dumps(sent["body"]["system"])


@BOTH
@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', '```json\n{"a": 1}\n```', 'Sure!\n```\n{"a": 1}\n```\nBye.', 'It is {"a": 1}.'],
)
async def test_what_stands_around_the_json_is_not_told(server: Proxy, text: str, stream: bool):
    say = f"[sandbox say={quoted(text)}]"
    content, _, _ = await content_of(server, "anthropic", say, stream=stream, response_format=ANY)
    assert content == '{"a": 1}'


@BOTH
@pytest.mark.parametrize("persona", ["anthropic", "older_gemini"])
async def test_row_45_wrong_json_is_mended_with_a_second_request(
    server: Proxy, upstream: Upstream, persona: str, stream: bool
):
    schema: Json = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 3}},
        "required": ["a"],
    }
    marker = unique()
    # Each of the two cannot enforce a schema here for a reason of its own: a keyword that its
    # schemas lack, and tools.
    schema |= {"patternProperties": {"^x-": {"type": "null"}}}
    broken = quoted('{"a": "one"}')
    text = f"{marker} [sandbox say={broken}]"
    content, total, emulated = await content_of(
        server, persona, text, stream=stream, response_format=wanted(schema), tools=TOOLS
    )
    assert json.loads(content)["a"] >= 3
    assert "response_format" in emulated
    requests = await upstream.requests(marker)
    assert len(requests) == 2
    second = json.dumps(requests[1]["body"])
    assert "$.a" in second
    assert "is not of type" in second
    # Both were paid for: the second alone would be about half of it.
    single = await chat(server, persona, marker, response_format=wanted(schema), tools=TOOLS)
    assert total > 1.5 * single.json()["usage"]["total_tokens"]


@BOTH
async def test_row_43_calls_are_calls_where_json_is_asked_for(
    server: Proxy, upstream: Upstream, stream: bool
):
    answer = await chat(
        server,
        "anthropic",
        "[sandbox tool=look]",
        stream=stream,
        response_format=ANY,
        tools=TOOLS,
    )
    if stream:
        chunks = events_of(answer.content)[:-1]
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
        names = [c["choices"][0]["delta"].get("tool_calls") for c in chunks]
        assert [n[0]["function"]["name"] for n in names if n and "id" in n[0]] == ["look"]
    else:
        message = answer.json()["choices"][0]["message"]
        assert message["tool_calls"][0]["function"]["name"] == "look"
        assert message["content"] is None
    assert await upstream.count("started") == 1


async def test_the_sdks_parser_gets_what_it_asked_for(sdk: AsyncOpenAI):
    for persona in ("anthropic", "gemini", "older_gemini", "openai", "responses"):
        tools: Any = TOOLS if persona == "older_gemini" else []
        more: Any = {"tools": [_strict(tool) for tool in tools]} if tools else {}
        answer = await sdk.chat.completions.parse(
            model=persona,
            messages=[{"role": "user", "content": "Which city?"}],
            response_format=City,
            **more,
        )
        assert isinstance(answer.choices[0].message.parsed, City), persona


def _strict(tool: Json) -> Json:
    parameters: Json = {"type": "object", "properties": {}, "additionalProperties": False}
    function: Json = {
        **tool["function"],
        "strict": True,
        "parameters": {**parameters, "required": []},
    }
    return {**tool, "function": function}


async def test_bounds_that_the_api_does_not_enforce_are_checked(server: Proxy, upstream: Upstream):
    bounded: Json = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 41, "maximum": 42}},
        "required": ["n"],
        "additionalProperties": False,
    }
    marker = unique()
    text = marker + " [sandbox say=" + quoted('{"n": 7}') + "]"
    form = wanted(bounded, strict=True)
    content, _, _ = await content_of(server, "anthropic", text, response_format=form)
    assert json.loads(content)["n"] in (41, 42)
    assert len(await upstream.requests(marker)) == 2


@BOTH
async def test_json_that_stays_broken_is_a_502_that_says_so(
    server: Proxy, scripted_port: int, stream: bool
):
    async with scripted(scripted_port, _prose):
        answer = await chat(server, "scripted", "JSON!", stream=stream, response_format=ANY)
    error = assert_error(answer, 502, code="invalid_json_answer", type="server_error")
    assert "response_format" in error["message"]
    assert "prose" not in error["message"]


@BOTH
async def test_json_that_stays_broken_is_another_providers_turn(
    server: Proxy, scripted_port: int, stream: bool
):
    async with scripted(scripted_port, _prose):
        answer = await chat(server, "scripted_first", "JSON!", stream=stream, response_format=ANY)
    assert answer.status_code == 200
    assert answer.headers["x-ep-provider"] == "openai"
    text = text_of(events_of(answer.content)) if stream else None
    text = text or answer.json()["choices"][0]["message"]["content"]
    assert isinstance(json.loads(text), dict)


async def _prose(stage: Stage) -> None:
    """Answer as a model does that has never heard of JSON, as often as it is asked."""
    while True:
        await _one_prose(stage)
        await stage.read()


async def _one_prose(stage: Stage) -> None:
    if stage.body.get("stream"):
        await stage.start()
        await stage.send(OPENINGS["anthropic"] + delta("anthropic", "prose") + ENDINGS["anthropic"])
    else:
        await stage.start(content_type="application/json")
        message = {
            **{"id": "msg_1", "type": "message", "role": "assistant", "model": "played"},
            **{"content": [{"type": "text", "text": "prose"}], "stop_sequence": None},
            **{"stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}},
        }
        await stage.send(json.dumps(message).encode())
    await stage.finish()


async def test_row_69_the_client_hears_heartbeats_while_the_answer_is_held_back(server: Proxy):
    text = "[sandbox gap=0.15 chunks=8 say=" + quoted('{"a": "1 2 3 4 5 6 7 8 9 0 1 2"}') + "]"
    answer = await chat(server, "anthropic", text, stream=True, response_format=ANY)
    assert answer.text.startswith(": ping\n\n")
    assert answer.text.rindex(": ping") < answer.text.index("data: ")
    assert text_of(events_of(answer.content)).startswith('{"a"')


async def test_a_held_answer_may_take_longer_than_a_first_token(server: Proxy):
    text = "[sandbox gap=0.15 chunks=8 say=" + quoted('{"a": "1 2 3 4 5 6 7 8 9 0 1 2"}') + "]"
    content, _, _ = await content_of(server, "hasty", text, stream=True, response_format=ANY)
    assert json.loads(content)


@BOTH
async def test_row_63_leaving_while_the_answer_is_held_back_ends_the_request(
    server: Proxy, upstream: Upstream, stream: bool
):
    text = "[sandbox gap=0.2 words=2000]" if stream else "[sandbox delay=30]"
    body = body_of("anthropic", text, stream=stream, response_format=ANY)
    async with await Connection.ask(server, body) as client:

        async def reached() -> bool:
            return await upstream.count("started") == 1

        async def aborted() -> bool:
            return await upstream.count("aborted_by_client") == 1

        await eventually(reached, what="the request")
        await client.close()
        await eventually(aborted, 1.0, "the end of the upstream request")


@BOTH
async def test_row_54_of_several_choices_each_is_checked(
    server: Proxy, upstream: Upstream, stream: bool
):
    marker = unique()
    text = f"{marker} [sandbox times=1 key={marker} say={quoted('no JSON')}]"
    answer = await chat(server, "anthropic", text, stream=stream, response_format=ANY, n=3)
    assert answer.status_code == 200, answer.text
    if stream:
        parts = [p for c in events_of(answer.content)[:-1] for p in c["choices"]]
        texts = [
            "".join(p["delta"].get("content") or "" for p in parts if p["index"] == index)
            for index in range(3)
        ]
    else:
        texts = [c["message"]["content"] for c in answer.json()["choices"]]
    assert len(texts) == 3
    assert all(isinstance(json.loads(text), dict) for text in texts)
    assert len(await upstream.requests(marker)) == 4


REMOTE: Json = {"type": "object", "properties": {"a": {"$ref": "https://a.test/b.json"}}}


async def test_a_schema_that_cannot_be_checked_is_refused_by_name(server: Proxy):
    form = wanted(REMOTE)
    answer = await chat(server, "older_gemini", "Hi", response_format=form, tools=TOOLS)
    error = assert_error(answer, 400, type="invalid_request_error")
    assert error["param"].startswith("response_format.json_schema.schema")


async def test_what_cannot_be_checked_is_reported_and_refused_when_strict(server: Proxy):
    schema = {"type": "object", "properties": {"slug": {"type": "string", "pattern": "^(a+)+$"}}}
    form = wanted(schema)
    text = "[sandbox say=" + quoted('{"slug": "x"}') + "]"
    answer = await chat(server, "older_gemini", text, response_format=form, tools=TOOLS)
    assert answer.status_code == 200, answer.text
    left_out = "response_format.json_schema.schema.pattern"
    assert left_out in answer.headers["x-ep-ignored-params"]
    strict = {"x-ep-strict": "true"}
    answer = await chat(
        server, "older_gemini", text, response_format=form, tools=TOOLS, headers=strict
    )
    assert_error(answer, 400, param=left_out)

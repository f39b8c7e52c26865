"""A wrong body is refused with OpenAI's error and the parameter at fault, and nothing breaks."""

import json
from typing import Any

import pytest

from tests.http.wire import CHAT, Upstream, assert_error, body_of, chat, new_client
from tests.serving import Proxy

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}

NOT_A_REQUEST: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "invalid_json"),
    ("no JSON", b"hello", "invalid_json"),
    ("half", b'{"model":"openai_only","messages":[', "invalid_json"),
    ("two", b"{}{}", "invalid_json"),
    ("not UTF-8", b'{"model":"\xff\xfe"}', "invalid_json"),
    ("half a character", b'{"model":"\\ud800"}', "invalid_json"),
    ("a NUL", b'{"model":"a\x00b"}', "invalid_json"),
    ("a byte order mark", b"\xef\xbb\xbf{}", "invalid_json"),
    ("UTF-16", json.dumps(body_of("openai_only")).encode("utf-16"), "invalid_json"),
    ("single quotes", b"{'model':'openai_only'}", "invalid_json"),
    ("a deep list", b"[" * 100_000, "invalid_json"),
    ("a deep object", b'{"a":' * 100_000, "invalid_json"),
    ("a list", b"[]", "invalid_type"),
    ("null", b"null", "invalid_type"),
    ("a number", b"1", "invalid_type"),
    ("a string", b'"openai_only"', "invalid_type"),
    ("form data", b"model=openai_only&messages=Hi", "invalid_json"),
]


@pytest.mark.parametrize(
    ("body", "code"), [pytest.param(body, code, id=name) for name, body, code in NOT_A_REQUEST]
)
async def test_a_body_that_is_no_json_object_is_a_400(proxy: Proxy, body: bytes, code: str) -> None:
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert_error(answer, 400, type="invalid_request_error", code=code, param=None)


def _with(**more: Any) -> dict[str, Any]:
    return {**body_of("openai_only"), **more}


def _messages(*messages: Any) -> dict[str, Any]:
    return _with(messages=list(messages))


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("no model", {"messages": [USER]}, "model"),
    ("model null", _with(model=None), "model"),
    ("model a number", _with(model=7), "model"),
    ("model empty", _with(model=""), "model"),
    ("no messages", {"model": "openai_only"}, "messages"),
    ("messages null", _with(messages=None), "messages"),
    ("messages empty", _with(messages=[]), "messages"),
    ("messages a text", _with(messages="Hi"), "messages"),
    ("messages an object", _with(messages=USER), "messages"),
    ("message a text", _messages("Hi"), "messages[0]"),
    ("message null", _messages(USER, None), "messages[1]"),
    ("no role", _messages({"content": "Hi"}), "messages[0].role"),
    ("unknown role", _messages({"role": "wizard", "content": "Hi"}), "messages[0].role"),
    ("role a number", _messages({"role": 1, "content": "Hi"}), "messages[0].role"),
    ("no content", _messages({"role": "user"}), "messages[0].content"),
    ("content null", _messages({"role": "user", "content": None}), "messages[0].content"),
    ("content a number", _messages({"role": "user", "content": 5}), "messages[0].content"),
    ("part without type", _messages({"role": "user", "content": [{}]}),
     "messages[0].content[0].type"),
    ("part without text", _messages({"role": "user", "content": [{"type": "text"}]}),
     "messages[0].content[0].text"),
    ("image without URL",
     _messages({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
     "messages[0].content[0].image_url.url"),
    ("stream a word", _with(stream="yes"), "stream"),
    ("stream a number", _with(stream=1), "stream"),
    ("tools an object", _with(tools={}), "tools"),
    ("tool a word", _with(tools=["look"]), "tools[0].type"),
    ("tool without function", _with(tools=[{"type": "function"}]), "tools[0].function"),
    ("tool without name", _with(tools=[{"type": "function", "function": {}}]),
     "tools[0].function.name"),
    ("temperature a text", _with(temperature="hot"), "temperature"),
    ("temperature too high", _with(temperature=3), "temperature"),
    ("temperature too low", _with(temperature=-1), "temperature"),
    ("top_p too high", _with(top_p=1.5), "top_p"),
    ("max_tokens nothing", _with(max_tokens=0), "max_tokens"),
    ("max_tokens below", _with(max_completion_tokens=-5), "max_completion_tokens"),
    ("max_tokens a fraction", _with(max_tokens=1.5), "max_tokens"),
    ("max_tokens a text", _with(max_tokens="10"), "max_tokens"),
    ("max_tokens huge", _with(max_tokens=10**30), "max_tokens"),
    ("n nothing", _with(n=0), "n"),
    ("n too many", _with(n=1000), "n"),
    ("seed huge", _with(seed=2**70), "seed"),
    ("stop a number", _with(stop=5), "stop"),
    ("stop a list of numbers", _with(stop=[5]), "stop[0]"),
    ("logit_bias a list", _with(logit_bias=[]), "logit_bias"),
    ("metadata a list", _with(metadata=[]), "metadata"),
    ("response_format a word", _with(response_format="json"), "response_format"),
    ("response_format of no type", _with(response_format={"type": "xml"}), "response_format.type"),
    ("tool_choice without tools", _with(tool_choice="required"), "tool_choice"),
    ("tool_choice a word", _with(tools=[TOOL], tool_choice="perhaps"), "tool_choice"),
    ("stream_options a word", _with(stream=True, stream_options="usage"), "stream_options"),
    ("orphan tool result",
     _messages(USER, {"role": "tool", "tool_call_id": "call_9", "content": "x"}),
     "messages[1].tool_call_id"),
    ("tool result of another call",
     _messages(USER, {"role": "assistant", "tool_calls": [CALL]},
               {"role": "tool", "tool_call_id": "call_9", "content": "x"}),
     "messages[2].tool_call_id"),
    ("tool result without id",
     _messages(USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "content": "x"}),
     "messages[2].tool_call_id"),
    ("call without function",
     _messages(USER, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function"}]}),
     "messages[1].tool_calls[0].function"),
    ("arguments an object",
     _messages(USER, {"role": "assistant", "tool_calls": [
         {**CALL, "function": {"name": "look", "arguments": {}}}]}),
     "messages[1].tool_calls[0].function.arguments"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "param"), [pytest.param(body, param, id=name) for name, body, param in WRONG]
)
async def test_row_95_a_wrong_field_is_a_400_that_names_it(
    proxy: Proxy, upstream: Upstream, body: dict[str, Any], param: str
) -> None:
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, json=body)
    error = assert_error(answer, 400, type="invalid_request_error", param=param)
    assert error["code"] in (
        *("invalid_type", "invalid_value", "missing_required_parameter", None),
    ), error
    assert await upstream.count("started") == 0


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x10", b"01", b"1.", b"+1"]
)
@pytest.mark.parametrize("field", [b"temperature", b"some_field", b"metadata"])
async def test_what_json_calls_no_number_is_refused(
    proxy: Proxy, upstream: Upstream, number: bytes, field: bytes
) -> None:
    raw = json.dumps(body_of("openai_only")).encode()[:-1] + b',"%b":%b}' % (field, number)
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert_error(answer, 400, type="invalid_request_error")
    if number != b"1e999":
        assert await upstream.count("started") == 0


async def test_a_word_that_is_no_number_may_stand_in_a_text(proxy: Proxy) -> None:
    answer = await chat(proxy, "openai_only", "NaN Infinity -Infinity")
    assert answer.status_code == 200


@pytest.mark.parametrize("digits", [25, 5000])
@pytest.mark.parametrize("word", ["", "NaN"])
async def test_an_integer_beyond_every_limit_is_no_internal_error(
    proxy: Proxy, dialect: str, digits: int, word: str
) -> None:
    """JSON has no limit; each reader between here and the provider has one."""
    huge = b"9" * digits
    schema = b'{"type":"object","properties":{"a":{"type":"integer","maximum":%b}}}' % huge
    raw = (
        b'{"model":"%b_only","messages":[{"role":"user","content":"%b"}],"tools":[{"type":'
        b'"function","function":{"name":"look","parameters":%b}}]}'
    ) % (dialect.encode(), word.encode(), schema)
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert_error(answer, 400)


@pytest.mark.parametrize("levels", [50, 80, 100, 150, 200, 500, 5000])
async def test_a_deep_schema_is_no_internal_error(proxy: Proxy, dialect: str, levels: int) -> None:
    schema = b'{"properties":{"a":' * (levels // 2) + b"{}" + b"}}" * (levels // 2)
    raw = (
        b'{"model":"%b_only","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":'
        b'"function","function":{"name":"look","parameters":%b}}]}'
    ) % (dialect.encode(), schema)
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert_error(answer, 400)


async def test_of_two_keys_of_one_name_the_last_counts(proxy: Proxy) -> None:
    """As every common JSON reader has it; the point is that nothing breaks."""
    raw = json.dumps(body_of("openai_only")).encode()
    raw = b'{"model":"nobody",' + raw[1:]
    async with new_client(proxy) as client:
        answer = await client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "openai_onl",
        "x" * 100_000,
        "openai/gpt-4.1",
        "a\x00b",
        "a\r\nb",
        "…" * 50,
        "../..",
    ],
)
async def test_row_97_an_unknown_persona_is_a_404(proxy: Proxy, name: str) -> None:
    error = assert_error(
        await chat(proxy, name), 404, type="invalid_request_error", param="model",
        code="model_not_found",
    )  # fmt: skip
    assert len(error["message"]) < 1000
    assert "\r" not in error["message"]


async def test_an_unknown_persona_is_told_the_near_names(proxy: Proxy) -> None:
    error = assert_error(await chat(proxy, "openai_frist"), 404)
    assert "`openai_first`" in error["message"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_80_an_unknown_field_is_reported_or_refused_or_passed_on(
    proxy: Proxy, stream: bool
) -> None:
    answer = await chat(proxy, "anthropic_only", stream=stream, some_new_field=1, logit_bias={})
    assert answer.status_code == 200
    assert "some_new_field" in answer.headers["x-ep-ignored-params"]
    answer = await chat(
        proxy, "anthropic_only", stream=stream, some_new_field=1, headers={"x-ep-strict": "true"}
    )
    assert_error(answer, 400, param="some_new_field", code="unsupported_parameter")
    # OpenAI's own dialect carries it, and OpenAI says what it thinks of it.
    answer = await chat(proxy, "openai_only", stream=stream, some_new_field=1)
    assert_error(answer, 400)


async def test_field_names_of_the_client_cannot_forge_a_header(proxy: Proxy) -> None:
    controls = "".join(map(chr, [*range(32), 127]))
    forged: dict[str, Any] = {"a\r\nx-forged: 1": 1, "ü…\x00": 2, controls: 3, "x" * 5000: 4}
    answer = await chat(proxy, "anthropic_only", **forged)
    assert answer.status_code == 200
    assert "x-forged" not in answer.headers
    assert len(answer.headers["x-ep-ignored-params"]) <= 2000
    assert answer.headers["x-ep-ignored-params"].isprintable()


async def test_a_strict_header_that_is_no_switch_is_a_400(proxy: Proxy) -> None:
    assert_error(await chat(proxy, "openai_only", headers={"x-ep-strict": "maybe"}), 400)

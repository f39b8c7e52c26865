"""Properties of requests made of any messages, and of what the CLI is told of them."""

import contextlib
import json
from typing import Any

import pytest
from agent_api import TRANSLATOR, call_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proxy.sandbox.anthropic_messages.content import sign
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.dialect import Rejection
from tests.recordings import recorded_openai_requests
from tests.translators.chat_requests import PNG, chat_of
from tests.translators.strategies import (
    changed_request,
    conversations,
    grown_requests,
    requests,
)
from tests.translators.streams import Json
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.told import difference
from translators.errors import ExecutionPlatformError, TranslationError
from translators.json import encode
from translators.wire.request import InvalidRequest

MODELS = [
    *("claude-3-5-haiku-latest", "claude-haiku-4-5", "claude-opus-4-6", "claude-sonnet-5"),
    *("claude-opus-5-5", "sonnet"),
]
ANY_MODEL = st.sampled_from([*MODELS, "other"])
SIGNATURE = sign("a", "b")
CALLS: st.SearchStrategy[Json] = st.sampled_from(["", '{"a":1}']).map(
    lambda arguments: {"function": {"name": "f", "arguments": arguments}}
)
_SEARCH: list[Json | None] = [None, {}]
_FORM = {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
REQUESTS = requests(
    CALLS,
    n=st.integers(1, 3),
    cache_control=st.just({"type": "ephemeral", "ttl": "1h"}),
    prompt_cache_options=st.just({"mode": "implicit"}),
    prompt_cache_retention=st.sampled_from(["in_memory", "24h"]),
    response_format=st.sampled_from(
        [{"type": "json_object"}, {"type": "json_schema", "json_schema": _FORM}]
    ),
    web_search_options=st.sampled_from(_SEARCH),
).filter(lambda request: bool(request["messages"]))


def told(request: Json, model: str) -> AgentRequest:
    return TRANSLATOR.request(chat_of(request), model=model).request


def check(request: Json, model: str) -> None:
    """Check what the CLI is told, and that the API takes the call that it makes of that."""
    native = told(request, model)
    check_turns(native)
    body: Any = json.loads(json.dumps(call_of(native)).replace('"c2ln"', f'"{SIGNATURE}"'))
    if model == "sonnet":
        body["model"] = "claude-sonnet-5-5"
    try:
        headers = {"anthropic-version": "2023-06-01", "content-type": "application/json"}
        headers |= {"anthropic-beta": native.betas} if native.betas else {}
        AnthropicMessages().read(body, headers)
    except Rejection as refusal:
        pytest.fail(f"{refusal.error}: {json.dumps(body)[:2000]}")


def check_turns(native: AgentRequest) -> None:
    """User and assistant by turns, results first and complete, the last turn the user's."""
    roles = [turn["role"] for turn in native.turns]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    waiting: list[str] = []
    for turn in native.turns:
        assert turn["content"]
        if turn["role"] == "assistant":
            waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
            continue
        results = [block for block in turn["content"] if block["type"] == "tool_result"]
        assert turn["content"][: len(results)] == results
        assert sorted(block["tool_use_id"] for block in results) == sorted(waiting)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recorded", recorded_openai_requests())
def test_recorded_openai_request_is_accepted_or_refused_by_us(recorded: Json, model: str):
    try:
        check(recorded, model)
    except ExecutionPlatformError as error:
        assert error.param


@given(REQUESTS, st.sampled_from(MODELS))
@settings(max_examples=200, deadline=None)
def test_any_request_is_accepted_or_refused_by_us(request: Json, model: str):
    try:
        check(request, model)
    except TranslationError as error:
        assert error.param in ("messages", "response_format", "web_search_options")


@given(REQUESTS, ANY_MODEL)
@settings(max_examples=100, deadline=None)
def test_the_cli_is_told_the_same_again(request: Json, model: str):
    """And what it was told is found in its call, so that the gate lets the call pass."""
    try:
        first = told(request, model)
    except TranslationError:
        assume(False)
        raise
    second = told(request, model)
    assert first == second
    assert encode(call_of(first)) == encode(call_of(second))
    assert difference(json.loads(encode(call_of(first))), first) is None


@given(REQUESTS, ANY_MODEL)
@settings(max_examples=100, deadline=None)
def test_whether_it_streams_makes_no_difference(request: Json, model: str):
    """The CLI always streams."""
    with contextlib.suppress(TranslationError):
        streamed = told({**request, "stream": True}, model)
        assert streamed == told({**request, "stream": False}, model)


@given(REQUESTS, ANY_MODEL)
@settings(max_examples=100, deadline=None)
def test_a_report_names_nothing_twice(request: Json, model: str):
    with contextlib.suppress(TranslationError):
        report = TRANSLATOR.request(chat_of(request), model=model).report
        named = report.ignored + report.emulated
        assert len(set(named)) == len(named)


@given(conversations(CALLS), st.data(), ANY_MODEL)
@settings(max_examples=150, deadline=None)
def test_longer_conversation_keeps_the_turns_it_had(messages: list[Json], data: Any, model: str):
    """Known-failure 47, and 0.5 of the wire mapping: caches and thoughts hang on the prefix."""
    old, new = grown_requests(TRANSLATOR, messages, data, model)
    # Bytes, for the order of keys matters too.
    assert encode(new.system) == encode(old.system)
    assert encode(new.extra["tools"]) == encode(old.extra["tools"])
    assert encode(new.turns[: len(old.turns)]) == encode(old.turns)
    if "messages" in old.extra:
        laid_over = _unmarked(new.extra["messages"][: len(old.turns)])
        assert encode(laid_over) == encode(_unmarked(old.extra["messages"]))


def _unmarked(turns: list[Json]) -> list[Json]:
    """Return the turns without the mark of the last one, which is no part of the prompt."""
    return [
        {
            **turn,
            "content": [
                {name: value for name, value in block.items() if name != "cache_control"}
                for block in turn["content"]
            ],
        }
        for turn in turns
    ]


_MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
_POINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}
_IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}, **_POINT}
RICH: Json = {
    "model": "persona",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", **_MARK}]},
        {"role": "user", "content": [{"type": "text", "text": "x", **_POINT}, _IMAGE]},
        {
            "role": "assistant",
            "content": "y",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "z"}, _IMAGE]},
        {"role": "user", "content": [_IMAGE], **_MARK},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", **_MARK}, **_POINT},
        {"type": "custom", "custom": {"name": "g"}, **_MARK},
    ],
    "functions": [{"name": "h", **_MARK}],
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
    "top_p": 0.5,
    "reasoning_effort": "low",
    **_MARK,
}


@given(st.data(), ANY_MODEL)
@settings(max_examples=400, deadline=None)
def test_odd_request_is_refused_or_taken_never_a_bug(data: Any, model: str):
    request = changed_request(data, RICH)
    with contextlib.suppress(TranslationError, InvalidRequest):
        chat = chat_of(request)
        TRANSLATOR.media_to_fetch(chat)
        native = TRANSLATOR.request(chat, model=model).request
        assert '"ttl"' not in json.dumps(native.extra.get("messages"))
        assert difference(json.loads(encode(call_of(native))), native) is None

"""Every request that the OpenAI SDK's types allow is read, and written again unchanged."""

import json
from collections.abc import Iterable
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from typing_extensions import is_typeddict

from tests.recordings import Recording, recorded_openai_chats
from translators.errors import InvalidRequest
from translators.wire.request import ChatCompletionRequest, parse_request

Json = dict[str, Any]

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
NAME = st.text("abcXYZ_-09", min_size=1, max_size=6)
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)

# Limits that the types do not say.
LIMITED: dict[str, st.SearchStrategy[Any]] = {
    "model": NAME,
    "name": NAME,
    "id": NAME,
    "tool_call_id": NAME,
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "n": st.integers(1, 128),
    "max_tokens": st.integers(1, 2**31),
    "max_completion_tokens": st.integers(1, 2**31),
    "top_logprobs": st.integers(0, 20),
    "seed": st.integers(-(2**63), 2**63 - 1),
}


def of_type(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Return the JSON values that a type of the SDK allows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired):
        return of_type(arguments[0], name)
    if name in LIMITED and hint not in (None, type(None)):
        optional = origin is Union and type(None) in arguments
        return st.none() | LIMITED[name] if optional else LIMITED[name]
    if is_typeddict(hint):
        return typed_dict(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is Union:
        return st.one_of([of_type(argument) for argument in arguments])
    if origin in (dict, cast("Any", dict)):
        values = ANY_JSON if arguments[1] is object else of_type(arguments[1])
        return st.dictionaries(TEXT, values, max_size=2)
    if origin is not None and issubclass(cast("type", origin), Iterable):
        return st.lists(of_type(arguments[0]), min_size=name == "messages", max_size=2)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bool: st.booleans(),
        int: st.integers(-(2**31), 2**31),
        float: st.floats(-2, 2) | st.integers(-2, 2),
        type(None): st.none(),
        object: ANY_JSON,
    }
    if hint in plain:
        return plain[hint]
    return typed_sequence(hint)


def typed_sequence(hint: Any) -> st.SearchStrategy[Any]:
    """Handle `SequenceNotStr[str]`, a protocol of the SDK's."""
    assert "SequenceNotStr" in str(hint), hint
    return st.lists(of_type(get_args(hint)[0]), max_size=2)


def typed_dict(hint: Any) -> st.SearchStrategy[Json]:
    hints = get_type_hints(hint, include_extras=True)
    fields = {k: of_type(v, k) for k, v in hints.items()}
    # `__required_keys__` misses what `from __future__ import annotations` hides from it.
    required = {k for k, v in hints.items() if get_origin(v) is Required}
    required |= {k for k in hint.__required_keys__ if get_origin(hints[k]) is not NotRequired}
    return st.fixed_dictionaries(
        {k: v for k, v in fields.items() if k in required},
        optional={k: v for k, v in fields.items() if k not in required},
    )


def coherent(body: Json) -> Json:
    """Give tool results their calls, and a tool choice its tools."""
    known: set[str] = set()
    kept: list[Json] = []
    for message in body["messages"]:
        if message["role"] == "tool" and message["tool_call_id"] not in known:
            call = {"id": message["tool_call_id"], "type": "function", "function": {"name": "f"}}
            kept.append({"role": "assistant", "tool_calls": [call]})
            known.add(message["tool_call_id"])
        for call in message.get("tool_calls") or ():
            known.add(call["id"])
        kept.append(message)
    if body.get("tool_choice") not in (None, "none", "auto") and not body.get("tools"):
        body = {**body, "tools": [{"type": "function", "function": {"name": "f"}}]}
    return {**body, "messages": kept}


SLOW = settings(
    max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
REQUESTS = typed_dict(CompletionCreateParamsStreaming).map(coherent)


@SLOW
@given(REQUESTS)
def test_what_the_sdk_allows_is_read_and_written_unchanged(body: Json):
    assert parse_request(json.dumps(body).encode()).to_wire() == body


@SLOW
@given(REQUESTS, st.dictionaries(NAME.map("x_".__add__), ANY_JSON, max_size=3))
def test_unknown_fields_are_kept_at_every_level(body: Json, extra: Json):
    messages = [{**message, **extra} for message in body["messages"]]
    tools = [{**tool, **extra} for tool in body.get("tools") or ()]
    whole = {**body, **extra, "messages": messages, **({"tools": tools} if tools else {})}
    assert parse_request(json.dumps(whole).encode()).to_wire() == whole


def test_the_model_has_every_field_of_the_sdk():
    theirs = set(get_type_hints(CompletionCreateParamsStreaming))
    assert theirs - set(ChatCompletionRequest.model_fields) == set()
    assert set(ChatCompletionRequest.model_fields) - theirs == set()


@pytest.mark.parametrize(
    "recording", recorded_openai_chats(lambda recording: recording.request is not None)
)
def test_recorded_requests_are_read_and_written_unchanged(recording: Recording):
    assert recording.request is not None
    body = json.dumps(recording.request).encode()
    if recording.request["messages"] == []:
        # OpenAI itself refused this one, for the same reason and with the same `param`.
        with pytest.raises(InvalidRequest) as caught:
            parse_request(body)
        assert recording.status == caught.value.status_hint == 400
        assert json.loads(recording.body)["error"]["param"] == caught.value.param == "messages"
        return
    assert parse_request(body).to_wire() == recording.request


def test_parts_tools_and_messages_of_types_to_come_are_kept():
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "audio": None},
        ],
        "tools": [{"type": "retrieval", "depth": 3}],
        "guided_json": {"type": "object"},
    }
    assert parse_request(json.dumps(body).encode()).to_wire() == body


def test_row_57_row_100_odd_messages_are_kept_as_they_are():
    call = {"id": "c" * 80, "index": 0, "type": "function", "function": {"name": "f"}}
    body: Json = {
        "model": "m",
        "messages": [
            {"role": "user", "content": []},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c" * 80, "content": []},
        ],
    }
    assert parse_request(json.dumps(body).encode()).to_wire() == body


def test_what_the_front_asks_of_a_request():
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "stream_options": {"include_usage": True},
        "tools": [{"type": "custom", "custom": {"name": "shell"}}, {"type": "other"}],
        "functions": [{"name": "f"}],
    }
    chat = parse_request(json.dumps(body).encode())
    assert chat.wants_usage
    assert chat.custom_tool_names == {"shell"}
    assert not chat.uses_functions
    old = parse_request(json.dumps({**body, "tools": None, "stream_options": None}).encode())
    assert (old.wants_usage, old.uses_functions) == (False, True)

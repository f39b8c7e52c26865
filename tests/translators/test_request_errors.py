"""What a wrong request is told: the parameter's path as OpenAI writes it, and OpenAI's code."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.errors import InvalidRequest
from translators.json import encode
from translators.wire import request
from translators.wire.request import ChatCompletionRequest, parse_request

Json = dict[str, Any]

HELLO = {"model": "architect", "messages": [{"role": "user", "content": "Hi"}]}


def refusal(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_request(body)
    error = caught.value
    assert error.status_hint == 400
    assert error.type == "invalid_request_error"
    assert error.message
    return error


def refused(**fields: Any) -> InvalidRequest:
    return refusal(json.dumps({**HELLO, **fields}).encode())


def user(content: Any) -> Json:
    return {"messages": [{"role": "user", "content": content}]}


def assistant(**fields: Any) -> Json:
    return {"messages": [{"role": "assistant", **fields}]}


def messages(*entries: Any) -> Json:
    return {"messages": list(entries)}


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
FUNCTION = {"type": "function", "function": {"name": "f"}}

TYPE, VALUE, MISSING = "invalid_type", "invalid_value", "missing_required_parameter"
PART = "messages[0].content[0]"

WRONG: list[tuple[Json, str, str | None]] = [
    # top level
    ({"model": 1}, "model", TYPE),
    ({"model": None}, "model", TYPE),
    ({"model": ""}, "model", VALUE),
    ({"messages": []}, "messages", VALUE),
    ({"messages": {}}, "messages", TYPE),
    ({"messages": "Hi"}, "messages", TYPE),
    ({"stream": "yes"}, "stream", TYPE),
    ({"stream": 1}, "stream", TYPE),
    ({"temperature": "1"}, "temperature", TYPE),
    ({"temperature": 2.5}, "temperature", VALUE),
    ({"temperature": -1}, "temperature", VALUE),
    ({"top_p": 1.1}, "top_p", VALUE),
    ({"n": 0}, "n", VALUE),
    ({"n": 1.5}, "n", TYPE),
    ({"n": True}, "n", TYPE),
    ({"max_tokens": 0}, "max_tokens", VALUE),
    ({"max_tokens": "1"}, "max_tokens", TYPE),
    ({"max_completion_tokens": 2**63}, "max_completion_tokens", VALUE),
    ({"seed": -(2**63) - 1}, "seed", VALUE),
    ({"top_logprobs": 21}, "top_logprobs", VALUE),
    ({"logit_bias": {"50256": 1.5}}, "logit_bias.50256", TYPE),
    ({"metadata": {"a": 1}}, "metadata.a", TYPE),
    ({"modalities": "text"}, "modalities", TYPE),
    ({"stop": 3}, "stop", TYPE),
    ({"stop": ["a", 3]}, "stop[1]", TYPE),
    ({"stream_options": {"include_usage": "x"}}, "stream_options.include_usage", TYPE),
    ({"response_format": {"type": "xml"}}, "response_format.type", VALUE),
    ({"response_format": "json_object"}, "response_format", TYPE),
    (
        {"response_format": {"type": "json_schema", "json_schema": {}}},
        "response_format.json_schema.name",
        MISSING,
    ),
    # messages
    (messages("Hi"), "messages[0]", TYPE),
    (messages({}), "messages[0].role", VALUE),
    (messages({"role": 3}), "messages[0].role", VALUE),
    (messages({"role": "robot", "content": "x"}), "messages[0].role", VALUE),
    (messages({"role": "user"}), "messages[0].content", MISSING),
    (messages(*HELLO["messages"], {"role": "system"}), "messages[1].content", MISSING),
    (messages({"role": "tool", "content": "x"}), "messages[0].tool_call_id", MISSING),
    (messages({"role": "function", "content": "x"}), "messages[0].name", MISSING),
    (user(None), "messages[0].content", TYPE),
    (user({}), "messages[0].content", TYPE),
    (user(["Hi"]), f"{PART}.type", VALUE),
    (user([{"text": "Hi"}]), f"{PART}.type", VALUE),
    (user([{"type": 3}]), f"{PART}.type", VALUE),
    (user([{"type": "text"}]), f"{PART}.text", MISSING),
    (user([{"type": "text", "text": 3}]), f"{PART}.text", TYPE),
    (user([{"type": "image_url", "image_url": "x"}]), f"{PART}.image_url", TYPE),
    (user([{"type": "image_url", "image_url": {}}]), f"{PART}.image_url.url", MISSING),
    (user([{"type": "image_url", "image_url": {"url": 3}}]), f"{PART}.image_url.url", TYPE),
    (user([{"type": "input_audio", "input_audio": {"data": ""}}]), f"{PART}.input_audio.format",
     MISSING),
    (user([{"type": "file", "file": {"file_data": 3}}]), f"{PART}.file.file_data", TYPE),
    (assistant(content=[{"type": "refusal"}]), f"{PART}.refusal", MISSING),
    (assistant(content=3), "messages[0].content", TYPE),
    (assistant(refusal=3), "messages[0].refusal", TYPE),
    (assistant(tool_calls={}), "messages[0].tool_calls", TYPE),
    (assistant(tool_calls=[{"function": {"name": "f"}}]), "messages[0].tool_calls[0].id", MISSING),
    (assistant(tool_calls=[{**CALL, "function": {}}]), "messages[0].tool_calls[0].function.name",
     MISSING),
    (assistant(tool_calls=[{**CALL, "type": "x"}]), "messages[0].tool_calls[0].type", VALUE),
    (assistant(tool_calls=[{"id": "c", "type": "function"}]), "messages[0].tool_calls[0].function",
     MISSING),
    (assistant(tool_calls=[CALL, {"id": "c", "type": "custom"}]),
     "messages[0].tool_calls[1].custom", MISSING),
    (assistant(function_call={"arguments": "{}"}), "messages[0].function_call.name", MISSING),
    # tools
    ({"tools": {}}, "tools", TYPE),
    ({"tools": [{}]}, "tools[0].type", VALUE),
    ({"tools": ["f"]}, "tools[0].type", VALUE),
    ({"tools": [{"type": "function"}]}, "tools[0].function", MISSING),
    ({"tools": [FUNCTION, {"type": "function", "function": {"name": 3}}]},
     "tools[1].function.name", TYPE),
    ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].custom.name", MISSING),
    ({"functions": [{}]}, "functions[0].name", MISSING),
    ({"function_call": 3}, "function_call", VALUE),
    ({"function_call": {}}, "function_call.name", MISSING),
    ({"tools": [FUNCTION], "tool_choice": "yes"}, "tool_choice", VALUE),
    ({"tools": [FUNCTION], "tool_choice": {"type": "x"}}, "tool_choice.type", VALUE),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function"}}, "tool_choice.function", MISSING),
    ({"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {}}},
     "tool_choice.function.name", MISSING),
    ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "allowed_tools": {
        "mode": "x", "tools": []}}}, "tool_choice.allowed_tools.mode", VALUE),
    ({"tool_choice": "required"}, "tool_choice", None),
    ({"tools": [], "tool_choice": {"type": "function", "function": {"name": "f"}}},
     "tool_choice", None),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code"), WRONG, ids=lambda v: str(v)[:60])
def test_row_95_wrong_fields_are_refused_by_their_path(fields: Json, param: str, code: str | None):
    error = refused(**fields)
    assert (error.param, error.code) == (param, code)
    if code == MISSING:
        assert f"`{param.rpartition('.')[2]}`" in error.message or f"'{param}'" in error.message


def test_what_is_required_is_named():
    assert refusal(b"{}").code == MISSING
    assert refusal(b'{"model":"m"}').param == "messages"
    assert refusal(b'{"messages":[{"role":"user","content":"x"}]}').param == "model"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m",}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"a":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: str(body[:24]),
)
def test_what_is_not_json_is_said_to_be_none(body: bytes):
    error = refusal(body)
    assert error.code == "invalid_json"
    assert error.param is None


@pytest.mark.parametrize("body", [b"[]", b"3", b"null", b'"text"', b"true"])
def test_a_body_that_is_no_object_is_refused(body: bytes):
    error = refusal(body)
    assert (error.code, error.param) == ("invalid_type", None)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["temperature", "top_k"])
def test_javascripts_numbers_are_not_json(constant: str, field: str):
    body = json.dumps({**HELLO, field: 0}).replace(f'"{field}": 0', f'"{field}": {constant}')
    error = refusal(body.encode())
    assert error.code in ("invalid_json", "invalid_value")
    text = {**HELLO, "messages": [{"role": "user", "content": f"what is {constant}?"}]}
    assert parse_request(json.dumps(text).encode()).to_wire() == text


def test_row_95_an_orphan_tool_result_is_refused_not_repaired():
    question = {"role": "user", "content": "?"}
    calling = {"role": "assistant", "tool_calls": [CALL]}
    answering = {"role": "tool", "tool_call_id": "call_1", "content": "1"}
    parse_request(json.dumps({**HELLO, **messages(question, calling, answering)}).encode())
    for wrong in (
        [question, answering],
        [answering, calling],
        [question, calling, {**answering, "tool_call_id": "call_2"}],
    ):
        error = refused(**messages(*wrong))
        place = next(i for i, m in enumerate(wrong) if m["role"] == "tool")
        assert error.param == f"messages[{place}].tool_call_id"


def test_the_message_does_not_repeat_what_the_client_said():
    canary = "canary-5f0c"
    for fields in (
        {"temperature": canary},
        {"stop": {"x": canary}},
        {"tools": canary},
        user([{"type": "text", "text": {"x": canary}}]),
        messages({"role": canary}),
        {"response_format": {"type": canary}},
    ):
        assert canary not in refused(**fields).message


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["user", "assistant", "tool", "text", "image_url", "function", "auto", ""])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "type", "text", "name", "id", "function", "tool_calls", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
FIELDS = ["model", "messages", "tools", "tool_choice", "stop", "functions", "function_call", "n"]


@given(st.dictionaries(st.sampled_from([*FIELDS, "response_format", "metadata"]), JSON))
def test_no_json_breaks_the_parser(fields: Json):
    try:
        parse_request(json.dumps({**HELLO, **fields}).encode())
    except InvalidRequest as error:
        assert "[" not in (error.param or "")[-1:]
        assert error.to_wire()["error"]["message"]


@given(st.dictionaries(st.sampled_from([*FIELDS, "response_format", "metadata", "x"]), JSON))
def test_what_is_read_is_what_pydantic_reads_of_json(fields: Json):
    body = json.dumps({**HELLO, **fields}).encode()
    try:
        read = parse_request(body)
    except InvalidRequest:
        return
    expected = ChatCompletionRequest.model_validate_json(body)
    assert read == expected
    assert encode(read.to_wire()) == encode(expected.to_wire())


@given(st.binary(max_size=40))
def test_no_bytes_break_the_parser(body: bytes):
    with pytest.raises(InvalidRequest):
        parse_request(body)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [1] * 200_000}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [1] * 200_000}]}, "messages[0].content[0].type"),
        ({"tools": [1] * 200_000}, "tools[0].type"),
        ({"stop": [1] * 200_000}, "stop[0]"),
        ({"metadata": {str(i): 1 for i in range(200_000)}}, "metadata"),
    ],
    ids=["messages", "content", "tools", "stop", "metadata"],
)
def test_a_million_mistakes_are_told_as_the_first(fields: dict[str, Any], param: str):
    import tracemalloc

    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields})
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest) as caught:
            parse_request(body.encode())
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.param == param


def _never(*_: object, **__: object) -> None:
    pytest.fail("that was not to be called")


@pytest.mark.parametrize("wrong", [b'"messages":[%b]', b'"messages":"x","tools":[%b]'])
def test_a_body_of_very_many_parts_is_refused_without_an_object_of_each(
    wrong: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would hold the event loop, and the memory, for what the first of them decides."""
    monkeypatch.setattr(request, "from_json", _never)
    parts = b",".join([b"[     ]"] * 200_000)
    with pytest.raises(InvalidRequest):
        parse_request(b'{"model":"m",' + wrong % parts + b"}")


def test_a_large_body_of_few_parts_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "_read_again", _never)
    text = b"x" * 2_000_000
    body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % text
    assert parse_request(body).messages[0].content == text.decode()

"""What the Responses API refuses, in its own words."""

from typing import Any

import httpx
import pytest

from proxy.sandbox.openai_responses.seals import seal, sealed_for

from .conftest import Wire

_USER: Any = {"role": "user", "content": "Hi"}
_CALL: Any = {"type": "function_call", "call_id": "c1", "name": "t", "arguments": "{}"}
_RESULT: Any = {"type": "function_call_output", "call_id": "c1", "output": "ok"}
_REASONING: Any = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": seal("rs_1", "x"),
}
_TOOL: Any = {"type": "function", "name": "t", "parameters": {"type": "object"}}
_STRICT: Any = {
    "type": "function",
    "name": "t",
    "strict": True,
    "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
}
_CHAT_TOOL: Any = {"type": "function", "function": {"name": "t"}}
_TEXT: Any = {"type": "input_text", "text": "x"}


async def _post(wire: Wire, **fields: Any) -> httpx.Response:
    body = {"model": "gpt-6-sol", "input": "Hi", **fields}
    return await wire.client.post(
        f"{wire.server.openai_base_url}/responses",
        headers={"authorization": "Bearer k"},
        json={key: value for key, value in body.items() if value is not ...},
    )


_ACCEPTED: list[Any] = [
    {"temperature": None, "tools": None, "text": None, "reasoning": None, "include": None},
    {"input": [_USER, {**_USER, "type": "message"}]},
    {"input": [_USER, _CALL, _RESULT], "tools": []},
    {"input": [_USER, _REASONING, _CALL, _RESULT]},
    {"input": [_USER, {**_REASONING, "id": ...}, {"role": "assistant", "content": "ok"}]},
    # Results may come in another order than the calls, and other items between.
    {
        "input": [
            *(_USER, _CALL, {**_CALL, "call_id": "c2"}, {**_RESULT, "call_id": "c2"}),
            *({"role": "developer", "content": "Be terse."}, _RESULT),
        ]
    },
    {
        "input": [
            {
                "role": "user",
                "content": [
                    _TEXT,
                    {"type": "input_image", "image_url": "https://x", "detail": "low"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                    {"type": "input_file", "file_data": "data:application/pdf;base64,AA=="},
                ],
            },
            {
                "type": "message",
                "role": "assistant",
                "id": "msg_1",
                "status": "completed",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": []},
                    {"type": "refusal", "refusal": "b"},
                ],
            },
        ]
    },
    {"input": [_USER, _CALL, {**_RESULT, "output": [_TEXT]}]},
    {"tools": [_TOOL, {"type": "custom", "name": "n"}, {"type": "web_search"}]},
    {"tools": [_TOOL], "tool_choice": {"type": "function", "name": "t"}},
    {"tools": [_TOOL], "reasoning": {"effort": "high", "summary": "detailed"}},
    {"model": "gpt-4.1", "temperature": 0.5, "top_logprobs": 3},
    {"model": "gpt-5.4", "temperature": 0.5, "reasoning": {"effort": "none"}},
    {"max_output_tokens": 16},
]


def _without_blanks(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_blanks(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {k: _without_blanks(v) for k, v in value.items() if v is not ...}  # pyright: ignore[reportUnknownVariableType]
    return value


@pytest.mark.parametrize("fields", _ACCEPTED)
async def test_accepted(wire: Wire, fields: dict[str, Any]) -> None:
    answer = await _post(wire, **_without_blanks(fields))
    assert answer.status_code == 200, answer.text


# Fields, `param`, `code`, and how the message begins.
_REFUSED: list[tuple[Any, str | None, str | None, str]] = [
    ({"foo": 1}, "foo", "unknown_parameter", "Unknown parameter: 'foo'."),
    ({"model": ...}, "model", "missing_required_parameter", "Missing required parameter: 'model'."),
    ({"input": ...}, "input", "missing_required_parameter", 'One of "input"'),
    ({"messages": []}, "messages", "unsupported_parameter", "Unsupported parameter: 'messages'."),
    ({"max_tokens": 5}, "max_tokens", "unsupported_parameter", "Unsupported parameter: 'max_to"),
    ({"seed": 5}, "seed", "unknown_parameter", "Unknown parameter: 'seed'."),
    ({"stop": ["x"]}, "stop", "unknown_parameter", "Unknown parameter: 'stop'."),
    ({"n": 2}, "n", "unknown_parameter", "Unknown parameter: 'n'."),
    ({"input": 5}, "input", "invalid_type", "Invalid type for 'input': expected one of an array"),
    ({"stream": "x"}, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean"),
    (
        {"max_output_tokens": 15},
        "max_output_tokens",
        "integer_below_min_value",
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16",
    ),
    ({"reasoning": {"effort": "x"}}, "reasoning.effort", "invalid_value", "Invalid value: 'x'."),
    ({"reasoning": {"foo": 1}}, "reasoning.foo", "unknown_parameter", "Unknown parameter"),
    ({"temperature": 0.5}, "temperature", "unsupported_parameter", "Unsupported parameter: 'temp"),
    (
        {"model": "gpt-4.1", "reasoning": {"effort": "low"}},
        "reasoning.effort",
        "unsupported_parameter",
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    ),
    (
        {"model": "gpt-4.1", "include": ["reasoning.encrypted_content"]},
        "include",
        None,
        "Encrypted content is not supported with this model.",
    ),
    ({"include": ["x"]}, "include[0]", "invalid_value", "Invalid value: 'x'."),
    ({"stream_options": {"include_usage": True}, "stream": True}, "stream_options.include_usage",
     "unknown_parameter", "Unknown parameter: 'stream_options.include_usage'."),
    ({"stream_options": {}}, "stream_options", None, "The 'stream_options' parameter is only"),
    # Tools are flat.
    ({"tools": [_CHAT_TOOL]}, "tools[0].name", "missing_required_parameter",
     "Missing required parameter: 'tools[0].name'."),
    ({"tools": [{**_TOOL, "x": 1}]}, "tools[0].x", "unknown_parameter", "Unknown parameter"),
    ({"tools": [{"type": "x"}]}, "tools[0].type", "invalid_value", "Invalid value: 'x'."),
    ({"tools": [_STRICT]}, "tools[0].parameters", "invalid_function_parameters",
     "Invalid schema for function 't': In context=(), 'additionalProperties' is required"),
    ({"tools": [{**_TOOL, "name": "a b"}]}, "tools[0].name", "invalid_value", "Invalid 'tools[0]"),
    ({"tool_choice": "required"}, "tool_choice", None, "Tool choice 'required' must be"),
    ({"tools": [_TOOL], "tool_choice": {"type": "function", "name": "u"}}, "tool_choice", None,
     "Tool choice 'u' not found in 'tools' parameter."),
    ({"tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "t"}}},
     "tool_choice.name", "missing_required_parameter", "Missing required parameter"),
    # So are formats.
    ({"text": {"format": {"type": "json_schema", "json_schema": {}}}}, "text.format.name",
     "missing_required_parameter", "Missing required parameter: 'text.format.name'."),
    ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"},
                          "strict": True}}}, "text.format.schema", "invalid_json_schema",
     "Invalid schema for response_format 'n': In context=()"),
    ({"text": {"format": {"type": "json_object"}}}, "input", None, "Response input messages must"),
    # Items and their parts.
    ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value",
     "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'"),
    ({"input": [{**_USER, "name": "x"}]}, "input[0].name", "unknown_parameter",
     "Unknown parameter: 'input[0].name'."),
    ({"input": [{"type": "x"}]}, "input[0].type", "invalid_value", "Invalid value: 'x'."),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
     "input[0].content[0].type", "invalid_value", "Invalid value: 'text'. Supported values are"),
    ({"input": [{"role": "assistant", "content": [_TEXT]}]}, "input[0].content[0]",
     "invalid_value", "Invalid value: 'input_text'. Supported values are: 'output_text' and 'ref"),
    ({"input": [_USER, {**_CALL, "id": "call_1"}, _RESULT]}, "input[1].id", "invalid_value",
     "Invalid 'input[1].id': 'call_1'. Expected an ID that begins with 'fc'."),
    ({"input": [_USER, {**_CALL, "call_id": "c" * 65}, _RESULT]}, "input[1].call_id",
     "string_above_max_length", "Invalid 'input[1].call_id': string too long."),
    ({"input": [_USER, {**_CALL, "arguments": {}}, _RESULT]}, "input[1].arguments",
     "invalid_type", "Invalid type for 'input[1].arguments': expected a string, but got an object"),
    # What belongs together.
    ({"input": [_USER, _RESULT]}, "input", None,
     "No tool call found for function call output with call_id c1."),
    ({"input": [_USER, _CALL]}, "input", None, "No tool output found for function call c1."),
    ({"input": [_USER, {**_CALL, "call_id": "c2"}, _RESULT]}, "input", None, "No tool call found"),
    ({"input": [_USER, _RESULT, _CALL]}, "input", None, "No tool call found"),
    ({"input": [_REASONING]}, "input", None,
     "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
    ({"input": [_REASONING, _USER]}, "input", None, "Item 'rs_1' of type 'reasoning' was"),
    ({"input": [_USER, _CALL, _REASONING, _RESULT]}, "input", None, "Item 'rs_1' of type 'reaso"),
    ({"input": [{**_CALL, "id": "fc_Sandbox0000000001000r"}, _RESULT]}, "input", None,
     "Item 'fc_Sandbox0000000001000r' of type 'function_call' was provided without its required "
     "'reasoning' item: 'rs_Sandbox0000000001000'."),
    ({"input": [{**_REASONING, "encrypted_content": "gAAAAABforeign"}, _CALL, _RESULT]}, None,
     "invalid_encrypted_content", "The encrypted content for item rs_1 could not be verified."),
    ({"input": [{**_REASONING, "id": "rs_2"}, _CALL, _RESULT]}, None, "invalid_encrypted_content",
     "The encrypted content for item rs_2 could not be verified. Reason: Encrypted content"),
    ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found",
     "Previous response with id 'resp_1' not found."),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "param", "code", "message"), _REFUSED)
async def test_refused(
    wire: Wire, fields: dict[str, Any], param: str | None, code: str | None, message: str
) -> None:
    answer = await _post(wire, **fields)
    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    assert error["message"].startswith(message), error
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"


async def test_reasoning_that_was_not_encrypted_is_not_remembered(wire: Wire) -> None:
    bare: Any = {"type": "reasoning", "id": "rs_1", "summary": []}
    reference: Any = {"type": "item_reference", "id": "rs_1"}
    for item in (bare, reference):
        answer = await _post(wire, input=[_USER, item, _CALL, _RESULT])
        assert answer.status_code == 404
        assert answer.json()["error"]["message"].startswith("Item with id 'rs_1' not found.")


@pytest.mark.parametrize("position", range(0, len(seal("rs_1", "x")), 3))
def test_a_seal_that_was_altered_anywhere_is_not_taken(position: int) -> None:
    content = seal("rs_1", "x")
    assert sealed_for(content) == "rs_1"
    other = "A" if content[position] != "A" else "B"
    altered = content[:position] + other + content[position + 1 :]
    assert sealed_for(altered) != "rs_1"


async def test_keys_and_models_are_checked_as_on_chat_completions(wire: Wire) -> None:
    url = f"{wire.server.openai_base_url}/responses"
    answer = await wire.client.post(url, json={"model": "gpt-4.1", "input": "Hi"})
    assert answer.status_code == 401
    assert (await _post(wire, model="gpt-does-not-exist")).status_code == 404


_FUNCTION: Any = {"type": "function", "function": {"name": "t"}}
_REFUSAL = (
    "Function tools with reasoning_effort are not supported for {} in /v1/chat/completions. To use "
    "function tools, use /v1/responses or set reasoning_effort to 'none'."
)


@pytest.mark.parametrize(
    ("model", "effort", "refused"),
    [
        ("gpt-5.2", "high", False),
        ("gpt-5.4", None, False),
        ("gpt-5.4", "none", False),
        ("gpt-5.4", "low", True),
        ("gpt-5.4-mini", "high", True),
        ("gpt-5.6-terra", None, True),
        ("gpt-5.6-terra", "none", False),
        ("gpt-6-sol", None, True),
        ("gpt-6-astra", "max", True),
        ("gpt-6-sol", "none", False),
    ],
)
async def test_row_94_chat_completions_refuses_tools_with_reasoning_on_new_models(
    wire: Wire, model: str, effort: str | None, refused: bool
) -> None:
    fields = {} if effort is None else {"reasoning_effort": effort}
    answer = await wire.openai(model=model, tools=[_FUNCTION], **fields)
    assert answer.status_code == (400 if refused else 200), answer.text
    if refused:
        assert answer.json()["error"] == {
            "message": _REFUSAL.format(model),
            "type": "invalid_request_error",
            "param": "reasoning_effort",
            "code": None,
        }
    responses = await _post(
        wire, model=model, tools=[_TOOL], reasoning=None if effort is None else {"effort": effort}
    )
    assert responses.status_code == 200, responses.text


@pytest.mark.parametrize("model", ["gpt-5-pro", "gpt-5.4-pro", "gpt-5.3-codex", "o3-pro"])
async def test_row_94_some_models_are_served_by_the_responses_api_alone(
    wire: Wire, model: str
) -> None:
    answer = await wire.openai(model=model)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == (
        "This model is only supported in v1/responses and not in v1/chat/completions."
    )
    assert (await _post(wire, model=model)).status_code == 200

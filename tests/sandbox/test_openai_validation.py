from typing import Any

import pytest

from .conftest import Wire

_TOOL: Any = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
_CALL: Any = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": "{}"}}
_USER: Any = {"role": "user", "content": "Hi, in json"}


def _tool(**function: Any) -> Any:
    return {"type": "function", "function": {"name": "t", **function}}


def _schema(**rules: Any) -> Any:
    schema: Any = {"type": "object", "properties": {"a": {}}, **rules}
    return {
        "type": "json_schema",
        "json_schema": {"name": "s", "strict": True, "schema": schema},
    }


def _case(fields: dict[str, Any], message: str, param: str | None, code: str | None = None) -> Any:
    return pytest.param(fields, message, param, code, id=message[:60])


def _messages(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


_CASES = [
    _case({"foo": 1}, "Unrecognized request argument supplied: foo", None),
    _case({"foo": 1, "bar": 2}, "Unrecognized request arguments supplied: foo, bar", None),
    _case({"model": ...}, "you must provide a model parameter", None),
    _case(
        {"messages": ...},
        "Missing required parameter: 'messages'.",
        "messages",
        "missing_required_parameter",
    ),
    _case({"messages": []}, "Invalid 'messages': empty array.", "messages", "empty_array"),
    _case({"messages": "Hi"}, "Invalid type for 'messages'", "messages", "invalid_type"),
    _case(
        _messages("Hi"),
        "Invalid type for 'messages[0]': expected an object, but got a string instead.",
        "messages[0]",
        "invalid_type",
    ),
    _case(
        _messages({"role": "zork", "content": "Hi"}),
        "Invalid value: 'zork'. Supported values are: 'system', 'assistant', 'user', 'function', "
        "'tool', and 'developer'.",
        "messages[0].role",
        "invalid_value",
    ),
    _case(
        _messages({"content": "Hi"}),
        "Missing required parameter: 'messages[0].role'.",
        "messages[0].role",
        "missing_required_parameter",
    ),
    _case(
        _messages({"role": "user", "content": "Hi", "zork": 1}),
        "Unknown parameter: 'messages[0].zork'.",
        "messages[0].zork",
        "unknown_parameter",
    ),
    _case(
        _messages(_USER, {"role": "assistant", "content": "a", "reasoning_content": "b"}, _USER),
        "Unknown parameter: 'messages[1].reasoning_content'.",
        "messages[1].reasoning_content",
        "unknown_parameter",
    ),
    _case(
        _messages({"role": "user", "content": None}),
        "Invalid value for 'content': expected a string, got null.",
        "messages.[0].content",
    ),
    _case(
        _messages({"role": "user", "content": 3}),
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
        "but got an integer instead.",
        "messages[0].content",
        "invalid_type",
    ),
    _case(
        _messages({"role": "user", "content": [{"type": "zork"}]}),
        "Invalid value: 'zork'. Supported values are: 'text', 'image_url', 'input_audio', and "
        "'file'.",
        "messages[0].content[0].type",
        "invalid_value",
    ),
    _case(
        _messages({"role": "system", "content": [{"type": "image_url", "image_url": {}}]}),
        "Invalid value: 'image_url'. Supported values are: 'text'.",
        "messages[0].content[0].type",
        "invalid_value",
    ),
    _case(
        _messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        "Invalid 'messages[0].content[0].image_url.url'. Expected a valid URL",
        "messages[0].content[0].image_url.url",
        "invalid_value",
    ),
    _case(
        _messages({"role": "user", "content": [{"type": "text"}]}),
        "Missing required parameter: 'messages[0].content[0].text'.",
        "messages[0].content[0].text",
        "missing_required_parameter",
    ),
    _case(
        _messages(_USER, {"role": "tool", "tool_call_id": "c1", "content": "x"}),
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
        "with 'tool_calls'.",
        "messages.[1].role",
    ),
    _case(
        _messages(
            _USER,
            {"role": "assistant", "tool_calls": [_CALL]},
            {"role": "tool", "tool_call_id": "c2", "content": "x"},
        ),
        "Invalid parameter: 'tool_call_id' of 'c2' not found",
        "messages.[2].tool_call_id",
    ),
    _case(
        _messages(_USER, {"role": "assistant", "content": None, "tool_calls": [_CALL]}, _USER),
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: c1",
        "messages.[2].role",
    ),
    _case(
        _messages(_USER, {"role": "assistant", "content": "", "tool_calls": []}),
        "Invalid 'messages[1].tool_calls': empty array.",
        "messages[1].tool_calls",
        "empty_array",
    ),
    _case(
        {"n": 0},
        "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "n",
        "integer_below_min_value",
    ),
    _case({"n": 129}, "Invalid 'n': integer above maximum", "n", "integer_above_max_value"),
    _case({"n": "2"}, "Invalid type for 'n': expected an integer", "n", "invalid_type"),
    _case({"n": True}, "Invalid type for 'n': expected an integer, but got a", "n", "invalid_type"),
    _case(
        {"temperature": 2.1},
        "Invalid 'temperature': decimal above maximum value. "
        "Expected a value <= 2, but got 2.1 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    _case({"top_p": -0.5}, "Invalid 'top_p': decimal below", "top_p", "decimal_below_min_value"),
    _case({"stream": "yes"}, "Invalid type for 'stream'", "stream", "invalid_type"),
    _case({"stop": ["a"] * 5}, "Invalid 'stop': array too long.", "stop", "array_above_max_length"),
    _case({"stop": 3}, "Invalid type for 'stop'", "stop", "invalid_type"),
    _case({"tools": []}, "Invalid 'tools': empty array.", "tools", "empty_array"),
    _case({"tools": {}}, "Invalid type for 'tools'", "tools", "invalid_type"),
    _case({"tools": None}, "Invalid type for 'tools'", "tools", "invalid_type"),
    _case(
        {"tools": [_tool(name="a.b")]},
        "Invalid 'tools[0].function.name': string does not match pattern. "
        "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        "tools[0].function.name",
        "invalid_value",
    ),
    _case(
        {"tools": [_tool(name="a" * 65)]},
        "Invalid 'tools[0].function.name': string too long.",
        "tools[0].function.name",
        "string_above_max_length",
    ),
    _case(
        {"tools": [_tool(cache_control={})]},
        "Unknown parameter: 'tools[0].function.cache_control'.",
        "tools[0].function.cache_control",
        "unknown_parameter",
    ),
    _case(
        {"tools": [_tool(parameters={"type": "string"})]},
        "Invalid schema for function 't': schema must be a JSON Schema of 'type: \"object\"'",
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    _case(
        {"tools": [_tool(strict=True, parameters={"type": "object", "properties": {}})]},
        "Invalid schema for function 't': In context=(), 'additionalProperties' is required to be "
        "supplied and to be false.",
        "tools[0].function.parameters",
        "invalid_function_parameters",
    ),
    _case(
        {"tool_choice": "auto"},
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools'",
        "tool_choice",
    ),
    _case(
        {"tools": [_TOOL], "tool_choice": "any"},
        "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'.",
        "tool_choice",
        "invalid_value",
    ),
    _case(
        {"tools": [_TOOL], "tool_choice": {"type": "function", "function": {"name": "u"}}},
        "Invalid value for 'tool_choice': no function named 'u'",
        "tool_choice",
    ),
    _case(
        {"parallel_tool_calls": True},
        "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed",
        "parallel_tool_calls",
    ),
    _case(
        {"function_call": "auto"},
        "Invalid value for 'function_call': 'function_call' is only allowed",
        "function_call",
    ),
    _case(
        {"stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
    ),
    _case(
        {"stream": True, "stream_options": {"zork": 1}},
        "Unknown parameter: 'stream_options.zork'.",
        "stream_options.zork",
        "unknown_parameter",
    ),
    _case({"top_logprobs": 2}, "'top_logprobs' may only be specified when", "top_logprobs"),
    _case(
        {"max_tokens": 5, "max_completion_tokens": 5},
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time",
        "max_tokens",
    ),
    _case(
        {
            "messages": [{"role": "user", "content": "Hi"}],
            "response_format": {"type": "json_object"},
        },
        "'messages' must contain the word 'json' in some form",
        "messages",
    ),
    _case(
        {"response_format": {"type": "json_schema"}},
        "Missing required parameter: 'response_format.json_schema'.",
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    _case(
        {"response_format": {"type": "zork"}},
        "Invalid value: 'zork'. Supported values are: 'text', 'json_object', and 'json_schema'.",
        "response_format.type",
        "invalid_value",
    ),
    _case(
        {"response_format": _schema()},
        "Invalid schema for response_format 's': In context=(), 'additionalProperties' is required",
        "response_format",
    ),
    _case(
        {"response_format": _schema(additionalProperties=False)},
        "Invalid schema for response_format 's': In context=(), 'required' is required",
        "response_format",
    ),
    _case(
        {
            "response_format": _schema(
                additionalProperties=False,
                required=["a"],
                properties={"a": {"oneOf": [{"type": "null"}]}},
            )
        },
        "Invalid schema for response_format 's': In context=('properties', 'a'), 'oneOf' is not",
        "response_format",
    ),
    _case(
        {"model": "gpt-5", "max_tokens": 5},
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "max_tokens",
        "unsupported_parameter",
    ),
    _case(
        {"model": "o3-mini", "max_tokens": 5},
        "Unsupported parameter: 'max_tokens'",
        "max_tokens",
        "unsupported_parameter",
    ),
    _case(
        {"model": "gpt-5-mini", "temperature": 0.5},
        "Unsupported value: 'temperature' does not support 0.5 with this model. "
        "Only the default (1) value is supported.",
        "temperature",
        "unsupported_value",
    ),
    _case(
        {"reasoning_effort": "low"},
        "Unrecognized request argument supplied: reasoning_effort",
        None,
    ),
    _case(
        {"model": "gpt-5", "reasoning_effort": "huge"},
        "Invalid value: 'huge'.",
        "reasoning_effort",
        "invalid_value",
    ),
    _case(
        {"model": "gpt-5.6-terra", "tools": [_TOOL]},
        "Function tools with reasoning_effort are not supported for gpt-5.6-terra in "
        "/v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort "
        "to 'none'.",
        "reasoning_effort",
    ),
    _case(
        {"model": "gpt-5.4", "tools": [_TOOL], "reasoning_effort": "low"},
        "Function tools with reasoning_effort are not supported for gpt-5.4",
        "reasoning_effort",
    ),
]


@pytest.mark.parametrize(("fields", "message", "param", "code"), _CASES)
async def test_refused(
    wire: Wire, fields: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    answer = await wire.openai(**{"messages": [_USER], **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["message"].startswith(message)
    assert error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)

from typing import Any

import pytest

from .conftest import Wire

_OLD = "2023-06-01"
_TOOL: Any = {"name": "t", "input_schema": {"type": "object"}}
_USER: Any = {"role": "user", "content": "Hi"}
_USE: Any = {"type": "tool_use", "id": "a", "name": "t", "input": {}}
_RESULT: Any = {"type": "tool_result", "tool_use_id": "a", "content": "x"}
_TEXT: Any = {"type": "text", "text": "x"}
_MARK: Any = {"type": "ephemeral"}


def _user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def _assistant(*blocks: Any) -> Any:
    return {"role": "assistant", "content": list(blocks)}


def _image(**source: Any) -> Any:
    return _user({"type": "image", "source": source})


def _case(message: str, *messages: Any, **fields: Any) -> Any:
    if messages:
        fields["messages"] = list(messages)
    return pytest.param(fields, message, id=message[:70])


def _format(**schema: Any) -> Any:
    return {"format": {"type": "json_schema", "schema": schema}}


_CASES = [
    _case("foo: Extra inputs are not permitted", foo=1),
    _case("max_tokens: Field required", max_tokens=...),
    _case("max_tokens: Input should be greater than or equal to 1", max_tokens=0),
    _case("max_tokens: Input should be a valid integer", max_tokens="5"),
    _case("max_tokens: 200000 > 128000, which is the maximum allowed", max_tokens=200_000),
    _case("model: Field required", model=...),
    _case("messages: Field required", messages=...),
    _case("messages: at least one message is required", messages=[]),
    _case("messages: Input should be a valid list", messages="Hi"),
    _case("stream: Input should be a valid boolean", stream="yes"),
    _case("temperature: Extra inputs are not permitted", temperature=1),
    _case("top_p: Extra inputs are not permitted", top_p=None),
    _case("top_k: Extra inputs are not permitted", top_k=5),
    _case("temperature: range: 0..1", version=_OLD, temperature=1.5),
    _case("`temperature` and `top_p` cannot both", version=_OLD, temperature=0.5, top_p=0.5),
    _case(
        "`temperature` is deprecated for this model.",
        version=_OLD,
        model="claude-opus-5",
        temperature=0.5,
    ),
    _case("messages.0.role: Input should be 'user', 'assistant'", {**_USER, "role": "tool"}),
    _case("messages.0.content: Field required", {"role": "user"}),
    _case("messages.0.name: Extra inputs are not permitted", {**_USER, "name": "ann"}),
    _case("messages.0.content: Input should be a valid list", {"role": "user", "content": 3}),
    _case("messages.0: Input does not match the expected shape.", "Hi"),
    _case('messages: first message must use the "user" role', _assistant(_TEXT), _USER),
    _case("role 'system' is not supported on this model", _USER, {**_USER, "role": "system"}),
    _case(
        "This model does not support assistant message prefill. "
        "The conversation must end with a user message.",
        _USER,
        _assistant(_TEXT),
    ),
    _case(
        "messages: final assistant content cannot end with trailing whitespace",
        _USER,
        {"role": "assistant", "content": "a "},
        model="claude-haiku-4-5",
    ),
    _case(
        "messages.2: a `system` message must directly follow a `user` message",
        _USER,
        _assistant(_TEXT),
        {"role": "system", "content": "b"},
        model="claude-opus-5",
    ),
    _case(
        "messages.1: a `system` message must be the last message or be followed",
        _USER,
        {"role": "system", "content": "a"},
        _USER,
        model="claude-opus-5",
    ),
    _case("messages: text content blocks must be non-empty", _user({"type": "text", "text": ""})),
    _case(
        "messages: text content blocks must contain non-whitespace text",
        _user({"type": "text", "text": " \n"}),
    ),
    _case("messages.0: all messages must have non-empty content", _user()),
    _case("messages.0: all messages must have non-empty", {"role": "user", "content": ""}),
    _case("system: text content blocks must be non-empty", system=[{"type": "text", "text": ""}]),
    _case(
        "messages.0.content.0: Input tag 'zork' found using 'type' does not match any of the "
        "expected tags: 'text', 'image'",
        _user({"type": "zork"}),
    ),
    _case("messages.0.content.0.type: Field required", _user({"text": "x"})),
    _case("messages.0.content.0.text.text: Field required", _user({"type": "text"})),
    _case(
        "messages.0.content.0.text.zork: Extra inputs are not permitted",
        _user({**_TEXT, "zork": 1}),
    ),
    _case(
        "messages.0.content.0.text.citations: Extra inputs are not permitted",
        _user({**_TEXT, "citations": [{}]}),
    ),
    _case(
        "stop_sequences: each stop sequence must contain non-whitespace", stop_sequences=["a", "\n"]
    ),
    _case(
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        _USER,
        _assistant({**_USE, "id": "call|1"}),
        _user(_RESULT),
        tools=[_TOOL],
    ),
    _case(
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        _USER,
        _assistant({**_USE, "input": "{}"}),
        _user(_RESULT),
        tools=[_TOOL],
    ),
    _case(
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a. "
        "Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        _USER,
        _assistant(_USE),
        _USER,
        tools=[_TOOL],
    ),
    _case(
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b.",
        _USER,
        _assistant(_USE, {**_USE, "id": "b"}),
        _user(_RESULT, _TEXT, {**_RESULT, "tool_use_id": "b"}),
        tools=[_TOOL],
    ),
    _case(
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a. ",
        _USER,
        _assistant(_USE),
        _user(_TEXT, _RESULT),
        tools=[_TOOL],
    ),
    _case(
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a. Each "
        "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
        _user(_RESULT),
        tools=[_TOOL],
    ),
    _case(
        "messages.2.content.1: each tool_use must have a single result.",
        _USER,
        _assistant(_USE),
        _user(_RESULT, _RESULT),
        tools=[_TOOL],
    ),
    _case(
        "Requests which include `tool_use` or `tool_result` blocks must define tools.",
        _USER,
        _assistant(_USE),
        _user(_RESULT),
    ),
    _case("messages.0: `tool_use` blocks can only be in `assistant` messages", _user(_USE)),
    _case(
        "messages.1: `tool_result` blocks can only be in `user` messages",
        _USER,
        _assistant(_RESULT),
        _USER,
    ),
    _case(
        "messages.1.content.0.thinking.signature: Field required",
        _USER,
        _assistant({"type": "thinking", "thinking": "x"}),
        _USER,
    ),
    _case(
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        _USER,
        _assistant({"type": "thinking", "thinking": "x", "signature": "Zm9yZWlnbg=="}),
        _USER,
    ),
    _case(
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
        _USER,
        _assistant({"type": "redacted_thinking", "data": "?"}),
        _USER,
    ),
    _case("tools.0.custom.name: String should match pattern", tools=[{**_TOOL, "name": "a.b"}]),
    _case("tools: Tool names must be unique.", tools=[_TOOL, _TOOL]),
    _case("tools.0.custom.input_schema: Field required", tools=[{"name": "t"}]),
    _case(
        "tools.0.custom.input_schema.type: Field required", tools=[{**_TOOL, "input_schema": {}}]
    ),
    _case(
        "tools.0.custom.input_schema.type: Input should be 'object'",
        tools=[{**_TOOL, "input_schema": {"type": "string"}}],
    ),
    _case(
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf",
        tools=[{**_TOOL, "input_schema": {"type": "object", "oneOf": []}}],
    ),
    _case(
        "tools.0.custom.input_schema: For 'object' type, 'additionalProperties' must be",
        tools=[{**_TOOL, "strict": True}],
    ),
    _case("tools.0.custom.parameters: Extra inputs", tools=[{**_TOOL, "parameters": {}}]),
    _case(
        "tools.0: Input tag 'function' found using 'type' does not match any of the expected tags: "
        "'custom', 'bash_20250124'",
        tools=[{"type": "function", "function": {"name": "t"}}],
    ),
    _case("tool_choice: may only be specified while", tool_choice={"type": "auto"}),
    _case("tool_choice: Input does not match", tools=[_TOOL], tool_choice="auto"),
    _case(
        "tool_choice: Input tag 'required' found", tools=[_TOOL], tool_choice={"type": "required"}
    ),
    _case(
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
        tools=[_TOOL],
        tool_choice={"type": "none", "disable_parallel_tool_use": True},
    ),
    _case("Tool 'u' not found", tools=[_TOOL], tool_choice={"type": "tool", "name": "u"}),
    *(
        _case(
            f"tool_choice: type '{kind}' is not supported on this model",
            model=model,
            tools=[_TOOL],
            tool_choice={"type": kind, **({"name": "t"} if kind == "tool" else {})},
        )
        for model in (
            "claude-fable-5-1",
            "claude-mythos-5-1",
            "claude-opus-5-5",
            "claude-sonnet-5-5",
        )
        for kind in ("any", "tool")
    ),
    _case(
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', "
        "'image/png', 'image/gif' or 'image/webp'",
        _image(type="base64", media_type="image/tiff", data="AA=="),
    ),
    _case(
        "messages.0.content.0.image.source.base64: invalid base64 data",
        _image(type="base64", media_type="image/png", data="A?"),
    ),
    _case(
        "messages.0.content.0.image.source: Input tag 'path' found using 'type'",
        _image(type="path", path="/x"),
    ),
    _case(
        "messages.0.content.0.image.source.url: Only HTTPS URLs", _image(type="url", url="ftp://x")
    ),
    _case(
        "messages.0.content.0.document.source.base64.media_type: Input should be 'application/pdf'",
        _user(
            {"type": "document", "source": {**{"type": "base64", "data": ""}, "media_type": "a"}}
        ),
    ),
    _case(
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        _user(*[{**_TEXT, "cache_control": _MARK}] * 3),
        system=[{**_TEXT, "cache_control": _MARK}],
        tools=[{**_TOOL, "cache_control": _MARK}],
    ),
    _case(
        "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
        _user({**_TEXT, "cache_control": {**_MARK, "ttl": "30m"}}),
    ),
    _case(
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        thinking={"type": "enabled", "budget_tokens": 1000},
    ),
    _case(
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
        thinking={"type": "enabled", "budget_tokens": 2000},
    ),
    _case(
        '"thinking.type.enabled" is not supported for this model. Use `thinking.type.adaptive`',
        model="claude-opus-5",
        thinking={"type": "enabled", "budget_tokens": 1024},
    ),
    _case(
        '"thinking.type.disabled" is not supported',
        model="claude-opus-5-5",
        thinking={"type": "disabled"},
    ),
    _case(
        '"thinking.type.adaptive" is not supported',
        model="claude-haiku-4-5",
        thinking={"type": "adaptive"},
    ),
    _case(
        "Thinking may not be enabled when tool_choice forces tool use.",
        thinking={"type": "enabled", "budget_tokens": 1024},
        tools=[_TOOL],
        tool_choice={"type": "any"},
    ),
    _case(
        "thinking.adaptive.block_binding: Extra inputs are not permitted",
        thinking={"type": "adaptive", "block_binding": {}},
    ),
    _case(
        "This model does not support effort level 'xhigh'. Supported levels: high, low, max, "
        "medium.",
        output_config={"effort": "xhigh"},
    ),
    _case(
        "This model does not support the effort parameter.",
        model="claude-haiku-4-5",
        output_config={"effort": "low"},
    ),
    _case(
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly",
        output_config=_format(type="object", properties={}),
    ),
    _case(
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly",
        output_config=_format(type="array", items={"type": "object"}),
    ),
    _case(
        "output_config.format.schema: For 'integer' type, property 'minimum' is not supported",
        output_config=_format(type="integer", minimum=1),
    ),
    _case(
        "output_config.format.schema: For 'array' type, 'minItems' values other than 0 or 1",
        output_config=_format(type="array", minItems=2),
    ),
    _case(
        "output_config.format.name: Extra inputs are not permitted",
        output_config={"format": {**_format()["format"], "name": "a"}},
    ),
    _case("metadata.zork: Extra inputs are not permitted", metadata={"zork": "x"}),
    _case("service_tier: Input should be 'auto' or 'standard_only'", service_tier="flex"),
]


@pytest.mark.parametrize(("fields", "message"), _CASES)
async def test_refused(wire: Wire, fields: dict[str, Any], message: str) -> None:
    answer = await wire.anthropic(**fields)
    assert answer.status_code == 400, answer.text
    body = answer.json()
    assert body["type"] == "error"
    assert body["request_id"] == answer.headers["request-id"]
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"].startswith(message)

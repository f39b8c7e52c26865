"""The rows of the matrix: every request field, and every kind of content.

Each row is a request that uses the thing, beside the same request without it: what a dialect
does with the thing is the difference between the two translations.
"""

from dataclasses import dataclass
from typing import Any

from tests.translators.chat_requests import PNG, calls, result, user

__all__ = ["CONTENT", "FIELDS", "ROWS", "Row"]

Json = dict[str, Any]

_PDF = "JVBERi0xLjcK"
_TOOL: Json = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
_FUNCTION: Json = {"name": "look", "parameters": {"type": "object", "properties": {}}}
_CUSTOM: Json = {"type": "custom", "custom": {"name": "shell", "description": "Runs a line."}}
_SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
_FORMAT: Json = {"type": "json_schema", "json_schema": {"name": "c", "schema": _SCHEMA}}
_HI = user("Hi")


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        name: As the matrix shows it.
        used: A request that uses the thing; without `model`.
        unused: The same request without it.
        path: The parameter that a report or a refusal names.
    """

    name: str
    used: Json
    unused: Json
    path: str


def _field(name: str, value: Any, *, rest: Json | None = None) -> Row:
    base = {"messages": [_HI], **(rest or {})}
    return Row(name, {**base, name: value}, base, name)


def _content(name: str, path: str, used: Json, unused: Json | None = None) -> Row:
    return Row(name, {"messages": [_HI], **used}, {"messages": [_HI], **(unused or {})}, path)


def _parts(name: str, path: str, *parts: Json) -> Row:
    text: Json = {"type": "text", "text": "See:"}
    used = [user([text, *parts])]
    return Row(name, {"messages": used}, {"messages": [user([text])]}, path)


_WITH_TOOL: Json = {"tools": [_TOOL]}
_STREAMED: Json = {"stream": True}

FIELDS: tuple[Row, ...] = (
    _field("audio", {"format": "wav", "voice": "alloy"}),
    _field("frequency_penalty", 0.5),
    Row(
        "function_call",
        {"messages": [_HI], "functions": [_FUNCTION], "function_call": {"name": "look"}},
        {"messages": [_HI], "functions": [_FUNCTION]},
        "function_call",
    ),
    _field("functions", [_FUNCTION]),
    _field("logit_bias", {"50256": -100}),
    _field("logprobs", True),
    _field("max_completion_tokens", 77),
    _field("max_tokens", 77),
    Row("messages", {"messages": [user("Hello")]}, {"messages": [_HI]}, "messages"),
    _field("metadata", {"job": "7"}),
    _field("modalities", ["text", "audio"]),
    Row("model", {"messages": [_HI]}, {"messages": [_HI]}, "model"),
    _field("moderation", {"model": "omni-moderation-latest"}),
    _field("n", 2),
    _field("parallel_tool_calls", False, rest=_WITH_TOOL),
    _field("prediction", {"type": "content", "content": "x = 1"}),
    _field("presence_penalty", 0.5),
    _field("prompt_cache_key", "job-7"),
    _field("prompt_cache_options", {"mode": "implicit"}),
    _field("prompt_cache_retention", "24h"),
    _field("reasoning_effort", "low"),
    _field("response_format", _FORMAT),
    _field("safety_identifier", "user-7"),
    _field("seed", 7),
    _field("service_tier", "default"),
    _field("stop", ["END"]),
    _field("store", True),
    _field("stream", True),
    _field("stream_options", {"include_usage": True}, rest=_STREAMED),
    _field("temperature", 0.3),
    _field("tool_choice", "required", rest=_WITH_TOOL),
    _field("tools", [_TOOL]),
    _content("top_logprobs", "top_logprobs", {"logprobs": True, "top_logprobs": 2}),
    _field("top_p", 0.5),
    _field("user", "user-7"),
    _field("verbosity", "low"),
    _field("web_search_options", {}),
    _field("an unknown field", 1),
)
"""One row for each field of the request."""


def _message(name: str, path: str, messages: list[Json], unused: list[Json], **rest: Any) -> Row:
    return Row(name, {"messages": messages, **rest}, {"messages": unused, **rest}, path)


def _answered(call: Json, answer: Json, **rest: Any) -> Json:
    return {"messages": [_HI, call, answer], "tools": [_TOOL], **rest}


_PLAIN_CALL = calls("call_1", name="look")
_CUSTOM_CALL: Json = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}],
}
_IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
_REMOTE: Json = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
_THOUGHT: Json = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
_ANSWER: Json = {"role": "assistant", "content": "Yes."}

_DETAILS: Json = {
    "Claude": {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}
    | {"format": "anthropic-claude-v1", "index": 0},
    "Gemini": {"type": "reasoning.encrypted", "data": "c2ln"}
    | {"format": "google-gemini-v1", "index": 0},
    "OpenAI": {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1"}
    | {"format": "openai-responses-v1", "index": 0},
}
_EXTRA: Json = {
    "Claude": {
        "anthropic": {
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
        }
    },
    "Gemini": {"google": {"thought_signature": "c2ln"}},
    "OpenAI": {
        "openai": {
            "reasoning_items": [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
            ]
        }
    },
}


def _thought(vendor: str, entry: Json) -> Row:
    answer = {**_ANSWER, "reasoning_details": [entry]}
    return _message(
        f"{vendor}'s thinking in `reasoning_details`",
        "messages[].reasoning_details",
        [_HI, answer, _HI],
        [_HI, _ANSWER, _HI],
    )


def _on_call(vendor: str, extra: Json) -> Row:
    call = calls("call_1", name="look", extra_content=extra)
    return Row(
        f"{vendor}'s thinking on a call (`extra_content`)",
        _answered(call, result("call_1")),
        _answered(_PLAIN_CALL, result("call_1")),
        "messages[].tool_calls[].extra_content",
    )


CONTENT: tuple[Row, ...] = (
    _message(
        "`system` message", "messages", [{"role": "system", "content": "Be brief."}, _HI], [_HI]
    ),
    _message(
        "`developer` message",
        "messages",
        [{"role": "developer", "content": "Be brief."}, _HI],
        [_HI],
    ),
    _message(
        "`system` message later on",
        "messages",
        [_HI, _ANSWER, user("Go on"), {"role": "system", "content": "Be brief."}],
        [_HI, _ANSWER, user("Go on")],
    ),
    _message("`name` of a user", "messages[].name", [{**_HI, "name": "ann"}], [_HI]),
    _message(
        "`name` of an assistant",
        "messages[].name",
        [_HI, {**_ANSWER, "name": "bot"}, _HI],
        [_HI, _ANSWER, _HI],
    ),
    _parts("`text` part", "messages", {"type": "text", "text": "more"}),
    _parts("image by data URL", "messages", _IMAGE),
    _parts("image by URL", "messages", _REMOTE),
    Row(
        "`detail` of an image",
        {"messages": [user([{**_IMAGE, "image_url": {**_IMAGE["image_url"], "detail": "low"}}])]},
        {"messages": [user([_IMAGE])]},
        "messages[].content[].image_url.detail",
    ),
    _parts(
        "`input_audio` part",
        "messages",
        {"type": "input_audio", "input_audio": {"data": "UklGRgAAAABXQVZF", "format": "wav"}},
    ),
    _parts(
        "`file` with `file_data`",
        "messages",
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{_PDF}"},
        },
    ),
    _parts(
        "`file` with OpenAI's `file_id`",
        "messages",
        {"type": "file", "file": {"file_id": "file-abc123"}},
    ),
    _parts("part of an unknown type", "messages", {"type": "video_url", "video_url": {"url": "x"}}),
    _parts(
        "`cache_control` on a part",
        "messages[].content[].cache_control",
        {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}},
    ),
    _parts(
        "`prompt_cache_breakpoint` on a part",
        "messages[].content[].prompt_cache_breakpoint",
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
    ),
    _message(
        "`refusal` of an earlier answer",
        "messages",
        [_HI, {"role": "assistant", "content": None, "refusal": "No."}, _HI],
        [_HI, _HI],
    ),
    _message(
        "`audio` of an earlier answer",
        "messages",
        [_HI, {"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, _HI],
        [_HI, _HI],
    ),
    _message("answer begun by the client", "messages", [_HI, _ANSWER], [_HI]),
    Row(
        "function call and result",
        _answered(_PLAIN_CALL, result("call_1")),
        {"messages": [_HI], "tools": [_TOOL]},
        "messages",
    ),
    Row(
        "image in a tool result",
        _answered(_PLAIN_CALL, result("call_1", [_IMAGE])),
        _answered(_PLAIN_CALL, result("call_1", "x")),
        "messages",
    ),
    Row(
        "custom call and result",
        {"messages": [_HI, _CUSTOM_CALL, result("call_1")], "tools": [_CUSTOM]},
        {"messages": [_HI], "tools": [_CUSTOM]},
        "messages",
    ),
    _message(
        "deprecated `function_call` and result",
        "messages",
        [
            _HI,
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "look", "arguments": "{}"},
            },
            {"role": "function", "name": "look", "content": "fine"},
        ],
        [_HI],
        functions=[_FUNCTION],
    ),
    _message(
        "`reasoning_content` alone, unsigned",
        "messages[].reasoning_content",
        [_HI, _THOUGHT, _HI],
        [_HI, _ANSWER, _HI],
    ),
    *(_thought(vendor, details) for vendor, details in _DETAILS.items()),
    *(_on_call(vendor, extra) for vendor, extra in _EXTRA.items()),
    _content("function tool", "tools", {"tools": [_TOOL]}),
    _content(
        "`strict` function tool",
        "tools[].function.strict",
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": _SCHEMA, "strict": True},
                }
            ]
        },
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": _SCHEMA}}]},
    ),
    _content("custom tool", "tools", {"tools": [_CUSTOM]}),
    _content(
        "grammar of a custom tool",
        "tools[].custom.format",
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        **_CUSTOM["custom"],
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "regex", "definition": "a+"},
                        },
                    },
                }
            ]
        },
        {"tools": [_CUSTOM]},
    ),
    _content("tool of an unknown type", "tools", {"tools": [{"type": "mcp", "server": "x"}]}),
    _content(
        "`tool_choice: none`", "tool_choice", {**_WITH_TOOL, "tool_choice": "none"}, _WITH_TOOL
    ),
    _content(
        "`tool_choice: auto`", "tool_choice", {**_WITH_TOOL, "tool_choice": "auto"}, _WITH_TOOL
    ),
    _content(
        "`tool_choice: required`",
        "tool_choice",
        {**_WITH_TOOL, "tool_choice": "required"},
        _WITH_TOOL,
    ),
    _content(
        "`tool_choice` of one function",
        "tool_choice",
        {**_WITH_TOOL, "tool_choice": {"type": "function", "function": {"name": "look"}}},
        _WITH_TOOL,
    ),
    _content(
        "`tool_choice` of one custom tool",
        "tool_choice",
        {"tools": [_CUSTOM], "tool_choice": {"type": "custom", "custom": {"name": "shell"}}},
        {"tools": [_CUSTOM]},
    ),
    _content(
        "`tool_choice: allowed_tools`",
        "tool_choice",
        {
            "tools": [_TOOL, _CUSTOM],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "look"}}],
                },
            },
        },
        {"tools": [_TOOL, _CUSTOM]},
    ),
    _content(
        "`response_format: json_object`",
        "response_format",
        {"response_format": {"type": "json_object"}},
    ),
    _content(
        "`response_format: json_schema`",
        "response_format",
        {"response_format": _FORMAT},
    ),
    _content(
        "`response_format: json_schema`, strict",
        "response_format",
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "c", "schema": _SCHEMA, "strict": True},
            }
        },
    ),
)
"""One row for each kind of message, part, tool and answer."""

ROWS = (*FIELDS, *CONTENT)

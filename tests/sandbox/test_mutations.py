"""Whatever a client sends, it is answered or refused: never an exception of our own."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.sandbox.answer import compose
from proxy.sandbox.anthropic_messages.content import sign
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.dialect import Dialect, Rejection
from proxy.sandbox.directives import Directives
from proxy.sandbox.gemini_generate.dialect import Call, GeminiGenerate
from proxy.sandbox.gemini_generate.signatures import sign as sign_thought
from proxy.sandbox.jsontypes import as_list, as_object
from proxy.sandbox.openai_chat.dialect import OpenAIChat
from proxy.sandbox.openai_responses.dialect import OpenAIResponses
from proxy.sandbox.openai_responses.seals import seal

_SCHEMA: Any = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {"$ref": "#/$defs/b"}, "minItems": 1},
        "c": {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 3}]},
    },
    "required": ["a"],
    "$defs": {"b": {"type": "integer", "minimum": 3, "enum": [1, 2]}},
}
_EMPTY: Any = {}
_NONE: Any = []
_RESPONSES: Any = {
    "model": "gpt-5.6",
    "instructions": "s",
    "input": [
        {"role": "developer", "content": "s"},
        {"role": "user", "content": [{"type": "input_text", "text": "t"}]},
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "x"}],
            "encrypted_content": seal("rs_1", "x"),
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "d", "name": "u", "input": "x"},
        {"type": "function_call_output", "call_id": "c", "output": "r"},
        {
            "type": "custom_tool_call_output",
            "call_id": "d",
            "output": [{"type": "input_text", "text": "r"}],
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "content": [{"type": "output_text", "text": "a", "annotations": _NONE}],
        },
        {"role": "user", "content": "t"},
    ],
    "tools": [
        {"type": "function", "name": "t", "parameters": _SCHEMA, "strict": False},
        {"type": "custom", "name": "u"},
    ],
    "tool_choice": {"type": "function", "name": "t"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": _SCHEMA, "strict": False}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 50,
    "stream": True,
    "stream_options": {"include_obfuscation": True},
}
_OPENAI: Any = {
    "model": "gpt-4.1",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "t"}]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "t", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "user", "content": "t"},
    ],
    "tools": [{"type": "function", "function": {"name": "t", "parameters": _SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "t"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": _SCHEMA, "strict": False},
    },
    "stop": ["x"],
    "n": 2,
    "max_tokens": 50,
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": True,
}
_ANTHROPIC: Any = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "t"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "x", "signature": sign("x")},
                {"type": "tool_use", "id": "c", "name": "t", "input": _EMPTY},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": [{"type": "text", "text": "r"}],
                },
                {"type": "image", "source": {"type": "url", "url": "https://x"}},
            ],
        },
    ],
    "tools": [{"name": "t", "input_schema": _SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low"},
    "stop_sequences": ["x"],
}
_GEMINI: Any = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "t"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "t", "args": _EMPTY}, "thoughtSignature": sign_thought()}
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "t", "response": {"output": "r"}}},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            ],
        },
    ],
    "tools": [
        {
            "functionDeclarations": [
                {"name": "t", "parametersJsonSchema": {**_SCHEMA, "$defs": {"b": {"minimum": 3}}}},
                {
                    "name": "u",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}},
                        "required": ["a"],
                    },
                },
            ]
        }
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["t", "u"]}},
    "generationConfig": {
        "maxOutputTokens": 50,
        "stopSequences": ["x"],
        "thinkingConfig": {"thinkingLevel": "LOW"},
        "responseMimeType": "application/json",
        "responseJsonSchema": {**_SCHEMA, "$defs": {"b": {"type": "integer", "enum": [1, 2]}}},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
}
_JUNK: list[Any] = [
    None, True, 0, -1, 1.5, "", "x", "a b", [], {}, [None], [{}], [[]], ["x"], 10**30,
    {"type": "x"}, {"type": "text", "text": "x"}, {"type": None}, {"type": ["object"]},
    {"type": {}}, {"$ref": "#"}, {"minProperties": 3}, {"enum": [[]]},
]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items: list[tuple[Any, Any]] = [*(as_object(value) or {}).items()]
    for key, item in items or enumerate(as_list(value) or []):
        yield from _paths(item, (*path, key))


def _mutated(body: Any, chance: random.Random) -> Any:
    body = copy.deepcopy(body)
    for _ in range(chance.choice([1, 1, 2])):
        path = chance.choice(list(_paths(body)))
        node = body
        for key in path[:-1]:
            node = node[key]
        if chance.random() < 0.25:
            del node[path[-1]]
        else:
            node[path[-1]] = copy.deepcopy(chance.choice(_JUNK))
    return body


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        (OpenAIChat(), _OPENAI),
        (OpenAIResponses(), _RESPONSES),
        (AnthropicMessages(), _ANTHROPIC),
        (GeminiGenerate(Call(model="gemini-3.6-flash")), _GEMINI),
    ],
)
def test_only_refusals_are_raised(dialect: Dialect, body: Any) -> None:
    chance = random.Random(7)
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    answered = 0
    for _ in range(3000):
        mutant = _mutated(body, chance)
        try:
            request = dialect.read(mutant, headers)
        except Rejection as refused:
            assert refused.status in {400, 404}
            continue
        directives = Directives()
        answer = compose(request.conversation, directives)
        dialect.reply(request, answer, directives, serial=1)
        list(dialect.events(request, answer, directives, serial=1))
        answered += 1
    assert answered > 300

import base64
from typing import Any

import pytest

from proxy.sandbox.gemini_generate.signatures import sign

from .conftest import Wire

_OLD, _NEW = "gemini-2.5-flash", "gemini-3.6-flash"
_TEXT: Any = {"text": "x"}
_USER: Any = {"role": "user", "parts": [_TEXT]}
_CALL: Any = {"functionCall": {"name": "t", "args": {}}}
_SIGNED: Any = {**_CALL, "thoughtSignature": sign("x")}
_RESULT: Any = {"functionResponse": {"name": "t", "response": {"output": "x"}}}
_DUMMY = "skip_thought_signature_validator"
_TREE: Any = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/node"}, "name": {"type": ["string", "null"]}},
            "required": ["name"],
        }
    },
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "Tree",
    "properties": {
        "root": {"$ref": "#/$defs/node"},
        "also": {"$ref": "#/$defs/node"},
        "size": {"type": "integer", "minimum": 1, "enum": [1, 2]},
        "pair": {"prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 2},
        "word": {"oneOf": [{"type": "string", "minLength": 1, "pattern": "a"}, {"type": "null"}]},
    },
    "required": ["root"],
    "additionalProperties": False,
}


def _user(*parts: Any) -> Any:
    return {"role": "user", "parts": list(parts)}


def _model(*parts: Any) -> Any:
    return {"role": "model", "parts": list(parts)}


_ACCEPTED: list[Any] = [
    # Both spellings, one for many, numbers as text, small words, null.
    {
        "contents": {"parts": {"text": "Hi"}},
        "system_instruction": {"parts": {"text": "Be brief."}},
        "generation_config": {"maxOutputTokens": "500", "top_k": 3.0, "temperature": "0.5"},
        "safetySettings": [{"category": 7, "threshold": "block_none"}],
        "toolConfig": None,
        "model": f"models/{_OLD}",
    },
    {"contents": [{"parts": [_TEXT]}, _model(_TEXT)]},
    {"contents": [_USER, _USER, _model(_TEXT), _model(_TEXT), _USER]},
    {"labels": {"a": "b"}, "serviceTier": "flex", "store": False, "cachedContent": "c/1"},
    {"generationConfig": {"frequencyPenalty": 0.5, "presencePenalty": -1, "candidateCount": 2}},
    {"model": _NEW, "generationConfig": {"frequencyPenalty": 0, "temperature": 1.5, "topP": 1}},
    {"model": _NEW, "generationConfig": {"thinkingConfig": {"thinkingBudget": 512}}},
    {"generationConfig": {"stopSequences": list("abcde"), "seed": -5}},
    {
        "generationConfig": {
            "responseMimeType": "text/x.enum",
            "responseSchema": {"enum": ["a"], "type": "STRING"},
        }
    },
    {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": _TREE}},
    {
        "model": "gemini-2.5-flash-preview-tts",
        "generationConfig": {"responseModalities": ["AUDIO"]},
    },
    {"tools": [{"googleSearch": {}}, {"codeExecution": {}}]},
    {
        "model": _NEW,
        "tools": [{"functionDeclarations": [{"name": "t"}]}, {"googleSearch": {}}],
        "toolConfig": {"includeServerSideToolInvocations": True},
    },
    {
        "model": _NEW,
        "tools": [{"functionDeclarations": [{"name": "t", "parametersJsonSchema": _TREE}]}],
        "generationConfig": {"responseMimeType": "application/json"},
    },
    {
        "tools": [
            {
                "functionDeclarations": {
                    "name": "a.b:c-d",
                    "parameters": {
                        "type": "object",
                        "properties": {"a": {"type": "ARRAY", "items": {"anyOf": [{"type": 1}]}}},
                        "required": ["a"],
                    },
                }
            }
        ],
    },
    # Calls.
    {"contents": [_USER, _model(_TEXT, _CALL, _CALL), _user(_RESULT, _RESULT, _TEXT)]},
    {"contents": [_USER, _model(_CALL), _user(_RESULT), _model(_CALL), _user(_RESULT)]},
    {
        "contents": [
            _USER,
            _model({"functionCall": {"name": "t", "id": "a"}}),
            _user({"functionResponse": {"name": "t", "id": "a", "response": {}}}),
        ]
    },
    {
        "model": _NEW,
        "contents": [
            _USER,
            _model(_SIGNED, _CALL),
            _user(_RESULT, _RESULT),
            _model(_SIGNED),
            _user(_RESULT),
        ],
    },
    # What lies before the last question need not be signed.
    {"model": _NEW, "contents": [_USER, _model(_CALL), _user(_RESULT), _model(_TEXT), _USER]},
    *(
        {
            "model": _NEW,
            "contents": [_USER, _model({**_CALL, "thoughtSignature": text}), _user(_RESULT)],
        }
        for text in (
            _DUMMY,
            base64.b64encode(_DUMMY.encode()).decode(),
            base64.urlsafe_b64encode(b"context_engineering_is_the_way_to_go").decode().rstrip("="),
            base64.urlsafe_b64encode(base64.b64decode(sign("x"))).decode(),
        )
    ),
    {"model": _NEW, "contents": [_USER, _model({"thoughtSignature": sign("x")}, _TEXT), _USER]},
    # Media.
    {
        "contents": [
            _user(
                {"inlineData": {"mimeType": "image/webp", "data": "AAA-_w"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
                {"inlineData": {"mimeType": "text/plain; charset=utf-8", "data": "AAAA"}},
                {"fileData": {"fileUri": "files/abc", "mimeType": "application/pdf"}},
                {"fileData": {"fileUri": "https://www.youtube.com/watch?v=a"}},
                _TEXT,
            )
        ]
    },
    {
        "model": _NEW,
        "contents": [
            _USER,
            _model(_SIGNED),
            _user(
                {
                    "functionResponse": {
                        "name": "t",
                        "response": {"image": {"$ref": "a"}},
                        "parts": [
                            {
                                "inlineData": {
                                    "mimeType": "image/png",
                                    "data": "AAAA",
                                    "displayName": "a",
                                }
                            }
                        ],
                    }
                }
            ),
        ],
    },
]


@pytest.mark.parametrize("fields", _ACCEPTED)
async def test_accepted(wire: Wire, fields: dict[str, Any]) -> None:
    answer = await wire.gemini(**fields)
    assert answer.status_code == 200, answer.text


async def test_both_versions_are_served(wire: Wire) -> None:
    for version in ("v1", "v1beta"):
        assert (await wire.gemini(version=version)).status_code == 200


async def test_aliases_are_answered_by_the_model_behind(wire: Wire) -> None:
    answer = await wire.gemini(model="gemini-flash-latest")
    assert answer.json()["modelVersion"] == "gemini-3.6-flash"


async def test_the_wire_form_of_a_call(wire: Wire) -> None:
    tools = [{"functionDeclarations": [{"name": "t"}]}]
    candidate = (await wire.gemini("[sandbox noargs]", tools=tools)).json()["candidates"][0]
    signature = candidate["content"]["parts"][0].pop("thoughtSignature")
    assert signature
    assert candidate == {
        "content": {"parts": [{"functionCall": {"name": "t"}}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
        "finishMessage": "Model generated function call(s).",
    }

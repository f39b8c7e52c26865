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


def _format(**schema: Any) -> Any:
    return {"format": {"type": "json_schema", "schema": schema}}


_BINDING = "thinking-binding-controls-2026-08-01"


@pytest.mark.parametrize(
    "fields",
    [
        {"version": _OLD, "temperature": 0.5, "top_k": 3},
        {"version": _OLD, "temperature": 0.5, "top_p": 0.5, "model": "claude-3-5-haiku-latest"},
        {"model": "claude-haiku-4-5", "messages": [_USER, {"role": "assistant", "content": "a"}]},
        {"model": "claude-haiku-5-5", "tools": [_TOOL], "tool_choice": {"type": "any"}},
        {"model": "claude-opus-5-5", "tools": [_TOOL], "tool_choice": {"type": "none"}},
        {"messages": [_USER, _USER]},
        {"messages": [_USER, _assistant(_USE), _user(_RESULT), _user(_TEXT)], "tools": [_TOOL]},
        {
            "messages": [
                _USER,
                _assistant(_TEXT, _USE, {**_USE, "id": "b"}),
                _user({**_RESULT, "tool_use_id": "b", "is_error": True}),
                _user({"type": "tool_result", "tool_use_id": "a"}, _TEXT),
            ],
            "tools": [_TOOL],
        },
        {"model": "claude-opus-4-8", "messages": [_USER, {"role": "system", "content": "a"}]},
        {
            "beta": _BINDING,
            "thinking": {
                "type": "adaptive",
                "block_binding": {"prefix_mismatch_behavior": "drop_block"},
            },
        },
        {"messages": [_user(*[{**_TEXT, "cache_control": {**_MARK, "ttl": "1h"}}] * 4)]},
        {
            "messages": [_user({**_TEXT, "cache_control": _MARK})],
            "tools": [{"name": "t", "input_schema": {"type": "object", "cache_control": 1}}],
        },
        {"messages": [_image(type="url", url="https://x"), _image(type="file", file_id="f")]},
        {
            "messages": [
                _user(
                    {
                        "type": "document",
                        "title": "a",
                        "citations": {"enabled": True},
                        "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                    }
                )
            ]
        },
        {"tools": [{"type": "web_search_20260318", "name": "web_search", "max_uses": 3}, _TOOL]},
        {"metadata": {"user_id": "u"}, "service_tier": "auto", "inference_geo": "eu"},
        {"output_config": _format(type="object", additionalProperties=False)},
    ],
)
async def test_accepted(wire: Wire, fields: dict[str, Any]) -> None:
    answer = await wire.anthropic(**fields)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "x-api-key header is required"),
        ({"authorization": "Basic x"}, 401, "x-api-key header is required"),
        ({"x-api-key": "invalid"}, 401, "invalid x-api-key"),
        ({"authorization": "Bearer invalid"}, 401, "invalid x-api-key"),
        ({"x-api-key": "k"}, 400, "anthropic-version: header is required"),
        (
            {"x-api-key": "k", "anthropic-version": "2020-01-01"},
            400,
            'anthropic-version: "2020-01-01" is not a valid version',
        ),
        (
            {"x-api-key": "k", "anthropic-version": _OLD, "content-type": "text/plain"},
            400,
            "content-type: must be application/json",
        ),
    ],
)
async def test_headers(wire: Wire, headers: dict[str, str], status: int, message: str) -> None:
    url = f"{wire.server.anthropic_base_url}/v1/messages"
    answer = await wire.client.post(url, headers=headers, json={})
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == message


async def test_document_in_an_assistant_turn_is_a_matter_of_the_version(wire: Wire) -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "x"}
    turns = [_USER, _assistant({"type": "document", "source": source}), _USER]
    assert (await wire.anthropic(messages=turns, version=_OLD)).status_code == 200
    assert (await wire.anthropic(messages=turns)).status_code == 400


async def test_model_that_does_not_exist(wire: Wire) -> None:
    answer = await wire.anthropic(model="claude-does-not-exist")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "type": "not_found_error",
        "message": "model: claude-does-not-exist",
    }


async def test_body_that_is_not_json(wire: Wire) -> None:
    url = f"{wire.server.anthropic_base_url}/v1/messages"
    headers = {
        "x-api-key": "k",
        "anthropic-version": _OLD,
        "content-type": "application/json",
    }
    broken = await wire.client.post(url, headers=headers, content=b"{")
    assert broken.json()["error"]["message"].startswith("The request body is not valid JSON")
    array = await wire.client.post(url, headers=headers, content=b"[]")
    assert array.json()["error"]["message"] == "Input does not match the expected shape."

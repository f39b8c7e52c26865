from typing import Any

import pytest

from .conftest import Wire

_TOOL: Any = {"type": "function", "function": {"name": "t", "parameters": {"type": "object"}}}
_CALL: Any = {"id": "c1", "type": "function", "function": {"name": "t", "arguments": "{}"}}
_USER: Any = {"role": "user", "content": "Hi, in json"}


_ACCEPTED: list[Any] = [
    {"temperature": None, "stop": None, "seed": None, "response_format": None, "n": None},
    {"tools": [_TOOL], "tool_choice": None},
    {"model": "gpt-5.6-terra", "tools": [_TOOL], "reasoning_effort": "none"},
    {"model": "gpt-5.4-mini", "tools": [_TOOL]},
    {"model": "gpt-5", "tools": [_TOOL], "reasoning_effort": "low"},
    {"model": "gpt-5.1", "temperature": 0.5},
    {"model": "gpt-5", "temperature": 1},
    {"tools": [{"type": "function", "function": {"name": "t"}}]},
    {"messages": [{"role": "user", "content": ""}]},
    {
        "messages": [
            _USER,
            {"role": "assistant", "tool_calls": [_CALL, {**_CALL, "id": "c2"}]},
            {"role": "tool", "tool_call_id": "c2", "content": "x"},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": ""}]},
        ]
    },
    {
        "messages": [
            _USER,
            {"role": "assistant", "content": "a", "refusal": None, "annotations": []},
            {"role": "developer", "content": "Be terse."},
        ]
    },
    {
        "messages": [
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "f"}},
                ],
            }
        ]
    },
]


@pytest.mark.parametrize("fields", _ACCEPTED)
async def test_accepted(wire: Wire, fields: dict[str, Any]) -> None:
    answer = await wire.openai(**{"messages": [_USER], **fields})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("header", "message", "code"),
    [
        (None, "You didn't provide an API key.", None),
        ("Bearer", "You didn't provide an API key.", None),
        ("Basic abc", "You didn't provide an API key.", None),
        (
            "Bearer invalid-key-12345",
            "Incorrect API key provided: invalid-*****2345. You can find your API key at",
            "invalid_api_key",
        ),
    ],
)
async def test_credentials(wire: Wire, header: str | None, message: str, code: str | None) -> None:
    headers = {} if header is None else {"authorization": header}
    url = f"{wire.server.openai_base_url}/chat/completions"
    answer = await wire.client.post(url, headers=headers, json={})
    assert answer.status_code == 401
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["code"] == code
    assert answer.headers["x-request-id"]


async def test_model_that_does_not_exist(wire: Wire) -> None:
    answer = await wire.openai(model="gpt-does-not-exist")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_bodies_that_are_not_requests(wire: Wire) -> None:
    url = f"{wire.server.openai_base_url}/chat/completions"
    key = {"authorization": "Bearer k"}
    json_type = {**key, "content-type": "application/json"}
    broken = await wire.client.post(url, headers=json_type, content=b"{")
    assert broken.json()["error"]["message"].startswith("We could not parse the JSON body")
    array = await wire.client.post(url, headers=json_type, content=b"[]")
    assert array.status_code == 400
    form = await wire.client.post(url, headers={**key, "content-type": "text/plain"}, content=b"{}")
    assert form.json()["error"]["code"] == "unsupported_content_type"
    recorded = await wire.requests()
    assert [request["body"] for request in recorded] == ["{", [], {}]

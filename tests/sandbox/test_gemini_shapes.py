from typing import Any

import pytest

from .conftest import Wire

_USER: Any = {"role": "user", "parts": [{"text": "x"}]}


def _user(*parts: Any) -> Any:
    return {"role": "user", "parts": list(parts)}


def _unknown(name: str, path: str, reason: str = "Cannot find field") -> str:
    at = f" at '{path}'" if path else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{at}: {reason}.'


_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1beta"
_LIST = "Proto field is not repeating, cannot start list"


_MALFORMED: list[Any] = [
    ({"foo": 1}, "", _unknown("foo", "")),
    ({"temperature": 1}, "", _unknown("temperature", "")),
    (
        {"generationConfig": {"fooBar": 1}},
        "generation_config",
        _unknown("fooBar", "generation_config"),
    ),
    (
        {"contents": [_user({"text": "a", "image_url": "b"})]},
        "contents[0].parts[0]",
        _unknown("image_url", "contents[0].parts[0]"),
    ),
    (
        {"contents": [{**_USER, "parts": [{"text": ["a"]}]}]},
        "contents[0].parts[0]",
        _unknown("text", "contents[0].parts[0]", _LIST),
    ),
    (
        {"contents": [{**_USER, "parts": [{"text": {}}]}]},
        "contents[0].parts[0]",
        _unknown(
            "text",
            "contents[0].parts[0]",
            "Proto field is not a message, cannot start object",
        ),
    ),
    (
        {"contents": [{**_USER, "parts": [{"text": 5}]}]},
        "contents[0].parts[0].text",
        "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING), 5",
    ),
    (
        {"contents": "Hi"},
        "contents[0]",
        f"Invalid value at 'contents[0]' ({_TYPE}.Content), \"Hi\"",
    ),
    (
        {"contents": [_user({"text": "a", "functionCall": {"name": "t"}})]},
        "contents[0].parts[0]",
        "Invalid value at 'contents[0].parts[0]' (oneof), oneof field 'data' is already set. "
        "Cannot set 'functionCall'",
    ),
    (
        {"contents": [_user({"inlineData": {"mimeType": "image/png", "data": "a!"}})]},
        "contents[0].parts[0].inline_data.data",
        "Invalid value at 'contents[0].parts[0].inline_data.data' (TYPE_BYTES), Base64 "
        'decoding failed for "a!"',
    ),
    (
        {"contents": [_user({"functionResponse": {"name": "t", "response": "a"}})]},
        "contents[0].parts[0].function_response.response",
        "Invalid value at 'contents[0].parts[0].function_response.response' "
        '(type.googleapis.com/google.protobuf.Struct), "a"',
    ),
    (
        {"generationConfig": {"temperature": "hot"}},
        "generation_config.temperature",
        "Invalid value at 'generation_config.temperature' (TYPE_FLOAT), \"hot\"",
    ),
    (
        {"generationConfig": {"seed": 1.5}},
        "generation_config.seed",
        "Invalid value at 'generation_config.seed' (TYPE_INT32), 1.5",
    ),
    (
        {"generationConfig": {"seed": 2**31}},
        "generation_config.seed",
        "Invalid value at 'generation_config.seed' (TYPE_INT32), 2147483648",
    ),
    (
        {"store": "true"},
        "store",
        "Invalid value at 'store' (TYPE_BOOL), \"true\"",
    ),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "REQUIRED"}}},
        "tool_config.function_calling_config.mode",
        "Invalid value at 'tool_config.function_calling_config.mode' "
        f'({_TYPE}.FunctionCallingConfig.Mode), "REQUIRED"',
    ),
    (
        {"tools": [{"functionDeclarations": [{"name": "t", "strict": True}]}]},
        "tools[0].function_declarations[0]",
        _unknown("strict", "tools[0].function_declarations[0]"),
    ),
    (
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "t",
                            "parameters": {
                                "type": "object",
                                "properties": {
                                    "a": {"type": "string"},
                                    "b": {"type": ["string", "null"]},
                                },
                            },
                        }
                    ]
                }
            ]
        },
        "tools[0].function_declarations[0].parameters.properties[1].value",
        _unknown("type", "tools[0].function_declarations[0].parameters.properties[1].value", _LIST),
    ),
    (
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "t", "parameters": {"additionalProperties": False}}
                    ]
                }
            ]
        },
        "tools[0].function_declarations[0].parameters",
        _unknown("additionalProperties", "tools[0].function_declarations[0].parameters"),
    ),
]


@pytest.mark.parametrize(("fields", "path", "description"), _MALFORMED)
async def test_malformed(wire: Wire, fields: dict[str, Any], path: str, description: str) -> None:
    answer = await wire.gemini(**fields)
    assert answer.status_code == 400
    violation = {"field": path, "description": description}
    assert answer.json()["error"] == {
        "code": 400,
        "message": description,
        "status": "INVALID_ARGUMENT",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{k: v for k, v in violation.items() if v}],
            }
        ],
    }


async def test_every_fault_of_the_shape_is_told(wire: Wire) -> None:
    error = (await wire.gemini(foo=1, generationConfig={"bar": 2})).json()["error"]
    texts = [_unknown("foo", ""), _unknown("bar", "generation_config")]
    assert error["message"] == "\n".join(texts)
    violations = error["details"][0]["fieldViolations"]
    assert [violation["description"] for violation in violations] == texts


async def test_body_that_is_not_an_object(wire: Wire) -> None:
    url = f"{wire.server.gemini_base_url}/v1beta/models/m:generateContent"
    for body, text in ((b"{", "Expected a value."), (b"[]", "Root element must be a message.")):
        answer = await wire.client.post(url, headers={"x-goog-api-key": "k"}, content=body)
        assert answer.status_code == 400
        assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("headers", "query", "status", "word"),
    [
        ({}, "", 403, "PERMISSION_DENIED"),
        ({"authorization": "Bearer k"}, "", 401, "UNAUTHENTICATED"),
        ({"x-goog-api-key": "invalid"}, "", 400, "INVALID_ARGUMENT"),
        ({}, "?key=invalid", 400, "INVALID_ARGUMENT"),
        ({}, "?key=k", 200, ""),
        ({"x-goog-api-key": "k", "authorization": "Bearer x"}, "", 200, ""),
    ],
)
async def test_keys(
    wire: Wire, headers: dict[str, str], query: str, status: int, word: str
) -> None:
    base = f"{wire.server.gemini_base_url}/v1beta/models"
    body = {"contents": [_USER]}
    asked = await wire.client.post(f"{base}/m:generateContent{query}", headers=headers, json=body)
    listed = await wire.client.get(f"{base}{query}", headers=headers)
    for answer in (asked, listed):
        assert answer.status_code == status
        if status != 200:
            assert answer.json()["error"]["status"] == word
    if status == 400:
        assert asked.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("gemini-does-not-exist", "v1beta"),
        ("gemini-flash-latest", "v1"),
        ("gemini-3-flash-preview", "v1"),
    ],
)
async def test_model_that_does_not_exist(wire: Wire, model: str, version: str) -> None:
    for method in ("generateContent", "streamGenerateContent"):
        answer = await wire.gemini(model=model, version=version, method=method)
        assert answer.status_code == 404
        body: Any = answer.json()
        error: Any = (body[0] if method == "streamGenerateContent" else body)["error"]
        assert error["status"] == "NOT_FOUND"
        assert error["message"].startswith(
            f"models/{model} is not found for API version {version}, or is not supported for "
            f"{method}. Call ModelService.ListModels"
        )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "v2/models/gemini-2.5-flash:generateContent"),
        ("POST", "v1/models/gemini-2.5-flash:zork"),
        ("POST", "v1/models"),
        ("GET", "v1/models/gemini-2.5-flash:generateContent"),
        ("GET", "v1/models/does-not-exist"),
        ("GET", "v1/files"),
        ("GET", ""),
    ],
)
async def test_paths_that_do_not_exist(wire: Wire, method: str, path: str) -> None:
    url = f"{wire.server.gemini_base_url}/{path}"
    answer = await wire.client.request(method, url, headers={"x-goog-api-key": "k"})
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")

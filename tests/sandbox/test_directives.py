from pathlib import Path
from typing import Any

import pytest

from proxy.sandbox import directives
from proxy.sandbox.directives import DirectiveError, Directives, extract, resolve

from .conftest import Wire


def _resolved(text: str, provider: str = "openai") -> Directives:
    return resolve(extract(text)[1], provider, {})


@pytest.mark.parametrize(
    ("text", "left", "expected"),
    [
        ("plain", "plain", {}),
        ("a [sandboxed] b", "a [sandboxed] b", {}),
        ("a [sandbox] b", "a  b", {}),
        ("a [sandbox words=3]", "a", {"words": 3}),
        ("[sandbox delay=0.5 first=1 gap=0]", "", {"delay": 0.5, "first": 1.0, "gap": 0.0}),
        ('[sandbox say="a ] \\"b\\" \\u00e9"] x', "x", {"say": 'a ] "b" é'}),
        ('[sandbox args={"a": ["]", {"b": 1}]} tool=t]', "", {"args": {"a": ["]", {"b": 1}]}}),
        ('[sandbox args="{\\"a\\":"]', "", {"args": '{"a":'}),
        ("[sandbox noargs redacted=false]", "", {"noargs": True, "redacted": False}),
        ("[sandbox words=3] [sandbox words=4 cut=1]", "", {"words": 4, "cut": 1}),
        ("[sandbox think]", "", {"think": "The sandbox thinks about the question."}),
        ("[sandbox provider=anthropic words=3][sandbox cut=1]", "", {"words": None, "cut": 1}),
        ("[sandbox\n  words=3\n]", "", {"words": 3}),
    ],
)
def test_reading(text: str, left: str, expected: dict[str, Any]) -> None:
    assert extract(text)[0] == left
    resolved = _resolved(text)
    assert {key: getattr(resolved, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sandbox zork=1]", "unknown directive `zork`; known are: fail,"),
        ("[sandbox words]", "`words` wants a number from 1 to 1000000"),
        ("[sandbox words=0]", "`words` wants"),
        ("[sandbox fail=200]", "`fail` wants an HTTP status"),
        ('[sandbox retry_after="a\\nb"]', "`retry_after` wants seconds"),
        ("[sandbox words=1000001]", "`words` wants"),
        ("[sandbox delay=-1]", "`delay` wants seconds"),
        ("[sandbox delay=inf]", "`delay` wants seconds"),
        ("[sandbox delay=nan]", "`delay` wants seconds"),
        ("[sandbox cut=x]", "`cut` wants"),
        ("[sandbox noargs=maybe]", "`noargs` wants"),
        ("[sandbox provider=zork]", "`provider` wants openai or anthropic or gemini"),
        ("[sandbox args={]", "`args` holds invalid JSON"),
        ('[sandbox say="open]', "`say` holds invalid JSON"),
        ("[sandbox words=3", "unknown directive ``"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(DirectiveError) as caught:
        _resolved(text)
    assert message in str(caught.value)


def test_times_counts_the_uses_of_a_key() -> None:
    attempts: dict[str, int] = {}
    groups = extract("[sandbox fail=500 times=2 key=k]")[1]
    fails = [resolve(groups, "openai", attempts).fail for _ in range(4)]
    assert fails == [500, 500, None, None]
    assert attempts == {"k": 4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("after=2", [None, None, 500, 500, 500]),
        ("after=1 times=2", [None, 500, 500, None, None]),
    ],
)
def test_after_leaves_the_first_ones_alone(text: str, expected: list[int | None]) -> None:
    attempts: dict[str, int] = {}
    groups = extract(f"[sandbox fail=500 {text}]")[1]
    assert [resolve(groups, "openai", attempts).fail for _ in range(5)] == expected


def test_every_directive_is_documented() -> None:
    readme = (Path(directives.__file__).parent / "README.md").read_text()
    with pytest.raises(DirectiveError) as caught:
        extract("[sandbox zork]")
    known = str(caught.value).partition("known are: ")[2].split(", ")
    assert len(known) > 30
    assert [key for key in known if f"`{key}`" not in readme and f"`{key}=" not in readme] == []


async def test_mistake_is_a_400_in_every_shape(wire: Wire) -> None:
    openai = await wire.openai("[sandbox zork]")
    assert openai.status_code == 400
    assert openai.json()["error"]["message"].startswith("sandbox: unknown directive `zork`")
    anthropic = await wire.anthropic("[sandbox zork]")
    assert anthropic.status_code == 400
    assert anthropic.json()["error"]["type"] == "invalid_request_error"
    gemini = await wire.gemini("[sandbox zork]")
    assert gemini.status_code == 400
    assert gemini.json()["error"]["message"].startswith("sandbox: unknown directive `zork`")


async def test_missing_tool_is_told(wire: Wire) -> None:
    tools = [{"name": "get_time", "input_schema": {"type": "object"}}]
    answer = await wire.anthropic("[sandbox tool=zork]", tools=tools)
    assert answer.status_code == 400
    assert "offered: get_time" in answer.json()["error"]["message"]
    assert (await wire.openai("[sandbox tools=1]")).status_code == 400


@pytest.mark.parametrize(
    ("status", "openai", "anthropic", "gemini"),
    [
        (400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "invalid_request_error", "authentication_error", "UNAUTHENTICATED"),
        (403, "invalid_request_error", "permission_error", "PERMISSION_DENIED"),
        (404, "invalid_request_error", "not_found_error", "NOT_FOUND"),
        (413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
        (418, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        (429, "requests", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "server_error", "api_error", "INTERNAL"),
        (503, "server_error", "api_error", "UNAVAILABLE"),
        (529, "server_error", "overloaded_error", "INTERNAL"),
    ],
)
async def test_failures(wire: Wire, status: int, openai: str, anthropic: str, gemini: str) -> None:
    for stream in (True, False):
        first = await wire.openai(f"[sandbox fail={status} retry_after=7]", stream=stream)
        assert first.status_code == status
        assert first.json()["error"]["type"] == openai
        assert first.headers["retry-after"] == "7"
        second = await wire.anthropic(f"[sandbox fail={status}]", stream=stream)
        assert second.status_code == status
        assert second.json()["error"]["type"] == anthropic
        assert second.json()["request_id"] == second.headers["request-id"]
        assert "retry-after" not in second.headers
    third = await wire.gemini(f"[sandbox fail={status} retry_after=7]")
    assert third.status_code == status
    assert "retry-after" not in third.headers
    error = third.json()["error"]
    assert (error["code"], error["status"]) == (status, gemini)
    kind = "type.googleapis.com/google.rpc.RetryInfo"
    assert error["details"][-1] == {"@type": kind, "retryDelay": "7s"}


async def test_failure_for_one_provider_only(wire: Wire) -> None:
    text = "Hi [sandbox provider=openai fail=503]"
    assert (await wire.openai(text)).status_code == 503
    assert (await wire.anthropic(text)).status_code == 200
    assert (await wire.gemini(text)).status_code == 200
    assert (await wire.gemini("Hi [sandbox provider=gemini fail=503]")).status_code == 503


async def test_failure_for_the_first_requests_only(wire: Wire) -> None:
    text = "Hi [sandbox fail=429 times=2]"
    assert [(await wire.openai(text)).status_code for _ in range(3)] == [429, 429, 200]
    await wire.client.delete(f"{wire.server.base_url}/_sandbox/requests")
    assert (await wire.openai(text)).status_code == 429


@pytest.mark.parametrize(
    ("cause", "openai", "anthropic", "gemini"),
    [
        (
            "context",
            (400, "context_length_exceeded"),
            (400, "prompt is too long: "),
            (400, "The input token count ("),
        ),
        (
            "quota",
            (429, "insufficient_quota"),
            (400, "Your credit balance is too low"),
            (429, "You exceeded your current quota"),
        ),
    ],
)
async def test_named_failures(
    wire: Wire,
    cause: str,
    openai: tuple[int, str],
    anthropic: tuple[int, str],
    gemini: tuple[int, str],
) -> None:
    first = await wire.openai(f"[sandbox fail={cause}]")
    assert (first.status_code, first.json()["error"]["code"]) == openai
    second = await wire.anthropic(f"[sandbox fail={cause}]")
    assert second.status_code == anthropic[0]
    assert second.json()["error"]["message"].startswith(anthropic[1])
    third = await wire.gemini(f"[sandbox fail={cause}]")
    assert third.status_code == gemini[0]
    assert third.json()["error"]["message"].startswith(gemini[1])


async def test_failure_in_html(wire: Wire) -> None:
    answer = await wire.openai("[sandbox fail=502 status_body=html]")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<html>")


async def test_error_type_is_free(wire: Wire) -> None:
    answer = await wire.anthropic("[sandbox fail=500 error_type=odd_error]")
    assert answer.json()["error"]["type"] == "odd_error"
    answer = await wire.gemini("[sandbox fail=500 error_type=ODD]")
    assert answer.json()["error"]["status"] == "ODD"


async def test_stop_reason_is_free(wire: Wire) -> None:
    anthropic = (await wire.anthropic("[sandbox stop_reason=pause_turn]")).json()
    assert anthropic["stop_reason"] == "pause_turn"
    openai = (await wire.openai("[sandbox stop_reason=content_filter]")).json()
    assert openai["choices"][0]["finish_reason"] == "content_filter"
    gemini = (await wire.gemini("[sandbox stop_reason=RECITATION]")).json()
    assert gemini["candidates"][0]["finishReason"] == "RECITATION"


async def test_calls_go_on_for_as_many_rounds_as_asked(wire: Wire) -> None:
    tools = [{"type": "function", "function": {"name": "t"}}]
    history: list[Any] = [{"role": "user", "content": "[sandbox tool=t rounds=2]"}]
    finishes: list[str] = []
    for _ in range(3):
        choice = (await wire.openai(messages=history, tools=tools)).json()["choices"][0]
        finishes.append(choice["finish_reason"])
        history.append(choice["message"])
        history += [
            {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
            for call in choice["message"].get("tool_calls", [])
        ]
    assert finishes == ["tool_calls", "tool_calls", "stop"]


async def test_only_the_last_user_message_instructs(wire: Wire) -> None:
    history = [
        {"role": "user", "content": "[sandbox fail=500]"},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": [{"type": "text", "text": "Hi [sandbox say=yes]"}]},
    ]
    answer = (await wire.openai(messages=history)).json()
    assert answer["choices"][0]["message"]["content"] == "yes"
    answer = (await wire.anthropic(messages=history)).json()
    assert answer["content"][0]["text"] == "yes"

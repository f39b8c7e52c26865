"""Answers that take several requests: the token, and what the service checks of it."""

from typing import Any

import pytest

from .conftest import Wire

_ASK = "Hi [sandbox words=9 hops=3]"


async def _token(wire: Wire, **fields: Any) -> str:
    candidate = (await wire.gemini(_ASK, **fields)).json()["candidates"][0]
    assert candidate["finishReason"] == "CONTINUATION"
    return candidate["continuationToken"]


async def test_each_request_brings_a_share_and_the_last_one_the_end(wire: Wire) -> None:
    said: list[str] = []
    token: Any = ...
    candidate: Any = None
    for _ in range(3):
        (candidate,) = (await wire.gemini(_ASK, continuationToken=token)).json()["candidates"]
        said += [part["text"] for part in candidate["content"]["parts"]]
        token = candidate.get("continuationToken", ...)
    assert candidate["finishReason"] == "STOP"
    assert token is ...
    whole = (await wire.gemini("Hi [sandbox words=9]")).json()["candidates"][0]
    assert "".join(said) == whole["content"]["parts"][0]["text"]


async def test_calls_come_last(wire: Wire) -> None:
    tools = [{"functionDeclarations": [{"name": "f"}]}]
    ask = "[sandbox tool=f say=Hm hops=2]"
    first = (await wire.gemini(ask, tools=tools)).json()["candidates"][0]
    assert "functionCall" not in str(first)
    token = first["continuationToken"]
    last = (await wire.gemini(ask, tools=tools, continuationToken=token)).json()["candidates"][0]
    assert "functionCall" in str(last)


@pytest.mark.parametrize("token", ["c2FuZGJveA==", "c2FuZGJveC1ob3A=", "c2ln"])
async def test_a_foreign_token_is_refused(wire: Wire, token: str) -> None:
    answer = await wire.gemini(_ASK, continuationToken=token)
    assert answer.status_code == 400
    assert "the token is invalid" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "changed",
    [
        {"generationConfig": {"seed": 1}},
        {"contents": [{"role": "user", "parts": [{"text": "Hi [sandbox words=8 hops=3]"}]}]},
    ],
)
async def test_a_token_is_good_for_the_same_body_only(wire: Wire, changed: Any) -> None:
    token = await _token(wire)
    assert (await wire.gemini(_ASK, continuationToken=token)).status_code == 200
    answer = await wire.gemini(_ASK, continuationToken=token, **changed)
    assert answer.status_code == 400
    assert "different request" in answer.json()["error"]["message"]


async def test_a_refused_prompt_has_no_rest(wire: Wire) -> None:
    answer = (await wire.gemini("[sandbox refuse hops=3]")).json()
    assert answer["promptFeedback"]["blockReason"]
    assert "candidates" not in answer

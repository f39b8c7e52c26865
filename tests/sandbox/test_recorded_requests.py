"""What real services answered to recorded requests is what the sandbox answers to them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy.sandbox.anthropic_messages.content import sign
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.dialect import Dialect, Rejection
from proxy.sandbox.gemini_generate import signatures
from proxy.sandbox.gemini_generate.dialect import Call, GeminiGenerate
from proxy.sandbox.jsontypes import as_list, as_object
from proxy.sandbox.openai_chat.dialect import OpenAIChat
from tests.recordings import Recording, parameters_of, recordings

_MCP = "the MCP connector is a beta"
_TOOL_CHANGES = "`tool_addition` blocks are a beta"
_CONTEXT = "`context_management` is a beta"
_COMPUTER = "computer use of this generation is a beta"
_VERTEX = "a field of Vertex AI, unknown to the Gemini API"
_FETCH = "files behind plain addresses are a matter of Vertex AI"
# Requests that need a beta header, which the recordings do not keep; the sandbox has no betas.
_EXCLUDED = {
    "gen-gemini-2.5-flash-blocked-thinking-85a1ae": _VERTEX,
    "gen-gemini-3-pro-stream-thinking-parallel-3a7e31": _VERTEX,
    "gen-gemini-3-pro-stream-thinking-parallel-a06dd5": _VERTEX,
    "messages-claude-fable-5-toolcall-toolresult-f1ac37": _TOOL_CHANGES,
    "messages-claude-opus-4-6-stream-toolresult-vision-8a8550": _COMPUTER,
    "messages-claude-opus-4-8-toolcall-toolresult-42b358": _TOOL_CHANGES,
    "messages-claude-sonnet-4-5-stream-thinking-53172c": _MCP,
    "messages-claude-sonnet-4-5-toolresult-tools-0b64b4": _MCP,
    "messages-claude-sonnet-4-6-275320": "compaction blocks are a beta",
    "messages-claude-sonnet-4-6-compaction-75fb4d": _CONTEXT,
    "messages-claude-sonnet-4-toolresult-vision-fa5b3a": _COMPUTER,
    "messages-claude-sonnet-5-stream-thinking-284c3d": "the advisor tool is a beta",
    "messages-claude-sonnet-5-thinking-093d60": _MCP,
}
_OLDER = "the service has changed its words since"
_UNLIKE = {
    "gen-there-is-no-such-model-err404-ec0518": _OLDER,
    "gen-custom-gemini-2.0-flash-err404-96a14f": _OLDER,
    "gen-gemini-3-flash-err400-toolresult-tools-vision-4eedf1": _FETCH,
    "gen-gemini-3-flash-err400-toolresult-tools-vision-81c53f": _FETCH,
    "chat-gpt-5-mini-err400-toolresult-tools-audioinput-505fce": "audio input is not by model",
    "chat-o1-mini-err400-6d56f2": "only o1-mini, long retired, refused developer messages",
    "chat-gpt-4.1-nano-wrong-err404-4330ee": "unknown models are known by `does-not-exist` only",
    "chat-gpt-5.2-proo-err404-ea7f65": "unknown models are known by `does-not-exist` only",
    "messages-claude-4-5-haiku-err404-3be686": "unknown models are known by `does-not-exist` only",
    "messages-there-is-no-such-model-err404-9675ed": "known by `does-not-exist` only",
    "messages-claude-haiku-4-5-err400-7b0b68": "the prompt was replaced by a placeholder",
}


def _recordings(pattern: str, *statuses: int) -> list[Any]:
    return parameters_of(
        recordings(pattern, lambda found: found.status in statuses and found.request is not None)
    )


def _signed(value: Any) -> Any:
    """Give thinking blocks the signatures that this service would have given them."""
    items = as_list(value)
    if items is not None:
        return [_signed(item) for item in items]
    found = as_object(value)
    if found is None:
        return value
    result = {key: _signed(item) for key, item in found.items()}
    if result.get("type") == "thinking":
        result["signature"] = sign("recorded")
    if result.get("type") == "redacted_thinking":
        result["data"] = sign("recorded")
    return result


def _anthropic_body(recording: Recording) -> dict[str, Any]:
    body = _signed(recording.request)
    if "output_format" in body:
        # The beta's name for what is now `output_config.format`.
        body.setdefault("output_config", {})["format"] = body.pop("output_format")
    return body


def _read(dialect: Dialect, body: object) -> None:
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    dialect.read(body, headers)


def _skip(request: pytest.FixtureRequest, reasons: dict[str, str]) -> None:
    name = request.node.callspec.id
    if name in reasons:
        pytest.skip(reasons[name])


@pytest.mark.parametrize("recording", _recordings("openai/chat-*.json", 200))
def test_openai_request_is_accepted(recording: Recording) -> None:
    _read(OpenAIChat(), recording.request)


@pytest.mark.parametrize("recording", _recordings("anthropic/messages-*.json", 200))
def test_anthropic_request_is_accepted(
    recording: Recording, request: pytest.FixtureRequest
) -> None:
    _skip(request, _EXCLUDED)
    _read(AnthropicMessages(), _anthropic_body(recording))


@pytest.mark.parametrize("recording", _recordings("openai/chat-*.json", 400, 404))
def test_openai_refusal_is_the_recorded_one(
    recording: Recording, request: pytest.FixtureRequest
) -> None:
    _skip(request, _UNLIKE)
    with pytest.raises(Rejection) as caught:
        _read(OpenAIChat(), recording.request)
    assert caught.value.status == recording.status
    assert caught.value.error == json.loads(recording.body)["error"]


@pytest.mark.parametrize("recording", _recordings("anthropic/messages-*.json", 400, 404))
def test_anthropic_refusal_is_the_recorded_one(
    recording: Recording, request: pytest.FixtureRequest
) -> None:
    _skip(request, _UNLIKE)
    with pytest.raises(Rejection) as caught:
        _read(AnthropicMessages(), _anthropic_body(recording))
    assert caught.value.status == recording.status
    assert caught.value.error == json.loads(recording.body)["error"]


def _gemini_call(recording: Recording) -> tuple[GeminiGenerate, Any]:
    """Return the dialect of a recorded path, and the body with this service's signatures."""
    model, _, method = recording.path.rpartition("/")[2].partition(":")
    call = Call("v1beta", model, method == "streamGenerateContent")
    return GeminiGenerate(call), _gemini_signed(recording.request)


def _gemini_signed(value: Any) -> Any:
    items = as_list(value)
    if items is not None:
        return [_gemini_signed(item) for item in items]
    found = as_object(value)
    if found is None:
        return value
    signed = {"thoughtSignature", "thought_signature"}
    return {
        key: signatures.sign("recorded") if key in signed else _gemini_signed(item)
        for key, item in found.items()
    }


@pytest.mark.parametrize("recording", _recordings("gemini/gen-*.json", 200))
def test_gemini_request_is_accepted(recording: Recording, request: pytest.FixtureRequest) -> None:
    _skip(request, _EXCLUDED)
    dialect, body = _gemini_call(recording)
    _read(dialect, body)


@pytest.mark.parametrize("recording", _recordings("gemini/gen-*.json", 400, 403, 404))
def test_gemini_refusal_is_the_recorded_one(
    recording: Recording, request: pytest.FixtureRequest
) -> None:
    _skip(request, _UNLIKE)
    status, answer = recording.status, recording.body.decode()
    if status == 404:
        # Models that do not exist are known by their names here.
        absent = "models/does-not-exist-"
        recording = replace(recording, path=recording.path.replace("models/", absent))
        answer = answer.replace("models/", absent)
    dialect, body = _gemini_call(recording)
    key = {400: {"x-goog-api-key": "invalid"}, 404: {"x-goog-api-key": "k"}}.get(status, {})
    with pytest.raises(Rejection) as caught:
        dialect.admit(key)
        _read(dialect, body)
    assert (caught.value.status, caught.value.error) == (status, json.loads(answer)["error"])

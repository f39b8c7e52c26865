"""What a request needs, inferred from its fields."""

from typing import Any

import pytest

from policy.capabilities import ALIASES, NEEDING, VOCABULARY, canonical, required_by
from translators.wire.request import ChatCompletionRequest

USER: dict[str, Any] = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f"}}
CUSTOM = {"type": "custom", "custom": {"name": "c"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "p", "messages": [USER], **fields})


def parts(*content: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [USER, {"role": "user", "content": list(content)}]}


def file(data: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data}}


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, {}),
        ({"stream": True}, {"streaming": "stream"}),
        ({"stream": False}, {}),
        ({"tools": [TOOL, TOOL]}, {"tool_calling": "tools[0]"}),
        ({"tools": []}, {}),
        ({"tools": [CUSTOM]}, {"custom_tools": "tools[0]"}),
        (
            {"tools": [CUSTOM, TOOL]},
            {"custom_tools": "tools[0]", "tool_calling": "tools[1]"},
        ),
        ({"functions": [{"name": "f"}]}, {"tool_calling": "functions"}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"json_mode": "response_format"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            {"json_schema": "response_format"},
        ),
        ({"n": 1}, {}),
        ({"n": 2}, {"multiple_choices": "n"}),
        ({"logprobs": True}, {"logprobs": "logprobs"}),
        ({"logprobs": False}, {}),
        ({"top_logprobs": 3}, {"logprobs": "top_logprobs"}),
        ({"top_logprobs": 0}, {}),
        ({"reasoning_effort": "low"}, {"reasoning": "reasoning_effort"}),
        ({"reasoning_effort": "none"}, {}),
        ({"modalities": ["text"]}, {}),
        ({"modalities": ["text", "audio"]}, {"audio_output": "modalities"}),
        ({"audio": {"voice": "alloy", "format": "wav"}}, {"audio_output": "audio"}),
        ({"web_search_options": {}}, {"web_search": "web_search_options"}),
        # A tuning hint is none: it is ignored and reported where there is no counterpart.
        ({"temperature": 0.1, "seed": 3, "verbosity": "low"}, {}),
    ],
)
def test_needs_of_fields(fields: dict[str, Any], needs: dict[str, str]) -> None:
    assert required_by(chat(**fields)) == needs


@pytest.mark.parametrize(
    ("part", "capability"),
    [
        ({"type": "text", "text": "x"}, None),
        ({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}, "vision"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "audio"),
        (file("data:application/pdf;base64,AA=="), "pdf"),
        (file("AA=="), "pdf"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "pdf"),
        (file("data:IMAGE/png;base64,AA=="), "vision"),
        (file("data:audio/wav;base64,AA=="), "audio"),
        (file("data:video/mp4;base64,AA=="), "video"),
        ({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}, "video"),
        ({"type": "hologram"}, None),
    ],
)
def test_needs_of_parts(part: dict[str, Any], capability: str | None) -> None:
    needs = required_by(chat(**parts({"type": "text", "text": "see"}, part)))
    assert needs == ({} if capability is None else {capability: "messages[1].content[1]"})


@pytest.mark.parametrize(
    ("message", "needs"),
    [
        ({"role": "system", "content": "x"}, {"system_prompts": "messages[1]"}),
        ({"role": "developer", "content": "x"}, {"system_prompts": "messages[1]"}),
        ({"role": "assistant", "content": "x"}, {}),
        ({"role": "assistant", "content": None}, {}),
        ({"role": "assistant", "tool_calls": [CALL]}, {"tool_calling": "messages[1]"}),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": ""}},
            {"tool_calling": "messages[1]"},
        ),
        ({"role": "assistant", "audio": {"id": "a"}}, {"audio_output": "messages[1].audio"}),
        (
            {"role": "tool", "tool_call_id": "call_1", "content": "x"},
            {"tool_calling": "messages[1]"},
        ),
        ({"role": "function", "name": "f", "content": None}, {"tool_calling": "messages[1]"}),
    ],
)
def test_needs_of_messages(message: dict[str, Any], needs: dict[str, str]) -> None:
    assert required_by(chat(messages=[USER, message])) == needs


def test_the_first_place_is_named() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    needs = required_by(chat(messages=[{"role": "user", "content": [image, image]}] * 2))
    assert needs == {"vision": "messages[0].content[0]"}


def test_the_vocabulary_has_the_guides_words() -> None:
    guide = {"system_prompts", "tool_calling", "json_mode", "vision", "streaming"}
    assert guide <= VOCABULARY.keys()
    assert all(VOCABULARY.values())


def test_aliases_lead_into_the_vocabulary() -> None:
    assert canonical("tools") == "tool_calling"
    assert set(ALIASES.values()) <= VOCABULARY.keys()
    assert canonical("flying") is None


class _Watched(ChatCompletionRequest):
    """A request that knows which of its fields were looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name in ChatCompletionRequest.model_fields:
            SEEN.add(name)
        return super().__getattribute__(name)


SEEN: set[str] = set()


def test_no_parameter_is_looked_at_but_those_that_may_need_something() -> None:
    watched = _Watched.model_validate({"model": "p", "messages": [USER]})
    SEEN.clear()
    assert required_by(watched) == {}
    assert SEEN - {"messages"} == NEEDING

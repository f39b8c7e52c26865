"""What a provider can do, and what a request needs.

A capability stands for something that is lost, or refused, where a provider lacks it. A mere
tuning hint (`seed`, `temperature`) is none: translators ignore and report those.
"""

from collections.abc import Mapping
from types import MappingProxyType

from translators.wire.content import (
    AssistantMessage,
    ContentPart,
    FilePart,
    ImagePart,
    InputAudioPart,
    Message,
    OtherPart,
)
from translators.wire.request import ChatCompletionRequest, CustomTool

__all__ = ["ALIASES", "NEEDING", "VOCABULARY", "canonical", "required_by"]

VOCABULARY: Mapping[str, str] = MappingProxyType(
    {
        "system_prompts": "messages with role `system` or `developer`; a persona's system prompt",
        "streaming": "answers that arrive piece by piece (`stream: true`)",
        "tool_calling": "function tools, tool calls and their results",
        "custom_tools": "tools of type `custom`, which take free text",
        "json_mode": "answers that are some JSON object (`response_format: json_object`)",
        "json_schema": "answers that follow a schema (`response_format: json_schema`)",
        "vision": "images in messages",
        "pdf": "`file` parts: PDF and other documents",
        "audio": "audio in messages (`input_audio`)",
        "audio_output": "spoken answers (`audio`, `modalities`)",
        "video": "video in messages (`video_url`, as some compatible servers have it)",
        "reasoning": "a model that thinks first, as deeply as `reasoning_effort` says",
        "logprobs": "log probabilities of tokens (`logprobs`, `top_logprobs`)",
        "multiple_choices": "several answers at once (`n` above 1)",
        "web_search": "a search of the web by the provider (`web_search_options`)",
    }
)
"""Every capability and what it stands for."""

ALIASES: Mapping[str, str] = MappingProxyType({"tools": "tool_calling", "n": "multiple_choices"})
"""Other names that policy files may use."""


def canonical(name: str) -> str | None:
    """Return the name of the vocabulary for `name`, or None where it has none."""
    name = ALIASES.get(name, name)
    return name if name in VOCABULARY else None


def required_by(chat: ChatCompletionRequest) -> Mapping[str, str]:
    """Return what a request needs, each with the parameter that needs it first.

    A value that asks for nothing (`n: 1`, `stream: false`, an empty `tools`) needs nothing.
    """
    needs: dict[str, str] = {}
    if chat.stream:
        needs["streaming"] = "stream"
    if chat.tools or chat.functions:
        _add_tools(chat, needs)
    _add_answer(chat, needs)
    _add_modalities(chat, needs)
    # Every message of a long conversation comes by here: no path is written out in vain, and what
    # most of them are is asked first.
    for index, message in enumerate(chat.messages):
        if message.role == "assistant":
            if message.tool_calls or message.function_call or message.audio is not None:
                _add_assistant(message, index, needs)
        elif message.role != "user":
            capability = _NEEDED_BY_ROLE[message.role]
            if capability not in needs:
                needs[capability] = f"messages[{index}]"
        if message.content.__class__ is list:
            _add_parts(message, index, needs)
    return needs


NEEDING: frozenset[str] = frozenset(
    {
        *("stream", "tools", "functions", "response_format", "n", "logprobs", "top_logprobs"),
        *("reasoning_effort", "modalities", "audio", "web_search_options"),
    }
)
"""The parameters that may need something."""

_NEEDED_BY_ROLE: Mapping[str, str] = {
    "system": "system_prompts",
    "developer": "system_prompts",
    "tool": "tool_calling",
    "function": "tool_calling",
}


def _add_tools(chat: ChatCompletionRequest, needs: dict[str, str]) -> None:
    for index, tool in enumerate(chat.tools or ()):
        capability = "custom_tools" if isinstance(tool, CustomTool) else "tool_calling"
        if capability not in needs:
            needs[capability] = f"tools[{index}]"
    if chat.functions:
        needs.setdefault("tool_calling", "functions")


def _add_answer(chat: ChatCompletionRequest, needs: dict[str, str]) -> None:
    form = chat.response_format
    if form is not None and form.type != "text":
        # The wire's own words: `json_object` is the JSON mode.
        needs["json_mode" if form.type == "json_object" else "json_schema"] = "response_format"
    if chat.n is not None and chat.n > 1:
        needs["multiple_choices"] = "n"
    if chat.logprobs:
        needs["logprobs"] = "logprobs"
    elif chat.top_logprobs:
        needs["logprobs"] = "top_logprobs"
    if chat.reasoning_effort is not None and chat.reasoning_effort != "none":
        needs["reasoning"] = "reasoning_effort"


def _add_modalities(chat: ChatCompletionRequest, needs: dict[str, str]) -> None:
    if chat.modalities and "audio" in chat.modalities:
        needs["audio_output"] = "modalities"
    elif chat.audio is not None:
        needs["audio_output"] = "audio"
    if chat.web_search_options is not None:
        needs["web_search"] = "web_search_options"


def _add_assistant(message: AssistantMessage, index: int, needs: dict[str, str]) -> None:
    if (message.tool_calls or message.function_call) and "tool_calling" not in needs:
        needs["tool_calling"] = f"messages[{index}]"
    if message.audio is not None:
        needs.setdefault("audio_output", f"messages[{index}].audio")


def _add_parts(message: Message, index: int, needs: dict[str, str]) -> None:
    for place, part in enumerate(message.content or ()):
        capability = _of_part(part)
        if capability is not None:
            needs.setdefault(capability, f"messages[{index}].content[{place}]")


def _of_part(part: ContentPart | str) -> str | None:
    match part:
        case ImagePart():
            return "vision"
        case InputAudioPart():
            return "audio"
        case FilePart():
            return _of_file(part)
        case OtherPart(type="video_url"):
            return "video"
        case _:
            return None


def _of_file(part: FilePart) -> str:
    """Return what a file needs: its media type says so where it is a `data:` URL."""
    data = part.file.file_data
    if data is not None and data.startswith("data:"):
        kind = data[5:].partition("/")[0].lower()
        return {"image": "vision", "audio": "audio", "video": "video"}.get(kind, "pdf")
    return "pdf"

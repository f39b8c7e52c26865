"""Requests as bytes: what `POST /v1/chat/completions` takes, made from the dataclasses.

The bytes are read again by the same code as a client's over HTTP, so that a mistake is told in the
same words, with the same `param`. Only what would be lost on the way is refused here.

A conversation that ends with the assistant's words is context to be answered: few providers would
go on in the middle of an answer, and whoever hands over a draft for review does not want that. One
more turn of the user's says so; it is reported as emulated. `prefill` leaves it out.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from execution_platform.spi.message import (
    AudioPart,
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    OtherPart,
    RefusalPart,
    TextPart,
    ToolCall,
)
from execution_platform.spi.request import ChatRequest
from execution_platform.spi.tools import (
    AllowedTools,
    NamedTool,
    ResponseFormat,
    ToolChoice,
    ToolDefinition,
    ToolParameter,
)
from translators.errors import InvalidRequest
from translators.json import encode

__all__ = ["ANSWER_THIS", "SAME", "body_of", "ends_with_answer"]

ANSWER_THIS: Final = "The message above is context. Now answer what was asked."
"""The turn that follows the assistant's last words."""

SAME: Final = (
    *("max_tokens", "temperature", "top_p", "stop", "parallel_tool_calls", "reasoning_effort"),
    *("verbosity", "seed", "n", "max_completion_tokens", "frequency_penalty", "presence_penalty"),
    *("logit_bias", "logprobs", "top_logprobs", "metadata", "store", "service_tier", "user"),
    *("safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    *("prediction", "modalities", "audio", "moderation", "web_search_options"),
)
"""Attributes of `ChatRequest` that go out under their own name, as they are."""

_MADE: Final = frozenset(
    {"model", "messages", "tools", "tool_choice", "response_format", "stream", "stream_options"}
)
_DEPRECATED: Final = frozenset({"functions", "function_call"})


def body_of(request: ChatRequest, *, persona: str, stream: bool) -> bytes:
    """Return the JSON of a request.

    Args:
        request: What is asked.
        persona: Who is asked.
        stream: Whether the answer is to come in pieces.

    Raises:
        InvalidRequest: Something in it has no form in JSON, or is said twice.
    """
    extra = _extra(request)
    body: dict[str, Any] = {"model": persona, "messages": _messages(request), "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    for name in SAME:
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format)
    body.update(extra)
    _check_numbers(body, "")
    try:
        return encode(body)
    except (TypeError, ValueError, OverflowError) as error:
        # The encoder names the type, never the value.
        raise InvalidRequest(f"The request cannot be written as JSON: {error}.") from error


def ends_with_answer(request: ChatRequest) -> bool:
    """Whether the turn `ANSWER_THIS` is put at the end of a request's messages."""
    if request.prefill or not request.messages:
        return False
    last = request.messages[-1]
    # Calls are answered by results, and by nothing else.
    return last.role == "assistant" and not last.tool_calls


def _extra(request: ChatRequest) -> Mapping[str, Any]:
    for name in request.extra:
        if name in _DEPRECATED:
            raise InvalidRequest(
                f"`extra` holds `{name}`, the deprecated form; use `tools` and `tool_choice`.",
                param=name,
            )
        if name in _MADE or name in SAME:
            raise InvalidRequest(
                f"`extra` holds `{name}`, which {_instead(name)}; `extra` is for fields that have "
                "no attribute.",
                param=name,
            )
    return request.extra


def _instead(name: str) -> str:
    if name in ("stream", "stream_options"):
        return "follows from whether the answer is iterated over or awaited"
    return f"has an attribute: `ChatRequest.{name}`"


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    messages = [_message(message) for message in request.messages]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    if ends_with_answer(request):
        messages.append({"role": "user", "content": ANSWER_THIS})
    return messages


def _message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": _content(message.content)}
    if message.name is not None:
        wire["name"] = message.name
    if message.tool_calls:
        wire["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    if message.refusal is not None:
        wire["refusal"] = message.refusal
    if message.reasoning is not None:
        wire["reasoning_content"] = message.reasoning
    if message.reasoning_details is not None:
        wire["reasoning_details"] = message.reasoning_details
    return {**wire, **message.extra}


def _content(content: str | Sequence[ContentPart] | None) -> Any:
    if content is None or isinstance(content, str):
        return content
    return [_part(part) for part in content]


def _part(part: ContentPart) -> dict[str, Any]:
    match part:
        case TextPart():
            wire: dict[str, Any] = {"type": "text", "text": part.text}
        case ImagePart():
            image = {"url": part.url} | ({} if part.detail is None else {"detail": part.detail})
            wire = {"type": "image_url", "image_url": image}
        case AudioPart():
            audio = {"data": part.data, "format": part.format}
            wire = {"type": "input_audio", "input_audio": audio}
        case FilePart():
            names = ("file_data", "filename", "file_id")
            file = {name: value for name in names if (value := getattr(part, name)) is not None}
            wire = {"type": "file", "file": file}
        case RefusalPart():
            wire = {"type": "refusal", "refusal": part.refusal}
        case OtherPart():
            wire = {"type": part.type}
    return {**wire, **part.extra}


def _call(call: ToolCall) -> dict[str, Any]:
    if call.type == "custom":
        custom = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": custom, **call.extra}
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": call.type, "function": function, **call.extra}


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        definition["description"] = tool.description
    if tool.type == "custom":
        if tool.format is not None:
            definition["format"] = tool.format
        return {"type": "custom", "custom": definition, **tool.extra}
    if tool.parameters is not None:
        definition["parameters"] = _schema(tool.parameters)
    if tool.strict is not None:
        definition["strict"] = tool.strict
    return {"type": "function", "function": definition, **tool.extra}


def _schema(parameters: Sequence[ToolParameter] | Mapping[str, Any]) -> Mapping[str, Any]:
    return parameters if isinstance(parameters, Mapping) else _object(parameters)


def _object(parameters: Sequence[ToolParameter]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {parameter.name: _parameter(parameter) for parameter in parameters},
    }
    if required := [parameter.name for parameter in parameters if parameter.required]:
        schema["required"] = required
    return schema


def _parameter(parameter: ToolParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.type}
    if parameter.properties is not None:
        schema = _object(parameter.properties) | schema
    if parameter.description is not None:
        schema["description"] = parameter.description
    if parameter.enum is not None:
        schema["enum"] = list(parameter.enum)
    if parameter.items is not None:
        schema["items"] = parameter.items
    return {**schema, **parameter.schema}


def _tool_choice(choice: ToolChoice) -> Any:
    match choice:
        case NamedTool():
            return _named(choice)
        case AllowedTools():
            tools = [_named(tool) for tool in choice.tools]
            return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
        case _:
            return choice


def _named(tool: NamedTool) -> dict[str, Any]:
    return {"type": tool.type, tool.type: {"name": tool.name}}


def _response_format(form: ResponseFormat) -> dict[str, Any]:
    if form.type != "json_schema":
        return {"type": form.type}
    schema: dict[str, Any] = {"name": form.name}
    for name in ("description", "schema", "strict"):
        if (value := getattr(form, name)) is not None:
            schema[name] = value
    return {"type": "json_schema", "json_schema": schema}


def _check_numbers(value: Any, path: str) -> None:
    """Refuse a number that JSON has no form for: the encoder would write `null`."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(f"`{path}` is {value}, which is no number in JSON.", param=path)
    if isinstance(value, dict):
        for name, inner in cast("dict[str, Any]", value).items():
            _check_numbers(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)):
            _check_numbers(inner, f"{path}[{index}]")

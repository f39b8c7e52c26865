"""Validation of `messages`: shapes first, then the order of tool calls and their answers."""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_list, objects
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_chat.fields import Check

__all__ = ["check_messages"]

_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
_BREAKPOINT = fields.shaped(
    {"mode": fields.of_words("explicit"), "ttl": fields.of_words("30m", "12h")}, "mode"
)
_TYPE = fields.text


def _part(**own: Check) -> Check:
    known: Mapping[str, Check] = {
        "type": _TYPE,
        "prompt_cache_breakpoint": fields.nullable(_BREAKPOINT),
        **own,
    }
    return fields.shaped(known, *own)


def _image_url(value: Any, path: str) -> None:
    url = fields.text(value, path)
    if not url.startswith(("https://", "http://", "data:image/")):
        message = (
            f"Invalid '{path}'. Expected a valid URL or base64-encoded image data URL, "
            "but got a value without either."
        )
        raise refusals.refuse(message, path, "invalid_value")


_TEXT = _part(text=fields.text)
_REFUSAL = fields.shaped({"type": _TYPE, "refusal": fields.text}, "refusal")
_IMAGE = _part(
    image_url=fields.shaped(
        {"url": _image_url, "detail": fields.of_words("auto", "low", "high", "original")}, "url"
    )
)
_AUDIO = _part(
    input_audio=fields.shaped(
        {"data": fields.text, "format": fields.of_words("wav", "mp3")}, "data", "format"
    )
)
_FILE = _part(
    file=fields.shaped({"file_data": fields.text, "file_id": fields.text, "filename": fields.text})
)
_USER_PARTS = {"text": _TEXT, "image_url": _IMAGE, "input_audio": _AUDIO, "file": _FILE}
_PARTS: Mapping[str, Mapping[str, Check]] = {
    "user": _USER_PARTS,
    "assistant": {"text": _TEXT, "refusal": _REFUSAL},
}
_ONLY_TEXT: Mapping[str, Check] = {"text": _TEXT}

_FUNCTION_CALL = fields.shaped({"name": fields.text, "arguments": fields.text}, "name", "arguments")
_CUSTOM_CALL = fields.shaped({"name": fields.text, "input": fields.text}, "name", "input")


def _tool_call(value: Any, path: str) -> None:
    call = fields.open_object(value, path)
    fields.required(call, path, "id", "type")
    fields.of_words("function", "custom")(call["type"], f"{path}.type")
    kind: str = call["type"]
    check = _FUNCTION_CALL if kind == "function" else _CUSTOM_CALL
    fields.shaped({"id": fields.text, "type": _TYPE, kind: check}, kind)(call, path)


def _tool_calls(value: Any, path: str) -> None:
    for i, call in enumerate(fields.array(value, path, least=1)):
        _tool_call(call, f"{path}[{i}]")


_NAME = fields.string(r"^[^\s<|\\/>]+$", 64)
# Fields of each role beside `role` and `content`. Answers sent back verbatim carry `annotations`,
# `refusal` and `audio`, and the service takes them.
_OWN: Mapping[str, Mapping[str, Check]] = {
    "system": {"name": _NAME},
    "developer": {"name": _NAME},
    "user": {"name": _NAME},
    "assistant": {
        "name": _NAME,
        "refusal": fields.nullable(fields.text),
        "annotations": fields.nullable(fields.array),
        "audio": fields.nullable(fields.shaped({"id": fields.text}, "id")),
        "tool_calls": _tool_calls,
        "function_call": fields.nullable(_FUNCTION_CALL),
    },
    "tool": {"tool_call_id": fields.text},
    "function": {"name": _NAME},
}


def check_messages(value: Any) -> None:
    """Refuse messages that the service would refuse.

    Raises:
        Rejection: naming the message.
    """
    messages = fields.array(value, "messages", least=1)
    for i, message in enumerate(messages):
        _message(message, f"messages[{i}]")
    _order(messages)


def _message(value: Any, path: str) -> None:
    message = fields.open_object(value, path)
    fields.required(message, path, "role")
    fields.of_words(*_ROLES)(message["role"], f"{path}.role")
    role: str = message["role"]
    own = _OWN[role]
    for key, item in message.items():
        if key not in {"role", "content"}:
            if key not in own:
                raise refusals.unknown_parameter(f"{path}.{key}")
            own[key](item, f"{path}.{key}")
    if role == "tool":
        fields.required(message, path, "tool_call_id")
    if role == "function":
        fields.required(message, path, "name")
    _content(message, role, path)


def _content(message: JsonObject, role: str, path: str) -> None:
    content = message.get("content")
    if content is None:
        optional = role == "assistant" and any(
            message.get(key) for key in ("tool_calls", "function_call", "refusal", "audio")
        )
        if not optional and role != "function":
            dotted = path.replace("[", ".[")
            raise refusals.refuse(
                "Invalid value for 'content': expected a string, got null.", f"{dotted}.content"
            )
        return
    if isinstance(content, str):
        return
    parts = as_list(content)
    where = f"{path}.content"
    if parts is None:
        raise refusals.invalid_type(where, "one of a string or array of objects", content)
    if not parts:
        fields.array(parts, where, least=1)
    for i, part in enumerate(parts):
        _content_part(part, f"{where}[{i}]", _PARTS.get(role, _ONLY_TEXT))


def _content_part(value: Any, path: str, known: Mapping[str, Check]) -> None:
    part = fields.open_object(value, path)
    fields.required(part, path, "type")
    fields.of_words(*known)(part["type"], f"{path}.type")
    known[part["type"]](part, path)


def _order(messages: list[JsonObject]) -> None:
    """Check that tool messages answer the calls before them, all of them and no others."""
    waiting: list[str] = []
    for i, message in enumerate(messages):
        if message["role"] == "tool":
            _answers(message, waiting, messages, i)
            continue
        _none_waiting(waiting, i)
        waiting = [call["id"] for call in objects(message.get("tool_calls"))]
    _none_waiting(waiting, len(messages))


def _answers(
    message: JsonObject, waiting: list[str], messages: list[JsonObject], position: int
) -> None:
    wanted: str = message["tool_call_id"]
    if wanted in waiting:
        waiting.remove(wanted)
        return
    before = position - 1
    while before >= 0 and messages[before]["role"] == "tool":
        before -= 1
    if before >= 0 and messages[before].get("tool_calls"):
        raise refusals.refuse(
            f"Invalid parameter: 'tool_call_id' of '{wanted}' not found in 'tool_calls' "
            "of previous message.",
            f"messages.[{position}].tool_call_id",
        )
    raise refusals.refuse(
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
        "message with 'tool_calls'.",
        f"messages.[{position}].role",
    )


def _none_waiting(waiting: list[str], position: int) -> None:
    if waiting:
        raise refusals.refuse(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            "to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(waiting)}",
            f"messages.[{position}].role",
        )

"""Validation of `input`: the shape of each item, by its type."""

from collections.abc import Mapping
from typing import Any

from proxy.sandbox.jsontypes import JsonObject, as_list
from proxy.sandbox.openai_chat import fields, refusals
from proxy.sandbox.openai_chat.fields import Check

__all__ = ["check_input"]

_ROLES = ("assistant", "system", "developer", "user")
# What the service's own tools leave in a conversation. They are not simulated, and pass.
_SERVER_ITEMS = (
    *("file_search_call", "computer_call", "computer_call_output", "web_search_call"),
    *("tool_search_call", "tool_search_output", "image_generation_call", "code_interpreter_call"),
    *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
    *("apply_patch_call", "apply_patch_call_output", "mcp_list_tools", "mcp_approval_request"),
    *("mcp_approval_response", "mcp_call", "compaction"),
)
_LONGEST_CALL_ID = 64

_TYPE = fields.text
_STATUS = fields.nullable(fields.of_words("in_progress", "completed", "incomplete"))
_BREAKPOINT = fields.nullable(
    fields.shaped(
        {"mode": fields.of_words("explicit"), "ttl": fields.of_words("30m", "12h")}, "mode"
    )
)


def _identifier(prefix: str) -> Check:
    def checked(value: Any, path: str) -> None:
        if not fields.text(value, path).startswith(prefix):
            message = f"Invalid '{path}': '{value}'. Expected an ID that begins with '{prefix}'."
            raise refusals.refuse(message, path, "invalid_value")

    return fields.nullable(checked)


def _image_url(value: Any, path: str) -> None:
    if not fields.text(value, path).startswith(("https://", "http://", "data:image/")):
        message = f"Invalid '{path}'. Expected a valid URL, but got a value with an invalid format."
        raise refusals.refuse(message, path, "invalid_value")


def _file_data(value: Any, path: str) -> None:
    data = fields.text(value, path)
    kind = data.removeprefix("data:").partition(";base64,")[0]
    if not data.startswith("data:") or ";base64," not in data:
        got = "a value without the 'data:' prefix"
    elif kind.partition("/")[0] in {"audio", "video"}:
        got = f"unsupported MIME type '{kind}'"
    else:
        return
    message = (
        f"Invalid file data: '{path}'. Expected a base64-encoded data URL with a valid file MIME "
        f"type (e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got {got}. Please see "
        "https://platform.openai.com/docs/assistants/tools/file-search#supported-files for "
        "supported file types."
    )
    raise refusals.refuse(message, path, "invalid_value")


_DETAILS = fields.nullable(fields.of_words("auto", "low", "high", "original"))
_INPUT_PARTS: Mapping[str, Check] = {
    "input_text": fields.shaped(
        {"type": _TYPE, "text": fields.text, "prompt_cache_breakpoint": _BREAKPOINT}, "text"
    ),
    "input_image": fields.shaped(
        {
            "type": _TYPE,
            "image_url": fields.nullable(_image_url),
            "file_id": fields.nullable(fields.text),
            "detail": _DETAILS,
            "prompt_cache_breakpoint": _BREAKPOINT,
        }
    ),
    "input_file": fields.shaped(
        {
            "type": _TYPE,
            "file_data": fields.nullable(_file_data),
            "file_id": fields.nullable(fields.text),
            "file_url": fields.nullable(fields.text),
            "filename": fields.nullable(fields.text),
            "detail": _DETAILS,
            "prompt_cache_breakpoint": _BREAKPOINT,
        }
    ),
}
_OUTPUT_PARTS: Mapping[str, Check] = {
    "output_text": fields.shaped(
        {
            "type": _TYPE,
            "text": fields.text,
            "annotations": fields.nullable(fields.array),
            "logprobs": fields.nullable(fields.array),
        },
        "text",
    ),
    "refusal": fields.shaped({"type": _TYPE, "refusal": fields.text}, "refusal"),
}
_ANY_PART = (*_INPUT_PARTS, *_OUTPUT_PARTS, "computer_screenshot", "summary_text")


def _content(parts: Mapping[str, Check]) -> Check:
    """Accept a string, or a list of these parts."""

    def checked(value: Any, path: str) -> None:
        if isinstance(value, str):
            return
        found = as_list(value)
        if found is None:
            raise refusals.invalid_type(path, "one of an array of objects or string", value)
        for i, part in enumerate(found):
            _part(part, f"{path}[{i}]", parts)

    return checked


def _part(value: Any, path: str, known: Mapping[str, Check]) -> None:
    part = fields.open_object(value, path)
    fields.required(part, path, "type")
    kind = fields.text(part["type"], f"{path}.type")
    if kind not in _ANY_PART:
        raise refusals.invalid_value(f"{path}.type", kind, _ANY_PART)
    if kind not in known:
        # As the service has it: the part is named here, and not its `type`.
        raise refusals.invalid_value(path, kind, tuple(known))
    known[kind](part, path)


def _call_id(value: Any, path: str) -> None:
    if len(fields.text(value, path)) > _LONGEST_CALL_ID:
        message = (
            f"Invalid '{path}': string too long. Expected a string with maximum length "
            f"{_LONGEST_CALL_ID}, but got a string with length {len(value)} instead."
        )
        raise refusals.refuse(message, path, "string_above_max_length")


_NAME = fields.string(r"^[a-zA-Z0-9_-]+$", 128)
_CALL: Mapping[str, Check] = {
    "type": _TYPE,
    "call_id": _call_id,
    "name": _NAME,
    "status": _STATUS,
    "namespace": fields.nullable(fields.text),
    "caller": fields.nullable(fields.open_object),
    "async": fields.nullable(fields.boolean),
}
_OUTPUT: Mapping[str, Check] = {
    "type": _TYPE,
    "id": fields.nullable(fields.text),
    "call_id": _call_id,
    "output": _content(_INPUT_PARTS),
    "status": _STATUS,
    "name": fields.nullable(fields.text),
    "namespace": fields.nullable(fields.text),
    "caller": fields.nullable(fields.open_object),
}


def _texts(kind: str) -> Check:
    part = fields.shaped({"type": fields.of_words(kind), "text": fields.text}, "type", "text")

    def checked(value: Any, path: str) -> None:
        for i, item in enumerate(fields.array(value, path)):
            part(item, f"{path}[{i}]")

    return checked


_MESSAGE: Mapping[str, Check] = {
    "type": _TYPE,
    "role": _TYPE,
    "id": _identifier("msg"),
    "status": _STATUS,
    "phase": fields.nullable(fields.of_words("commentary", "final_answer")),
}
_ITEMS: Mapping[str, tuple[Mapping[str, Check], tuple[str, ...]]] = {
    "function_call": (
        {**_CALL, "id": _identifier("fc"), "arguments": fields.text},
        ("call_id", "name", "arguments"),
    ),
    "custom_tool_call": (
        {**_CALL, "id": _identifier("ctc"), "input": fields.text},
        ("call_id", "name", "input"),
    ),
    "function_call_output": (_OUTPUT, ("call_id", "output")),
    "custom_tool_call_output": (_OUTPUT, ("call_id", "output")),
    "reasoning": (
        {
            "type": _TYPE,
            "id": _identifier("rs"),
            "summary": _texts("summary_text"),
            "content": fields.nullable(_texts("reasoning_text")),
            "encrypted_content": fields.nullable(fields.text),
            "status": _STATUS,
        },
        ("summary",),
    ),
    "item_reference": ({"type": _TYPE, "id": fields.text}, ("id",)),
}
_TYPES = ("message", *_ITEMS, *_SERVER_ITEMS)


def check_input(value: Any) -> list[JsonObject]:
    """Return the items of `input`, a string as the message that it stands for.

    Raises:
        Rejection: naming the item, as the service words it.
    """
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    items = as_list(value)
    if items is None:
        raise refusals.invalid_type("input", "one of an array of objects or string", value)
    return [_item(item, f"input[{i}]") for i, item in enumerate(items)]


def _item(value: Any, path: str) -> JsonObject:
    item = fields.open_object(value, path)
    kind = item.get("type")
    if kind is None and "role" in item:
        kind = "message"
    elif kind is None:
        raise refusals.missing(f"{path}.type")
    fields.of_words(*_TYPES)(kind, f"{path}.type")
    if kind == "message":
        _message(item, path)
    elif kind in _ITEMS:
        known, needed = _ITEMS[kind]
        # Items name the whole path of what they do not know: `input[0].foo`.
        fields.shaped(known, *needed)(item, path)
    return {**item, "type": kind}


def _message(item: JsonObject, path: str) -> None:
    fields.required(item, path, "role", "content")
    fields.of_words(*_ROLES)(item["role"], f"{path}.role")
    own = _OUTPUT_PARTS if item["role"] == "assistant" else _INPUT_PARTS
    fields.shaped({**_MESSAGE, "content": _content(own)})(item, path)

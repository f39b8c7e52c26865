"""The chunks of a streamed answer to one completion."""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from translators.errors import StreamTruncated
from translators.json import encode

__all__ = ["fold"]

JSONObject = dict[str, Any]


def fold(chunks: Iterable[bytes]) -> bytes:
    """Return the `chat.completion` that the chunks (their JSON) add up to.

    Strings are joined, lists are merged by their entries' `index`, anything else is replaced,
    as the OpenAI SDK's accumulator does; `index` is left out of the merged entries, as OpenAI
    leaves it out of whole answers.

    Raises:
        StreamTruncated: A choice has no finish reason, or there is no choice.
    """
    head: JSONObject = {}
    choices: dict[int, JSONObject] = {}
    for data in chunks:
        chunk: JSONObject = msgspec.json.decode(data)
        for part in cast("list[JSONObject]", chunk.pop("choices")):
            _add_choice(choices, part)
        head.update({key: value for key, value in chunk.items() if value is not None})
    if not choices or any(choice["finish_reason"] is None for choice in choices.values()):
        raise StreamTruncated("The chunks end before a finish reason.")
    usage = head.pop("usage", None)
    head.pop("obfuscation", None)
    ordered = [choices[index] for index in sorted(choices)]
    for choice in ordered:
        _drop_empty_content(choice["message"])
    body = {**head, "object": "chat.completion", "choices": ordered}
    if usage is not None:
        body["usage"] = usage
    return encode(body)


def _joined(before: JSONObject | None, more: JSONObject) -> JSONObject:
    """Return the token probabilities of two parts of an answer together."""
    joined = dict(before or {})
    for name, entries in more.items():
        joined[name] = [*(joined.get(name) or []), *entries] if entries else joined.get(name)
    return joined


def _add_choice(choices: dict[int, JSONObject], part: JSONObject) -> None:
    index = cast("int", part["index"])
    choice = choices.setdefault(
        index,
        {
            "index": index,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        },
    )
    _merge(choice["message"], part.get("delta") or {})
    if part.get("logprobs"):
        choice["logprobs"] = _joined(choice["logprobs"], part["logprobs"])
    if part.get("finish_reason") is not None:
        choice["finish_reason"] = part["finish_reason"]


def _drop_empty_content(message: JSONObject) -> None:
    """Whole answers have `content: null` where calls or a refusal are all there is."""
    others = ("tool_calls", "function_call", "refusal")
    if message["content"] == "" and any(message.get(name) for name in others):
        message["content"] = None


def _merge(target: JSONObject, delta: JSONObject) -> None:
    for name, value in delta.items():
        if name == "role" or value is None:
            continue
        before = target.get(name)
        if isinstance(value, str) and isinstance(before, str) and name not in ("type", "id"):
            target[name] = before + value
        elif isinstance(value, dict):
            _merge(target.setdefault(name, {}), cast("JSONObject", value))
        elif isinstance(value, list):
            _merge_list(target.setdefault(name, []), cast("list[Any]", value))
        else:
            target[name] = value


def _merge_list(target: list[Any], entries: list[Any]) -> None:
    for entry in entries:
        if not isinstance(entry, dict) or "index" not in entry:
            target.append(entry)
            continue
        fields = cast("JSONObject", entry)
        index = cast("int", fields.pop("index"))
        while len(target) <= index:
            target.append({})
        _merge(target[index], fields)

"""A whole completion to the chunks of a stream that tells the same: `fold` backwards."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from translators.json import encode
from translators.protocol import Chunk

__all__ = ["unfold"]

JSONObject = dict[str, Any]

PIECE = 4096
"""Characters of a text in one chunk: there are clients that read no line of any length."""


def unfold(completion: bytes, *, include_usage: bool) -> list[Chunk]:
    """Return the chunks that add up to a `chat.completion`, in the order that clients rely on.

    Args:
        completion: Its JSON.
        include_usage: Whether the client asked for the usage chunk, which comes last.
    """
    head: JSONObject = msgspec.json.decode(completion)
    choices: list[JSONObject] = head.pop("choices")
    usage = head.pop("usage", None)
    base = encode({**head, "object": "chat.completion.chunk"})[:-1] + b',"choices":['
    end = b'],"usage":null}' if include_usage else b"]}"
    chunks: list[Chunk] = []
    for choice in choices:
        for part in _parts(choice):
            opens = part["finish_reason"] is None and "role" in part["delta"]
            chunks.append(Chunk(base + encode(part) + end, payload=not opens))
    if include_usage and usage is not None:
        chunks.append(Chunk(base + b'],"usage":' + encode(usage) + b"}", payload=False))
    return chunks


def _parts(choice: JSONObject) -> Iterator[JSONObject]:
    """Yield what the `choices` of each chunk hold."""
    message: JSONObject = choice["message"]
    index, logprobs = choice["index"], choice.get("logprobs")
    known = ("index", "message", "logprobs", "finish_reason")
    rest = {name: value for name, value in choice.items() if name not in known}

    def part(delta: JSONObject, logprobs: Any = None) -> JSONObject:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}

    text = message.get("content")
    # Null stays null: an answer that is nothing but calls has no empty text.
    opening = "" if isinstance(text, str) else None
    yield part({"role": "assistant", "content": opening, "refusal": None})
    for delta in _deltas(message):
        yield part(delta)
    if logprobs is not None:
        yield part({}, logprobs)
    yield {**part({}), "finish_reason": choice["finish_reason"], **rest}


def _deltas(message: JSONObject) -> Iterator[JSONObject]:
    # What was thought comes before what was said.
    for name in sorted(message, key=_order):
        if name != "role" and message[name] is not None:
            for value in _values(name, message[name]):
                yield {name: value}


def _values(name: str, value: Any) -> Iterator[Any]:
    """Yield what the deltas of one field hold."""
    if isinstance(value, str):
        yield from _pieces(value)
    elif name == "tool_calls":
        for index, call in enumerate(cast("list[JSONObject]", value)):
            for piece in _call(call):
                yield [{"index": index, **piece}]
    elif name == "function_call":
        yield from _called(cast("JSONObject", value), "arguments")
    else:
        yield _numbered(cast("list[Any]", value)) if isinstance(value, list) else value


def _order(name: str) -> int:
    if name.startswith("reasoning"):
        return 0
    return 2 if name in ("tool_calls", "function_call") else 1


def _call(call: JSONObject) -> Iterator[JSONObject]:
    """Yield the parts of one call: all of it, but for arguments that are long."""
    form, field = ("custom", "input") if "custom" in call else ("function", "arguments")
    first, *more = _called(call[form], field)
    yield {**call, form: first}
    for piece in more:
        yield {form: piece}


def _called(said: JSONObject, field: str) -> Iterator[JSONObject]:
    first, *more = _pieces(said.get(field) or "") or [""]
    yield {**said, field: first}
    for piece in more:
        yield {field: piece}


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def _numbered(entries: list[Any]) -> list[Any]:
    """Return entries as a stream has them: with their place in the list, where they are objects."""
    return [
        {"index": place, **cast("JSONObject", entry)} if isinstance(entry, dict) else entry
        for place, entry in enumerate(entries)
    ]

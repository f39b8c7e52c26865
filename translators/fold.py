"""Parts to one completion: the chunks of a streamed answer, or an answer that came in pieces."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from translators.errors import StreamTruncated
from translators.json import encode
from translators.protocol import Completion, Outcome
from translators.wire.response import add_usage

__all__ = ["fold", "join"]

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


def join(parts: Sequence[Completion]) -> Completion:
    """Return the one answer that several follow-ups add up to; each has one choice.

    Texts and lists are appended, token counts added up; the last part says how it ended.
    """
    body: JSONObject = msgspec.json.decode(parts[0].data)
    choice = cast("JSONObject", body["choices"][0])
    message = cast("JSONObject", choice["message"])
    first, last = parts[0].outcome, parts[-1].outcome
    usage, reasoning = first.usage, dict(first.reasoning)
    for part in parts[1:]:
        more = cast("JSONObject", msgspec.json.decode(part.data)["choices"][0])
        said = len(message.get("content") or "")
        for annotation in more["message"].get("annotations") or ():
            _shift(annotation.get("url_citation"), said)
        for citation in more["message"].get("citations") or ():
            _shift(citation, said)
        if more.get("logprobs"):
            choice["logprobs"] = _joined(choice.get("logprobs"), more["logprobs"])
        _merge(message, more["message"])
        choice["finish_reason"] = more["finish_reason"]
        usage = add_usage(usage, part.outcome.usage)
        reasoning |= part.outcome.reasoning
    if usage is not None:
        body["usage"] = usage
    outcome = Outcome(
        id=first.id,
        model=first.model,
        finish_reason=last.finish_reason,
        native_finish_reason=last.native_finish_reason,
        usage=usage,
        reasoning=reasoning,
    )
    return Completion(encode(body), outcome)


def _shift(span: JSONObject | None, characters: int) -> None:
    for name in ("start_index", "end_index"):
        if span is not None and name in span:
            span[name] += characters


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

"""Answers from bytes: chunks and completions of OpenAI's wire format, as dataclasses.

What compatible servers leave out, and what nobody needs, may be missing.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from execution_platform.spi.answer import ChatChunk, ChatResponse, Choice, Served, Usage
from execution_platform.spi.message import Message, ToolCall
from translators.errors import ProviderError
from translators.json import UNREADABLE

__all__ = ["ChunkReader", "response_of"]

_Json = dict[str, Any]

_DELTA: Final = frozenset(
    {"role", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details"}
    | {"tool_calls"}
)
_CALL: Final = frozenset({"id", "type", "index", "function", "custom"})
_BODY: Final = frozenset({"id", "object", "created", "model", "choices", "usage"})


@dataclass(slots=True)
class _OpenCall:
    """A call of which perhaps not everything has come."""

    id: str = ""
    type: str = "function"
    name: str = ""
    text: list[str] = field(default_factory=list[str])
    extra: _Json = field(default_factory=dict[str, Any])


class ChunkReader:
    """Reads the chunks of one answer; a call is told when the choice that makes it ends."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: dict[int, dict[int, _OpenCall]] = {}

    def read(self, data: bytes) -> list[ChatChunk]:
        """Return what a chunk, given as its JSON, has to say; often one thing, or nothing.

        Raises:
            ProviderError: It is no chunk.
        """
        with _as_promised():
            wire: _Json = msgspec.json.decode(data)
            id, model = wire.get("id"), wire.get("model")
            found: list[ChatChunk] = []
            for choice in wire.get("choices") or ():
                self._choice(choice, id, model, found)
            if wire.get("usage"):
                found.append(ChatChunk(usage=_usage(wire["usage"]), model=model, id=id))
            return found

    def _choice(
        self, choice: _Json, id: str | None, model: str | None, found: list[ChatChunk]
    ) -> None:
        index: int = choice.get("index") or 0
        delta: _Json = choice.get("delta") or {}
        chunk = ChatChunk(
            delta_text=delta.get("content") or None,
            delta_reasoning=delta.get("reasoning_content") or delta.get("reasoning") or None,
            delta_refusal=delta.get("refusal") or None,
            reasoning_details=delta.get("reasoning_details") or None,
            index=index,
            model=model,
            id=id,
            logprobs=choice.get("logprobs"),
            extra=_rest(delta, _DELTA),
        )
        if _says_something(chunk):
            found.append(chunk)
        for part in delta.get("tool_calls") or ():
            self._part_of_call(index, part)
        if (reason := choice.get("finish_reason")) is not None:
            calls = self._calls.pop(index, {})
            for _, call in sorted(calls.items()):
                found.append(ChatChunk(tool_call=_whole(call), index=index, model=model, id=id))
            found.append(ChatChunk(finish_reason=reason, index=index, model=model, id=id))

    def _part_of_call(self, choice: int, part: _Json) -> None:
        calls = self._calls.setdefault(choice, {})
        index: int | None = part.get("index")
        if index is None:
            # An id begins a call; what has none belongs to the last.
            index = len(calls) if part.get("id") else max(len(calls) - 1, 0)
        call = calls.setdefault(index, _OpenCall())
        call.id = part.get("id") or call.id
        call.type = part.get("type") or call.type
        said: _Json = part.get("function") or part.get("custom") or {}
        call.name += said.get("name") or ""
        call.text.append(said.get("arguments") or said.get("input") or "")
        call.extra |= _rest(part, _CALL)


def response_of(data: bytes, served: Served) -> ChatResponse:
    """Return a completion, given as its JSON.

    Raises:
        ProviderError: It is none.
    """
    with _as_promised():
        wire: _Json = msgspec.json.decode(data)
        choices = [_choice(choice) for choice in wire["choices"]]
        if not choices:
            raise ValueError("there is no choice")
        return ChatResponse(
            choices=choices,
            usage=_usage(wire["usage"]) if wire.get("usage") else None,
            model=wire.get("model") or "",
            id=wire.get("id") or "",
            served=served,
            extra=_rest(wire, _BODY),
        )


@contextmanager
def _as_promised() -> Generator[None]:
    try:
        yield
    except (*UNREADABLE, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProviderError(
            "The answer is not what the API promises: a part of it is missing or has another form.",
            kind="protocol",
        ) from error


def _choice(choice: _Json) -> Choice:
    wire: _Json = choice["message"]
    calls = [_call(call) for call in wire.get("tool_calls") or ()]
    message = Message(
        role="assistant",
        content=wire.get("content"),
        tool_calls=calls or None,
        refusal=wire.get("refusal"),
        reasoning=wire.get("reasoning_content") or wire.get("reasoning"),
        reasoning_details=wire.get("reasoning_details"),
        extra=_rest(wire, _DELTA),
    )
    return Choice(
        message, choice.get("finish_reason"), choice.get("index") or 0, choice.get("logprobs")
    )


def _call(wire: _Json) -> ToolCall:
    said: _Json = wire.get("function") or wire.get("custom") or {}
    return ToolCall(
        id=wire.get("id") or "",
        name=said.get("name") or "",
        arguments=said.get("arguments") or said.get("input") or "",
        type=wire.get("type") or "function",
        extra=_rest(wire, _CALL),
    )


def _whole(call: _OpenCall) -> ToolCall:
    return ToolCall(call.id, call.name, "".join(call.text), call.type, call.extra)


def _says_something(chunk: ChatChunk) -> bool:
    return bool(
        chunk.delta_text
        or chunk.delta_reasoning
        or chunk.delta_refusal
        or chunk.reasoning_details
        or chunk.logprobs
        or chunk.extra
    )


def _rest(fields: Mapping[str, Any], known: frozenset[str]) -> _Json:
    return {name: value for name, value in fields.items() if name not in known and value}


def _usage(wire: _Json) -> Usage:
    prompt = _counts(wire.get("prompt_tokens_details"))
    answer = _counts(wire.get("completion_tokens_details"))
    return Usage(
        prompt_tokens=wire.get("prompt_tokens") or 0,
        completion_tokens=wire.get("completion_tokens") or 0,
        total_tokens=wire.get("total_tokens") or 0,
        cached_tokens=prompt.get("cached_tokens", 0),
        cache_write_tokens=prompt.get("cache_write_tokens", 0),
        reasoning_tokens=answer.get("reasoning_tokens", 0),
        prompt_details=prompt,
        completion_details=answer,
    )


def _counts(wire: _Json | None) -> dict[str, int]:
    return {name: count for name, count in (wire or {}).items() if isinstance(count, int)}

"""Chat Completions answers: the whole object, and the stream of chunks.

Facts of the wire that clients stumble over, as recorded: the role comes in a chunk of its own; a
call's id and name come once, with empty arguments; with `include_usage` every chunk has
`usage: null` and the last one empty `choices`; most chunks carry `obfuscation`.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from proxy.sandbox.answer import Answer, Call
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat.models import served
from proxy.sandbox.tokens import pieces

__all__ = ["completion", "event", "events"]

_CREATED = 1_790_000_000
_FINGERPRINT = "fp_5a4db0ca"
_PAD = "q7XkZp2Rv9LmT4"
_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    # A refusal ends like any other answer; only `message.refusal` tells.
    "refusal": "stop",
}


def event(data: JsonObject) -> bytes:
    """Frame one event."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def completion(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> JsonObject:
    """Return the `chat.completion` object."""
    body = request.payload
    choices: list[JsonObject] = []
    for i in range(body.get("n") or 1):
        choices.append(
            {
                "index": i,
                "message": _message(request, answer, directives, serial=serial, index=i),
                "logprobs": _logprobs(answer.text) if body.get("logprobs") else None,
                "finish_reason": _finish(request, answer, directives),
            }
        )
    return {
        "id": _id(serial),
        "object": "chat.completion",
        "created": _CREATED,
        "model": served(body["model"]),
        "choices": choices,
        "usage": _usage(answer, len(choices)),
        "service_tier": _tier(body),
        "system_fingerprint": _FINGERPRINT,
        **({"sandbox_future_field": {"new": True}} if directives.unknown else {}),
    }


def _message(
    request: Request, answer: Answer, directives: Directives, *, serial: int, index: int
) -> JsonObject:
    message: JsonObject = {
        "role": "assistant",
        "content": None if _is_silent(answer) else answer.text,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if directives.think is not None:
        # Compatible servers send it; the service itself never does.
        message["reasoning_content"] = answer.thinking
    if answer.calls and request.payload.get("functions"):
        call = answer.calls[0]
        message["function_call"] = {"name": call.name, "arguments": call.arguments}
    elif answer.calls:
        message["tool_calls"] = [
            _call(request, call, _call_id(serial, index, k)) for k, call in enumerate(answer.calls)
        ]
    return message


def _is_silent(answer: Answer) -> bool:
    """Whether `content` is null: it is for refusals and for calls without words."""
    return answer.refusal is not None or (bool(answer.calls) and not answer.text)


def _call(request: Request, call: Call, name: str) -> JsonObject:
    if _is_custom(request, call):
        return {
            "id": name,
            "type": "custom",
            "custom": {"name": call.name, "input": call.arguments},
        }
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": name, "type": "function", "function": function}


def _is_custom(request: Request, call: Call) -> bool:
    return any(t.name == call.name and t.schema is None for t in request.conversation.tools)


def events(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> Iterator[bytes]:
    """Yield the stream's events, `[DONE]` included."""
    stream = _Stream(request, answer, directives, serial)
    # As recorded: each choice's own chunks one after the other, all the endings at the end.
    for index in range(stream.choices):
        yield from stream.opening(index)
        yield from stream.content(index)
    for index in range(stream.choices):
        yield stream.chunk(index, {}, _finish(request, answer, directives))
    if stream.with_usage:
        yield stream.last()
    yield b"data: [DONE]\n\n"


class _Stream:
    def __init__(
        self, request: Request, answer: Answer, directives: Directives, serial: int
    ) -> None:
        body = request.payload
        options = as_object(body.get("stream_options")) or {}
        self.choices: int = body.get("n") or 1
        self.with_usage = bool(options.get("include_usage"))
        self._request, self._answer, self._directives = request, answer, directives
        self._serial = serial
        self._padded = options.get("include_obfuscation") is not False
        self._logprobs = bool(body.get("logprobs"))
        self._sent = 0
        self._base: JsonObject = {
            "id": _id(serial),
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": served(body["model"]),
            "service_tier": _tier(body),
            "system_fingerprint": _FINGERPRINT,
        }

    def opening(self, index: int) -> Iterator[bytes]:
        answer = self._answer
        delta: JsonObject = {"role": "assistant", "content": None if _is_silent(answer) else ""}
        yield self.chunk(index, {**delta, "refusal": None})
        if self._directives.unknown:
            yield b": a comment\n\n"
            yield self.chunk(index, {"sandbox_future_delta": {"new": True}})

    def content(self, index: int) -> Iterator[bytes]:
        answer, chunks = self._answer, self._directives.chunks
        if self._directives.think is not None and answer.thinking:
            for piece in pieces(answer.thinking, None):
                yield self.chunk(index, {"reasoning_content": piece})
        for piece in pieces(answer.refusal or "", chunks):
            yield self.chunk(index, {"refusal": piece})
        for piece in pieces(answer.text, chunks):
            yield self.chunk(index, {"content": piece}, text=piece)
        if self._request.payload.get("functions"):
            yield from self._function(index)
            return
        for k, call in enumerate(answer.calls):
            yield from self._call(index, k, call)

    def _function(self, index: int) -> Iterator[bytes]:
        for call in self._answer.calls[:1]:
            yield self.chunk(index, {"function_call": {"name": call.name, "arguments": ""}})
            for piece in pieces(call.arguments, None):
                yield self.chunk(index, {"function_call": {"arguments": piece}})

    def _call(self, index: int, k: int, call: Call) -> Iterator[bytes]:
        kind, text = (
            ("custom", "input")
            if _is_custom(self._request, call)
            else (
                "function",
                "arguments",
            )
        )
        head: JsonObject = {
            "index": k,
            "id": _call_id(self._serial, index, k),
            "type": kind,
            kind: {"name": call.name, text: ""},
        }
        yield self.chunk(index, {"tool_calls": [head]})
        for piece in _fragments(call.arguments):
            yield self.chunk(index, {"tool_calls": [{"index": k, kind: {text: piece}}]})

    def chunk(
        self, index: int, delta: JsonObject, finish: str | None = None, *, text: str | None = None
    ) -> bytes:
        logprobs = _logprobs(text) if self._logprobs and text else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._framed([choice], None)

    def last(self) -> bytes:
        return self._framed([], _usage(self._answer, self.choices))

    def _framed(self, choices: list[Any], usage: JsonObject | None) -> bytes:
        data = {**self._base, "choices": choices}
        if self.with_usage:
            data["usage"] = usage
        if self._padded:
            self._sent += 1
            data["obfuscation"] = _PAD[: self._sent * 5 % len(_PAD)]
        return event(data)


def _fragments(arguments: str) -> Iterator[str]:
    """Cut arguments the way models do: anywhere, also in the middle of a key."""
    for start in range(0, len(arguments), 9):
        yield arguments[start : start + 9]


def _finish(request: Request, answer: Answer, directives: Directives) -> str:
    if directives.stop_reason is not None:
        return directives.stop_reason
    if answer.finish == "tool_calls" and request.payload.get("functions"):
        return "function_call"
    return _FINISH[answer.finish]


def _usage(answer: Answer, choices: int) -> JsonObject:
    completion_tokens = answer.completion_tokens * choices
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": answer.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": answer.thinking_tokens * choices,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(text: str) -> JsonObject:
    content = [
        {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in pieces(text, 1 << 30)
    ]
    return {"content": content, "refusal": None}


def _id(serial: int) -> str:
    return f"chatcmpl-Sandbox{serial:022d}"


def _call_id(serial: int, index: int, k: int) -> str:
    return f"call_Sandbox{serial:010d}{index:03d}{k:03d}"


def _tier(body: JsonObject) -> str:
    wanted = body.get("service_tier")
    return "default" if wanted in {None, "auto"} else str(wanted)

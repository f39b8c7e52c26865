"""Responses: the whole object, and the stream of events.

Facts of the wire that clients stumble over, as recorded: each event has its name in an `event:`
line and again as `type`; `sequence_number` counts them from 0; there is no `[DONE]`; encrypted
reasoning differs in each event that shows it; an answer cut by its limit ends with
`response.incomplete`; a refusal is a content part, and the response completes.
"""

from collections.abc import Iterator

import msgspec

from proxy.sandbox.answer import Answer
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.openai_chat.models import served, traits
from proxy.sandbox.openai_responses.output import Item, output_items

__all__ = ["event", "events", "response"]

_CREATED = 1_790_000_000
_PAD = "q7XkZp2Rv9LmT4"
_FAILED: JsonObject = {
    "code": "server_error",
    "message": "An error occurred while processing your request. (The sandbox was told to fail.)",
}
_TOOL_USAGE: JsonObject = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": 0,
    },
    "web_search": {"num_requests": 0},
}


def event(kind: str, data: JsonObject) -> bytes:
    """Frame one event."""
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def response(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> JsonObject:
    """Return the `response` object of an answer that is over."""
    items = output_items(request, answer, directives, serial=serial)
    return _ended(request, answer, directives, serial=serial, items=items)


def _ended(
    request: Request, answer: Answer, directives: Directives, *, serial: int, items: list[Item]
) -> JsonObject:
    status, reason = _status(answer, directives)
    return {
        **_base(request, serial),
        "status": status,
        "completed_at": _CREATED + 1 if status == "completed" else None,
        "error": _FAILED if status == "failed" else None,
        "incomplete_details": {"reason": reason} if reason is not None else None,
        "output": [item.last for item in items],
        "service_tier": _tier(request.payload),
        "usage": _usage(answer),
        **({"sandbox_future_field": {"new": True}} if directives.unknown else {}),
    }


def _status(answer: Answer, directives: Directives) -> tuple[str, str | None]:
    wanted = directives.stop_reason
    if wanted in {"failed", "completed"}:
        return str(wanted), None
    if wanted is not None:
        return "incomplete", wanted
    return ("incomplete", "max_output_tokens") if answer.finish == "length" else ("completed", None)


def events(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> Iterator[bytes]:
    """Yield the stream's events; the last one is the terminal event."""
    body = request.payload
    items = output_items(request, answer, directives, serial=serial)
    options = as_object(body.get("stream_options")) or {}
    stream = _Stream(padded=options.get("include_obfuscation"))
    begun = _base(request, serial)
    yield stream.framed("response.created", {"response": begun})
    yield stream.framed("response.in_progress", {"response": begun})
    for index, item in enumerate(items):
        place: JsonObject = {"output_index": index}
        yield stream.framed("response.output_item.added", {**place, "item": item.opening})
        place_of_item: JsonObject = {"item_id": item.closing["id"], **place}
        for kind, data in item.between:
            yield stream.framed(f"response.{kind}", {**place_of_item, **data})
        yield stream.framed("response.output_item.done", {**place, "item": item.closing})
    ended = _ended(request, answer, directives, serial=serial, items=items)
    yield stream.framed(f"response.{ended['status']}", {"response": ended})


class _Stream:
    """Numbers the events, and pads the deltas unless the client asked for none of it."""

    def __init__(self, *, padded: bool | None) -> None:
        self._padded = padded is not False
        self._sent = 0

    def framed(self, kind: str, data: JsonObject) -> bytes:
        numbered: JsonObject = {"type": kind, "sequence_number": self._sent, **data}
        self._sent += 1
        if self._padded and kind.endswith(".delta"):
            numbered["obfuscation"] = _PAD[: self._sent * 5 % len(_PAD)]
        return event(kind, numbered)


def _base(request: Request, serial: int) -> JsonObject:
    """Return the response as it begins: the parameters that hold, and no output."""
    body = request.payload
    reasoning: JsonObject = body.get("reasoning") or {}
    text: JsonObject = body.get("text") or {}
    model = traits(body["model"])
    return {
        "id": f"resp_Sandbox{serial:022d}",
        "object": "response",
        "created_at": _CREATED,
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata") or {},
        "model": served(body["model"]),
        "moderation": None,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "prompt_cache_retention": body.get("prompt_cache_retention"),
        "reasoning": {
            "effort": reasoning.get("effort") or model.default_effort,
            "summary": reasoning.get("summary"),
        },
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": body.get("service_tier") or "auto",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"},
                 "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tool_usage": _TOOL_USAGE,
        "tools": [_echoed(tool) for tool in body.get("tools") or ()],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        "user": body.get("user"),
    }  # fmt: skip


def _echoed(tool: JsonObject) -> JsonObject:
    """Return a tool as the service understood it: a function is strict where nothing is said."""
    if tool["type"] != "function":
        return tool
    strict = tool.get("strict")
    return {"description": None, "parameters": None, **tool, "strict": strict is not False}


def _usage(answer: Answer) -> JsonObject:
    return {
        "input_tokens": answer.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.cache_write_tokens,
        },
        "output_tokens": answer.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.thinking_tokens},
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }


def _tier(body: JsonObject) -> str:
    wanted: str = body.get("service_tier") or "auto"
    return {"auto": "default", "fast": "priority"}.get(wanted, wanted)

"""Messages answers: the whole object, and the stream of events.

Facts of the wire that clients stumble over, as recorded: JSON is padded with spaces before its
last brace; a `ping` comes after the first block has started; the first piece of a call's input is
empty, and the only one when there are no arguments; a block that holds nothing is left out;
`message_delta` restates the input counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from proxy.sandbox.answer import Answer, Call
from proxy.sandbox.anthropic_messages import search
from proxy.sandbox.anthropic_messages.binding import sign_thought
from proxy.sandbox.anthropic_messages.models import served, traits
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject, as_object
from proxy.sandbox.tokens import pieces

__all__ = ["event", "events", "message", "request_id"]

_STOP = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
}
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'
# Models cut a call's input anywhere, also in the middle of a key.
_FRAGMENT = 9


def request_id(serial: int) -> str:
    """Return the id that names an answer in headers and errors."""
    return f"req_011Sandbox{serial:014d}"


def event(name: str, data: JsonObject, padding: int = 0) -> bytes:
    """Frame one event, padded the way the service does."""
    encoded = msgspec.json.encode(data)
    return b"event: %b\ndata: %b%b}\n\n" % (name.encode(), encoded[:-1], b" " * padding)


def message(request: Request, answer: Answer, directives: Directives, *, serial: int) -> JsonObject:
    """Return the `message` object."""
    blocks = _blocks(request, answer, directives, serial=serial)
    return {
        **_shell(request, serial),
        "content": [block.whole for block in blocks],
        **_ending(answer, directives),
        "usage": {
            **_usage(answer, answer.completion_tokens),
            "output_tokens_details": {"thinking_tokens": answer.thinking_tokens},
        },
    }


def events(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> Iterator[bytes]:
    """Yield the stream's events, `message_stop` included."""
    start: JsonObject = {
        **_shell(request, serial),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": _usage(answer, min(answer.completion_tokens, 1)),
    }
    yield event("message_start", {"type": "message_start", "message": start}, 4)
    if directives.unknown:
        yield event("sandbox_future_event", {"type": "sandbox_future_event", "new": True})
    for index, block in enumerate(_blocks(request, answer, directives, serial=serial)):
        yield from _block_events(index, block)
    counts = _usage(answer, answer.completion_tokens)
    usage: JsonObject = {key: counts[key] for key in _RESTATED}
    if answer.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": answer.thinking_tokens}
    delta = _ending(answer, directives)
    yield event("message_delta", {"type": "message_delta", "delta": delta, "usage": usage}, 6)
    yield event("message_stop", {"type": "message_stop"}, 10)


_RESTATED = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)


@dataclass(frozen=True, slots=True)
class _Block:
    """A content block as a whole, and as its start followed by deltas."""

    whole: JsonObject
    start: JsonObject
    deltas: tuple[JsonObject, ...]


def _block_events(index: int, block: _Block) -> Iterator[bytes]:
    data = {"type": "content_block_start", "index": index, "content_block": block.start}
    yield event("content_block_start", data, 3 + index)
    if index == 0:
        yield _PING
    for count, delta in enumerate(block.deltas):
        data = {"type": "content_block_delta", "index": index, "delta": delta}
        yield event("content_block_delta", data, count * 5 % 16)
    yield event("content_block_stop", {"type": "content_block_stop", "index": index}, 2)


def _blocks(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> Iterator[_Block]:
    blocks: list[JsonObject] = []
    for block in _parts(request, answer, directives, blocks, serial=serial):
        blocks.append(block.whole)
        yield block


def _parts(
    request: Request,
    answer: Answer,
    directives: Directives,
    already: list[JsonObject],
    *,
    serial: int,
) -> Iterator[_Block]:
    if directives.unknown:
        future: JsonObject = {"type": "sandbox_future_block", "data": "new"}
        yield _Block(future, future, ({"type": "sandbox_future_delta", "data": "new"},))
    if answer.thinking is not None:
        yield _thinking(request, answer.thinking)
    if answer.redacted:
        model = request.conversation.model
        data = sign_thought(request.payload, model, "redacted", str(serial))
        hidden: JsonObject = {"type": "redacted_thinking", "data": data}
        yield _Block(hidden, hidden, ())
    if answer.text and answer.finish == "stop" and search.is_offered(request.payload):
        yield from _searched(request, answer, directives, already)
    elif answer.text:
        yield _text(answer.text, directives.chunks)
    for k, call in enumerate(answer.calls):
        yield _tool_use(call, f"toolu_01Sandbox{serial:010d}{k:03d}", directives)


def _text(text: str, chunks: int | None, *citations: JsonObject) -> _Block:
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces(text, chunks)]
    whole: JsonObject = {"type": "text", "text": text}
    if not citations:
        return _Block(whole, {"type": "text", "text": ""}, tuple(deltas))
    cited = [{"type": "citations_delta", "citation": citation} for citation in citations]
    start: JsonObject = {"type": "text", "text": "", "citations": []}
    return _Block({**whole, "citations": list(citations)}, start, (*cited, *deltas))


def _searched(
    request: Request, answer: Answer, directives: Directives, already: list[JsonObject]
) -> Iterator[_Block]:
    """Yield a search and what it has found; or only the search, where the turn pauses then."""
    before = search.before_answer(request.payload)
    paused = directives.stop_reason == "pause_turn"
    if paused or not before:
        yield _text("Let me search. ", None)
        call, result = search.lookup(request.conversation.user[:80], [*before, *already])
        query = msgspec.json.encode(call["input"]).decode()
        fragments = [query[i : i + _FRAGMENT] for i in range(0, len(query), _FRAGMENT)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *fragments]]
        yield _Block(call, {**call, "input": {}}, tuple(deltas))
        yield _Block(result, result, ())
    if not paused:
        yield _text("The search says: ", None)
        yield _text(answer.text, directives.chunks, search.citation())


def _thinking(request: Request, text: str) -> _Block:
    shown = "" if _is_hidden(request) else text
    signature = sign_thought(request.payload, request.conversation.model, text)
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(shown, None)]
    return _Block(
        {"type": "thinking", "thinking": shown, "signature": signature},
        {"type": "thinking", "thinking": "", "signature": ""},
        (
            *(deltas or [{"type": "thinking_delta", "thinking": ""}]),
            {"type": "signature_delta", "signature": signature},
        ),
    )


def _is_hidden(request: Request) -> bool:
    thinking = as_object(request.payload.get("thinking")) or {}
    display = thinking.get("display")
    if display is None and thinking.get("type") in {"adaptive", "enabled"}:
        return traits(request.conversation.model).hides_thinking
    return display == "omitted"


def _tool_use(call: Call, name: str, directives: Directives) -> _Block:
    head = {"type": "tool_use", "id": name, "name": call.name}
    direct = {"type": "direct"}
    text = "" if call.arguments == "{}" else call.arguments
    fragments = [text[i : i + _FRAGMENT] for i in range(0, len(text), _FRAGMENT)]
    sent = [] if directives.noargs else ["", *fragments]
    return _Block(
        {**head, "input": _input(call), "caller": direct},
        {**head, "input": {}, "caller": direct},
        tuple({"type": "input_json_delta", "partial_json": piece} for piece in sent),
    )


def _input(call: Call) -> JsonObject:
    """Return the arguments as an object; what was cut off by the limit is no object any more."""
    try:
        return as_object(msgspec.json.decode(call.arguments or "{}")) or {}
    except msgspec.DecodeError:
        return {}


def _shell(request: Request, serial: int) -> JsonObject:
    return {
        "id": f"msg_01Sandbox{serial:014d}",
        "type": "message",
        "role": "assistant",
        "model": served(request.conversation.model),
    }


def _ending(answer: Answer, directives: Directives) -> JsonObject:
    refused = answer.finish == "refusal"
    details = {"type": "refusal", "category": "cyber", "explanation": answer.refusal}
    return {
        "stop_reason": directives.stop_reason or _STOP[answer.finish],
        "stop_sequence": answer.stop_sequence,
        "stop_details": details if refused else None,
    }


def _usage(answer: Answer, output: int) -> JsonObject:
    """Count tokens; `input_tokens` excludes what was read from or written to the cache."""
    written = min(answer.cache_write_tokens, answer.prompt_tokens - answer.cached_tokens)
    return {
        "input_tokens": answer.prompt_tokens - answer.cached_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "global",
    }

"""The items of an answer's `output`, and the events that each of them takes in a stream."""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.sandbox.answer import Answer, Call
from proxy.sandbox.dialect import Request
from proxy.sandbox.directives import Directives
from proxy.sandbox.jsontypes import JsonObject
from proxy.sandbox.openai_chat.models import traits
from proxy.sandbox.openai_responses.conversation import wants_summary
from proxy.sandbox.openai_responses.order import REASONED
from proxy.sandbox.openai_responses.seals import seal
from proxy.sandbox.openai_responses.validate import ENCRYPTED, LOGPROBS
from proxy.sandbox.tokens import pieces

__all__ = ["Event", "Item", "output_items"]

Event = tuple[str, JsonObject]
"""Its type without `response.`, and what it holds beside type, number and item."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the output.

    Attributes:
        opening: As it is added, with nothing in it.
        closing: As it is done.
        last: As the whole response shows it; differs in encrypted reasoning only.
        between: The events from the one to the other.
    """

    opening: JsonObject
    closing: JsonObject
    last: JsonObject
    between: tuple[Event, ...] = ()


def output_items(
    request: Request, answer: Answer, directives: Directives, *, serial: int
) -> list[Item]:
    """Return the output of an answer; the last item is incomplete where the answer was cut."""
    reasoned = answer.thinking_tokens > 0
    items = [_reasoning(request, answer, f"rs_{_name(serial, 0)}")] if reasoned else []
    cut = answer.finish == "length"
    calls = len(answer.calls)
    if answer.text or answer.refusal is not None or not (calls or cut):
        items.append(_message(request, answer, directives, _number(items, "msg", serial)))
    for k, call in enumerate(answer.calls):
        custom = any(t.name == call.name and t.schema is None for t in request.conversation.tools)
        name = _number(items, "ctc" if custom else "fc", serial)
        status = "incomplete" if cut and k == calls - 1 else "completed"
        items.append(_call(call, name, f"call_{_name(serial, k)}", custom=custom, status=status))
    if directives.unknown:
        future: JsonObject = {"id": f"fut_{_name(serial, 0)}", "type": "sandbox_future_item"}
        items.append(Item(future, future, future, (("sandbox_future.delta", {"new": True}),)))
    return items


def _name(serial: int, position: int) -> str:
    return f"Sandbox{serial:010d}{position:03d}"


def _number(items: list[Item], kind: str, serial: int) -> str:
    """Return an id; that of the item right after reasoning belongs to it."""
    if len(items) == 1 and items[0].closing["type"] == "reasoning":
        return f"{kind}_{_name(serial, 0)}{REASONED}"
    return f"{kind}_{_name(serial, len(items))}"


def _reasoning(request: Request, answer: Answer, name: str) -> Item:
    body = request.payload
    encrypted = ENCRYPTED in (body.get("include") or ())

    def shown(variant: str, summary: list[JsonObject]) -> JsonObject:
        item: JsonObject = {"id": name, "type": "reasoning", "summary": summary}
        if traits(body["model"]).tools_need_no_reasoning:
            item["content"] = []
        if encrypted:
            item["encrypted_content"] = seal(name, variant)
        return item

    told = answer.thinking if answer.thinking and wants_summary(body) else ""
    if not told:
        return Item(shown("added", []), shown("done", []), shown("completed", []))
    summary: list[JsonObject] = [{"type": "summary_text", "text": told}]
    place: JsonObject = {"summary_index": 0}
    between: list[Event] = [
        ("reasoning_summary_part.added", {**place, "part": {"type": "summary_text", "text": ""}})
    ]
    between += [
        ("reasoning_summary_text.delta", {**place, "delta": piece}) for piece in pieces(told, None)
    ]
    between += [
        ("reasoning_summary_text.done", {**place, "text": told}),
        ("reasoning_summary_part.done", {**place, "part": summary[0]}),
    ]
    return Item(
        shown("added", []), shown("done", summary), shown("completed", summary), tuple(between)
    )


def _message(request: Request, answer: Answer, directives: Directives, name: str) -> Item:
    body = request.payload
    head: JsonObject = {"id": name, "type": "message", "role": "assistant"}
    if traits(body["model"]).tools_need_no_reasoning:
        head["phase"] = "commentary" if answer.calls else "final_answer"
    cut = answer.finish == "length" and not answer.calls
    with_logprobs = LOGPROBS in (body.get("include") or ())
    place: JsonObject = {"content_index": 0}
    if answer.refusal is not None:
        empty: JsonObject = {"type": "refusal", "refusal": ""}
        part: JsonObject = {"type": "refusal", "refusal": answer.refusal}
        between: list[Event] = [
            ("refusal.delta", {**place, "delta": piece})
            for piece in pieces(answer.refusal, directives.chunks)
        ]
        between.append(("refusal.done", {**place, "refusal": answer.refusal}))
    else:
        logprobs = _logprobs(answer.text) if with_logprobs else []
        empty = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
        part = {**empty, "logprobs": logprobs, "text": answer.text}
        between = [
            (
                "output_text.delta",
                {**place, "delta": piece, "logprobs": _logprobs(piece) if with_logprobs else []},
            )
            for piece in pieces(answer.text, directives.chunks)
        ]
        between.append(("output_text.done", {**place, "text": answer.text, "logprobs": logprobs}))
    closing = {**head, "status": "incomplete" if cut else "completed", "content": [part]}
    return Item(
        {**head, "status": "in_progress", "content": []},
        closing,
        closing,
        (
            ("content_part.added", {**place, "part": empty}),
            *between,
            ("content_part.done", {**place, "part": part}),
        ),
    )


def _call(call: Call, name: str, call_id: str, *, custom: bool, status: str) -> Item:
    kind, key, event = (
        ("custom_tool_call", "input", "custom_tool_call_input")
        if custom
        else ("function_call", "arguments", "function_call_arguments")
    )
    head: JsonObject = {"id": name, "type": kind, "call_id": call_id, "name": call.name}
    closing = {**head, "status": status, key: call.arguments}
    return Item(
        {**head, "status": "in_progress", key: ""},
        closing,
        closing,
        (
            *((f"{event}.delta", {"delta": piece}) for piece in _fragments(call.arguments)),
            (f"{event}.done", {key: call.arguments}),
        ),
    )


def _fragments(arguments: str) -> Iterator[str]:
    """Cut arguments the way models do: anywhere, also in the middle of a key."""
    for start in range(0, len(arguments), 9):
        yield arguments[start : start + 9]


def _logprobs(text: str) -> list[JsonObject]:
    return [
        {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in pieces(text, 1 << 30)
    ]

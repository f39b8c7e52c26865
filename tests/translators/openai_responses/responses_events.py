"""Native events for tests, in the words of the Responses API."""

import copy
from typing import Any

Json = dict[str, Any]

USAGE: Json = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 17,
}


def text(*texts: str, id: str = "msg_1", **part: Any) -> Json:
    """Return a message of one part for each text."""
    empty: Json = {"annotations": [], "logprobs": []}
    parts = [{"type": "output_text", "text": text, **empty, **part} for text in texts]
    return {"type": "message", "id": id, "role": "assistant", "status": "completed"} | {
        "content": parts
    }


def refusal(said: str) -> Json:
    parts = [{"type": "refusal", "refusal": said}]
    return {"type": "message", "id": "msg_r", "role": "assistant", "content": parts}


def call(name: str = "f", id: str = "call_1", arguments: str = "{}") -> Json:
    fields = {"call_id": id, "name": name, "arguments": arguments, "status": "completed"}
    return {"type": "function_call", "id": f"fc_{id}", **fields}


def custom(name: str = "c", id: str = "call_c", input: str = "4 + 4") -> Json:
    return {"type": "custom_tool_call", "id": f"ctc_{id}", "call_id": id} | {
        "name": name,
        "input": input,
    }


def thought(*summary: str, id: str = "rs_1", encrypted: str | None = "gAAA") -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": parts, "encrypted_content": encrypted}


SEARCH: Json = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}


def answer(*output: Json, **fields: Any) -> Json:
    """Return a whole answer."""
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-x"}
    rest = {"status": "completed", "error": None, "incomplete_details": None, "usage": USAGE}
    return {**head, **rest, "service_tier": "default", "output": list(output), **fields}


def incomplete(*output: Json, reason: str = "max_output_tokens", **fields: Any) -> Json:
    details = {"reason": reason}
    return answer(*output, status="incomplete", incomplete_details=details, **fields)


def opening(**fields: Any) -> list[Json]:
    """The events that begin every stream."""
    begun = answer(status="in_progress", usage=None, service_tier="auto", **fields)
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]


def events_for(whole: Json) -> list[Json]:
    """Return the events by which the API would stream an answer."""
    events = opening(id=whole["id"], model=whole["model"])
    for index, item in enumerate(whole["output"]):
        events += item_events(index, item)
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return [{**event, "sequence_number": n} for n, event in enumerate(events)]


def item_events(index: int, item: Json) -> list[Json]:
    """Return the events of one item."""
    begun = copy.deepcopy(item)
    for name in ("content", "summary"):
        begun |= {name: []} if name in begun else {}
    for name in ("arguments", "input"):
        begun |= {name: ""} if name in begun else {}
    head = {"output_index": index, "item_id": item.get("id")}
    inner: list[Json] = []
    match item["type"]:
        case "message":
            for number, part in enumerate(item["content"]):
                inner += _part_events({**head, "content_index": number}, part)
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                place = {**head, "summary_index": number}
                inner.append({"type": "response.reasoning_summary_part.added", **place})
                kind = "response.reasoning_summary_text"
                inner += _pieces(kind, place, part["text"])
                inner.append({"type": f"{kind}.done", **place, "text": part["text"]})
            for number, part in enumerate(item.get("content") or ()):
                place = {**head, "content_index": number}
                inner += _pieces("response.reasoning_text", place, part["text"])
        case "function_call":
            kind = "response.function_call_arguments"
            inner += _pieces(kind, head, item["arguments"])
            inner.append({"type": f"{kind}.done", **head, "arguments": item["arguments"]})
        case "custom_tool_call":
            kind = "response.custom_tool_call_input"
            inner += _pieces(kind, head, item["input"])
            inner.append({"type": f"{kind}.done", **head, "input": item["input"]})
        case _:
            inner.append({"type": "response.web_search_call.in_progress", **head})
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *inner,
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]


def _part_events(head: Json, part: Json) -> list[Json]:
    empty: Json = {
        **part,
        ("refusal" if part["type"] == "refusal" else "text"): "",
        "annotations": [],
    }
    events: list[Json] = [{"type": "response.content_part.added", **head, "part": empty}]
    if part["type"] == "refusal":
        events += _pieces("response.refusal", head, part["refusal"])
        events.append({"type": "response.refusal.done", **head, "refusal": part["refusal"]})
    elif part["type"] == "output_text":
        pieces = _pieces("response.output_text", head, part["text"])
        for piece in pieces:
            piece["logprobs"] = []
        if pieces:
            pieces[-1]["logprobs"] = part.get("logprobs") or []
        events += pieces
        for number, source in enumerate(part.get("annotations") or ()):
            kind = "response.output_text.annotation.added"
            events.append({"type": kind, **head, "annotation_index": number, "annotation": source})
        events.append({"type": "response.output_text.done", **head, "text": part["text"]})
    return [*events, {"type": "response.content_part.done", **head, "part": part}]


def _pieces(kind: str, head: Json, whole: str) -> list[Json]:
    middle = len(whole) // 2
    pieces = [piece for piece in (whole[:middle], whole[middle:]) if piece]
    return [{"type": f"{kind}.delta", **head, "delta": piece} for piece in pieces]


FULL: Json = answer(
    thought("Look it up.", "Then say it.", id="rs_1"),
    text("Let me see. ", id="msg_1"),
    thought(id="rs_2", encrypted="gBBB"),
    call("f", "call_1", '{"x": 1}'),
    SEARCH,
    call("f", "call_2", "{}"),
)
"""An answer with something of everything that a chat answer has a place for."""

"""Native events for tests, in the words of the Messages API."""

from typing import Any

Json = dict[str, Any]


def start(**usage: Any) -> Json:
    counts = {"input_tokens": 12, "output_tokens": 1, **usage}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    return {"type": "message_start", "message": {**message, "content": [], "usage": counts}}


def opened(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def text(index: int, *parts: str) -> list[Json]:
    grows = [grown(index, type="text_delta", text=part) for part in parts]
    return [opened(index, type="text", text=""), *grows, closed(index)]


def thinking(index: int, *parts: str) -> list[Json]:
    grows = [grown(index, type="thinking_delta", thinking=part) for part in parts]
    sign = grown(index, type="signature_delta", signature="c2ln")
    return [opened(index, type="thinking", thinking="", signature=""), *grows, sign, closed(index)]


def tool(index: int, id: str, name: str, *parts: str) -> list[Json]:
    first = opened(index, type="tool_use", id=id, name=name, input={})
    grows = [grown(index, type="input_json_delta", partial_json=part) for part in parts]
    return [first, *grows, closed(index)]


def server_tool(index: int, *parts: str) -> list[Json]:
    first = opened(index, type="server_tool_use", id="srvtoolu_1", name="web_search", input={})
    grows = [grown(index, type="input_json_delta", partial_json=part) for part in parts]
    return [first, *grows, closed(index)]


def finished(reason: str = "end_turn", usage: Json | None = None, **delta: Any) -> list[Json]:
    counts = {"output_tokens": 20} if usage is None else usage
    change = {"stop_reason": reason, "stop_sequence": None, **delta}
    return [
        {"type": "message_delta", "delta": change, "usage": counts},
        {"type": "message_stop"},
    ]


TWO_CALLS: list[Json] = [
    start(),
    *text(0, "Look."),
    *tool(1, "toolu_a", "f", '{"x"', ":1}"),
    *server_tool(2, "{}"),
    *tool(3, "toolu_b", "f", '{"x":2}'),
    *finished("tool_use"),
]

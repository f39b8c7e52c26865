"""What the `anthropic_messages` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_anthropic`.
"""

import json
from typing import Any

from tests.benchmarks.micro import microseconds, print_row, print_whole
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.protocol import HttpRequest, ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.request import parse_request

TRANSLATOR = AnthropicMessagesTranslator()
CONTEXT = ResponseContext("x", 1, "m", include_usage=True)
MESSAGE = {"id": "msg_1", "model": "claude-x", "usage": {"input_tokens": 3, "output_tokens": 1}}
START: list[dict[str, Any]] = [
    {"type": "message_start", "message": MESSAGE},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    },
    {"type": "content_block_start", "index": 2, "content_block": {"type": "thinking"}},
]
WORDS = "and so it went on, for a hundred bytes"
DELTAS = {
    "text_delta": {"index": 0, "delta": {"type": "text_delta", "text": WORDS}},
    "input_json_delta": {"index": 1, "delta": {"type": "input_json_delta", "partial_json": WORDS}},
    "thinking_delta": {"index": 2, "delta": {"type": "thinking_delta", "thinking": WORDS}},
}


def deltas(request: HttpRequest | None) -> None:
    """Print what the deltas cost in the answer to a request."""
    stream = TRANSLATOR.stream(CONTEXT, request)
    for event in START:
        stream.feed(ServerSentEvent(b"", json.dumps(event).encode()))
    for name, fields in DELTAS.items():
        data = json.dumps({"type": "content_block_delta", **fields}, separators=(",", ":"))
        event = ServerSentEvent(b"content_block_delta", data.encode())
        print_row(name, microseconds(lambda event=event: stream.feed(event), 20_000))


def main() -> None:
    deltas(None)
    print("with the server's search, whose answers may pause:")
    searching: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": WORDS}],
        "web_search_options": {},
    }
    asked = parse_request(json.dumps(searching).encode())
    deltas(TRANSLATOR.request(asked, model="claude-opus-5").request)
    print("requests and answers:")
    print_whole(TRANSLATOR, "anthropic")


if __name__ == "__main__":
    main()

"""What the `openai_chat` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_openai_chat`.
"""

import json
from typing import Any

from tests.benchmarks.translate_responses import WORDS, microseconds
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.request import parse_request

TRANSLATOR = OpenAIChatTranslator()
CONTEXT = ResponseContext("x", 1, "m", include_usage=True)


def event(delta: dict[str, Any]) -> ServerSentEvent:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.2"}
    body = {**head, "choices": [choice], "usage": None}
    return ServerSentEvent(b"", json.dumps(body, separators=(",", ":")).encode())


def main() -> None:
    call = {"index": 0, "function": {"arguments": WORDS}}
    deltas = {"text": event({"content": WORDS}), "arguments": event({"tool_calls": [call]})}
    for name, data in deltas.items():
        stream = TRANSLATOR.stream(CONTEXT)
        stream.feed(event({"role": "assistant", "content": ""}))
        cost = microseconds(lambda stream=stream, data=data: stream.feed(data), 20_000)
        print(f"{name:22} {cost:8.2f} µs")
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    messages = [{"role": ("user", "assistant")[i % 2], "content": WORDS} for i in range(51)]
    request = {"model": "m", "messages": messages, "tools": [tool] * 20}
    chat = parse_request(json.dumps(request).encode())
    cost = microseconds(lambda: TRANSLATOR.request(chat, model="gpt-5.2"), 200)
    print(f"{'51 messages, 20 tools':22} {cost:8.1f} µs")


if __name__ == "__main__":
    main()

"""What the `openai_chat` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_openai_chat`.
"""

import json
from typing import Any

from tests.benchmarks.micro import microseconds, print_row, print_whole
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent

TRANSLATOR = OpenAIChatTranslator()
WORDS = "and so it went on, for a hundred bytes"
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
        print_row(name, cost)
    print_whole(TRANSLATOR, "openai")


if __name__ == "__main__":
    main()

"""What the `gemini_generate` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_gemini`.
"""

import json
import timeit
from collections.abc import Callable
from typing import Any

from translators.gemini_generate.translator import GeminiGenerateTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.request import parse_request

TRANSLATOR = GeminiGenerateTranslator()
CONTEXT = ResponseContext("x", 1, "m", include_usage=True)
WORDS = "and so it went on, for a hundred bytes"
USAGE = {
    "promptTokenCount": 157,
    "candidatesTokenCount": 16,
    "totalTokenCount": 611,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 157}],
    "thoughtsTokenCount": 438,
}
PARTS: dict[str, Any] = {
    "text": {"text": WORDS},
    "thought": {"text": WORDS, "thought": True},
}


def event(part: dict[str, Any], **candidate: Any) -> bytes:
    answer = {
        "candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0, **candidate}],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-3.1-pro-preview",
        "responseId": "UwCzaaGdI_aEz7IPqoinwQM",
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def microseconds(call: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def main() -> None:
    for name, part in PARTS.items():
        stream = TRANSLATOR.stream(CONTEXT)
        data = ServerSentEvent(b"", event(part))
        stream.feed(data)
        cost = microseconds(lambda stream=stream, data=data: stream.feed(data), 20_000)
        print(f"{name:22} {cost:8.2f} µs")
    call = {"functionCall": {"name": "f", "args": {"city": "Oslo"}, "id": "8hd01vsf"}}
    data = ServerSentEvent(b"", event(call))
    cost = microseconds(lambda: TRANSLATOR.stream(CONTEXT).feed(data), 5_000)
    print(f"{'stream of one call':22} {cost:8.2f} µs")
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    messages = [{"role": ("user", "assistant")[i % 2], "content": WORDS} for i in range(51)]
    request = {"model": "m", "messages": messages, "tools": [tool] * 20}
    chat = parse_request(json.dumps(request).encode())
    cost = microseconds(lambda: TRANSLATOR.request(chat, model="gemini-3.6-flash"), 200)
    print(f"{'51 messages, 20 tools':22} {cost:8.1f} µs")
    body = event({"text": WORDS * 20}, finishReason="STOP")
    cost = microseconds(lambda: TRANSLATOR.response(body, CONTEXT), 2000)
    print(f"{'whole answer':22} {cost:8.1f} µs")


if __name__ == "__main__":
    main()

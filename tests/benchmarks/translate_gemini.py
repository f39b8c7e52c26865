"""What the `gemini_generate` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_gemini`.
"""

import json
from typing import Any

from tests.benchmarks.micro import microseconds, print_row, print_whole
from translators.gemini_generate.translator import GeminiGenerateTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent

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


def main() -> None:
    for name, part in PARTS.items():
        stream = TRANSLATOR.stream(CONTEXT)
        data = ServerSentEvent(b"", event(part))
        stream.feed(data)
        cost = microseconds(lambda stream=stream, data=data: stream.feed(data), 20_000)
        print_row(name, cost)
    call = {"functionCall": {"name": "f", "args": {"city": "Oslo"}, "id": "8hd01vsf"}}
    data = ServerSentEvent(b"", event(call))
    cost = microseconds(lambda: TRANSLATOR.stream(CONTEXT).feed(data), 5_000)
    print_row("stream of one call", cost)
    print_whole(TRANSLATOR, "gemini")


if __name__ == "__main__":
    main()

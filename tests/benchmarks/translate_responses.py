"""What the `openai_responses` dialect costs: microseconds an event, and a request or answer.

Run from the root of the checkout: `python -m tests.benchmarks.translate_responses`.
"""

import json
from typing import Any

from tests.benchmarks.micro import SIZES, chat, microseconds, print_row
from translators.openai_responses.translator import OpenAIResponsesTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent

TRANSLATOR = OpenAIResponsesTranslator()
CONTEXT = ResponseContext("x", 1, "m", include_usage=True)
WORDS = "and so it went on, for a hundred bytes"
ANSWER: dict[str, Any] = {
    "id": "resp_68c35098e6fc819e80fb94b25b7d031b",
    "object": "response",
    "model": "gpt-5.6",
    "status": "in_progress",
    "output": [],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}


def event(kind: str, **fields: Any) -> ServerSentEvent:
    place = {"sequence_number": 9, "item_id": "msg_0b5cbf1ce3f8b01c00696d5e", "output_index": 0}
    body = {"type": kind, **place, "content_index": 0, **fields}
    return ServerSentEvent(kind.encode(), json.dumps(body, separators=(",", ":")).encode())


def main() -> None:
    created = event("response.created", response=ANSWER)
    added = event("response.output_item.added", item=CALL)
    deltas = {
        "text": event("response.output_text.delta", delta=WORDS, logprobs=[]),
        "reasoning summary": event("response.reasoning_summary_text.delta", delta=WORDS),
        "arguments": event("response.function_call_arguments.delta", delta=WORDS),
        "not read": event("response.code_interpreter_call_code.delta", delta=WORDS),
    }
    for name, data in deltas.items():
        stream = TRANSLATOR.stream(CONTEXT)
        for before in (created, added):
            stream.feed(before)
        cost = microseconds(lambda stream=stream, data=data: stream.feed(data), 20_000)
        print_row(name, cost)
    for name, size in SIZES.items():
        asked, number = chat("openai", size), 2000 if size == "small" else 200
        cost = microseconds(lambda c=asked: TRANSLATOR.request(c, model="gpt-5.6"), number)
        print_row(name, cost)
    part: dict[str, Any] = {"type": "output_text", "text": WORDS * 20, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
    body = json.dumps({**ANSWER, "status": "completed", "output": [message]}).encode()
    cost = microseconds(lambda: TRANSLATOR.response(body, CONTEXT), 2000)
    print_row("whole answer", cost)


if __name__ == "__main__":
    main()

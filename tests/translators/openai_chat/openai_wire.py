"""What the tests of this dialect share: a context, and events."""

import json
from collections.abc import Iterable
from typing import Any

from tests.translators.streams import Json, Streams
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import ResponseContext
from translators.sse import ServerSentEvent

__all__ = ["DONE", "QUIET", "TRANSLATOR", "USAGE", "chunk", "event", "run", "usage_chunk"]

TRANSLATOR = OpenAIChatTranslator()
QUIET = ResponseContext("chatcmpl-none", 1_700_000_000, "asked")

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def chunk(
    delta: Json | None = None, reason: str | None = None, index: int = 0, **more: Any
) -> Json:
    choice = {"index": index, "delta": delta or {}, "logprobs": None, "finish_reason": reason}
    head = {"id": "chatcmpl-9", "object": "chat.completion.chunk", "created": 1, "model": "gpt-9"}
    return {**head, "choices": [choice], **more}


def usage_chunk(usage: Json | None = None) -> Json:
    return {**chunk(), "choices": [], "usage": usage or USAGE}


def event(data: Json | str, name: bytes = b"") -> ServerSentEvent:
    text = data if isinstance(data, str) else json.dumps(data)
    return ServerSentEvent(name, text.encode())


DONE = event("[DONE]")


def _sse_of(events: Iterable[Json]) -> bytes:
    return b"".join(b"data: " + json.dumps(data).encode() + b"\n\n" for data in events)


run = Streams(TRANSLATOR, _sse_of).run

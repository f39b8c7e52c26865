"""What the tests of this dialect share: contexts, events and the OpenAI SDK as the oracle."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import Chunk, Outcome, ResponseContext
from translators.sse import ServerSentEvent, SSEDecoder

Json = dict[str, Any]

TRANSLATOR = OpenAIChatTranslator()
CONTEXT = ResponseContext("chatcmpl-none", 1_700_000_000, "asked", include_usage=True)
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


def events_of(sse: bytes, cuts: Sequence[int] = ()) -> list[ServerSentEvent]:
    """Decode bytes that were cut at some places."""
    decoder = SSEDecoder()
    places = [0, *sorted(cuts), len(sse)]
    pieces = [sse[a:b] for a, b in zip(places, places[1:], strict=False)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def run(
    events: Iterable[ServerSentEvent], context: ResponseContext = CONTEXT
) -> tuple[list[Chunk], Outcome]:
    """Translate a whole stream."""
    stream = TRANSLATOR.stream(context)
    chunks = [chunk for event in events for chunk in stream.feed(event)]
    return chunks + list(stream.end()), stream.outcome


def accumulate(chunks: Iterable[bytes]) -> ChatCompletion:
    """Return what a client that uses the OpenAI SDK makes of the chunks."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for data in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(data))
    # `get_final_completion` raises on `length`; the snapshot is the same without that.
    return cast("ChatCompletion", state.current_completion_snapshot)

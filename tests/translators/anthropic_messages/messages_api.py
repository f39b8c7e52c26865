"""What the tests of this dialect share: a context, the SDKs as oracles, recorded traffic."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from native_schema import problems_of
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk, ParsedChatCompletion

from translators.anthropic_messages.errors import error_from_response
from translators.anthropic_messages.translator import AnthropicMessagesTranslator
from translators.errors import TranslationError
from translators.protocol import Chunk, HttpRequest, Outcome, ResponseContext, Translated
from translators.sse import ServerSentEvent, SSEDecoder
from translators.wire.request import ChatCompletionRequest, parse_request

Json = dict[str, Any]

WEATHER: Json = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}

TRANSLATOR = AnthropicMessagesTranslator()
CONTEXT = ResponseContext("chatcmpl-none", 1_700_000_000, "asked", include_usage=True)
GOLDEN = Path(__file__).parents[2] / "golden" / "anthropic_messages"


def chat_of(request: Json) -> ChatCompletionRequest:
    return parse_request(json.dumps(request).encode())


def translate(model: str = "claude-haiku-4-5", **fields: Any) -> Translated[HttpRequest]:
    """Translate a request; without `messages` it says "Hi"."""
    request = {"model": "persona", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return TRANSLATOR.request(chat_of(request), model=model)


def body_of(model: str = "claude-haiku-4-5", **fields: Any) -> Json:
    return translate(model, **fields).request.body


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def calls(*ids: str, name: str = "get_weather", arguments: str = "{}") -> Json:
    entries = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": entries}


def result(id: str, content: Any = "fine") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def turns_of(*messages: Json, model: str = "claude-haiku-4-5", **fields: Any) -> list[Json]:
    body = body_of(model, messages=list(messages), **fields)
    assert problems_of(body) == []
    return body["messages"]


def rejection(model: str = "claude-haiku-4-5", **fields: Any) -> TranslationError:
    with pytest.raises(TranslationError) as caught:
        translate(model, **fields)
    assert caught.value.status_hint == 400
    return caught.value


def context_for(chat: ChatCompletionRequest) -> ResponseContext:
    return replace(
        CONTEXT, custom_tools=chat.custom_tool_names, legacy_functions=chat.uses_functions
    )


def events_of(sse: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return decoder.feed(sse) + decoder.end()


def sse_of(events: Iterable[Json]) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def run(
    events: Iterable[ServerSentEvent], context: ResponseContext = CONTEXT
) -> tuple[list[Chunk], Outcome]:
    """Translate a whole stream."""
    stream = TRANSLATOR.stream(context)
    chunks = [chunk for event in events for chunk in stream.feed(event)]
    return chunks + list(stream.end()), stream.outcome


def chunks_of(events: Iterable[Json], context: ResponseContext = CONTEXT) -> list[Json]:
    """Translate native events given as JSON; return the chunks as JSON."""
    return [json.loads(chunk.data) for chunk in run(events_of(sse_of(events)), context)[0]]


def deltas_of(events: Iterable[Json], context: ResponseContext = CONTEXT) -> list[Json]:
    return [
        chunk["choices"][0]["delta"] for chunk in chunks_of(events, context) if chunk["choices"]
    ]


def accumulate(chunks: Iterable[Chunk]) -> ParsedChatCompletion[Any]:
    """Return what a client that uses the OpenAI SDK makes of the chunks."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk.data))
    # `get_final_completion` raises on `length`; the snapshot is the same without that.
    return cast("ParsedChatCompletion[Any]", state.current_completion_snapshot)


def sdk_message(body: bytes, *, stream: bool) -> Message:
    """Return what the Anthropic SDK makes of the bytes of an answer."""
    kind = "text/event-stream" if stream else "application/json"

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with anthropic.Anthropic(api_key="x", http_client=http, open_telemetry=False) as client:
        if not stream:
            return client.messages.create(
                model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
            )
        with client.messages.stream(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
        ) as events:
            return events.get_final_message()


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange.

    Attributes:
        name: The file's name without its suffix.
        request: The native request, or None where it was not recorded.
        body: The bytes of the answer.
    """

    name: str
    request: Any
    status: int
    headers: dict[str, str]
    stream: bool
    body: bytes

    @property
    def error(self) -> Any:
        return error_from_response(self.status, self.headers, self.body)

    @property
    def is_broken(self) -> bool:
        return self.stream and b"message_stop" not in self.body


def recorded_folder() -> Path | None:
    named = os.environ.get("EP_RECORDED_TRAFFIC")
    checkout = Path(__file__).resolve().parents[3]
    folder = (Path(named) if named else checkout.parent / "shared/recorded-traffic") / "anthropic"
    return folder if folder.is_dir() else None


def recorded(keep: Callable[[Exchange], bool]) -> list[Any]:
    """Return the recorded exchanges as parameters, or one skipped parameter without them."""
    folder = recorded_folder()
    if folder is None:
        reason = "no recorded traffic beside the checkout, nor under EP_RECORDED_TRAFFIC"
        return [pytest.param(None, id="absent", marks=pytest.mark.skip(reason=reason))]
    exchanges = (_read(path) for path in sorted(folder.glob("messages-*.json")))
    return [pytest.param(exchange, id=exchange.name) for exchange in exchanges if keep(exchange)]


def _read(path: Path) -> Exchange:
    value = json.loads(path.read_bytes())
    answer = value["response"]
    body = answer["text"] if "text" in answer else json.dumps(answer["body"])
    return Exchange(
        name=path.stem.removeprefix("messages-"),
        request=value["request"].get("body"),
        status=answer["status"],
        headers=answer["headers"],
        stream=answer["stream"],
        body=body.encode(),
    )

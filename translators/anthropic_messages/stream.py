"""The native events of one answer to OpenAI chunks.

https://platform.claude.com/docs/en/build-with-claude/streaming

1. Only `text`, `thinking` and `tool_use` blocks reach the client: what servers' tools do, and
   blocks of a type we do not know, has no place in OpenAI's dialect.
2. A tool's arguments come in deltas; the `input` a block begins with counts only where there
   were none (`{}` otherwise: OpenAI's arguments are never empty text).
3. The last chunks wait for the end of the stream, so nothing looks finished that is not.
"""

from typing import Any

import msgspec

from translators.anthropic_messages.errors import error_from_event
from translators.anthropic_messages.events import (
    Block,
    Citation,
    Delta,
    Event,
    Message,
    UsageCounts,
    decode_event,
)
from translators.anthropic_messages.usage import merge_counts, to_service_tier, to_usage
from translators.chunks import ChunkBuilder
from translators.errors import ProviderError, StreamTruncated
from translators.json import UNREADABLE, encode
from translators.protocol import Chunk, HttpRequest, Outcome, ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.response import FinishReason

__all__ = ["AnthropicMessagesStream"]

_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # The server stopped in the middle of its own tools and wants to be called again.
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
_NO_EXPLANATION = "The model declined to answer."


class _OpenBlock:
    """A block whose end has not come.

    Attributes:
        kind: Its type.
        start: How much text the answer had before it, in characters.
        has_arguments: Whether any arguments came.
        arguments: Those of a custom tool, which the client gets unwrapped and whole.
    """

    __slots__ = (
        "arguments",
        "citations",
        "custom",
        "has_arguments",
        "id",
        "input",
        "kind",
        "name",
        "start",
    )

    def __init__(self, block: Block, start: int) -> None:
        self.kind = block.type or ""
        self.start = start
        self.id = block.id or ""
        self.name = block.name or ""
        self.input = block.input
        self.citations: list[Citation] = list(block.citations or ())
        self.has_arguments = False
        self.arguments: list[str] = []
        self.custom = False


class AnthropicMessagesStream:
    """Stream translator of the Messages API.

    Attributes:
        outcome: What is known of the answer so far; token counts from the first event on.
    """

    __slots__ = (
        *("_chunks", "_citations", "_context", "_counts", "_length", "_open", "_refusal"),
        *("_started", "_stopped", "outcome"),
    )

    def __init__(self, context: ResponseContext) -> None:
        self.outcome = Outcome()
        self._context = context
        self._chunks = ChunkBuilder(context)
        self._open: dict[int | None, _OpenBlock] = {}
        self._length = 0
        self._citations = 0
        self._counts: UsageCounts | None = None
        self._started = False
        self._stopped = False
        self._refusal: str | None = None

    @property
    def complete(self) -> bool:
        """Whether `message_stop` has come."""
        return self._stopped

    @property
    def follow_up(self) -> HttpRequest | None:
        """The request for the rest of the answer: there is none."""
        return None

    def feed(self, event: ServerSentEvent, /) -> list[Chunk]:
        """Take the next event; return the chunks it completes, often none.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        if self._stopped:
            return []
        native = decode_event(event.data)
        if native.type is None:
            native.type = event.event.decode(errors="replace")
        return self.handle(native)

    def handle(self, event: Event) -> list[Chunk]:
        """Take the next event in decoded form; otherwise as `feed`.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        if self._stopped:
            return []
        match event.type:
            case "content_block_delta":
                return self._delta(event.index, event.delta)
            case "content_block_start":
                return self._start_block(event.index, event.content_block)
            case "content_block_stop":
                return self._stop_block(event.index)
            case "message_start":
                return self._start(event.message)
            case "message_delta":
                return self._message_delta(event)
            case "message_stop":
                return self._stop()
            case "error":
                raise error_from_event(event.error, event.request_id)
            case _:
                return []

    def end(self) -> list[Chunk]:
        """Say that the stream is over; return the last chunks.

        Raises:
            StreamTruncated: There was no `message_stop`.
        """
        if not self._stopped:
            raise StreamTruncated("The provider's answer stopped before its end.")
        reason = self._finish_reason()
        chunks = [self._chunks.finish(reason)]
        if self.outcome.usage is not None:
            chunks += self._chunks.usage(self.outcome.usage)
        return chunks

    def _start(self, message: Message | None) -> list[Chunk]:
        if self._started or message is None:
            raise _broken("a second start" if self._started else "a start without a message")
        self._started = True
        outcome = self.outcome
        outcome.id, outcome.model = message.id, message.model
        self._count(message.usage)
        self._chunks.identify(
            f"chatcmpl-{message.id}" if message.id else self._context.id,
            message.model or self._context.model,
            service_tier=to_service_tier(self._counts),
        )
        return [self._chunks.role()]

    def _start_block(self, index: int | None, block: Block | None) -> list[Chunk]:
        self._check_started()
        if block is None or index in self._open:
            raise _broken("a block that does not begin")
        opened = self._open[index] = _OpenBlock(block, self._length)
        match block.type:
            case "text":
                return self._text(block.text)
            case "thinking":
                return self._thinking(block.thinking)
            case "tool_use":
                return self._start_call(index, opened)
            case _:
                return []

    def _start_call(self, index: int | None, call: _OpenBlock) -> list[Chunk]:
        if not call.id or not call.name:
            raise _broken("a tool call without id or name")
        if self._context.legacy_functions and self._chunks.tool_count:
            call.kind = ""  # The legacy form has room for one call.
            return []
        call.custom = call.name in self._context.custom_tools
        if call.custom:
            return []
        return [self._chunks.tool_start(index, id=call.id, name=call.name)]

    def _delta(self, index: int | None, delta: Delta | None) -> list[Chunk]:
        block = self._open.get(index)
        if block is None or delta is None:
            self._check_started()
            raise _broken("a part of a block that was not begun")
        match delta.type:
            case "text_delta" if block.kind == "text":
                return self._text(delta.text)
            case "input_json_delta" if block.kind == "tool_use":
                return self._arguments(index, block, delta.partial_json)
            case "thinking_delta" if block.kind == "thinking":
                return self._thinking(delta.thinking)
            case "citations_delta" if delta.citation is not None:
                block.citations.append(delta.citation)
            case _:
                pass
        return []

    def _text(self, text: str | None) -> list[Chunk]:
        if not text:
            return []
        self._length += len(text)
        return [self._chunks.text(text)]

    def _thinking(self, text: str | None) -> list[Chunk]:
        return [self._chunks.delta(reasoning_content=text)] if text else []

    def _arguments(self, index: int | None, call: _OpenBlock, text: str | None) -> list[Chunk]:
        if not text:
            return []
        call.has_arguments = True
        if call.custom:
            call.arguments.append(text)
            return []
        return [self._chunks.tool_arguments(index, text)]

    def _stop_block(self, index: int | None) -> list[Chunk]:
        block = self._open.pop(index, None)
        if block is None:
            self._check_started()
            raise _broken("the end of a block that was not begun")
        if block.kind == "tool_use":
            return self._stop_call(index, block)
        return self._annotations(block) if block.citations else []

    def _stop_call(self, index: int | None, call: _OpenBlock) -> list[Chunk]:
        if call.custom:
            arguments = "".join(call.arguments) or _whole_input(call.input)
            text = _unwrap(arguments)
            return [self._chunks.custom_call(index, id=call.id, name=call.name, input=text)]
        if call.has_arguments:
            return []
        return [self._chunks.tool_arguments(index, _whole_input(call.input))]

    def _annotations(self, block: _OpenBlock) -> list[Chunk]:
        """Return the block's sources on the web; OpenAI has no form for those in documents."""
        entries: list[dict[str, Any]] = []
        for citation in block.citations:
            url = citation.url or citation.source
            if url is None or citation.type not in _WEB_CITATIONS:
                continue
            span = {"start_index": block.start, "end_index": self._length}
            source = {**span, "title": citation.title or "", "url": url}
            entries.append(
                {"index": self._citations, "type": "url_citation", "url_citation": source}
            )
            self._citations += 1
        return [self._chunks.delta(annotations=entries)] if entries else []

    def _message_delta(self, event: Event) -> list[Chunk]:
        self._check_started()
        self._count(event.usage)
        delta = event.delta
        if delta is None or delta.stop_reason is None:
            return []
        self.outcome.native_finish_reason = delta.stop_reason
        if delta.stop_reason == "refusal":
            details = delta.stop_details
            self._refusal = (details.explanation if details else None) or _NO_EXPLANATION
        return []

    def _stop(self) -> list[Chunk]:
        self._check_started()
        if self.outcome.native_finish_reason is None:
            raise _broken("an end without a stop reason")
        chunks = [chunk for index in list(self._open) for chunk in self._stop_block(index)]
        if self._refusal is not None:
            chunks.append(self._chunks.delta(refusal=self._refusal))
        self._stopped = True
        self.outcome.finish_reason = self._finish_reason()
        return chunks

    def _finish_reason(self) -> FinishReason:
        reason = _FINISH_REASONS.get(self.outcome.native_finish_reason or "", "stop")
        if reason in ("stop", "tool_calls") and self._chunks.tool_count:
            return self._chunks.call_reason
        return "stop" if reason == "tool_calls" else reason

    def _count(self, counts: UsageCounts | None) -> None:
        self._counts = merge_counts(self._counts, counts)
        self.outcome.usage = to_usage(self._counts)

    def _check_started(self) -> None:
        if not self._started:
            raise _broken("a part of an answer before its start")


_WEB_CITATIONS = ("web_search_result_location", "search_result_location")


def _whole_input(raw: msgspec.Raw) -> str:
    """Return the `input` a block began with as compact JSON."""
    data = bytes(raw)
    if not data or data == b"null":
        return "{}"
    try:
        return encode(msgspec.json.decode(data)).decode()
    except UNREADABLE:
        raise _broken("arguments that are not JSON") from None


def _unwrap(arguments: str) -> str:
    """Return the text for a custom tool; where the model broke the wrapping, all of it."""
    try:
        return msgspec.json.decode(arguments, type=_CustomInput).input
    except msgspec.DecodeError:
        return arguments


class _CustomInput(msgspec.Struct):
    input: str


def _broken(what: str) -> ProviderError:
    return ProviderError(f"The provider sent {what}.", kind="protocol")

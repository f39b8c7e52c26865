"""The native events of one answer to OpenAI chunks.

https://platform.claude.com/docs/en/build-with-claude/streaming

1. Only texts, thoughts and calls of the client's tools reach the client: what servers' tools
   do, and blocks of a type we do not know, has no place in OpenAI's dialect.
2. A tool's arguments come in deltas; the `input` a block begins with counts only where there
   were none (`{}` otherwise: OpenAI's arguments are never empty text).
3. The last chunks wait for the end of the stream, so nothing looks finished that is not.
4. An answer that paused goes on with another stream, whose blocks are numbered anew.
"""

from translators.anthropic_messages.blocks import OpenBlock, broken, unwrap, whole_input
from translators.anthropic_messages.citations import CitationLog
from translators.anthropic_messages.errors import error_from_event
from translators.anthropic_messages.events import (
    Block,
    Delta,
    Event,
    Message,
    UsageCounts,
    decode_event,
)
from translators.anthropic_messages.thoughts import ThoughtLog
from translators.anthropic_messages.usage import merge_counts, to_service_tier, to_usage
from translators.anthropic_messages.web_search import PausedContent, continued, may_pause
from translators.chunks import ChunkBuilder
from translators.errors import StreamTruncated
from translators.protocol import MAX_FOLLOW_UPS, Chunk, HttpRequest, Outcome, ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.response import FinishReason, Usage, add_usage

__all__ = ["AnthropicMessagesStream"]

_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # The server stopped in the middle of its own tools, and was called again often enough.
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
_NO_EXPLANATION = "The model declined to answer."


class AnthropicMessagesStream:
    """Stream translator of the Messages API.

    Attributes:
        outcome: What is known of the answer so far; token counts from the first event on.
        follow_up: After `end`: the request for the rest of the answer, or None.
    """

    __slots__ = (
        *("_begun", "_chunks", "_citations", "_context", "_counts", "_earlier", "_follow_ups"),
        *("_length", "_native", "_open", "_refusal", "_request", "_started", "_stopped"),
        "_thoughts",
        *("follow_up", "outcome"),
    )

    def __init__(
        self,
        context: ResponseContext,
        request: HttpRequest | None = None,
        *,
        chunks: ChunkBuilder | None = None,
    ) -> None:
        self.outcome = Outcome()
        self.follow_up: HttpRequest | None = None
        self._context = context
        self._chunks = chunks or ChunkBuilder(context)
        self._open: dict[int | None, OpenBlock] = {}
        # How many blocks have begun: an index may come again, in another block.
        self._begun = 0
        self._length = 0
        self._citations = CitationLog()
        self._thoughts = ThoughtLog()
        self._counts: UsageCounts | None = None
        self._started = False
        self._stopped = False
        self._refusal: str | None = None
        # Of an answer that paused: what was spent before, and how often it went on.
        self._earlier: Usage | None = None
        self._follow_ups = 0
        self._request = request if request is not None and may_pause(request) else None
        self._native = None if self._request is None else PausedContent()

    @property
    def complete(self) -> bool:
        """Whether `message_stop` has come."""
        return self._stopped

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
        chunks = self.handle(native)
        if self._native is not None:
            self._native.feed(native, event.data)
        return chunks

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
        self.follow_up = None
        if self._pause():
            return []
        reason = self._finish_reason()
        chunks = [self._chunks.finish(reason)]
        if self.outcome.usage is not None:
            chunks += self._chunks.usage(self.outcome.usage)
        return chunks

    def _pause(self) -> bool:
        """Make ready for the rest of an answer that paused; return whether it did."""
        request, native = self._request, self._native
        paused = self.outcome.native_finish_reason == "pause_turn"
        if not paused or request is None or native is None or self._follow_ups == MAX_FOLLOW_UPS:
            return False
        content = native.take()
        if not content:
            return False
        self._follow_ups += 1
        self._request = self.follow_up = continued(request, content)
        self._earlier, self._counts = self.outcome.usage, None
        self.outcome.native_finish_reason = self.outcome.finish_reason = None
        self._started = self._stopped = False
        return True

    def _start(self, message: Message | None) -> list[Chunk]:
        if self._started or message is None:
            raise broken("a second start" if self._started else "a start without a message")
        self._started = True
        outcome = self.outcome
        if self._follow_ups:
            self._count(message.usage)
            return []
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
            raise broken("a block that does not begin")
        self._begun += 1
        opened = self._open[index] = OpenBlock(block, key=self._begun, start=self._length)
        match block.type:
            case "text":
                return self._text(block.text)
            case "thinking":
                return self._thinking(block.thinking)
            case "tool_use":
                return self._start_call(opened)
            case _:
                return []

    def _start_call(self, call: OpenBlock) -> list[Chunk]:
        if not call.id or not call.name:
            raise broken("a tool call without id or name")
        if self._context.legacy_functions and self._chunks.tool_count:
            call.kind = ""  # The legacy form has room for one call.
            return []
        call.extra = self._thoughts.take()
        if call.extra and not self._context.legacy_functions:
            self.outcome.reasoning[call.id] = call.extra["extra_content"]
        call.custom = call.name in self._context.custom_tools
        if call.custom:
            return []
        return [self._chunks.tool_start(call.key, id=call.id, name=call.name, **call.extra)]

    def _delta(self, index: int | None, delta: Delta | None) -> list[Chunk]:
        block = self._open.get(index)
        if block is None or delta is None:
            self._check_started()
            raise broken("a part of a block that was not begun")
        match delta.type:
            case "text_delta" if block.kind == "text":
                return self._text(delta.text)
            case "input_json_delta" if block.kind == "tool_use":
                return self._arguments(block, delta.partial_json)
            case "thinking_delta" if block.kind == "thinking" and delta.thinking:
                block.parts.append(delta.thinking)
                return self._thinking(delta.thinking)
            case "signature_delta" if delta.signature:
                block.signature = delta.signature
            case "citations_delta" if delta.citation is not None:
                block.citations.append(delta.citation)
            case _:
                pass
        return []

    def _text(self, text: str | None) -> list[Chunk]:
        if not text:
            return []
        self._length += len(text)
        self._thoughts.spoken()
        return [self._chunks.text(text)]

    def _thinking(self, text: str | None) -> list[Chunk]:
        return [self._chunks.delta(reasoning_content=text)] if text else []

    def _arguments(self, call: OpenBlock, text: str | None) -> list[Chunk]:
        if not text:
            return []
        call.has_arguments = True
        if call.custom:
            call.parts.append(text)
            return []
        return [self._chunks.tool_arguments(call.key, text)]

    def _stop_block(self, index: int | None) -> list[Chunk]:
        block = self._open.pop(index, None)
        if block is None:
            self._check_started()
            raise broken("the end of a block that was not begun")
        if block.kind == "text":
            return self._sources(block) if block.citations else []
        if block.kind == "tool_use":
            return self._stop_call(block)
        if block.kind in ("thinking", "redacted_thinking"):
            return self._stop_thought(block)
        return []

    def _stop_call(self, call: OpenBlock) -> list[Chunk]:
        if call.custom:
            input = unwrap("".join(call.parts) or whole_input(call.input))
            chunk = self._chunks.custom_call(
                call.key, id=call.id, name=call.name, input=input, **call.extra
            )
            return [chunk]
        if call.has_arguments:
            return []
        return [self._chunks.tool_arguments(call.key, whole_input(call.input))]

    def _stop_thought(self, block: OpenBlock) -> list[Chunk]:
        """Return the entry for a thought: whole, for clients join the strings of entries."""
        entry = self._thoughts.add(block.thought())
        return [] if entry is None else [self._chunks.delta(reasoning_details=[entry])]

    def _sources(self, block: OpenBlock) -> list[Chunk]:
        fields = self._citations.add(block.citations, start=block.start, end=self._length)
        return [self._chunks.delta(**fields)]

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
            raise broken("an end without a stop reason")
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
        if counts is None:
            return
        self._counts = merge_counts(self._counts, counts)
        self.outcome.usage = add_usage(self._earlier, to_usage(self._counts))

    def _check_started(self) -> None:
        if not self._started:
            raise broken("a part of an answer before its start")

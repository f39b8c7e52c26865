"""The native events of one answer to OpenAI chunks.

https://developers.openai.com/api/reference/resources/responses/streaming-events

1. Text, refusals, reasoning and calls of the client's tools reach the client: what the server's
   own tools do, and items we do not know, has no place in a chat answer.
2. What is said in pieces counts; the whole that an item or an answer ends with is taken only
   where there were none. So a whole answer is a stream of its last event.
3. The last chunks wait for the end of the stream, so nothing looks finished that is not.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import msgspec

from translators.chunks import ChunkBuilder
from translators.errors import ProviderError, StreamTruncated
from translators.openai_responses.errors import broken, failure
from translators.openai_responses.events import (
    Call,
    Event,
    MessageItem,
    ReasoningItem,
    Response,
    decode_as,
    decode_event,
    kind_of,
)
from translators.openai_responses.said import Said
from translators.openai_responses.thinking import Thoughts
from translators.openai_responses.usage import to_moderation, to_usage
from translators.protocol import Chunk, HttpRequest, Outcome, ResponseContext
from translators.sse import ServerSentEvent
from translators.wire.response import FinishReason

__all__ = ["OpenAIResponsesStream"]

_CALLS = ("function_call", "custom_tool_call")


class _OpenCall:
    """A call whose end has not come; `pieces` are those of a custom tool's input."""

    __slots__ = ("extra", "has_arguments", "id", "name", "pieces")

    def __init__(self, id: str, name: str, extra: dict[str, Any] | None) -> None:
        self.id = id
        self.name = name
        self.extra = {} if extra is None else {"extra_content": extra}
        self.has_arguments = False
        self.pieces: list[str] | None = None


class OpenAIResponsesStream:
    """Stream translator of the Responses API.

    Attributes:
        outcome: What is known of the answer so far; token counts at its end.
    """

    __slots__ = (
        *("_calls", "_chunks", "_closed", "_context", "_done", "_items", "_moderation", "_said"),
        *("_started", "_thoughts", "outcome"),
    )

    def __init__(self, context: ResponseContext, *, chunks: ChunkBuilder | None = None) -> None:
        self.outcome = Outcome()
        self._context = context
        self._chunks = chunks or ChunkBuilder(context)
        self._thoughts = Thoughts(self._chunks)
        self._said = Said(self._chunks, self._thoughts)
        self._started = self._done = False
        self._items: dict[int, str] = {}
        self._closed: set[int] = set()
        self._calls: dict[int, _OpenCall] = {}
        self._moderation: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether the event that ends the answer has come."""
        return self._done

    @property
    def follow_up(self) -> HttpRequest | None:
        """The request for the rest of the answer: there is none."""
        return None

    def feed(self, event: ServerSentEvent, /) -> list[Chunk]:
        """Take the next event; return the chunks it completes, often none.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        if self._done or event.data == b"[DONE]":
            return []
        return self.handle(
            decode_event(event.data, event.event.decode(errors="replace"), self._HANDLERS)
        )

    def handle(self, event: Event) -> list[Chunk]:
        """Take the next event in decoded form; otherwise as `feed`.

        Raises:
            ProviderError: The provider reported an error, or broke its own protocol.
        """
        handler = self._HANDLERS.get(event.type or "")
        return [] if handler is None or self._done else handler(self, event)

    def end(self) -> list[Chunk]:
        """Say that the stream is over; return the last chunks.

        Raises:
            StreamTruncated: The event that ends an answer has not come.
        """
        reason = self.outcome.finish_reason
        if not self._done or reason is None:
            raise StreamTruncated("The provider's answer stopped before its end.")
        beside = {} if self._moderation is None else {"moderation": self._moderation}
        chunks = [self._chunks.finish(cast("FinishReason", reason), **beside)]
        if self.outcome.usage is not None:
            chunks += self._chunks.usage(self.outcome.usage)
        return chunks

    def end_with(self, response: Response) -> list[Chunk]:
        """Take the answer as it is at its end; return the chunks for what has not come of it.

        Raises:
            ProviderError: It failed, or it is not at its end.
        """
        reason = _reason_of(response)
        chunks = self._start(response)
        for index, item in enumerate(response.output or ()):
            chunks += self._close_item(index, item)
        for index in list(self._calls):
            chunks += self._close_call(index, Call())
        outcome = self.outcome
        outcome.usage = to_usage(response.usage) if response.usage is not None else None
        outcome.model = response.model or outcome.model
        outcome.native_finish_reason = _native_reason(response)
        if reason == "stop" and self._chunks.tool_count:
            reason = self._chunks.call_reason
        outcome.finish_reason = reason
        self._identify(response.service_tier)
        self._moderation = to_moderation(response.moderation)
        self._done = True
        return chunks

    # --- the answer ----------------------------------------------------------------------------

    def _begin(self, event: Event) -> list[Chunk]:
        # Several events of the beginning repeat the request; one is read.
        return [] if self._started else self._start(decode_as(Response, event.response))

    def _finish(self, event: Event) -> list[Chunk]:
        response = decode_as(Response, event.response)
        response.status = (event.type or "").removeprefix("response.")
        return self.end_with(response)

    def _error(self, event: Event) -> list[Chunk]:
        told = cast("dict[str, Any]", event.error) if _is_object(event.error) else None
        raise failure(told or {"code": event.code, "message": event.message, "param": event.param})

    def _start(self, response: Response) -> list[Chunk]:
        if self._started:
            return []
        self._started = True
        self.outcome.id, self.outcome.model = response.id, response.model
        self._identify(None)  # Before the end it says only what was asked for.
        return [self._chunks.role()]

    def _identify(self, service_tier: str | None) -> None:
        id, model = self.outcome.id, self.outcome.model
        self._chunks.identify(
            f"chatcmpl-{id}" if id else self._context.id,
            model or self._context.model,
            service_tier=service_tier,
        )

    # --- items ---------------------------------------------------------------------------------

    def _item_added(self, event: Event) -> list[Chunk]:
        return self._open_item(event.output_index, event.item)

    def _item_done(self, event: Event) -> list[Chunk]:
        return self._close_item(event.output_index, event.item)

    def _open_item(self, index: int, data: msgspec.Raw) -> list[Chunk]:
        self._check_started()
        if index in self._items:
            return []
        kind = self._items[index] = kind_of(data) or ""
        if kind == "message":
            return self._thoughts.follow()
        if kind in _CALLS:
            return [*self._thoughts.follow(), *self._open_call(index, decode_as(Call, data), kind)]
        if kind != "reasoning":
            self._thoughts.drop()
        return []

    def _close_item(self, index: int, data: msgspec.Raw) -> list[Chunk]:
        chunks = self._open_item(index, data)
        if index in self._closed:
            return chunks
        self._closed.add(index)
        kind = self._items[index]
        if kind == "message":
            for number, part in enumerate(decode_as(MessageItem, data).content or ()):
                chunks += self._said.close_part(index, number, part)
        elif kind in _CALLS:
            chunks += self._close_call(index, decode_as(Call, data))
        elif kind == "reasoning":
            chunks += self._thoughts.end_item(index, decode_as(ReasoningItem, data))
        return chunks

    # --- messages and reasoning ----------------------------------------------------------------

    def _text_delta(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._said.text_delta(event)

    def _refusal_delta(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._said.refusal_delta(event)

    def _annotation(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._said.annotation(event)

    def _part_done(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._said.close_part(event.output_index, event.content_index, event.part)

    def _summary_delta(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._thoughts.show(
            event.delta, (event.output_index, "summary", event.summary_index)
        )

    def _reasoning_delta(self, event: Event) -> list[Chunk]:
        self._check_started()
        return self._thoughts.show(event.delta, (event.output_index, "text", event.content_index))

    # --- calls ---------------------------------------------------------------------------------

    def _open_call(self, index: int, native: Call, kind: str) -> list[Chunk]:
        if not native.call_id or not native.name:
            raise broken("a call without an id or a name")
        if self._context.legacy_functions and self._chunks.tool_count:
            return []  # The legacy form has room for one call.
        extra = self._thoughts.call()
        if extra is not None:
            self.outcome.reasoning[native.call_id] = extra
        call = self._calls[index] = _OpenCall(native.call_id, native.name, extra)
        if kind == "custom_tool_call":
            call.pieces = []
            return []
        return [self._chunks.tool_start(index, id=call.id, name=call.name, **call.extra)]

    def _arguments_delta(self, event: Event) -> list[Chunk]:
        call = self._calls.get(event.output_index)
        if call is None or not event.delta:
            self._check_item(event.output_index)
            return []
        call.has_arguments = True
        return [self._chunks.tool_arguments(event.output_index, event.delta)]

    def _input_delta(self, event: Event) -> list[Chunk]:
        self._check_item(event.output_index)
        call = self._calls.get(event.output_index)
        if call is not None and call.pieces is not None and event.delta:
            call.pieces.append(event.delta)
        return []

    def _close_call(self, index: int, native: Call) -> list[Chunk]:
        call = self._calls.pop(index, None)
        if call is None:
            return []
        if call.pieces is not None:
            text = "".join(call.pieces) or native.input or ""
            return [
                self._chunks.custom_call(
                    index, id=call.id, name=call.name, input=text, **call.extra
                )
            ]
        if call.has_arguments:
            return []
        return [self._chunks.tool_arguments(index, (native.arguments or "").strip() or "{}")]

    def _check_item(self, index: int) -> None:
        self._check_started()
        if index not in self._items:
            raise broken("a part of a call that was not begun")

    def _check_started(self) -> None:
        if not self._started:
            raise broken("a part of an answer before its start")

    # --- which event is read how ---------------------------------------------------------------

    _HANDLERS: ClassVar[Mapping[str, Callable[[Any, Event], list[Chunk]]]] = {
        "error": _error,
        "response.completed": _finish,
        "response.content_part.done": _part_done,
        "response.created": _begin,
        "response.custom_tool_call_input.delta": _input_delta,
        "response.failed": _finish,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.in_progress": _begin,
        "response.incomplete": _finish,
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.output_text.annotation.added": _annotation,
        "response.output_text.delta": _text_delta,
        "response.queued": _begin,
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.reasoning_text.delta": _reasoning_delta,
        "response.refusal.delta": _refusal_delta,
    }


_REASONS: dict[str | None, FinishReason] = {"content_filter": "content_filter"}
"""Why an answer is not whole; whatever else stopped it, it was cut."""


def _native_reason(response: Response) -> str:
    details = response.incomplete_details
    return (details.reason if details else None) or response.status or "completed"


def _reason_of(response: Response) -> FinishReason:
    """Return OpenAI's finish reason, before calls are looked at.

    Raises:
        ProviderError: The answer failed, or it is not at its end.
    """
    match response.status:
        case "completed" | None if response.error is None:
            return "stop"
        case "incomplete":
            return _REASONS.get(_native_reason(response), "length")
        case "cancelled":
            raise ProviderError("The provider cancelled its answer.", kind="server")
        case "failed" | "completed" | None:
            error: Any = response.error
            raise failure(cast("dict[str, Any]", error) if _is_object(error) else {})
        case other:
            raise broken(f"an answer that is not at its end (`{other[:40]}`)")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)

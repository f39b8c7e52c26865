"""Builds the chunks of one answer: what every stream translator to OpenAI's dialect shares.

The order that clients rely on (openai 3.54 accumulates deltas by it): the role once and first,
tool indexes dense from 0, a tool call's `id` and `name` once, one finish chunk per choice, and
the usage chunk last with no choices.
"""

from collections.abc import Hashable
from typing import Any

from translators.fold import Fold
from translators.json import encode
from translators.protocol import Chunk, ResponseContext
from translators.wire.response import FinishReason, Usage

__all__ = ["ChunkBuilder", "WholeBuilder", "completion"]


_SUFFIXES = {
    # What follows a delta and a finish reason; with usage asked for, all but the last say null.
    False: (b',"logprobs":null,"finish_reason":null}]}', b"}]}"),
    True: (b',"logprobs":null,"finish_reason":null}],"usage":null}', b'}],"usage":null}'),
}


class ChunkBuilder:
    """Keeps id, model and created constant, the role first and the tool indexes dense.

    Everything around a delta is the same in all chunks of an answer, so it is encoded once.
    """

    __slots__ = (
        *("_base", "_context", "_finish_suffix", "_prefix", "_suffix", "_text_prefix"),
        *("_text_suffix", "_tools"),
    )

    def __init__(self, context: ResponseContext) -> None:
        self._context = context
        self._tools: dict[Hashable, int] = {}
        self._base = self._prefix = b""
        self._suffix, self._finish_suffix = _SUFFIXES[context.include_usage]
        self._text_suffix = b"}" + self._suffix
        self.identify(context.id, context.model)

    def identify(self, id: str, model: str, *, service_tier: str | None = None) -> None:
        """Set what all chunks that follow say; call it before the first of them.

        One of several choices keeps the id of the context, which is the same for all of them.
        """
        self._base = encode(self._head(id, model, service_tier))[:-1]
        index = self._context.choice or 0
        self._prefix = self._base + b',"choices":[{"index":%d,"delta":' % index
        self._text_prefix = self._prefix + b'{"content":'

    def _head(self, id: str, model: str, service_tier: str | None) -> dict[str, Any]:
        head: dict[str, Any] = {
            "id": id if self._context.choice is None else self._context.id,
            "object": "chat.completion.chunk",
            "created": self._context.created,
            "model": model,
        }
        if service_tier is not None:
            head["service_tier"] = service_tier
        return head

    @property
    def tool_count(self) -> int:
        """How many tool calls were opened."""
        return len(self._tools)

    def role(self) -> Chunk:
        """Return the chunk that opens the answer."""
        return Chunk(
            self._prefix + b'{"role":"assistant","content":"","refusal":null}' + self._suffix, False
        )

    def text(self, text: str) -> Chunk:
        """Return a content delta."""
        return Chunk(self._text_prefix + encode(text) + self._text_suffix, True)

    def delta(self, **fields: Any) -> Chunk:
        """Return a delta of other fields, such as `refusal` or `reasoning_content`."""
        return Chunk(self._prefix + encode(fields) + self._suffix, True)

    @property
    def call_reason(self) -> FinishReason:
        """The finish reason of an answer that calls tools."""
        return "function_call" if self._context.legacy_functions else "tool_calls"

    def logprobs(self, entries: list[dict[str, Any]]) -> Chunk:
        """Return the probabilities of tokens whose text is in other chunks."""
        head = self._prefix + b'{},"logprobs":' + encode({"content": entries, "refusal": None})
        return Chunk(head + b',"finish_reason":null' + self._finish_suffix, True)

    def tool_start(self, key: Hashable, *, id: str, name: str, **extra: Any) -> Chunk:
        """Open a tool call; `key` is whatever the native API tells it apart by.

        In the legacy form (`context.legacy_functions`) an answer holds one call without an id.
        `extra` are further fields of the call, such as `extra_content`.
        """
        index = self._tools.setdefault(key, len(self._tools))
        function = {"name": name, "arguments": ""}
        if self._context.legacy_functions:
            return self.delta(function_call=function)
        call = {"index": index, "id": id, "type": "function", "function": function, **extra}
        return self.delta(tool_calls=[call])

    def tool_arguments(self, key: Hashable, text: str) -> Chunk:
        """Append to the arguments of an open tool call."""
        if self._context.legacy_functions:
            return self.delta(function_call={"arguments": text})
        head = b'{"tool_calls":[{"index":%d,"function":{"arguments":' % self._tools[key]
        return Chunk(self._prefix + head + encode(text) + b"}}]}" + self._suffix, True)

    def custom_call(self, key: Hashable, *, id: str, name: str, input: str, **extra: Any) -> Chunk:
        """Return a whole call of a custom tool; `extra` are further fields of it."""
        index = self._tools.setdefault(key, len(self._tools))
        custom = {"name": name, "input": input}
        call = {"index": index, "id": id, "type": "custom", "custom": custom, **extra}
        return self.delta(tool_calls=[call])

    def finish(self, reason: FinishReason, **beside: Any) -> Chunk:
        """Return the chunk that ends the choice; `beside` are further fields of the chunk."""
        tail = b'{},"logprobs":null,"finish_reason":' + encode(reason) + self._finish_suffix
        if beside:
            tail = tail[:-1] + b"," + encode(beside)[1:]
        return Chunk(self._prefix + tail, True)

    def usage(self, usage: Usage) -> list[Chunk]:
        """Return the usage chunk if the client asked for it."""
        if not self._context.include_usage or self._context.choice is not None:
            return []
        return [Chunk(self._base + b',"choices":[],"usage":' + encode(usage) + b"}", False)]


class WholeBuilder(ChunkBuilder):
    """Adds up what the chunks of one answer would say, for a client that wants it whole.

    It is told the same by the same translators, and `fold` is of one kind with it, so what is
    streamed and what is not cannot differ; but no chunk is written as JSON and read again, which
    would be half of what a whole answer costs. The chunks that it returns are empty.
    """

    __slots__ = ("_whole",)

    def __init__(self, context: ResponseContext) -> None:
        self._whole = Fold()
        super().__init__(context)

    def completion(self) -> bytes:
        """Return the JSON of the completion, at its end.

        Raises:
            StreamTruncated: It has no finish reason.
        """
        return self._whole.completion()

    def identify(self, id: str, model: str, *, service_tier: str | None = None) -> None:
        """Set what the answer says of itself."""
        self._whole.tell(self._head(id, model, service_tier))

    def role(self) -> Chunk:
        """Open the answer."""
        return self._take({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> Chunk:
        """Add to the content."""
        return self._take({"content": text})

    def delta(self, **fields: Any) -> Chunk:
        """Add to other fields."""
        return self._take(fields)

    def logprobs(self, entries: list[dict[str, Any]]) -> Chunk:
        """Add the probabilities of tokens."""
        return self._take({}, logprobs={"content": entries, "refusal": None})

    def tool_arguments(self, key: Hashable, text: str) -> Chunk:
        """Add to the arguments of an open tool call."""
        if self._context.legacy_functions:
            return self.delta(function_call={"arguments": text})
        call = {"index": self._tools[key], "function": {"arguments": text}}
        return self._take({"tool_calls": [call]})

    def finish(self, reason: FinishReason, **beside: Any) -> Chunk:
        """End the choice."""
        self._whole.tell(beside)
        return self._take({}, finish_reason=reason)

    def usage(self, usage: Usage) -> list[Chunk]:
        """Take the token counts, which a whole answer always carries."""
        if self._context.choice is None:
            self._whole.tell({"usage": usage})
        return []

    def _take(self, delta: dict[str, Any], **more: Any) -> Chunk:
        self._whole.take({"index": self._context.choice or 0, "delta": delta, **more})
        return _TAKEN


_TAKEN = Chunk(b"", True)


def completion(
    context: ResponseContext,
    *,
    id: str,
    model: str,
    message: dict[str, Any],
    finish_reason: FinishReason,
    usage: Usage | None,
) -> bytes:
    """Return the JSON of a whole answer with one choice."""
    index = context.choice or 0
    choice = {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}
    body: dict[str, Any] = {
        "id": id if context.choice is None else context.id,
        "object": "chat.completion",
        "created": context.created,
        "model": model,
        "choices": [choice],
    }
    if usage is not None:
        body["usage"] = usage
    return encode(body)

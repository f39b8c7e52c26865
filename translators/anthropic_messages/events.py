"""The native events and answers, as far as they are read.

https://platform.claude.com/docs/en/build-with-claude/streaming

Everything is optional and unknown types are tolerated: the API's versioning policy allows new
events, blocks and deltas at any time (https://platform.claude.com/docs/en/api/versioning). One
struct stands for all events, because a tagged union would refuse an unknown tag.
"""

from typing import Any, cast

import msgspec

from translators.errors import ProviderError
from translators.json import UNREADABLE, encode

__all__ = [
    "Block",
    "Delta",
    "ErrorDetail",
    "Event",
    "Message",
    "OutputDetails",
    "StopDetails",
    "UsageCounts",
    "decode_event",
    "decode_message",
]


class OutputDetails(msgspec.Struct):
    """Parts of `output_tokens`."""

    thinking_tokens: int | None = None


class UsageCounts(msgspec.Struct):
    """Token counts; those of a `message_delta` are totals so far, not increments."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None
    speed: str | None = None
    iterations: list["UsageCounts"] | None = None


class Block(msgspec.Struct):
    """A content block, whole or as it begins."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    citations: list[dict[str, Any]] | None = None


class StopDetails(msgspec.Struct):
    """Why a refusal was given."""

    explanation: str | None = None


class Delta(msgspec.Struct):
    """What a block or the message grows by."""

    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class ErrorDetail(msgspec.Struct):
    """An error: its type, what it says, and the code that is in its details."""

    type: str | None = None
    message: str | None = None
    details: msgspec.Raw = msgspec.Raw()


class Message(msgspec.Struct):
    """An answer, whole or as it begins; or an error in its place."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: UsageCounts | None = None
    error: ErrorDetail | None = None
    request_id: str | None = None


class Event(msgspec.Struct):
    """One event of a stream."""

    type: str | None = None
    index: int | None = None
    delta: Delta | None = None
    content_block: Block | None = None
    message: Message | None = None
    usage: UsageCounts | None = None
    error: ErrorDetail | None = None
    request_id: str | None = None


_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)
_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_DELTAS = frozenset(
    {
        *("text_delta", "thinking_delta", "signature_delta", "input_json_delta"),
        "citations_delta",
    }
)

_event_decoder = msgspec.json.Decoder(Event)


def decode_event(data: bytes) -> Event:
    """Read one event.

    Raises:
        ProviderError: It is not JSON, or an event of a known type is not what it should be.
    """
    try:
        return _event_decoder.decode(data)
    except msgspec.ValidationError as error:
        if (event := _unknown(data)) is not None:
            return event
        raise _malformed(f"an event with an unexpected field: {error}") from None
    except UNREADABLE:
        raise _malformed("an event that is not JSON") from None


def decode_message(data: bytes) -> Message:
    """Read a whole answer.

    A block of unknown type whose fields clash with those of known types is left empty.

    Raises:
        ProviderError: It is not a message.
    """
    try:
        return msgspec.json.decode(data, type=Message)
    except msgspec.ValidationError as error:
        reason = str(error)
    except UNREADABLE:
        raise _malformed("an answer that is not JSON") from None
    try:
        value = msgspec.json.decode(data)
        for block in value["content"]:
            if block["type"] not in _BLOCKS:
                kind = block["type"]
                block.clear()
                block["type"] = kind
        # Not `convert`: a `Raw` field is only made from bytes.
        return msgspec.json.decode(encode(value), type=Message)
    except (*UNREADABLE, TypeError, KeyError, AttributeError):
        raise _malformed(f"an answer with an unexpected field: {reason}") from None


def _unknown(data: bytes) -> Event | None:
    """Return an event without contents if it is of a type, or about a type, that is unknown."""
    try:
        value: Any = msgspec.json.decode(data)
    except UNREADABLE:
        return None
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    kind, index = fields.get("type"), fields.get("index")
    if not isinstance(kind, str):
        return None
    if kind not in _EVENTS:
        return Event(type=kind)
    if not isinstance(index, int):
        return None
    if kind == "content_block_start" and _type(fields.get("content_block")) not in _BLOCKS:
        block = Block(type=_type(fields.get("content_block")))
        return Event(type=kind, index=index, content_block=block)
    if kind == "content_block_delta" and _type(fields.get("delta")) not in _DELTAS:
        return Event(type=kind, index=index, delta=Delta(type=_type(fields.get("delta"))))
    return None


def _type(value: Any) -> str:
    kind = cast("dict[str, Any]", value).get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


def _malformed(what: str) -> ProviderError:
    return ProviderError(f"The provider sent {what}.", kind="protocol")

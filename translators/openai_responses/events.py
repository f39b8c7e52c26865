"""The native answers and events, as far as they are read.

`response.py` and `response_stream_event.py` of openai 3.54. Everything is optional, and events,
items and parts that are not known are skipped, whatever they hold: what differs between their
kinds is read only once the kind is known.
"""

from collections.abc import Container
from typing import Any, TypeVar

import msgspec

from translators.json import UNREADABLE
from translators.openai_responses.errors import broken

__all__ = [
    "Annotation",
    "Call",
    "Event",
    "Logprob",
    "MessageItem",
    "Part",
    "ReasoningItem",
    "Response",
    "UsageCounts",
    "decode_as",
    "decode_event",
    "kind_of",
]


class Event(msgspec.Struct):
    """An event of any type; of the types that are not read, no field may be set."""

    type: str | None = None
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    logprobs: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    part: msgspec.Raw = msgspec.Raw()
    annotation: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    # An error's fields stand in the event itself, or in an object as in other error answers.
    error: Any = None
    code: Any = None
    message: Any = None
    param: Any = None


class TopLogprob(msgspec.Struct):
    """A likely token at one place."""

    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None


class Logprob(TopLogprob):
    """A token, and the likeliest ones at its place."""

    top_logprobs: list[TopLogprob] | None = None


class Annotation(msgspec.Struct):
    """A source: where in the part it counts, in characters."""

    type: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    title: str | None = None
    url: str | None = None


class Part(msgspec.Struct):
    """A part of a message, of a reasoning item or of its summary."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    logprobs: list[Logprob] | None = None


class MessageItem(msgspec.Struct):
    """What the model says."""

    content: list[msgspec.Raw] | None = None


class ReasoningItem(msgspec.Struct):
    """What the model thought, in a summary and encrypted."""

    id: str | None = None
    summary: list[Part] | None = None
    content: list[Part] | None = None
    encrypted_content: str | None = None


class Call(msgspec.Struct):
    """A call of a function or of a custom tool of the client's."""

    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class IncompleteDetails(msgspec.Struct):
    """Why an answer is not whole."""

    reason: str | None = None


class InputDetails(msgspec.Struct):
    """Parts of the input tokens."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """Parts of the output tokens."""

    reasoning_tokens: int | None = None


class UsageCounts(msgspec.Struct):
    """Token counts."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Response(msgspec.Struct):
    """A whole answer, or what is known of it in the event that begins or ends it."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None
    incomplete_details: IncompleteDetails | None = None
    moderation: Any = None


class _Kind(msgspec.Struct):
    type: str | None = None


_decode_event = msgspec.json.Decoder(Event).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode

_T = TypeVar("_T")


def decode_event(data: bytes, name: str, known: Container[str]) -> Event:
    """Read an event.

    Args:
        data: Its JSON.
        name: Its type, where it does not say it.
        known: The types that are read. Of other events it does not matter what they hold.

    Raises:
        ProviderError: It is not JSON, or a field of an event that is read is not what it should be.
    """
    try:
        event = _decode_event(data)
    except msgspec.ValidationError as error:
        if (kind_of(data) or name) in known:
            raise broken(f"an event with an unexpected field: {error}") from None
        return Event()
    except UNREADABLE:
        raise broken("an event that is not JSON") from None
    if event.type is None:
        event.type = name
    return event


def kind_of(data: bytes | msgspec.Raw) -> str | None:
    """Return the `type` of an object, or None where it has none or is none."""
    try:
        return _decode_kind(data).type
    except UNREADABLE:
        return None


def decode_as(kind: type[_T], data: bytes | msgspec.Raw) -> _T:
    """Read an item, a part or an answer.

    Raises:
        ProviderError: It is not JSON, or a field is not what it should be.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise broken(f"a part of an answer with an unexpected field: {error}") from None
    except UNREADABLE:
        raise broken("an answer that is not JSON") from None

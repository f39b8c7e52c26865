"""Server-sent events: bytes in, events out.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

Divergences from a general-purpose line reader, each on purpose:

1. Lines end with LF, CR or CRLF and with nothing else. `str.splitlines` would also split on
   U+2028 and others, which JSON may hold unescaped.
2. Everything stays bytes: a UTF-8 sequence cut by the network is whole again before anything
   decodes it, and the JSON decoder rejects what is not UTF-8.
3. `id` and `retry` are skipped: a chat answer cannot be resumed by them.
4. An event larger than the limit is an error. Without a limit, a server that never ends its
   event would fill our memory.
5. A block without data that is JSON instead of fields is handed over as an event without a name.
   Google's API, and gateways, write an error so in the middle of a stream (google-genai 3.4
   reads it, `_api_client._RawJsonLineBuffer`); skipping it would lose why the stream ends.
"""

import re
from typing import Final

import msgspec

from translators.errors import ProviderError

__all__ = ["MAX_EVENT_SIZE", "ServerSentEvent", "SSEDecoder"]

MAX_EVENT_SIZE = 16 * 1024 * 1024
"""Bytes. The largest event seen in the field is an inline image of about 8 MB in base64."""

_CR: Final = 0x0D
"""A number: to look for bytes in bytes, Python raises a TypeError and drops it before it looks.
That takes 10 µs on a core whose caches are cold; a number, or `find`, does without."""

_ORDINARY: Final = rb"(?:event: (.*+)\n)?data: (.*+)"
"""An event as most are: one line of data, alone or behind the event's name."""

_BLOCK: Final = re.compile(_ORDINARY).fullmatch
_WHOLE: Final = re.compile(_ORDINARY + rb"\n\n").fullmatch


# No named tuple: a chunk often meets such a core, where the constructor of one, which is Python
# code, takes 9 µs; this one takes 2 (`python -m tests.benchmarks.cold`).
class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        event: Its name; empty where the stream gave none.
        data: Its payload: the `data` lines, joined with LF.
    """

    event: bytes
    data: bytes


class SSEDecoder:
    """Incremental decoder; one for each stream."""

    __slots__ = ("_after_cr", "_buffer", "_first", "_max", "_searched")

    def __init__(self, max_event_size: int = MAX_EVENT_SIZE) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._after_cr = False
        self._first = True
        self._max = max_event_size

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes, cut anywhere; return the events they complete.

        Raises:
            ProviderError: An event exceeds the size limit.
        """
        if not self._buffer and not self._after_cr and _CR not in data:
            found = _WHOLE(data)
            if found is not None and len(data) <= self._max:
                # One event and all of it, as most pieces are.
                self._first = False
                return [ServerSentEvent(found[1] or b"", found[2])]
        return self._put_together(data)

    def _put_together(self, data: bytes) -> list[ServerSentEvent]:
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if _CR in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        buffer = self._buffer
        events: list[ServerSentEvent] = []
        if not buffer and data.endswith(b"\n\n") and len(data) <= self._max:
            # Whole events: nothing is to be kept, and nothing to be searched.
            for block in data[:-2].split(b"\n\n"):
                self._parse(block, events)
            return events
        buffer += data
        start = 0
        end = buffer.find(b"\n\n", max(self._searched - 1, 0))
        while end != -1:
            if end - start > self._max:
                raise self._too_large()
            self._parse(bytes(buffer[start:end]), events)
            start = end + 2
            end = buffer.find(b"\n\n", start)
        if start:
            del buffer[:start]
        self._searched = len(buffer)
        # One more than the limit: the last byte may be the first half of the event's end.
        if len(buffer) > self._max + 1:
            raise self._too_large()
        return events

    def end(self) -> list[ServerSentEvent]:
        """Say that the bytes are over; return the last event if only its blank line is missing.

        A line that was cut in the middle is not an event, but bare JSON needs no line end.
        """
        events: list[ServerSentEvent] = []
        block = bytes(self._buffer)
        if block.endswith(b"\n") or _is_json(block):
            self._parse(block, events)
        self._buffer.clear()
        return events

    def _too_large(self) -> ProviderError:
        return ProviderError(
            f"The provider sent an event larger than {self._max} bytes.", kind="protocol"
        )

    def _parse(self, block: bytes, events: list[ServerSentEvent]) -> None:
        if self._first:
            self._first = False
            block = block.removeprefix(b"\xef\xbb\xbf")
        if (found := _BLOCK(block)) is not None:
            events.append(ServerSentEvent(found[1] or b"", found[2]))
            return
        name = b""
        data: list[bytes] = []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if value[:1] == b" ":
                value = value[1:]
            if field == b"data":
                data.append(value)
            elif field == b"event":
                name = value
        if data:
            events.append(ServerSentEvent(name, data[0] if len(data) == 1 else b"\n".join(data)))
        elif _is_json(block):
            events.append(ServerSentEvent(b"", block.strip()))


def _is_json(block: bytes) -> bool:
    """Whether a block looks like a whole JSON object or array; no field's name begins so."""
    text = block.strip()
    return text[:1] + text[-1:] in (b"{}", b"[]")

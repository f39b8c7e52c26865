"""One connection of a client: the limits that uvicorn does not set, and errors in OpenAI's shape.

uvicorn reads the head of a request however large it is and however long it takes: anybody could
fill the memory, or hold a connection for ever, before a key is asked for.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from proxy.answering import Answering
from proxy.config import Settings
from proxy.connection_parts import Event, Flow, Queue
from proxy.disconnect import Departure
from translators.errors import InvalidRequest
from translators.json import encode

__all__ = ["Connection"]

MAX_HEAD = 64 * 1024
"""Bytes of a head, of the trailers behind a body, or of a chunk's extension; and one read more."""

MOST_WAITING = 16
"""Requests that a client may send before their turn. Behind them its connection is not read."""

_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class Connection(HttpToolsProtocol):
    """uvicorn's connection. A head may take as long as a body: `EP_BODY_TIMEOUT`."""

    # With these among uvicorn's 28 in its `__dict__` there would be more than the 30 names that
    # CPython lets instances share: each connection would have a table of its own, of 1.6 KB.
    __slots__ = ("_departure", "_fruitless", "_in_head", "_patience", "_progress", "_timer")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.pipeline = cast("Any", Queue())
        settings: Settings = self.app_state["settings"]
        self._patience = settings.body_timeout
        self._in_head = True
        self._progress = False
        self._fruitless = 0
        self._timer: asyncio.TimerHandle | None = None
        self._departure = Departure(self._read_on)

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait; tell those who serve that their client has left."""
        self._unwatch()
        super().connection_lost(exc)
        # uvicorn leaves its timer, and with it all of this, where the client reset the connection.
        self._unset_keepalive_if_required()
        self._departure.happen()

    def data_received(self, data: bytes) -> None:
        """Take bytes of which the parser must make something, before too many have come."""
        self._progress = False
        super().data_received(data)
        self._fruitless = 0 if self._progress else self._fruitless + len(data)
        if self._fruitless > MAX_HEAD:
            self._refuse(
                InvalidRequest(
                    f"The head of the request is larger than {MAX_HEAD} bytes.",
                    code="request_header_fields_too_large",
                    status=431,
                )
            )
        elif self._in_head and self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._departure.put_into(self.scope)
        self._in_head = self._progress = True

    def on_headers_complete(self) -> None:
        """End a head."""
        super().on_headers_complete()
        # uvicorn lets nobody choose the classes. The request is served once this callback is over.
        self.cycle.__class__ = Answering
        cast("Answering", self.cycle).departure = self._departure
        self.cycle.message_event = cast("Any", Event())
        self._in_head, self._progress = False, True
        self._unwatch()
        if 0 < len(self.pipeline) <= MOST_WAITING:
            # uvicorn reads on when the request before is answered, and would not see its client go.
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        super().on_body(body)
        self._progress = True

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        self._progress = True

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, if there is a place for an answer."""
        if self._is_answering() and self.cycle.response_started:
            self.transport.close()
        else:
            self._answer(InvalidRequest(msg, code="invalid_http"))

    def _read_on(self) -> None:
        # uvicorn pauses behind a large body until somebody asks it for more.
        self.flow.resume_reading()

    def _watch(self) -> None:
        self._timer = self.loop.call_later(self._patience, self._too_slow)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._is_answering():
            # The next request's head is late: this one's answer does not suffer for it.
            self._watch()
            return
        self._refuse(
            InvalidRequest(
                f"The head of the request did not arrive within {self._patience:g} s.",
                code="request_timeout",
                status=408,
            )
        )

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, error: InvalidRequest) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering():
            # In the middle of another answer there is no place for this one.
            self.transport.close()
        else:
            self._answer(error)

    def _answer(self, error: InvalidRequest) -> None:
        body = encode(error.to_wire())
        status = error.status_hint
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

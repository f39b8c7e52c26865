"""One connection: a request out, bytes in, and the answer that they are.

httptools (llhttp, the parser of Node) reads them, strictly: two lengths, or a length beside
chunks, are refused, for such answers are where one of two readers sees another answer in the first.
No task and no timer belongs to a connection: what is not sent yet goes on when the transport can
take more, and who waits for an answer waits on one future.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

import httptools

from proxy.http_client.failures import broken, garbled
from proxy.http_client.giving_up import drop_unsent, has_unsent
from translators.errors import ProviderError

__all__ = ["Connection"]

PIECE: Final = 64 * 1024
"""Bytes of a request's body that are handed to the transport at a time."""

HIGH: Final = 64 * 1024
"""Bytes of an answer that nobody has asked for yet, beyond which no more are read."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of an answer's head with all that is told before it, of trailers, or of a chunk's head."""

MAX_FIELDS: Final = 256
"""Fields of an answer's head and trailers."""

_NO_BODY: Final = frozenset({204, 304})


class _Refused(Exception):
    """Raised inside the parser; the text says what is wrong with an answer."""


class Connection(asyncio.Protocol):
    """A connection to one server; serves one request at a time.

    Args:
        on_lost: Told when the connection is of no use any more, and once more when it is `gone`.

    Attributes:
        status: Of the answer, once its head is there.
        fields: Of its head: names in lower case, values as they came.
        served: How many requests it has had.
        heard: Whether any byte has come since the last request began.
        gone: Whether nothing is left of it.
    """

    __slots__ = (
        *("_ended", "_extra", "_failure", "_fruitless", "_full", "_head_bytes", "_idle", "_keep"),
        *("_loop", "_on_lost", "_parser", "_pieces", "_ready", "_rest", "_size", "_transport"),
        *("_until_close", "_waiter", "_writable", "fields", "gone", "heard", "served", "status"),
    )

    def __init__(self, on_lost: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        # A cycle, which `_lose` breaks.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Both are harmless in answers, and servers written by hand need them (RFC 9112, 2.2).
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._rest: memoryview | None = None
        self._failure: ProviderError | None = None
        self._writable = True
        self._full = False
        self._idle = True
        self.gone = False
        self.served = 0
        self._reset()

    def _reset(self) -> None:
        self.fields: dict[bytes, bytes] = {}
        self.status = 0
        self.heard = False
        self._size = self._fruitless = self._head_bytes = 0
        self._ready = self._ended = self._keep = self._until_close = self._extra = False

    # What a request needs.

    def begin(self, head: bytes, body: bytes | None) -> None:
        """Begin to send a request. Nothing of `body` may change until `release`."""
        transport = self._transport
        self.served += 1
        self._idle = False
        if self.served > 1:
            self._reset()
        if transport is None or transport.is_closing():
            self._fail(broken())
        elif body is None:
            transport.write(head)
        elif len(body) <= PIECE:
            # In one piece: one system call, and one packet where it fits.
            transport.write(head + body)
        else:
            transport.write(head)
            self._rest = memoryview(body)
            self._send_more()

    async def answered(self) -> None:
        """Wait for the head of the answer.

        Raises:
            ProviderError: The connection broke, or what came is no answer.
        """
        while not self._ready:
            if self._failure is not None:
                raise self._failure
            await self._news()

    async def piece(self) -> bytes:
        """Return what has come of the body since the last call; empty at its end.

        Raises:
            ProviderError: The connection broke before the body's end, or was given up.
        """
        pieces = self._pieces
        while not pieces:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            # What `_news` does, here: its coroutine would be 230 bytes of an open stream.
            waiter = self._waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        found = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._size = 0
        if self._full:
            self._read_on()
        return found

    @property
    def complete(self) -> bool:
        """Whether all of the body has come and been read."""
        return self._ended and not self._pieces

    def release(self) -> bool:
        """End a request; return whether the connection is free for another. Else it is closed."""
        transport = self._transport
        if (
            transport is None
            or not (self._ended and self._keep)
            or self._extra
            or self._rest is not None
            or self._failure is not None
            # Who is about to read on would read the next request's answer.
            or self._waiter is not None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            self.give_up()
            return False
        self._pieces.clear()
        self._idle = True
        if self._full:
            # Or its end would not be seen.
            self._read_on()
        return True

    def give_up(self) -> None:
        """Close the connection at once, with what was not sent; whoever waits gets an error."""
        transport = self._transport
        unsent = self._rest is not None
        cause = ConnectionAbortedError("it was given up")
        if self._pieces:
            # Who reads on must not take this for the end.
            self._pieces.clear()
            self._fail(broken(cause))
        self._lose(cause)
        if transport is None:
            return
        if unsent or (not transport.is_closing() and has_unsent(transport)):
            drop_unsent(transport)
            transport.abort()
        elif transport.get_extra_info("ssl_object") is not None:
            # A polite end of TLS waits for the other side's.
            transport.abort()
        else:
            transport.close()

    async def _news(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _read_on(self) -> None:
        self._full = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, error: ProviderError) -> None:
        if self._failure is None:
            self._failure = error
        self._wake()

    def _lose(self, cause: BaseException | None) -> None:
        """Take note that nothing more will come."""
        if not self._idle and not self._ended:
            if self._until_close and self._ready and cause is None:
                self._ended = True
            else:
                self._fail(broken(cause))
        self._keep = False
        self._transport = self._parser = self._rest = None
        self._wake()
        self._on_lost(self)

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer."""
        parser = self._parser
        if parser is None:
            return
        if self._idle:
            # Nobody has asked. It would be taken for the next request's answer.
            self.give_up()
            return
        self.heard = True
        size, ready = self._size, self._ready
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._not_understood(error)
            return
        if self._size == size and self._ready == ready and not self._ended:
            # Or a head, a trailer or a chunk's head could fill the memory.
            self._fruitless += len(data)
            if self._fruitless > MAX_HEAD:
                self._refuse(garbled(f"its head is larger than {MAX_HEAD} bytes"))
                return
        else:
            self._fruitless = 0
        waiter = self._waiter
        if waiter is not None and self._ready and not waiter.done():
            waiter.set_result(None)
        if self._size > HIGH and not self._full and self._transport is not None:
            self._full = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Take note that no more will come; the transport closes itself."""
        transport = self._transport
        unsent = self._rest is not None
        self._lose(None)
        if transport is not None and (unsent or transport.get_write_buffer_size()):
            # It would wait until all is sent, to somebody who has stopped to listen.
            drop_unsent(transport)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection is gone."""
        self.gone = True
        self._lose(exc)

    def pause_writing(self) -> None:
        """Send no more for now."""
        self._writable = False

    def resume_writing(self) -> None:
        """Send more."""
        self._writable = True
        self._send_more()

    def _send_more(self) -> None:
        """Hand on what is left of a large body, as far as the transport takes it."""
        rest, transport = self._rest, self._transport
        if rest is None or transport is None:
            return
        # Writing may call `pause_writing`.
        while rest and self._writable and not transport.is_closing():
            transport.write(rest[:PIECE])
            rest = rest[PIECE:]
        self._rest = rest if len(rest) else None

    def _not_understood(self, error: Exception) -> None:
        if self._ended:
            # The answer is whole; what came behind it is nobody's.
            self._extra = True
            self._wake()
            return
        refused = error.__context__
        why = str(refused) if isinstance(refused, _Refused) else str(error)
        self._refuse(garbled(why, error))

    def _refuse(self, error: ProviderError) -> None:
        self._fail(error)
        self.give_up()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Begin a head: a second one is another answer, for which nobody has asked."""
        self._extra = self._ended

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head, or of the trailers, which are not kept."""
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEAD:
            raise _Refused(f"its head is larger than {MAX_HEAD} bytes")
        if self._ready:
            return
        fields = self.fields
        name = name.lower()
        if (before := fields.get(name)) is not None:
            value = before + b", " + value
        elif len(fields) >= MAX_FIELDS:
            raise _Refused(f"its head has more than {MAX_FIELDS} fields")
        fields[name] = value

    def on_headers_complete(self) -> None:
        """End a head."""
        parser, fields = self._parser, self.fields
        if parser is None or self._ended:
            return
        status = parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise _Refused(f"its status is {status}")
            # It informs of what will come; its fields count for the limit.
            fields.clear()
            return
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            raise _Refused("it has a transfer encoding other than chunked")
        # Here and no later: once the message is over the parser says no.
        # HTTP/1.0 knows no chunks: who forwards such an answer may see its end elsewhere (RFC 9112,
        # 6.1).
        self._keep = parser.should_keep_alive() and (
            coding is None or parser.get_http_version() != "1.0"
        )
        self._until_close = not (
            coding is not None or b"content-length" in fields or status in _NO_BODY
        )
        self.status = status
        self._ready = True

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._ended:
            self._pieces.append(body)
            self._size += len(body)

    def on_message_complete(self) -> None:
        """End the body; that of an answer that only informs is none."""
        self._ended = self._ready

"""The other server processes of one `--workers N`: a request's record is with one of them.

Each listens on a socket in the folder that they share, which this user alone can enter; who does
not know a request asks all others. One connection is one question: a line of JSON. The answer is
the size of the record and a line feed, then the record; nothing of it where it is not known. Whose
a record is, the one that holds it checks.
"""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import msgspec

from translators.errors import ExecutionPlatformError
from translators.json import UNREADABLE, encode

__all__ = ["Siblings", "SiblingsSilent"]

SECONDS: Final = 1.0
"""How long a question may take."""

LONGEST_QUESTION: Final = 4096
LARGEST_RECORD: Final = 16 * 1024 * 1024

MOST_AT_ONCE: Final = 16
"""Questions under way; more of them wait. Each takes a descriptor for each sibling."""

log = logging.getLogger("execution_platform")

Find = Callable[[str, str], bytes | None]


class SiblingsSilent(ExecutionPlatformError):
    """None that answered knows the request, and one did not answer."""

    type = "service_unavailable_error"
    status_hint = 503
    code = "decision_unavailable"
    retry_after = 1.0

    def __init__(self) -> None:
        super().__init__(
            f"A process of this server did not say within {SECONDS:g} s whether it knows the "
            "request. Ask again."
        )


class _Question(msgspec.Struct):
    tenant: str
    request_id: str


class Siblings:
    """Answers the others from its start to its end, and asks them.

    Args:
        folder: That all of them share.
        find: Returns the record of a tenant's request, if this process has it.
    """

    def __init__(self, folder: Path, find: Find) -> None:
        self._folder = folder
        self._find = find
        self._path = folder / f"decisions-{uuid.uuid4().hex[:12]}.sock"
        self._server: asyncio.Server | None = None
        self._asked: set[asyncio.Transport] = set()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def start(self) -> None:
        """Begin to answer. A folder that takes no socket is said in the log, and stops nobody."""
        try:
            listener = _listener(self._path)
        except OSError as error:
            log.warning(
                "The server processes cannot ask each other for the records of requests: no socket "
                "in %s (%s). Each knows its own; TMPDIR names another place.",
                self._folder,
                error.strerror or error,
            )
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._answering, sock=listener)

    async def aclose(self) -> None:
        """Stop to answer."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for transport in list(self._asked):
            transport.abort()

    async def ask(self, tenant: str, request_id: str) -> bytes | None:
        """Return the record that another process has; None where none has it.

        Raises:
            SiblingsSilent: None that answered has it, and one did not answer in time.
        """
        question = encode(_Question(tenant, request_id)) + b"\n"
        async with self._places:
            asked = [asyncio.create_task(_ask(path, question)) for path in self._others()]
            try:
                return await _first(asked)
            finally:
                for task in asked:
                    task.cancel()

    def _others(self) -> list[Path]:
        return [path for path in self._folder.glob("decisions-*.sock") if path != self._path]

    def _answering(self) -> "_Answering":
        return _Answering(self._find, self._asked)


def _listener(path: Path) -> socket.socket:
    """Return a socket that listens, under its name only from then on.

    Whoever finds one that refuses takes it for that of a process that is gone, and removes it.
    """
    starting = path.with_suffix(".starting")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.bind(os.fspath(starting))
        listener.listen(64)
        starting.rename(path)
    except OSError:
        listener.close()
        raise
    return listener


async def _first(asked: list[asyncio.Task[bytes | None]]) -> bytes | None:
    silent = False
    for answer in asyncio.as_completed(asked):
        try:
            if (data := await answer) is not None:
                return data
        except SiblingsSilent:
            silent = True
    if silent:
        raise SiblingsSilent
    return None


async def _ask(path: Path, question: bytes) -> bytes | None:
    try:
        async with asyncio.timeout(SECONDS):
            return await _exchanged(path, question)
    except (ConnectionRefusedError, FileNotFoundError):
        _remove(path)
        return None
    except (OSError, ValueError, asyncio.IncompleteReadError):
        raise SiblingsSilent from None


def _remove(path: Path) -> None:
    """Remove the socket of a process that is gone, and could not do it itself."""
    path.unlink(missing_ok=True)


async def _exchanged(path: Path, question: bytes) -> bytes | None:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(question)
        size = await reader.readline()
        if not size:
            return None
        if not 0 < int(size) <= LARGEST_RECORD:
            raise ValueError
        return await reader.readexactly(int(size))
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


class _Answering(asyncio.Protocol):
    """One connection of a sibling that asks."""

    def __init__(self, find: Find, asked: set[asyncio.Transport]) -> None:
        self._find = find
        self._asked = asked
        self._question = b""
        self._transport: asyncio.Transport
        self._patience: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the question."""
        self._transport = cast("asyncio.Transport", transport)
        self._asked.add(self._transport)
        self._patience = asyncio.get_running_loop().call_later(SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take a part of the question; answer once it is there."""
        self._question += data
        line, end, _ = self._question.partition(b"\n")
        if end and not self._transport.is_closing():
            self._answer(line)
        elif len(self._question) > LONGEST_QUESTION:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._patience.cancel()
        self._asked.discard(self._transport)

    def _answer(self, line: bytes) -> None:
        try:
            question = msgspec.json.decode(line, type=_Question)
        except UNREADABLE:
            self._transport.abort()
            return
        data = self._find(question.tenant, question.request_id)
        if data is not None:
            self._transport.write(b"%d\n" % len(data) + data)
        self._transport.close()

"""One line in the log for each request: where it went, why, and what came of it.

It is made from the request's record (`proxy.decisions.record`), and so holds no content and no key.
The headers of a streamed answer hold what was known when it began; this line, like the span, holds
the final values.
"""

import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from proxy.decisions.document import CallRecord, CandidateRecord, DecisionRecord, ErrorRecord
from proxy.logs.lines import LogFormat, as_ascii, clock, json_line, printable
from translators.json import encode
from translators.wire.response import Usage

__all__ = ["DecisionLog", "Line", "LineWriter"]

MOST_WAITING = 10_000
"""Lines that wait for a reader of the log that does not read."""

GATHERED = 0.005
"""Seconds in which lines are gathered, from the first on. Each time the thread takes the GIL from
the one that serves, and back."""

# Windows, which has no such limit, lacks the name; 512 is the least that POSIX lets it be.
_ONE_PIECE_OF_A_PIPE: int = getattr(select, "PIPE_BUF", 512)
_ONE_PIECE_OF_A_FILE = 64 * 1024

MOST_IN_A_LINE = 10
LONGEST_PATH = 80
"""Parameters of a client's that a line names, and their characters."""


class LineWriter:
    """Writes lines to a file descriptor from a thread of its own.

    The thread is woken once for all lines of a moment, and writes several at a time: to wake it
    for each and to let it have the GIL twice cost a busy server more than to make the line.

    Whoever reads the log may stall: requests do not wait for it. Lines that find no place any
    more are dropped, and their number is told when there is place again.

    Args:
        descriptor: To write to.
        log_format: In which that number is told.
    """

    def __init__(self, descriptor: int, log_format: LogFormat = "json") -> None:
        self._descriptor = descriptor
        self._most = _ONE_PIECE_OF_A_FILE if _is_file(descriptor) else _ONE_PIECE_OF_A_PIPE
        self._format: LogFormat = log_format
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take a line, with its line feed; never waits."""
        lines = self._lines
        if self._dropped and len(lines) < MOST_WAITING:
            lines.append(_dropped(self._dropped, self._format))
            self._dropped = 0
        if len(lines) >= MOST_WAITING:
            self._dropped += 1
            return
        lines.append(line)
        if not self._wake.is_set():
            self._wake.set()
        if self._closed and not self._thread.is_alive():
            # A server that is forced to its end closes this before its last requests are over.
            self._write_all()

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most some seconds."""
        self._closed = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            if not self._closed:
                time.sleep(GATHERED)
            # Before the lines are taken: one that comes from now on wakes the thread again.
            self._wake.clear()
            self._write_all()
        # What came while the last ones were written.
        self._write_all()

    def _write_all(self) -> None:
        while piece := self._next_piece():
            # A log that nobody can write to any more is no reason to stop serving.
            with suppress(OSError):
                left = memoryview(piece)
                while left:
                    left = left[self._written(left) :]

    def _written(self, piece: memoryview) -> int:
        """Write some of a piece; return how much. Wait for place where nothing else does."""
        while True:
            try:
                return os.write(self._descriptor, piece)
            except BlockingIOError:
                select.select((), (self._descriptor,), ())

    def _next_piece(self) -> bytes:
        """Return what is written at once: whole lines, of which nothing mixes with others' ones.

        Several workers write into one pipe, which takes so much in one piece; a longer line goes
        alone, as it must.
        """
        lines, size = self._lines, 0
        piece: list[bytes] = []
        while lines and (not piece or size + len(lines[0]) <= self._most):
            line = lines.popleft()
            piece.append(line)
            size += len(line)
        return b"".join(piece)


def _is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


class DecisionLog:
    """Writes the lines.

    Args:
        write: Takes one line of bytes, with its line feed; None for no log.
        log_format: Of the lines.
    """

    def __init__(
        self, write: Callable[[bytes], object] | None, log_format: LogFormat = "json"
    ) -> None:
        self._write = write
        self._line = _json if log_format == "json" else _text

    @property
    def is_on(self) -> bool:
        """Whether anybody reads it."""
        return self._write is not None

    def write(self, record: DecisionRecord) -> None:
        """Write the line of a request that is over."""
        if self._write is not None:
            self._write(self._line(record))


class _Rejected(msgspec.Struct, frozen=True, gc=False):
    provider: str
    reason: str | UnsetType
    missing: tuple[str, ...] | UnsetType
    detail: str | UnsetType


class _Told(msgspec.Struct, frozen=True, gc=False):
    kind: str
    code: str | None
    param: str | None


class _Tried(msgspec.Struct, frozen=True, gc=False):
    provider: str
    model: str
    reason: str
    ms: float
    status: int | UnsetType
    error: str | UnsetType


class Line(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The keys of a line, in their order; those that do not apply are left out.

    `proxy/decisions/README.md` lists them. None is what has no key, but where the default is UNSET:
    there it is told as null.
    """

    time: float
    event: Literal["request"]
    request_id: str
    model: str | None = None
    key: str | None = None
    policy: int | None = None
    status: int | None
    end: str | None = None
    stream: bool | None = None
    attempts: int | None = None
    ms: float | None = None
    overhead_ms: float | None = None
    trace_id: str | None = None
    reason: str | None = None
    rejected: list[_Rejected] | None = None
    tried: list[_Tried] | None = None
    provider: str | None = None
    provider_model: str | None = None
    ignored: Sequence[str] | None = None
    emulated: Sequence[str] | None = None
    cache: str | None = None
    cache_age: float | None = None
    cache_why_not: str | None = None
    answered_by: str | None | UnsetType = UNSET
    finish_reason: str | None | UnsetType = UNSET
    usage: Usage | None | UnsetType = UNSET
    cost_usd: float | None = None
    error: _Told | None = None


def _json(record: DecisionRecord) -> bytes:
    timings, cache, calls = record.timings, record.cache, record.attempts
    outcome = (record.answered_by, record.finish_reason, record.usage) != (None, None, None)
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    line = Line(
        time=_now(),
        event="request",
        request_id=record.request_id,
        model=record.persona,
        key=record.key,
        policy=record.policy_generation,
        status=record.status,
        end=record.end_reason,
        stream=record.stream,
        attempts=None if timings is None else len(calls),
        ms=None if timings is None else timings.total_ms,
        overhead_ms=None if timings is None else timings.overhead_ms,
        trace_id=record.trace_id,
        reason=record.reason,
        rejected=None if record.reason is None else _rejected(record),
        tried=[_tried(call) for call in calls] if len(calls) > 1 else None,
        provider=record.provider,
        provider_model=record.model,
        ignored=_few(record.ignored) if record.ignored else None,
        emulated=_few(record.emulated) if record.emulated else None,
        cache=None if cache is None else cache.word,
        cache_age=None if cache is None else cache.age,
        cache_why_not=None if cache is None else cache.why_not,
        answered_by=record.answered_by if outcome else UNSET,
        finish_reason=record.finish_reason if outcome else UNSET,
        usage=record.usage if outcome else UNSET,
        cost_usd=sum(costs) if costs else None,
        error=None if record.error is None else _told(record.error),
    )
    return as_ascii(encode(line)) + b"\n"


def _rejected(record: DecisionRecord) -> list[_Rejected]:
    return [
        _Rejected(one.provider, one.reason, one.missing, _why(one))
        for one in record.candidates
        if one.verdict == "rejected"
    ]


def _why(candidate: CandidateRecord) -> str | UnsetType:
    # The other reasons are said by what is missing.
    return candidate.detail if candidate.reason == "gate" else UNSET


def _few(paths: Sequence[str]) -> list[str]:
    """Return the first of them, short, and how many are missing: a pipe mixes more than 4 KiB."""
    few = [path[:LONGEST_PATH] for path in paths[:MOST_IN_A_LINE]]
    more = len(paths) - len(few)
    return [*few, f"… {more} more"] if more else few


def _tried(call: CallRecord) -> _Tried:
    error = UNSET if call.error is None else call.error.type or call.error.kind
    status = UNSET if call.status is None else call.status
    return _Tried(call.provider, call.model, call.reason, call.duration_ms, status, error)


def _told(error: ErrorRecord) -> _Told:
    return _Told(error.kind, error.code, error.param)


def _now() -> float:
    # To the millisecond; `round` would take four times as long.
    return int(time.time() * 1000) / 1000


def _text(record: DecisionRecord) -> bytes:
    said = [clock(time.time()), "INFO", record.request_id]
    if record.persona is not None:
        where = "nobody" if record.provider is None else f"{record.provider}/{record.model}"
        said.append(f"{record.persona} → {where}")
    said.append("-" if record.status is None else str(record.status))
    if record.end_reason is not None:
        said.append(record.end_reason)
    if record.error is not None:
        said.append(record.error.type or record.error.code or record.error.kind)
    if record.timings is not None:
        calls = len(record.attempts)
        said.append(f"{record.timings.total_ms:.0f} ms")
        said.append("1 attempt" if calls == 1 else f"{calls} attempts")
    if record.usage is not None:
        said.append(f"{record.usage.prompt_tokens}+{record.usage.completion_tokens} tokens")
    if record.cache is not None and record.cache.age is not None:
        said.append("kept answer")
    if record.trace_id is not None:
        said.append(f"trace={record.trace_id}")
    return printable(" ".join(said)).encode() + b"\n"


def _dropped(lines: int, log_format: LogFormat) -> bytes:
    if log_format == "text":
        said = f"{clock(time.time())} WARNING {lines} lines of requests were dropped: nobody read"
        return said.encode() + b"\n"
    what = {"time": _now(), "event": "dropped", "decision_log_lines_dropped": lines}
    return json_line(what)

"""One line of JSON for each request: where it went, why, and what came of it.

It holds no content and no key. The headers of a streamed answer hold what was known when it
began; this line, like the span, holds the final values.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from proxy.exchange import Exchange
from translators.errors import ExecutionPlatformError, ProviderError
from translators.json import encode

__all__ = ["DecisionLog", "LineWriter"]

LONGEST_NAME = 200
"""Characters of a name that a client made up."""

MOST_PATHS = 50
"""Ignored or emulated parameters in a line."""

MOST_WAITING = 10_000
"""Lines that wait for a reader of the log that does not read."""


class LineWriter:
    """Writes lines to a file descriptor from a thread of its own.

    Whoever reads the log may stall: requests do not wait for it. Lines that find no place any
    more are dropped, and their number is told when there is place again.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="decision-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take a line, with its line feed."""
        try:
            if self._dropped:
                self._lines.put_nowait(b'{"decision_log_lines_dropped":%d}\n' % self._dropped)
                self._dropped = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for at most some seconds."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            # One write a line: those of several workers on one pipe do not mix. A log that
            # nobody can write to any more is no reason to stop serving.
            with suppress(OSError):
                os.write(self._descriptor, line)


class DecisionLog:
    """Writes the lines.

    Args:
        write: Takes one line of bytes, with its line feed; None for no log.
    """

    def __init__(self, write: Callable[[bytes], object] | None) -> None:
        self._write = write

    def write(self, exchange: Exchange, *, status: int | None, trace_id: str | None) -> None:
        """Write the line of a request that is over."""
        if self._write is None:
            return
        line: dict[str, Any] = {
            "time": round(time.time(), 3),
            "request_id": exchange.request_id,
            "model": exchange.model[:LONGEST_NAME],
            "key": exchange.caller.name,
            "policy": exchange.generation,
            "status": status,
            "end": exchange.end_reason,
            "stream": exchange.stream,
            "attempts": exchange.attempts,
            "ms": round((time.perf_counter() - exchange.started) * 1000, 1),
            "overhead_ms": round(exchange.overhead_ms, 2),
        }
        if trace_id is not None:
            line["trace_id"] = trace_id
        _add_route(line, exchange)
        _add_answer(line, exchange)
        self._write(encode(line) + b"\n")

    def refusal(
        self, request_id: str, *, status: int | None, error: ExecutionPlatformError
    ) -> None:
        """Write the line of a request that was refused before it was read."""
        if self._write is not None:
            line: dict[str, Any] = {
                "time": round(time.time(), 3),
                "request_id": request_id,
                "status": status,
                "error": _told(error),
            }
            self._write(encode(line) + b"\n")


def _told(error: ExecutionPlatformError) -> dict[str, Any]:
    kind = error.kind if isinstance(error, ProviderError) else type(error).__name__
    param = error.param[:LONGEST_NAME] if error.param else None
    return {"kind": kind, "code": error.code, "param": param}


def _add_route(line: dict[str, Any], exchange: Exchange) -> None:
    if exchange.decision is not None:
        line["reason"] = exchange.decision.reason
        line["rejected"] = [
            _held_back(r.provider, r.detail)
            if r.reason == "gate"
            else {"provider": r.provider, "reason": r.reason, "missing": list(r.missing)}
            for r in exchange.decision.rejected
        ]
        line["rejected"] += [
            {"provider": provider, "reason": "translation", "missing": [param[:LONGEST_NAME]]}
            for provider, param in exchange.untranslatable
        ]
        line["rejected"] += [_held_back(*passed_over) for passed_over in exchange.held_back]
    if exchange.target is not None:
        line["provider"] = exchange.target.provider
        line["provider_model"] = exchange.target.model
    if exchange.report.ignored:
        line["ignored"] = _bounded(exchange.report.ignored)
    if exchange.report.emulated:
        line["emulated"] = _bounded(exchange.report.emulated)


def _held_back(provider: str, detail: str) -> dict[str, Any]:
    return {"provider": provider, "reason": "gate", "missing": [], "detail": detail}


def _bounded(paths: Sequence[str]) -> list[str]:
    """Return paths of the client's making, not too many and none too long."""
    return [path[:LONGEST_NAME] for path in paths[:MOST_PATHS]]


def _add_answer(line: dict[str, Any], exchange: Exchange) -> None:
    if exchange.cache is not None:
        line["cache"] = exchange.cache.word
        if exchange.cache.age is not None:
            line["cache_age"] = round(exchange.cache.age, 1)
        if exchange.cache.why_not is not None:
            line["cache_why_not"] = exchange.cache.why_not
    if exchange.outcome is not None:
        line["answered_by"] = exchange.outcome.model
        line["finish_reason"] = exchange.outcome.finish_reason
        line["usage"] = exchange.outcome.usage
    if exchange.error is not None:
        line["error"] = _told(exchange.error)

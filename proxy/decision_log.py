"""One line of JSON for each request: where it went, why, and what came of it.

It holds no content and no key. The headers of a streamed answer hold what was known when it
began; this line, like the span, holds the final values.
"""

import time
from collections.abc import Callable
from typing import Any

from proxy.exchange import Exchange
from translators.errors import ProviderError
from translators.json import encode

__all__ = ["DecisionLog"]


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
            "model": exchange.model,
            "key": exchange.caller.name,
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


def _add_route(line: dict[str, Any], exchange: Exchange) -> None:
    if exchange.decision is not None:
        line["reason"] = exchange.decision.reason
        line["rejected"] = [
            {"provider": r.provider, "reason": r.reason, "missing": list(r.missing)}
            for r in exchange.decision.rejected
        ]
    if exchange.target is not None:
        line["provider"] = exchange.target.provider
        line["provider_model"] = exchange.target.model
    if exchange.report.ignored:
        line["ignored"] = list(exchange.report.ignored)
    if exchange.report.emulated:
        line["emulated"] = list(exchange.report.emulated)


def _add_answer(line: dict[str, Any], exchange: Exchange) -> None:
    if exchange.outcome is not None:
        line["answered_by"] = exchange.outcome.model
        line["finish_reason"] = exchange.outcome.finish_reason
        line["usage"] = exchange.outcome.usage
    error = exchange.error
    if error is not None:
        kind = error.kind if isinstance(error, ProviderError) else type(error).__name__
        line["error"] = {"kind": kind, "code": error.code, "param": error.param}

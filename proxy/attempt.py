"""One attempt: one call of one provider, its time limits, and what becomes of it."""

import asyncio
import builtins
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from policy.schema import ProviderRow, Target
from proxy.call import Call
from proxy.exchange import Exchange
from proxy.telemetry.spans import AttemptEnd, AttemptStart
from translators.errors import ProviderError, TimeoutError
from translators.fidelity import Report
from translators.protocol import Outcome
from translators.wire.request import ChatCompletionRequest

__all__ = ["Attempt", "TimeLimit"]

TRACED = (
    *("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "n"),
    *("max_tokens", "max_completion_tokens", "reasoning_effort"),
)
"""Request parameters that a span may show: none of them holds what the client said."""


class Attempt:
    """Starts when it is made; `end` may be called more than once, the first call counts."""

    __slots__ = ("_ended", "_span", "_started", "call", "exchange", "outcome", "target")

    def __init__(
        self,
        exchange: Exchange,
        target: Target,
        *,
        row: ProviderRow,
        report: Report,
        reason: str,
    ) -> None:
        exchange.attempts += 1
        exchange.target = target
        exchange.report = report
        exchange.outcome = None
        self.exchange = exchange
        self._ended = False
        self._started = time.perf_counter()
        self.target = target
        self.outcome: Outcome | None = None
        self._span = exchange.span.attempt(
            AttemptStart(
                provider=target.provider,
                dialect=row.dialect,
                model=target.model,
                base_url=row.base_url,
                number=exchange.attempts,
                reason=reason,
                stream=exchange.stream,
                parameters=_traced(exchange.request),
                report=report,
                trace_context=row.trace_context,
            )
        )
        self.call = Call(carrier=self._span.carrier)

    def opened(self, outcome: Outcome) -> None:
        """Say that an answer is coming; `outcome` is kept up to date by its translator."""
        self.outcome = self.exchange.outcome = outcome

    def begun(self) -> None:
        """Say that the commit point is reached."""
        self._wait_is_over()
        self.exchange.committed = time.perf_counter()
        self._span.first_chunk(self.exchange.committed - self._started)
        # Nobody needs the request any more: it may be large, and the answer long.
        self.exchange.chat = None

    def failed(self, error: BaseException) -> None:
        """Say that the attempt is over because of `error`."""
        if isinstance(error, ProviderError):
            self.end("upstream_error", error)
        elif isinstance(error, Exception):
            self.end("internal_error")
        else:
            self.abandoned()

    def abandoned(self) -> None:
        """Say that nobody waits for the rest. Whoever cancels knows why, and said so before."""
        self.end(self.exchange.cancelled_because)

    def end(self, end_reason: str = "completed", error: ProviderError | None = None) -> None:
        """Say that the attempt is over."""
        if self._ended:
            return
        self._ended = True
        exchange = self.exchange
        if exchange.committed is None:
            self._wait_is_over()
        exchange.end_reason = end_reason
        self._span.end(
            AttemptEnd(
                call=self.call,
                outcome=self.outcome,
                end_reason=end_reason,
                error=error,
                chunks=exchange.chunks,
            )
        )

    def _wait_is_over(self) -> None:
        self.exchange.waited += time.perf_counter() - self._started


def _traced(chat: ChatCompletionRequest) -> Mapping[str, Any]:
    names = chat.model_fields_set.intersection(TRACED)
    return {name: getattr(chat, name) for name in names}


class TimeLimit:
    """Limits an `async with` block to some seconds.

    Leaving raises our `TimeoutError` where it took longer; `phase` says which limit it was.
    """

    __slots__ = ("_phase", "_scope", "_seconds")

    def __init__(self, phase: str, seconds: float) -> None:
        self._phase = phase
        self._seconds = seconds
        self._scope = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._scope.__aexit__(kind, error, trace)
        except builtins.TimeoutError as expired:
            raise TimeoutError(self._phase, self._seconds) from expired

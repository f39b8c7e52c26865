"""One attempt: one call of one provider, its time limit, and what becomes of it."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from policy.prices import cost as cost_of
from policy.schema import ProviderRow, Target
from proxy.call import Call
from proxy.exchange import Exchange
from proxy.live_gates import Entry
from proxy.reasoning_store import NO_REASONING_STORE, ReasoningStore, in_realm
from proxy.telemetry.spans import AttemptEnd, AttemptStart
from proxy.time_limit import TimeLimit
from proxy.trail import AttemptRecord
from translators.errors import (
    ExecutionPlatformError,
    ProviderError,
    TimeoutError,
    TranslationError,
)
from translators.fidelity import Report
from translators.protocol import Outcome

__all__ = ["AnswerLimit", "Attempt"]

TRACED: Final = frozenset(
    {
        *("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop", "n"),
        *("max_tokens", "max_completion_tokens", "reasoning_effort"),
    }
)
"""Request parameters that a span may show: none of them holds what the client said."""

NONE_KEPT: Final[frozenset[str]] = frozenset()
"""One for all: each empty set made anew is 216 bytes."""


class Attempt:
    """Starts when it is made; `end` may be called more than once, the first call counts.

    Attributes:
        call: What goes along with it, and what is learned from it.
        content: Is told what is asked and answered; None: content is not captured.
        entry: Hears how it went, where live gates watch.
        exchange: The request's record.
        outcome: What is known of the answer, once there is one.
        realm: Where the answer is given, as in `realm_of`.
        store: Keeps what the answer leaves for its next turn.
        target: Who is asked.
    """

    __slots__ = (
        *("_began", "_check", "_ended", "_kept", "_reason", "_row", "_span", "_started"),
        *("call", "content", "entry", "exchange", "outcome", "realm", "store", "target"),
    )

    def __init__(
        self,
        exchange: Exchange,
        target: Target,
        *,
        row: ProviderRow,
        report: Report,
        reason: str,
        check: Callable[[Report], None] | None = None,
    ) -> None:
        exchange.attempts += 1
        exchange.target = target
        exchange.report = report
        exchange.outcome = None
        exchange.under_way = self.so_far
        self.exchange = exchange
        self._ended = False
        self._check = check
        self._row = row
        self._reason = reason
        self.store: ReasoningStore = NO_REASONING_STORE
        self.realm = ""
        self._kept = NONE_KEPT
        self._started = time.perf_counter()
        self._began: float | None = None
        self.entry: Entry | None = None
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
                parameters=_traced(exchange),
                report=report,
                trace_context=row.trace_context,
            )
        )
        self.content = self._span.content
        self.call = Call(
            carrier=self._span.carrier,
            on_switch=self._switched,
            traceparent=self._span.traceparent,
            watch=self._span.watch,
        )

    def _switched(self, dialect: str, report: Report) -> None:
        """Take the report of another API of the provider as this attempt's, if it is acceptable."""
        if self._check is not None:
            self._check(report)
        self.exchange.report = report
        self.exchange.span.event(
            "ep.api.switched",
            {"ep.upstream.name": self.target.provider, "ep.upstream.dialect": dialect},
        )

    def opened(self, outcome: Outcome) -> None:
        """Say that an answer is coming; `outcome` is kept up to date by its translator."""
        self.outcome = self.exchange.outcome = outcome

    def begun(self) -> None:
        """Say that the commit point is reached."""
        self._wait_is_over()
        self._began = began = time.perf_counter() - self._started
        self._span.first_chunk(began)
        self.exchange.begun()

    def keep_reasoning(self) -> None:
        """Keep what the calls carry that the answer has so far, for its next turn.

        Called before the client gets a part of the answer: whatever becomes of the rest, a call
        that it knows is a call that we know.
        """
        reasoning = self.outcome.reasoning if self.outcome is not None else {}
        if len(reasoning) == len(self._kept):
            return
        more = {id: extra for id, extra in reasoning.items() if id not in self._kept}
        self.store.remember(self.exchange.caller.tenant, in_realm(more, self.realm))
        self._kept = frozenset(reasoning)

    def failed(self, error: BaseException) -> None:
        """Say that the attempt is over because of `error`."""
        if isinstance(error, ProviderError) and self.call.had_effects:
            error.had_effects = True
        if isinstance(error, ProviderError | TranslationError):
            # A translation can fail here only where the provider refused the first one.
            self.end("upstream_error", error)
        elif isinstance(error, Exception):
            self.end("internal_error")
        else:
            self.abandoned()

    def abandoned(self) -> None:
        """Say that nobody waits for the rest. Whoever cancels knows why, and said so before."""
        self.end(self.exchange.cancelled_because)

    def end(
        self, end_reason: str = "completed", error: ExecutionPlatformError | None = None
    ) -> None:
        """Say that the attempt is over."""
        if self._ended:
            return
        self._ended = True
        exchange = self.exchange
        if exchange.committed is None:
            self._wait_is_over()
        else:
            self.keep_reasoning()
        exchange.end_reason = end_reason
        if self.entry is not None:
            # Who stops to read behind the finish reason has had the whole answer.
            whole = self.outcome is not None and self.outcome.finish_reason is not None
            completed = end_reason == "completed" or (error is None and whole)
            self.entry.end(completed=completed, error=error, seconds=self._began or 0.0)
        cost = self._cost()
        self._span.end(
            AttemptEnd(
                call=self.call,
                outcome=self.outcome,
                end_reason=end_reason,
                error=error,
                chunks=exchange.chunks,
                cost=cost,
            )
        )
        # Both lead back to this attempt, and it to them: a cycle for each request.
        exchange.under_way = self.call.on_switch = None
        exchange.trail.append(self._record(end_reason, error, cost))

    def so_far(self) -> AttemptRecord:
        """Return what is known of it while it is under way; its end reason is empty."""
        return self._record("", None, self._cost())

    def _cost(self) -> float | None:
        """Return what the attempt cost, in US dollars; None where nobody knows."""
        prices = self._row.prices.get(self.target.model)
        usage = None if self.outcome is None else self.outcome.usage
        if prices is not None and usage is not None:
            return cost_of(usage, prices)
        return None if self.call.agent is None else self.call.agent.cost

    def _record(
        self, end_reason: str, error: ExecutionPlatformError | None, cost: float | None
    ) -> AttemptRecord:
        call, outcome, exchange = self.call, self.outcome, self.exchange
        return AttemptRecord(
            number=exchange.attempts,
            reason=self._reason,
            provider=self.target.provider,
            model=self.target.model,
            dialect=call.dialect or self._row.dialect,
            started=self._started,
            first_chunk=self._began,
            seconds=time.perf_counter() - self._started,
            status=call.status,
            request_id=call.request_id,
            follow_ups=call.follow_ups,
            report=exchange.report,
            end_reason=end_reason,
            error=error,
            served_by=outcome.model if outcome else None,
            finish_reason=outcome.finish_reason if outcome else None,
            usage=outcome.usage if outcome else None,
            chunks=exchange.chunks,
            agent=call.agent,
            cost=cost,
        )

    def _wait_is_over(self) -> None:
        self.exchange.waited += time.perf_counter() - self._started


def _traced(exchange: Exchange) -> Mapping[str, Any]:
    chat = exchange.request
    found = {name: value for name, value in exchange.defaults.items() if name in TRACED}
    # Behind the persona's: of two names of one parameter the last counts.
    for name in TRACED & chat.model_fields_set:
        if (value := getattr(chat, name)) is not None:
            found[name] = value
    return found


class AnswerLimit(TimeLimit):
    """Limits the wait for an answer; what it raises says which of its limits it was.

    Args:
        phase: `first_token` or `total`.
        seconds: From entering.
    """

    __slots__ = ("_phase",)

    def __init__(self, phase: str, seconds: float) -> None:
        super().__init__(seconds)
        self._phase = phase

    def error(self) -> TimeoutError:
        """Return the provider's failure."""
        return TimeoutError(self._phase, self._seconds)

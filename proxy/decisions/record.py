"""Makes the record of one request, which is kept, and from which its line in the log is made.

What a client or a provider made up, such as the name of a parameter, is cut.
"""

import time
from collections.abc import Sequence

from policy.decision import Decision, Rejection, Target
from proxy.cache_use import CacheUse
from proxy.decisions.document import (
    CacheRecord,
    CallRecord,
    CandidateRecord,
    DecisionRecord,
    ErrorRecord,
    Requirement,
    Timings,
    Verdict,
)
from proxy.exchange import Caller, Exchange
from proxy.trail import AttemptRecord
from translators.errors import ExecutionPlatformError, ProviderError, TranslationError

__all__ = ["over", "refused", "so_far"]

LONGEST_NAME = 200
"""Characters of a name that a client or a provider made up."""

LONGEST_DETAIL = 500
"""Characters of what is said for people."""

MOST_PATHS = 50
"""Ignored or emulated parameters."""


def over(
    exchange: Exchange, *, status: int | None, error: ExecutionPlatformError | None
) -> DecisionRecord:
    """Return the record of a request that is over.

    Args:
        exchange: What is known of it.
        status: Of the response, if one was begun.
        error: What a front refused it for, apart from the engine's own error.
    """
    return _record(exchange, exchange.trail, status=status, error=error or exchange.error)


def so_far(exchange: Exchange) -> DecisionRecord:
    """Return what is known of a request that is being served."""
    trail = exchange.trail
    if exchange.under_way is not None:
        trail = [*trail, exchange.under_way()]
    return _record(exchange, trail, running=True)


def refused(
    request_id: str,
    caller: Caller | None,
    *,
    trace_id: str | None,
    status: int | None,
    error: ExecutionPlatformError,
) -> DecisionRecord:
    """Return the record of a request that was refused before it was read.

    Args:
        request_id: Of the request.
        caller: Who made it, if that is known.
        trace_id: Of its trace, if there is one.
        status: Of the response.
        error: Why.
    """
    return DecisionRecord(
        request_id=request_id,
        trace_id=trace_id,
        time=_to_milliseconds(time.time()),
        state="over",
        key=None if caller is None else caller.name,
        persona=None,
        policy_generation=None,
        stream=None,
        strict=False,
        status=status,
        end_reason=None,
        error=_error(error),
    )


def _record(
    exchange: Exchange,
    trail: Sequence[AttemptRecord],
    *,
    status: int | None = None,
    error: ExecutionPlatformError | None = None,
    running: bool = False,
) -> DecisionRecord:
    decision, target, outcome = exchange.decision, exchange.target, exchange.outcome
    report, cache = exchange.report, exchange.cache
    total = time.perf_counter() - exchange.started
    return DecisionRecord(
        request_id=exchange.request_id,
        trace_id=exchange.span.trace_id,
        time=_to_milliseconds(time.time() - total),
        state="running" if running else "over",
        key=exchange.caller.name,
        persona=exchange.model[:LONGEST_NAME],
        policy_generation=exchange.generation,
        stream=exchange.stream,
        strict=exchange.strict,
        status=status,
        end_reason=None if running else exchange.end_reason,
        error=None if error is None else _error(error),
        reason=None if decision is None else decision.reason,
        gates_set_aside=decision is not None and _gates_set_aside(exchange, decision, trail),
        required=() if decision is None else _required(decision),
        candidates=() if decision is None else _candidates(exchange, decision, trail),
        attempts=[_call(attempt, exchange.started) for attempt in trail],
        provider=None if target is None else target.provider,
        model=None if target is None else _short(target.model),
        answered_by=None if outcome is None else _short(outcome.model),
        finish_reason=None if outcome is None else outcome.finish_reason,
        usage=None if outcome is None else outcome.usage,
        chunks=exchange.chunks,
        ignored=_bounded(report.ignored),
        emulated=_bounded(report.emulated),
        reasoning_restored=exchange.restored,
        cache=None if cache is None else _cache(cache),
        timings=_timings(exchange, trail, total),
    )


def _timings(exchange: Exchange, trail: Sequence[AttemptRecord], total: float) -> Timings:
    waited = exchange.waited
    until = total if exchange.committed is None else exchange.committed - exchange.started
    if exchange.committed is None and exchange.under_way is not None and trail:
        waited += trail[-1].seconds
    return Timings(_ms(max(0.0, until - waited)), _ms(waited), _ms(total))


def _required(decision: Decision) -> list[Requirement]:
    return [
        Requirement(capability, reason[:LONGEST_NAME])
        for capability, reason in decision.required.items()
    ]


def _candidates(
    exchange: Exchange, decision: Decision, trail: Sequence[AttemptRecord]
) -> list[CandidateRecord]:
    # The last attempt of each counts.
    asked = {(attempt.provider, attempt.model): attempt for attempt in trail}
    rejected = {(one.provider, one.model): one for one in decision.rejected}
    # In the order in which they were passed over, which is that of the candidates.
    untranslatable = list(exchange.untranslatable)
    plain = not (untranslatable or exchange.held_back or exchange.cache)
    found: list[CandidateRecord] = []
    for candidate in decision.candidates:
        target = candidate.target
        key = (target.provider, target.model)
        attempt = asked.get(key)
        if attempt is not None and not isinstance(attempt.error, TranslationError):
            found.append(_candidate(target, _verdict(attempt)))
        elif key in rejected:
            found.append(_rejected(rejected[key]))
        elif plain:
            found.append(_candidate(target, "not_needed"))
        else:
            found.append(_passed_over(exchange, target, untranslatable))
    return found


def _candidate(target: Target, verdict: Verdict) -> CandidateRecord:
    return CandidateRecord(target.provider, target.model[:LONGEST_NAME], verdict)


def _verdict(attempt: AttemptRecord) -> Verdict:
    if attempt.end_reason == "":
        return "under_way"
    if attempt.error is not None or attempt.end_reason in ("upstream_error", "internal_error"):
        return "failed"
    return "abandoned" if attempt.first_chunk is None else "answered"


def _rejected(rejection: Rejection) -> CandidateRecord:
    return CandidateRecord(
        rejection.provider,
        rejection.model[:LONGEST_NAME],
        "rejected",
        rejection.reason,
        rejection.missing,
        rejection.detail[:LONGEST_DETAIL],
    )


def _passed_over(
    exchange: Exchange, target: Target, untranslatable: list[tuple[str, str]]
) -> CandidateRecord:
    """Return what became of a candidate that qualified and gave no answer itself."""
    provider, model = target.provider, target.model[:LONGEST_NAME]
    for index, (name, param) in enumerate(untranslatable):
        if name == provider:
            del untranslatable[index]
            param = param[:LONGEST_NAME]
            detail = f"`{param}` could not be translated for it"
            if exchange.strict:
                detail += "; the request is strict: what would be ignored counts, too"
            return CandidateRecord(provider, model, "rejected", "translation", (param,), detail)
    for name, why in exchange.held_back:
        if name == provider:
            detail = why[:LONGEST_DETAIL]
            return CandidateRecord(provider, model, "rejected", "gate", (), detail)
    again = exchange.cache is not None and exchange.cache.age is not None
    if again and exchange.target == target:
        return _candidate(target, "kept")
    return _candidate(target, "not_needed")


def _gates_set_aside(
    exchange: Exchange, decision: Decision, trail: Sequence[AttemptRecord]
) -> bool:
    if decision.gates_set_aside or not exchange.held_back:
        return decision.gates_set_aside
    # Gates may open after the decision, too: who was held back then, and asked all the same?
    held = {provider for provider, _ in exchange.held_back}
    return any(attempt.provider in held for attempt in trail)


def _call(attempt: AttemptRecord, read: float) -> CallRecord:
    report, first = attempt.report, attempt.first_chunk
    return CallRecord(
        number=attempt.number,
        reason=attempt.reason,
        provider=attempt.provider,
        model=attempt.model[:LONGEST_NAME],
        dialect=attempt.dialect,
        begin_ms=_ms(attempt.started - read),
        first_chunk_ms=None if first is None else _ms(first),
        duration_ms=_ms(attempt.seconds),
        status=attempt.status,
        provider_request_id=_short(attempt.request_id),
        end_reason=attempt.end_reason or None,
        error=None if attempt.error is None else _error(attempt.error),
        answered_by=_short(attempt.served_by),
        finish_reason=attempt.finish_reason,
        usage=attempt.usage,
        chunks=attempt.chunks,
        follow_ups=attempt.follow_ups,
        ignored=_bounded(report.ignored),
        emulated=_bounded(report.emulated),
        agent=attempt.agent,
        cost_usd=attempt.cost,
    )


def _error(error: ExecutionPlatformError) -> ErrorRecord:
    param = _short(error.param)
    if isinstance(error, ProviderError):
        return ErrorRecord(error.kind, _short(error.native_type), _short(error.code), param)
    return ErrorRecord(type(error).__name__, None, _short(error.code), param)


def _cache(cache: CacheUse) -> CacheRecord:
    age = None if cache.age is None else round(cache.age, 1)
    return CacheRecord(cache.word, age, cache.why_not)


def _short(name: str | None) -> str | None:
    return None if name is None else name[:LONGEST_NAME]


def _bounded(paths: Sequence[str]) -> Sequence[str]:
    """Return paths of the client's making, not too many and none too long."""
    return [path[:LONGEST_NAME] for path in paths[:MOST_PATHS]] if paths else ()


def _ms(seconds: float) -> float:
    # To a hundredth. `round` would take four times as long, and there are several for each request.
    return int(seconds * 100_000) / 100


def _to_milliseconds(seconds: float) -> float:
    return int(seconds * 1000) / 1000

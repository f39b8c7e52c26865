"""Serves one request: decision, attempts, commit point.

The commit point is the first chunk in which a client sees part of the answer. Until it, a failed
provider is replaced by the next and the client never knows; from it on, the answer is this
provider's or an error.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TypeVar

from policy.decision import NONE_HELD, Decision, nobody, weigh
from policy.fallback import next_step
from policy.personas import apply
from policy.schema import Policy, Target
from proxy import route_events
from proxy.attempt import AnswerLimit, Attempt
from proxy.delivery import Delivery, Retelling, Telling
from proxy.exchange import Exchange
from proxy.live_gates import Entry, LiveGates
from proxy.preparation import Preparation
from proxy.provider import AnswerStream, Prepared
from proxy.reasoning_store import NO_REASONING_STORE, ReasoningStore
from proxy.response_cache import KeptAnswer, ResponseCache
from proxy.telemetry.content.redaction import Redactor
from translators.errors import (
    AccessDenied,
    ExecutionPlatformError,
    ProviderError,
    TimeoutError,
    TranslationError,
)
from translators.protocol import Chunk, Completion, Outcome
from translators.unfold import unfold

__all__ = ["Engine"]

SHORTEST_CALL = 0.01
"""Seconds; with less than that left, no provider is asked."""

ResultT = TypeVar("ResultT")
_Askable = tuple[int, Prepared]
_Run = Callable[[Prepared, Attempt], Awaitable[ResultT]]
_Again = Callable[[Exchange, KeptAnswer], ResultT]


@dataclass(frozen=True)
class Engine:
    """The in-process core; HTTP and `execution_platform` are two thin fronts of it.

    Attributes:
        policy: Personas and provider rows.
        availability: For each provider, why it cannot be used, or None.
        preparation: Makes requests ready for a provider.
        timeout: Seconds that an answer may take to begin, over all attempts; also a whole
            answer that is not streamed.
        reasoning: Keeps what answers leave for their next turn.
        cache: Keeps answers for repeated requests; None: no persona has that.
        gates: Keep personas from providers whose last answers failed them; None: nobody does.
        redactor: Takes secrets out of content, where that is captured.
    """

    policy: Policy
    availability: Mapping[str, str | None]
    preparation: Preparation
    timeout: float = 300.0
    reasoning: ReasoningStore = NO_REASONING_STORE
    cache: ResponseCache | None = None
    gates: LiveGates | None = None
    redactor: Redactor = field(default_factory=Redactor)

    def decide(self, exchange: Exchange) -> Decision:
        """Choose where the request may go.

        Raises:
            RouterError: Nowhere, or not for this caller.
        """
        chat, allowed = exchange.request, exchange.caller.personas
        if allowed is not None and chat.model not in allowed:
            # Said before anything is decided: a name that a key may not use tells it nothing.
            raise AccessDenied(
                f"The key `{exchange.caller.name}` may not use the persona `{chat.model[:64]}`.",
                code="model_not_allowed",
                status=403,
            )
        began = time.time_ns()
        held = NONE_HELD if self.gates is None else self.gates.held(chat.model)
        exchange.decision = decision = weigh(chat, self.policy, self.availability, held)
        route_events.decided(exchange, decision, began)
        if (persona := self.policy.personas.get(chat.model)) is not None:
            exchange.defaults = persona.parameters
        if not decision.targets:
            raise nobody(decision)
        return decision

    async def complete(self, exchange: Exchange) -> Completion:
        """Return a whole answer.

        Raises:
            ExecutionPlatformError: No provider gave one.
        """
        return await self._drive(exchange, self._complete, _whole_again)

    def stream(self, exchange: Exchange) -> AbstractAsyncContextManager[Telling]:
        """Return a streamed answer, to be entered.

        Entering tries target after target until one has reached the commit point; leaving
        closes the provider's connection.

        Raises:
            ExecutionPlatformError: On entering: no target could begin an answer. While the
                chunks are read: the answer broke off.
        """
        return _Stream(self, exchange)

    def begin(self, exchange: Exchange) -> Awaitable[Telling]:
        """Return a streamed answer at its commit point, for the caller to close."""
        return self._drive(exchange, self._begin, _stream_again)

    async def _drive(
        self, exchange: Exchange, run: _Run[ResultT], again: _Again[ResultT]
    ) -> ResultT:
        try:
            decision = self.decide(exchange)
            if self.cache is not None:
                kept = await self.cache.find(exchange, decision, self.policy)
                if kept is not None:
                    return again(exchange, kept)
            return await self._try_targets(exchange, decision, run)
        except ExecutionPlatformError as error:
            exchange.error = error
            raise
        finally:
            exchange.route.end()
            exchange.let_media_go()

    async def _try_targets(
        self, exchange: Exchange, decision: Decision, run: _Run[ResultT]
    ) -> ResultT:
        refusals: list[TranslationError] = []
        failure: ProviderError | None = None
        current = await self._next_askable(exchange, decision, 0, refusals)
        while (entered := await self._enter(exchange, decision, current, refusals)) is not None:
            (position, prepared), entry = entered
            target = decision.targets[position]
            following: _Askable | None = None
            looked = False
            reason = "initial"
            if exchange.attempts:
                reason = "fallback"
                route_events.fell_back(exchange)
            while True:
                attempt = self._attempt(exchange, target, prepared, reason)
                attempt.entry = entry
                try:
                    return await run(prepared, attempt)
                except TranslationError as error:
                    # The API that the provider referred to cannot express the request.
                    refusals.append(error.with_traceback(None))
                    route_events.untranslatable(exchange, target, error)
                    following = await self._next_askable(exchange, decision, position + 1, refusals)
                    break
                except ProviderError as error:
                    error.provider = target.provider
                    failure = error
                if not looked:
                    # Only now: most requests need one target, and translating costs time.
                    following = await self._next_askable(exchange, decision, position + 1, refusals)
                    looked = True
                if not await self._try_again(
                    exchange, failure, reason, more_targets=following is not None
                ):
                    break
                reason = "retry"
                entry = self._entry(decision, target, force=True)
            current = following
        if failure is None and decision.held:
            # Those that pass their gates cannot even be asked.
            exchange.decision = decision = decision.without_gates()
            route_events.gates_set_aside(exchange)
            return await self._try_targets(exchange, decision, run)
        # A provider that failed says more than one that could not even be asked.
        raise failure or refusals[0]

    def _attempt(
        self, exchange: Exchange, target: Target, prepared: Prepared, reason: str
    ) -> Attempt:
        exchange.route.selected(target.provider, target.model)
        attempt = Attempt(
            exchange,
            target,
            row=self.policy.providers[target.provider],
            report=prepared.report,
            reason=reason,
            check=partial(self.preparation.check_strict, exchange, target),
        )
        attempt.store = self.reasoning
        attempt.realm = self.preparation.realm(target.provider)
        if attempt.content is not None and (decision := exchange.decision) is not None:
            # Once more, for the few who want it: the prepared request no longer has it.
            asked = apply(exchange.request, self.policy.personas.get(decision.persona))
            attempt.content.asked(asked, self.redactor)
        return attempt

    async def _enter(
        self,
        exchange: Exchange,
        decision: Decision,
        askable: _Askable | None,
        refusals: list[TranslationError],
    ) -> tuple[_Askable, Entry | None] | None:
        """Return the first target, from `askable` on, whose live gate lets the request in.

        A gate may have opened since the decision, and a probe's place may be taken. Where that
        leaves nobody, and nobody was asked yet, the first is asked all the same.
        """
        gates = self.gates
        if askable is None or gates is None:
            return None if askable is None else (askable, None)
        kept_from = askable
        while askable is not None:
            target = decision.targets[askable[0]]
            if not self._watched(decision, target):
                return askable, None
            entry = gates.admit(decision.persona, target, force=decision.gates_set_aside)
            if entry is not None:
                if entry.probe:
                    route_events.probed(exchange, target)
                return askable, entry
            why = gates.reason(decision.persona, target)
            route_events.held_back(exchange, target, why)
            askable = await self._next_askable(exchange, decision, askable[0] + 1, refusals)
        if exchange.attempts:
            return None
        route_events.gates_set_aside(exchange)
        first = decision.targets[kept_from[0]]
        return kept_from, gates.admit(decision.persona, first, force=True)

    def _entry(self, decision: Decision, target: Target, *, force: bool) -> Entry | None:
        """Return what lets an attempt in; None, and nobody asks for it, where no gate watches."""
        if self.gates is None or not self._watched(decision, target):
            return None
        return self.gates.admit(decision.persona, target, force=force)

    def _watched(self, decision: Decision, target: Target) -> bool:
        row = self.policy.providers[target.provider]
        return self.gates is not None and self.gates.watches(decision.persona, target, row)

    async def _next_askable(
        self,
        exchange: Exchange,
        decision: Decision,
        position: int,
        refusals: list[TranslationError],
    ) -> _Askable | None:
        """Return the first target from `position` on that can be asked, with its request.

        Why the others cannot be asked is added to `refusals`.
        """
        for index in range(position, len(decision.targets)):
            target = decision.targets[index]
            try:
                return index, await self.preparation.prepare(exchange, decision, target)
            except TranslationError as error:
                # Without its frames, of which this is one and holds the list.
                refusals.append(error.with_traceback(None))
                route_events.untranslatable(exchange, target, error)
        return None

    async def _try_again(
        self, exchange: Exchange, failure: ProviderError, reason: str, *, more_targets: bool
    ) -> bool:
        """Return whether to try the same target again, after the wait; False for the next.

        Raises:
            ProviderError: `failure`, where neither can help.
        """
        step = next_step(
            failure,
            same_target_tries=2 if reason == "retry" else 1,
            more_targets=more_targets,
            seconds_left=self._left(exchange),
        )
        if step.action == "fail":
            raise failure
        if step.action == "next_target":
            return False
        exchange.waited += step.delay
        await asyncio.sleep(step.delay)
        return True

    def _left(self, exchange: Exchange) -> float:
        """Seconds until the answer must have begun; nothing, where it is too little for a call."""
        left = self.timeout - (time.perf_counter() - exchange.started)
        # Timers fire up to a millisecond early: the rest would be spent on one more provider.
        return left if left > SHORTEST_CALL else 0.0

    def _limit(self, attempt: Attempt, seconds: float | None) -> float:
        left = self._left(attempt.exchange)
        due = self.timeout if seconds is None else min(seconds, self.timeout)
        if attempt.entry is not None and left < due / 2:
            attempt.entry.hurried = True
        if left <= 0:
            raise TimeoutError("total", self.timeout)
        return left if seconds is None else min(seconds, left)

    async def _complete(self, prepared: Prepared, attempt: Attempt) -> Completion:
        try:
            limit = self._limit(attempt, attempt.target.timeouts.total)
            with AnswerLimit("total", limit):
                completion = await prepared.complete(attempt.call)
            attempt.opened(completion.outcome)
            if attempt.content is not None:
                attempt.content.answered(completion.data)
            attempt.begun()
        except BaseException as error:
            attempt.failed(error)
            raise
        attempt.end()
        if self.cache is not None:
            self.cache.keep(attempt, completion.data)
        return completion

    async def _begin(self, prepared: Prepared, attempt: Attempt) -> Telling:
        answer: AnswerStream | None = None
        try:
            timeouts = attempt.target.timeouts
            phase, seconds = "first_token", timeouts.first_token
            if prepared.contract is not None:
                # It is held back until it was checked: its beginning is its end.
                phase, seconds = "total", timeouts.total
            with AnswerLimit(phase, self._limit(attempt, seconds)):
                answer = await prepared.open(attempt.call)
                attempt.opened(answer.outcome)
                head = await _read_head(answer)
        except BaseException as error:
            attempt.failed(error)
            if answer is not None:
                await answer.aclose()
            raise
        attempt.begun()
        recorder = None if self.cache is None else self.cache.recorder(attempt)
        return Delivery(attempt, answer, head, recorder)


class _Stream:
    """Opens an answer and closes it again."""

    __slots__ = ("_delivery", "_engine", "_exchange")

    def __init__(self, engine: Engine, exchange: Exchange) -> None:
        self._engine = engine
        self._exchange = exchange
        self._delivery: Telling | None = None

    async def __aenter__(self) -> Telling:
        self._delivery = await self._engine.begin(self._exchange)
        return self._delivery

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._delivery is not None:
            await self._delivery.aclose(error)


async def _read_head(answer: AnswerStream) -> list[list[Chunk]]:
    """Read up to and including the first chunk that a client could not un-see."""
    head: list[list[Chunk]] = []
    async for batch in answer:
        head.append(batch)
        if any([chunk.payload for chunk in batch]):
            break
    return head


def _whole_again(exchange: Exchange, kept: KeptAnswer) -> Completion:
    exchange.begun()
    return Completion(kept.data, exchange.outcome or Outcome())


def _stream_again(exchange: Exchange, kept: KeptAnswer) -> Telling:
    chunks = unfold(kept.data, include_usage=exchange.request.wants_usage)
    exchange.begun()
    return Retelling(exchange, chunks)

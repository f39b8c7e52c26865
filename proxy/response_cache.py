"""Answers given again to the same request, for personas whose policy asks for it (`cache`).

1. Kept is what is complete and worth repeating: it ended by itself, or with calls, and says
   something. Never an error, an answer that reached a limit or was filtered, a refusal, the part
   of an answer whose client left, or the work of an agent.
2. An answer is kept whole, however it was sent, and given again whole or as a stream.
3. Two equal requests at the same time go both to a provider, and the later answer is kept: to let
   one wait for the other would let it fail with the other, too.
4. A hit calls nobody. What it says of itself is what held for the answer when it was new: who
   gave it, its id, its token counts, what was ignored; but for `x-ep-attempts`, which is 0.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from policy.answer_key import answer_key, persona_version, why_not_kept
from policy.decision import Decision
from policy.schema import Policy, Target
from proxy.answer_store import AnswerStore
from proxy.attempt import Attempt
from proxy.cache_use import CacheUse
from proxy.exchange import Exchange
from proxy.gathering import UNFOLDABLE, Gathering
from proxy.reasoning_store import NO_REASONING_STORE, ReasoningStore, in_realm
from translators.errors import StreamTruncated
from translators.fidelity import Report
from translators.json import UNREADABLE, encode
from translators.protocol import Chunk, Outcome
from translators.wire.response import Usage

__all__ = ["KeptAnswer", "Recorder", "ResponseCache"]

_COMPLETE: Final = ("stop", "tool_calls", "function_call")


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer, and what is told of it.

    Attributes:
        key: Of the request; an entry without it, or with another one, is not believed.
        stored: When it was kept: Unix time in seconds.
        data: The JSON of the `chat.completion`.
        provider: Who gave it, by the policy's name.
        model: Which of its models was asked.
        answered_by: The model that answered, by the provider's own word.
        id: The provider's id of it.
        finish_reason: Why it ended.
        native_finish_reason: The provider's word for it.
        ignored: What of the request the provider did not get.
        emulated: What it got by other means.
        reasoning: For each call, what the provider wants back with it.
        realm: Where that is worth something.
    """

    key: str
    stored: float
    data: bytes
    provider: str
    model: str
    answered_by: str | None
    id: str | None
    finish_reason: str | None
    native_finish_reason: str | None
    ignored: tuple[str, ...]
    emulated: tuple[str, ...]
    reasoning: dict[str, Any]
    realm: str


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Mapping[str, Any]] | None = None
    function_call: Mapping[str, Any] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str


class _Answer(msgspec.Struct):
    choices: list[_Choice]


_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(KeptAnswer).decode
_answer = msgspec.json.Decoder(_Answer).decode


class ResponseCache:
    """Finds answers for requests, and keeps them.

    Args:
        store: Where they are kept.
        max_answer_bytes: The largest answer that is.
        reasoning: Is told again what the calls of an answer carry, when they are made again.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        store: AnswerStore,
        *,
        max_answer_bytes: int,
        reasoning: ReasoningStore = NO_REASONING_STORE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._max_answer_bytes = max_answer_bytes
        self._reasoning = reasoning
        self._clock = clock
        self._versions: tuple[Policy | None, dict[str, bytes]] = (None, {})

    async def find(
        self, exchange: Exchange, decision: Decision, policy: Policy
    ) -> KeptAnswer | None:
        """Return an answer to be given again; None where the request needs a new one.

        Afterwards `exchange.cache` says whether its answer may be kept, and the rest of the
        exchange tells of the answer that was found.
        """
        persona = policy.personas.get(decision.persona)
        if persona is None or persona.cache is None:
            return None
        chat, wanted = exchange.request, exchange.cache_control
        use = exchange.cache = CacheUse(persona.cache.ttl)
        use.why_not = why_not_kept(chat, decision, policy)
        if use.why_not is not None or not (wanted.read or wanted.keep):
            return None
        version = self._version(policy, decision.persona)
        use.key = key = answer_key(chat, tenant=exchange.caller.tenant, version=version)
        if key is None:
            use.why_not = "no_key"
            return None
        found = await self._store.find(key) if wanted.read else None
        kept = None if found is None else _read(found, key)
        if kept is None or not _serves(exchange, kept, policy):
            return None
        age = max(0.0, self._clock() - kept.stored)
        # The policy may have grown stricter since.
        if age > (use.ttl if wanted.max_age is None else min(use.ttl, wanted.max_age)):
            return None
        use.age = age
        self._reasoning.remember(exchange.caller.tenant, in_realm(kept.reasoning, kept.realm))
        _tell(exchange, kept, policy.candidate(kept.provider, kept.model).target)
        return kept

    def recorder(self, attempt: Attempt) -> "Recorder | None":
        """Return what puts a streamed answer together; None where it is not kept."""
        if not self._wants(attempt):
            return None
        return Recorder(self, attempt, self._max_answer_bytes)

    def keep(self, attempt: Attempt, data: bytes) -> None:
        """Keep a whole answer, if it is to be kept.

        Args:
            attempt: That gave it.
            data: The JSON of the `chat.completion`.
        """
        use, outcome = attempt.exchange.cache, attempt.outcome
        if use is None or use.key is None or outcome is None or not self._wants(attempt):
            return
        if len(data) > self._max_answer_bytes or not _is_worth_keeping(data):
            return
        kept = KeptAnswer(
            key=use.key,
            stored=self._clock(),
            data=data,
            provider=attempt.target.provider,
            model=attempt.target.model,
            answered_by=outcome.model,
            id=outcome.id,
            finish_reason=outcome.finish_reason,
            native_finish_reason=outcome.native_finish_reason,
            ignored=attempt.exchange.report.ignored,
            emulated=attempt.exchange.report.emulated,
            reasoning=outcome.reasoning,
            realm=attempt.realm,
        )
        self._store.keep(use.key, _encode(kept), ttl=use.ttl)

    async def aclose(self) -> None:
        """Let go of the store."""
        await self._store.aclose()

    def _wants(self, attempt: Attempt) -> bool:
        exchange = attempt.exchange
        if exchange.cache is None or exchange.cache.key is None or not exchange.cache_control.keep:
            return False
        return not attempt.call.had_effects

    def _version(self, policy: Policy, persona: str) -> bytes:
        known, versions = self._versions
        if known is not policy:
            versions = {}
            self._versions = (policy, versions)
        if persona not in versions:
            versions[persona] = persona_version(policy, persona)
        return versions[persona]


class Recorder:
    """Puts a streamed answer together while it is told.

    Args:
        cache: Keeps it.
        attempt: That gives it.
        most: The largest answer that is kept, in bytes.
    """

    __slots__ = ("_attempt", "_cache", "_gathering")

    def __init__(self, cache: ResponseCache, attempt: Attempt, most: int) -> None:
        self._cache = cache
        self._attempt = attempt
        self._gathering: Gathering | None = Gathering(most)

    def add(self, batch: Sequence[Chunk]) -> None:
        """Take the next chunks."""
        gathering = self._gathering
        if gathering is None:
            return
        try:
            gathering.add(batch)
        except UNFOLDABLE:
            # It is told all the same; only it is not kept.
            self._gathering = None
        else:
            if gathering.over:
                self._gathering = None

    def complete(self) -> None:
        """Keep the answer, all of which was told."""
        gathering, self._gathering = self._gathering, None
        outcome = self._attempt.outcome
        if gathering is None or outcome is None:
            return
        try:
            data = _with_usage(gathering.fold().completion(), outcome.usage)
        except (StreamTruncated, *UNFOLDABLE):
            return
        self._cache.keep(self._attempt, data)


def _read(found: bytes, key: str) -> KeptAnswer | None:
    """Return an entry; None where it is another's, or none of ours."""
    try:
        kept = _kept(found)
    except UNREADABLE:
        return None
    return kept if kept.key == key and _is_worth_keeping(kept.data) else None


def _serves(exchange: Exchange, kept: KeptAnswer, policy: Policy) -> bool:
    # A strict request is refused what another one got, or goes to another provider.
    strict = exchange.strict or policy.strict
    return kept.provider in policy.providers and not (strict and kept.ignored)


def _is_worth_keeping(data: bytes) -> bool:
    """Whether an answer is complete and says something, for all that can be seen of it."""
    try:
        (choice,) = _answer(data).choices
    except (*UNREADABLE, ValueError):
        return False
    message = choice.message
    says_something = message.content or message.tool_calls or message.function_call
    return choice.finish_reason in _COMPLETE and bool(says_something) and not message.refusal


def _with_usage(data: bytes, usage: Usage | None) -> bytes:
    """Return a completion with its token counts, for which the client of a stream did not ask."""
    body = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return data if usage is None or "usage" in body else encode({**body, "usage": usage})


def _tell(exchange: Exchange, kept: KeptAnswer, target: Target) -> None:
    exchange.target = target
    exchange.report = Report(kept.ignored, kept.emulated)
    # Without its tokens: nobody is billed for them now.
    exchange.outcome = Outcome(
        kept.id, kept.answered_by, kept.finish_reason, kept.native_finish_reason
    )

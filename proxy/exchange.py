"""The record of one request: what the answer's headers, the spans and the decision log say."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policy.decision import Decision
from policy.schema import Target
from proxy.cache_use import ANY_ANSWER, CacheControl, CacheUse
from proxy.media.addresses import MediaProblem
from proxy.telemetry.bounds import bounded
from proxy.telemetry.recurring import recurring
from proxy.telemetry.spans import NO_ROUTE, NO_TELEMETRY, Attributes, RequestSpan, RouteSpan
from proxy.trail import AttemptRecord
from translators.errors import ExecutionPlatformError, ProviderError
from translators.fidelity import Report
from translators.media import Media
from translators.protocol import Outcome
from translators.wire.request import ChatCompletionRequest

__all__ = ["ANYBODY", "Caller", "Exchange", "error_type", "forget_frames"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: Of the client key, for logs and spans; never the key itself. Another key may get it:
            keys of the environment are numbered.
        personas: The personas the key may use; None for all.
        tenant: Whose data are whose: another one for another key, and the same for the same key
            whatever its name is. Not for logs.
    """

    name: str = "anonymous"
    personas: frozenset[str] | None = None
    tenant: str = field(default="anonymous", repr=False)


ANYBODY: Final = Caller()
"""Whoever asks a server that has no client keys."""

NOTHING_REPORTED: Final = Report()


@dataclass(slots=True)
class Exchange:
    """Made by a front for each request; filled in by the engine as things happen.

    Attributes:
        chat: The request as the client sent it; None once its answer has begun.
        request_id: For the client, the spans and the log.
        caller: Who asks.
        strict: Refuse a request of which a provider would ignore something.
        cache_control: What the client says of kept answers.
        span: The request's span.
        route: The span of the decision where the request goes, once there is one.
        generation: Of the policy that serves it: its number.
        media: What was fetched for it, or why it could not be, by address.
        holds: Called once the answer has begun, or failed: they give back memory.
        started: `time.perf_counter()` when the request had been read.
        decision: Where it may go, and why; without targets where nobody can serve it.
        defaults: The persona's parameters, for what the client does not set.
        cache: Whether the answer is a kept one, or may be kept; None: its persona's are not.
        target: The provider and model that answer, or were tried last.
        report: What that provider's dialect does not carry over.
        untranslatable: Providers passed over for what their API cannot express, with the parameter.
        held_back: Providers passed over as their live gates opened since the decision, with the
            reason.
        recalled: What the store knew of its calls, by id; None until it was asked, and once the
            answer has begun.
        restored: Calls of the conversation whose reasoning was put back for this provider.
        attempts: Calls of providers so far.
        trail: What became of those that are over.
        under_way: Returns what is known so far of the one that is not; None: all are over.
        waited: Seconds spent waiting for providers until the answer began.
        committed: `time.perf_counter()` when the answer began.
        outcome: What is known of the answer.
        chunks: How many went to the client.
        end_reason: How the answer ended.
        cancelled_because: The end reason of a cancelled answer; whoever cancels it for another
            reason than a shutdown sets it first.
        error: Why it failed, if it did.
        model: What the client asked for: a persona.
        stream: Whether the answer is streamed.
    """

    chat: ChatCompletionRequest | None
    request_id: str
    caller: Caller = ANYBODY
    strict: bool = False
    cache_control: CacheControl = ANY_ANSWER
    span: RequestSpan = field(default_factory=lambda: NO_TELEMETRY.request({}))
    route: RouteSpan = NO_ROUTE
    generation: int = 1
    media: dict[str, Media | MediaProblem] = field(default_factory=dict)
    holds: list[Callable[[], None]] = field(default_factory=list, repr=False)
    started: float = field(default_factory=time.perf_counter)
    decision: Decision | None = None
    # Not `dict[str, Any]`: called, it raises an AttributeError each time, and drops it.
    defaults: Mapping[str, Any] = field(default_factory=lambda: {})
    cache: CacheUse | None = None
    target: Target | None = None
    report: Report = NOTHING_REPORTED
    untranslatable: tuple[tuple[str, str], ...] = ()
    held_back: tuple[tuple[str, str], ...] = ()
    recalled: Mapping[str, Any] | None = field(default=None, repr=False)
    restored: int = 0
    attempts: int = 0
    trail: list[AttemptRecord] = field(default_factory=list)
    under_way: Callable[[], AttemptRecord] | None = field(default=None, repr=False)
    waited: float = 0.0
    committed: float | None = None
    outcome: Outcome | None = None
    chunks: int = 0
    end_reason: str = "completed"
    cancelled_because: str = "server_shutdown"
    error: ExecutionPlatformError | None = None
    model: str = ""
    stream: bool = False

    def __post_init__(self) -> None:
        self.model = self.request.model
        self.stream = bool(self.request.stream)

    @property
    def request(self) -> ChatCompletionRequest:
        """The request, while it is still to be answered."""
        if self.chat is None:
            raise RuntimeError("the request was let go when its answer began")
        return self.chat

    def begun(self) -> None:
        """Say that the answer begins: nobody needs the request any more, which may be large."""
        self.committed = time.perf_counter()
        self.chat = None
        self.recalled = None
        self.let_media_go()

    def over(self) -> None:
        """Say that all is known of it: what could be large, or leads back to it, is let go.

        Errors know the frames that they came through, and these the request with its errors: a
        megabyte of prompt would wait for the collector of cycles.
        """
        self.chat = self.recalled = None
        for error in (self.error, *(attempt.error for attempt in self.trail)):
            forget_frames(error)

    def let_media_go(self) -> None:
        """Forget what was fetched, which nobody needs once the answer has begun, or failed."""
        self.media.clear()
        while self.holds:
            self.holds.pop()()

    @property
    def overhead_ms(self) -> float:
        """Milliseconds until the answer began (or until now), without the waits for providers."""
        until = self.committed if self.committed is not None else time.perf_counter()
        return max(0.0, (until - self.started - self.waited) * 1000)

    @property
    def cost(self) -> float | None:
        """US dollars that its attempts cost, as far as it is known; None: of none of them."""
        known = [attempt.cost for attempt in self.trail if attempt.cost is not None]
        return sum(known) if known else None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the response headers that say what happened, as far as it is known."""
        headers = [
            (b"x-ep-attempts", b"%d" % self.attempts),
            (b"x-ep-overhead-ms", b"%.2f" % self.overhead_ms),
        ]
        if self.decision is not None:
            headers.append((b"x-ep-persona", _header(self.decision.persona)))
        if self.target is not None:
            headers.append((b"x-ep-provider", _header(self.target.provider)))
        if self.cache is not None:
            headers.append((b"x-ep-cache", self.cache.word.encode()))
            if self.cache.age is not None:
                headers.append((b"age", b"%d" % self.cache.age))
        if self.report.ignored:
            headers.append((b"x-ep-ignored-params", _header(", ".join(self.report.ignored))))
        if self.report.emulated:
            headers.append((b"x-ep-emulated-params", _header(", ".join(self.report.emulated))))
        return headers

    def attributes(self) -> Sequence[Attributes]:
        """Return the attributes of the request's span: what is its own, and what recurs."""
        decision, target, cache = self.decision, self.target, self.cache
        served = None if target is None else target.model
        if target is not None and self.outcome is not None and self.outcome.model:
            served = self.outcome.model
        recurring = _attributes(
            *(bounded(self.model), self.stream, self.attempts, self.caller.name, self.generation),
            *(self.end_reason, None if decision is None else bounded(decision.persona)),
            *(None if target is None else target.provider, bounded(served)),
            any(attempt.reason == "fallback" for attempt in self.trail) or None,
            *(None if cache is None else cache.word, None if cache is None else cache.why_not),
        )
        own: dict[str, str | float] = {"ep.request.id": self.request_id}
        if (cost := self.cost) is not None:
            own["ep.cost.usd"] = cost
        if self.restored:
            own["ep.reasoning.restored"] = self.restored
        # The id first: where a limit is small, those are lost that come last.
        return own, recurring


_attributes = recurring(
    *("ep.model.requested", "ep.stream", "ep.attempts", "ep.key.name", "ep.policy.generation"),
    *("ep.stream.end_reason", "ep.persona", "ep.provider.served", "ep.model.served"),
    *("ep.fallback", "ep.cache", "ep.cache.why_not"),
)


def forget_frames(error: BaseException | None) -> None:
    """Let go of the frames that an error, and what it came from, went through."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def error_type(error: ExecutionPlatformError | None) -> str | None:
    """Return what a span says of an error: a word from a short list, never its text."""
    if isinstance(error, ProviderError):
        return error.native_type or error.kind
    return (error.code or type(error).__name__) if error is not None else None


_CONTROLS = bytes([*range(32), 127])


def _header(value: str) -> bytes:
    """Return a header value: names of our own, or a client's field names with odd characters."""
    return value.encode("ascii", "backslashreplace").translate(None, _CONTROLS)[:2000]

"""A request that is over, as metrics. Nothing happens while an answer is under way.

`RequestMetrics` is what the rest of the proxy sees; `NO_METRICS` is their absence.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from policy.schema import Policy
from proxy.exchange import Exchange, error_type
from proxy.telemetry import attributes as names
from proxy.telemetry.metrics.label_values import ErrorTypes, KnownNames, method, top_level
from proxy.telemetry.metrics.meters import Labels, Meters
from proxy.telemetry.spans import NO_FAULT
from proxy.trail import AttemptRecord
from translators.errors import ExecutionPlatformError
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

__all__ = ["NO_METRICS", "Recorder", "RequestMetrics"]


class RequestMetrics(Protocol):
    """Takes note of requests."""

    def in_flight(self, change: int) -> None:
        """Say that a chat request came (1), or is over (-1); 0: it is another one."""
        ...

    def answered(
        self,
        scope: Mapping[str, Any],
        *,
        status: int | None,
        seconds: float,
        end_reason: str | None,
        error: ExecutionPlatformError | None,
    ) -> None:
        """Take note of an HTTP request that is over.

        Args:
            scope: ASGI's.
            status: Of the response, if one was begun.
            seconds: Since the request's head was there.
            end_reason: How an answer of a model's ended; None: it was none.
            error: Why it failed, if it did.
        """
        ...

    def finished(
        self, exchange: Exchange, error: ExecutionPlatformError | None, policy: Policy
    ) -> None:
        """Take note of a chat request that is over, whichever way it came.

        Args:
            exchange: Its record.
            error: What a front refused it for, apart from the engine's own error.
            policy: That serves now.
        """
        ...


class _NoMetrics:
    def in_flight(self, change: int) -> None:
        pass

    def answered(self, scope: Mapping[str, Any], **_: object) -> None:
        pass

    def finished(
        self, exchange: Exchange, error: ExecutionPlatformError | None, policy: Policy
    ) -> None:
        pass


NO_METRICS: Final[RequestMetrics] = _NoMetrics()


class Recorder:
    """Makes observations of requests.

    Args:
        meters: Where they go.
        policy: Whose names may be labels.
    """

    def __init__(self, meters: Meters, policy: Policy) -> None:
        of = meters.of
        self.known = KnownNames(policy)
        self._errors = ErrorTypes()
        self._under_way = 0
        self._in_flight = of("ep.requests.in_flight")
        self._in_flight.record(0, ())
        self._http = of("http.server.request.duration")
        self._requests = of("ep.request.duration")
        self._overhead = of("ep.request.overhead")
        self._cache = of("ep.cache.answers")
        self._rejections = of("ep.route.rejections")
        self._ignored = of("ep.params.ignored")
        self._emulated = of("ep.params.emulated")
        self._fallbacks = of("ep.fallbacks")
        self._retries = of("ep.retries")
        self._tokens = of("ep.tokens")
        self._cost = of("ep.cost")
        self._attempts = of("gen_ai.client.operation.duration", "gen_ai.client.inference.duration")
        self._first_chunks, self._between = (
            of(f"gen_ai.client.operation.{part}", f"gen_ai.client.inference.{part}")
            for part in ("time_to_first_chunk", "time_per_output_chunk")
        )
        self._usage = _UsageMeters(meters)

    def in_flight(self, change: int) -> None:
        """Say that a chat request came (1), or is over (-1); 0: it is another one."""
        if change:
            self._under_way += change
            self._in_flight.record(self._under_way, ())

    def answered(
        self,
        scope: Mapping[str, Any],
        *,
        status: int | None,
        seconds: float,
        end_reason: str | None,
        error: ExecutionPlatformError | None,
    ) -> None:
        """Take note of an HTTP request that is over."""
        failed: str | None = None
        # As on the SERVER span: a refusal is the caller's affair, a broken answer is ours.
        broken = status == 200 and error is not None and end_reason not in NO_FAULT
        if broken or (status is not None and status >= 500):
            failed = self._errors.label(error_type(error)) or str(status)
        route = getattr(scope.get("route"), "path", None)
        self._http.record(seconds, (method(scope["method"]), route, status, failed))

    def finished(
        self, exchange: Exchange, error: ExecutionPlatformError | None, policy: Policy
    ) -> None:
        """Take note of a chat request that is over, whichever way it came."""
        self.known.follow(policy)
        decision, target = exchange.decision, exchange.target
        persona = self.known.persona(exchange.model if decision is None else decision.persona)
        provider = None if target is None else target.provider
        seconds = time.perf_counter() - exchange.started
        reason = _end_reason(exchange, error or exchange.error)
        self._requests.record(seconds, (persona, provider, reason, exchange.stream))
        if exchange.committed is not None:
            self._overhead.record(exchange.overhead_ms / 1000, (persona,))
        if exchange.cache is not None:
            self._cache.record(1, (persona, exchange.cache.word))
        for path in {top_level(path) for path in exchange.report.ignored}:
            self._ignored.record(1, (provider, path))
        for path in {top_level(path) for path in exchange.report.emulated}:
            self._emulated.record(1, (provider, path))
        self._route(exchange, persona)
        before: AttemptRecord | None = None
        for attempt in exchange.trail:
            self._attempt(exchange, attempt, before, persona)
            before = attempt

    def _route(self, exchange: Exchange, persona: str) -> None:
        decision = exchange.decision
        for rejection in () if decision is None else decision.rejected:
            self._rejections.record(1, (persona, rejection.provider, rejection.reason))
        for provider, _ in exchange.untranslatable:
            self._rejections.record(1, (persona, provider, "translation"))
        for provider, _ in exchange.held_back:
            self._rejections.record(1, (persona, provider, "gate"))

    def _attempt(
        self,
        exchange: Exchange,
        attempt: AttemptRecord,
        before: AttemptRecord | None,
        persona: str,
    ) -> None:
        provider = attempt.provider
        model = self.known.model(provider, attempt.model)
        operation = "invoke_agent" if attempt.dialect in names.AGENTS else "chat"
        flavour = names.PROVIDER_NAMES.get(attempt.dialect, attempt.dialect)
        asked = (operation, flavour, model, provider)
        self._attempts.record(attempt.seconds, (*asked, self._failure(attempt), attempt.reason))
        if exchange.stream and attempt.first_chunk is not None:
            self._first_chunks.record(attempt.first_chunk, asked)
            if attempt.chunks > 1:
                behind = attempt.seconds - attempt.first_chunk
                self._between.record(behind / (attempt.chunks - 1), asked)
        if attempt.reason == "retry":
            self._retries.record(1, (persona, provider))
        elif attempt.reason == "fallback" and before is not None:
            labels = (persona, before.provider, self._failure(before))
            self._fallbacks.record(1, labels)
        spent = (persona, provider, model, exchange.caller.name)
        if attempt.usage is not None:
            kinds = _kinds(attempt.usage)
            self._usage.record(attempt.usage, kinds, asked)
            for kind, count in kinds.items():
                self._tokens.record(count, (*spent, kind))
        if attempt.cost is not None:
            self._cost.record(attempt.cost, spent)

    def _failure(self, attempt: AttemptRecord) -> str | None:
        if attempt.error is None:
            return "internal_error" if attempt.end_reason == "internal_error" else None
        return self._errors.label(error_type(attempt.error))


def _end_reason(exchange: Exchange, error: ExecutionPlatformError | None) -> str:
    """Return how a request ended; one that nobody was asked for has not `completed`."""
    if error is None or exchange.end_reason != "completed":
        return exchange.end_reason
    ours = error.code in ("internal_error", "server_shutdown")
    return error.code if ours and error.code is not None else "refused"


def _kinds(usage: Usage) -> dict[str, int]:
    """Return the counts of `ep.tokens` that a provider has told."""
    told: dict[str, int | None] = {"input": usage.prompt_tokens, "output": usage.completion_tokens}
    if (prompt := usage.prompt_tokens_details) is not None:
        told["cache_read"] = prompt.cached_tokens
        told["cache_write"] = prompt.cache_write_tokens
    if (answer := usage.completion_tokens_details) is not None:
        told["reasoning"] = answer.reasoning_tokens
    # What a broken server may say: a counter never goes back.
    return {kind: count for kind, count in told.items() if count is not None and count >= 0}


class _UsageMeters:
    """Token counts under the names of the GenAI conventions, old and new."""

    def __init__(self, meters: Meters) -> None:
        of = meters.of
        self._usage = of("gen_ai.client.token.usage")
        self._inputs, self._outputs = (
            of(f"gen_ai.client.inference.operation.{part}_tokens") for part in ("input", "output")
        )
        parts = ("input", "output", "cache_read.input", "cache_write.input", "reasoning.output")
        self._counters = {
            part: of(f"gen_ai.client.inference.usage.{part}_tokens") for part in parts
        }

    def record(self, usage: Usage, counts: Mapping[str, int], asked: Labels) -> None:
        if (count := counts.get("input")) is not None:
            self._usage.record(count, (*asked, "input"))
            self._inputs.record(count, asked)
            self._by_modality("input", count, usage.prompt_tokens_details, asked)
        if (count := counts.get("output")) is not None:
            self._usage.record(count, (*asked, "output"))
            self._outputs.record(count, asked)
            self._by_modality("output", count, usage.completion_tokens_details, asked)
        for kind, part in _PARTS:
            if kind in counts:
                self._counters[part].record(counts[kind], (*asked, "unknown"))

    def _by_modality(
        self,
        part: str,
        total: int,
        details: PromptTokensDetails | CompletionTokensDetails | None,
        asked: Labels,
    ) -> None:
        left = total
        for modality, field in () if details is None else _MODALITIES:
            count: int = getattr(details, field, None) or 0
            if 0 < count <= left:
                self._counters[part].record(count, (*asked, modality))
                left -= count
        if left or not total:
            self._counters[part].record(left, (*asked, "unknown"))


_MODALITIES: Final = (("text", "text_tokens"), ("image", "image_tokens"), ("audio", "audio_tokens"))
_PARTS: Final = (
    ("cache_read", "cache_read.input"),
    ("cache_write", "cache_write.input"),
    ("reasoning", "reasoning.output"),
)

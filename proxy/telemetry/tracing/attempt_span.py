"""The span of one call of a provider, and what the GenAI conventions have it say."""

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, StatusCode, Tracer

from proxy.call import AgentFacts, ToolWatch
from proxy.telemetry import attributes as names
from proxy.telemetry.bounds import LONGEST_NAME, bounded
from proxy.telemetry.content.capture import AttemptContent
from proxy.telemetry.recurring import Recurring, recurring
from proxy.telemetry.spans import AttemptEnd, AttemptStart, Attributes
from proxy.telemetry.tracing.propagation import outbound, traceparent
from proxy.telemetry.tracing.starting import Place, start_span
from proxy.telemetry.tracing.tools import ToolSpans
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Outcome

__all__ = ["OtelAttemptSpan", "UnrecordedAttempt"]

_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class OtelAttemptSpan:
    """One call of a provider, as `spans.AttemptSpan` has it.

    Args:
        tracer: Makes the span.
        place: Below the request's span.
        told: What is known now.
    """

    def __init__(self, tracer: Tracer, place: Place, told: AttemptStart) -> None:
        agent = told.dialect in names.AGENTS
        name = f"invoke_agent {told.dialect}" if agent else f"chat {told.model[:LONGEST_NAME]}"
        attributes = partial(_attempt_attributes, told)
        self._span = start_span(tracer, name, place, attributes, kind=SpanKind.CLIENT)
        self._below = place.below(self._span)
        self.carrier = outbound(self._span, place.outer, told.trace_context)
        self._stream = told.stream
        self.content: AttemptContent | None = None
        self.traceparent: str | None = None
        self._tools: ToolSpans | None = None
        if agent:
            # Its process reports to our own collector: what a provider may see is another matter.
            self.traceparent = traceparent(self._span)
            if self._span.is_recording():
                self._tools = ToolSpans(tracer, self._below.context)

    @property
    def watch(self) -> ToolWatch | None:
        """Wants to know of an agent's tools, while they are recorded."""
        return self._tools

    def capture(self, content: AttemptContent, told: AttemptStart) -> None:
        """Have content captured, if the span is recorded."""
        if self._span.is_recording():
            self.content = content
            for part in _attempt_attributes(told):
                content.known.update(part)

    def first_chunk(self, seconds: float) -> None:
        """Note the first part of the answer."""
        if not (self._stream and self._span.is_recording()):
            # A whole answer has no chunks: the conventions define the time for streams only.
            return
        attributes = {names.TIME_TO_FIRST_CHUNK: seconds}
        self._span.set_attributes(attributes)
        self._span.add_event("gen_ai.first_chunk", attributes)
        if self.content is not None:
            self.content.known.update(attributes)

    def end(self, end: AttemptEnd) -> None:
        """End the span."""
        span = self._span
        failed = end.error is not None or end.end_reason == "internal_error"
        if self._tools is not None:
            self._tools.end(failed=failed)
        if span.is_recording():
            final, own = _end_attributes(end)
            if failed:
                # The provider's own words may hold what the client said: they stay out.
                kind = _error_type(end.error) if end.error is not None else end.end_reason
                own[names.ERROR_TYPE] = kind
                span.set_status(StatusCode.ERROR)
            span.set_attributes(final)
            span.set_attributes(own)
            if self.content is not None:
                self.content.known.update(final)
                self.content.known.update(own)
                span.set_attributes(self.content.end(complete=end.end_reason == "completed"))
                self.content.tell(self._below.context)
        span.end()


class UnrecordedAttempt:
    """An attempt of a request that nobody records: it has a place in the trace, and no more.

    Args:
        tracer: Makes its span.
        place: Below the request's span.
        told: What is known now.
    """

    watch: ToolWatch | None = None
    content: AttemptContent | None = None

    def __init__(self, tracer: Tracer, place: Place, told: AttemptStart) -> None:
        span = start_span(tracer, "", place, tuple, kind=SpanKind.CLIENT)
        self.carrier = outbound(span, place.outer, told.trace_context)
        self.traceparent = traceparent(span) if told.dialect in names.AGENTS else None

    def first_chunk(self, seconds: float) -> None:
        """Note nothing."""

    def end(self, end: AttemptEnd) -> None:
        """End nothing."""


_start = recurring(
    *(names.OPERATION, names.PROVIDER, names.REQUEST_MODEL, names.SERVER_ADDRESS),
    *(names.SERVER_PORT, names.ATTEMPT_NUMBER, names.ATTEMPT_REASON, names.ATTEMPT_PROVIDER),
    *(names.AGENT_NAME, names.REQUEST_STREAM, names.RESEND_COUNT),
)


def _attempt_attributes(start: AttemptStart) -> Sequence[Attributes]:
    dialect, agent = start.dialect, start.dialect in names.AGENTS
    recurring = _start(
        *("invoke_agent" if agent else "chat", names.PROVIDER_NAMES.get(dialect, dialect)),
        *(bounded(start.model), *_host_and_port(start.base_url)),
        *(start.number, start.reason, start.provider, dialect if agent else None),
        *(True if start.stream else None, 1 if start.reason == "retry" else None),
    )
    own: dict[str, Any] = {}
    for name, value in start.parameters.items():
        if name in names.REQUEST_PARAMETERS and _tells_nothing(value):
            own[names.REQUEST_PARAMETERS[name]] = value
    if start.report.ignored or start.report.emulated:
        reported = _report_attributes(start.report)
        own.update((name, paths) for name, paths in reported.items() if paths)
    return (recurring, own) if own else (recurring,)


@lru_cache(maxsize=256)
def _host_and_port(base_url: str) -> tuple[str, int]:
    """Return where a provider is; there are few, and to take an address apart takes 1 µs."""
    url = urlsplit(base_url)
    return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)


def _tells_nothing(value: Any) -> bool:
    """Return whether it is a number or one word, as a level of effort is: nothing that was said."""
    return value is not None and (not isinstance(value, str) or _WORD.fullmatch(value) is not None)


def _report_attributes(report: Report) -> dict[str, list[str]]:
    return {
        names.IGNORED: [path[:200] for path in report.ignored[:50]],
        names.EMULATED: [path[:200] for path in report.emulated[:50]],
    }


_end = recurring(
    *(names.END_REASON, names.STATUS, names.ATTEMPT_DIALECT),
    *(names.RESPONSE_MODEL, names.FINISH_REASONS, names.NATIVE_FINISH_REASON),
)


def _end_attributes(end: AttemptEnd) -> tuple[Recurring, dict[str, Any]]:
    """Return what is known at the end: what comes again and again, and the attempt's own."""
    call, outcome = end.call, end.outcome
    model = reasons = native = None
    if outcome is not None:
        # The conventions' word for an answer that failed, was cancelled or broke off is `error`.
        reason = outcome.finish_reason if end.end_reason == "completed" else "error"
        reasons = (bounded(reason),) if reason else None
        model, native = bounded(outcome.model), bounded(outcome.native_finish_reason)
    recurring = _end(end.end_reason, call.status, call.dialect, model, reasons, native)
    own: dict[str, Any] = {} if outcome is None else _outcome_attributes(outcome)
    if end.chunks:
        own[names.CHUNKS] = end.chunks
    if call.follow_ups:
        own[names.FOLLOW_UPS] = call.follow_ups
    if call.report is not None:
        own |= _report_attributes(call.report)
    if call.request_id is not None:
        own[names.UPSTREAM_REQUEST_ID] = bounded(call.request_id)
    if end.cost is not None:
        own[names.COST] = end.cost
    if call.agent is not None:
        own |= _agent_attributes(call.agent)
    return recurring, own


def _agent_attributes(agent: AgentFacts) -> dict[str, Any]:
    attributes = {
        names.AGENT_PROCESS: agent.process,
        names.AGENT_SESSION: agent.session,
        names.AGENT_TURNS: agent.turns,
        names.AGENT_COST: agent.cost,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _outcome_attributes(outcome: Outcome) -> dict[str, Any]:
    """Return what is an answer's own."""
    attributes: dict[str, Any] = {names.RESPONSE_ID: bounded(outcome.id)}
    usage = outcome.usage
    if usage is not None:
        attributes[names.INPUT_TOKENS] = usage.prompt_tokens
        attributes[names.OUTPUT_TOKENS] = usage.completion_tokens
        if (prompt := usage.prompt_tokens_details) is not None:
            attributes[names.CACHE_READ_TOKENS] = prompt.cached_tokens
            attributes[names.CACHE_WRITE_TOKENS] = prompt.cache_write_tokens
            attributes[names.CACHE_CREATION_TOKENS] = prompt.cache_write_tokens
        if (answer := usage.completion_tokens_details) is not None:
            attributes[names.REASONING_TOKENS] = answer.reasoning_tokens
    return {name: value for name, value in attributes.items() if value is not None}


def _error_type(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return error.native_type or error.kind
    return cast("str", getattr(error, "code", None) or type(error).__name__)

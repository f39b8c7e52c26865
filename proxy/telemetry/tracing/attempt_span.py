"""The span of one call of a provider, and what the GenAI conventions have it say."""

import re
from functools import lru_cache, partial
from typing import Any, Final, cast
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context

from proxy.call import AgentFacts, ToolWatch
from proxy.telemetry import attributes as names
from proxy.telemetry.content.capture import AttemptContent
from proxy.telemetry.spans import AttemptEnd, AttemptStart
from proxy.telemetry.tracing.bounds import LONGEST_NAME, bounded, bounded_all
from proxy.telemetry.tracing.propagation import outbound, traceparent
from proxy.telemetry.tracing.starting import start_span
from proxy.telemetry.tracing.tools import ToolSpans
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Outcome

__all__ = ["OtelAttemptSpan"]

_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class OtelAttemptSpan:
    """One call of a provider, as `spans.AttemptSpan` has it.

    Args:
        tracer: Makes the span.
        parent: The context of the request's span.
        told: What is known now.
    """

    def __init__(self, tracer: Tracer, parent: Context, told: AttemptStart) -> None:
        agent = told.dialect in names.AGENTS
        name = f"invoke_agent {told.dialect}" if agent else f"chat {told.model[:LONGEST_NAME]}"
        attributes = partial(_attempt_attributes, told)
        self._span = start_span(tracer, name, parent, attributes, kind=SpanKind.CLIENT)
        self.carrier = outbound(self._span, parent, told.trace_context)
        self._parent = parent
        self._stream = told.stream
        self.content: AttemptContent | None = None
        self.traceparent: str | None = None
        self._tools: ToolSpans | None = None
        if agent:
            # Its process reports to our own collector: what a provider may see is another matter.
            self.traceparent = traceparent(self._span)
            if self._span.is_recording():
                self._tools = ToolSpans(tracer, set_span_in_context(self._span, parent))

    @property
    def watch(self) -> ToolWatch | None:
        """Wants to know of an agent's tools, while they are recorded."""
        return self._tools

    def capture(self, content: AttemptContent, told: AttemptStart) -> None:
        """Have content captured, if the span is recorded."""
        if self._span.is_recording():
            self.content = content
            content.known.update(_attempt_attributes(told))

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
            final = _end_attributes(end)
            if failed:
                # The provider's own words may hold what the client said: they stay out.
                kind = _error_type(end.error) if end.error is not None else end.end_reason
                final[names.ERROR_TYPE] = kind
                span.set_status(StatusCode.ERROR)
            span.set_attributes(final)
            if self.content is not None:
                self.content.known.update(final)
                span.set_attributes(self.content.end(complete=end.end_reason == "completed"))
                self.content.tell(set_span_in_context(span, self._parent))
        span.end()


def _attempt_attributes(start: AttemptStart) -> dict[str, Any]:
    host, port = _host_and_port(start.base_url)
    attributes: dict[str, Any] = {
        names.OPERATION: "invoke_agent" if start.dialect in names.AGENTS else "chat",
        names.PROVIDER: names.PROVIDER_NAMES.get(start.dialect, start.dialect),
        names.REQUEST_MODEL: bounded(start.model),
        names.SERVER_ADDRESS: host,
        names.SERVER_PORT: port,
        names.ATTEMPT_NUMBER: start.number,
        names.ATTEMPT_REASON: start.reason,
        names.ATTEMPT_PROVIDER: start.provider,
    }
    if start.dialect in names.AGENTS:
        attributes[names.AGENT_NAME] = start.dialect
    if start.stream:
        attributes[names.REQUEST_STREAM] = True
    if start.reason == "retry":
        attributes[names.RESEND_COUNT] = 1
    for name, value in start.parameters.items():
        if name in names.REQUEST_PARAMETERS and _tells_nothing(value):
            attributes[names.REQUEST_PARAMETERS[name]] = value
    if start.report.ignored or start.report.emulated:
        reported = _report_attributes(start.report)
        attributes.update((name, paths) for name, paths in reported.items() if paths)
    return attributes


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


def _end_attributes(end: AttemptEnd) -> dict[str, Any]:
    attributes: dict[str, Any] = {names.END_REASON: end.end_reason}
    if end.chunks:
        attributes[names.CHUNKS] = end.chunks
    if end.call.follow_ups:
        attributes[names.FOLLOW_UPS] = end.call.follow_ups
    if end.call.status is not None:
        attributes[names.STATUS] = end.call.status
    if end.call.dialect is not None:
        attributes[names.ATTEMPT_DIALECT] = end.call.dialect
    if end.call.report is not None:
        attributes |= _report_attributes(end.call.report)
    if end.call.request_id is not None:
        attributes[names.UPSTREAM_REQUEST_ID] = bounded(end.call.request_id)
    if end.cost is not None:
        attributes[names.COST] = end.cost
    if end.call.agent is not None:
        attributes |= _agent_attributes(end.call.agent)
    if end.outcome is not None:
        attributes.update(_outcome_attributes(end.outcome, complete=end.end_reason == "completed"))
    return attributes


def _agent_attributes(agent: AgentFacts) -> dict[str, Any]:
    attributes = {
        names.AGENT_PROCESS: agent.process,
        names.AGENT_SESSION: agent.session,
        names.AGENT_TURNS: agent.turns,
        names.AGENT_COST: agent.cost,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _outcome_attributes(outcome: Outcome, *, complete: bool) -> dict[str, Any]:
    # The conventions' word for an answer that failed, was cancelled or broke off is `error`.
    reason = outcome.finish_reason if complete else "error"
    attributes: dict[str, Any] = {
        names.RESPONSE_ID: outcome.id,
        names.RESPONSE_MODEL: outcome.model,
        names.FINISH_REASONS: [reason] if reason else None,
        names.NATIVE_FINISH_REASON: outcome.native_finish_reason,
    }
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
    known = {name: value for name, value in attributes.items() if value is not None}
    return bounded_all(known)


def _error_type(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return error.native_type or error.kind
    return cast("str", getattr(error, "code", None) or type(error).__name__)

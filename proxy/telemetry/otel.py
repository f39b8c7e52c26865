"""Spans through the OpenTelemetry SDK: the one module that imports it.

The provider is ours alone, never the process's global one: libraries that trace whenever a
global provider exists (the Anthropic SDK does) stay silent.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from proxy.call import AgentFacts, ToolWatch
from proxy.telemetry import attributes as names
from proxy.telemetry.spans import AttemptEnd, AttemptSpan, AttemptStart, Attributes, RequestSpan
from proxy.telemetry.tools import ToolSpans
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Outcome

__all__ = ["OtelTelemetry"]

log = logging.getLogger("execution_platform.telemetry")

SHUTDOWN_SECONDS = 5.0
"""How long the last spans may take. The SDK's own flush ignores its time limit."""

LONGEST_TEXT = 500
"""Characters of an attribute."""

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()
_QUIET = frozenset({"/healthz", "/readyz"})


class OtelTelemetry:
    """Creates the spans of requests, each with its parent given explicitly."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("execution-platform", version)

    def request(self, scope: Mapping[str, Any]) -> RequestSpan:
        """Start a SERVER span, below the caller's where it sent a trace context."""
        return _RequestSpan(self._tracer, scope)

    async def shutdown(self) -> None:
        """Deliver what is left; give up after a few seconds, and say so."""
        stop = asyncio.to_thread(self._provider.shutdown)
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await stop
        except TimeoutError:
            log.warning("the last spans were not delivered within %g s", SHUTDOWN_SECONDS)


class _RequestSpan:
    def __init__(self, tracer: Tracer, scope: Mapping[str, Any]) -> None:
        carrier = _inbound(scope["headers"])
        context = _TRACE_CONTEXT.extract(carrier) if carrier else Context()
        if "baggage" in carrier:
            context = _BAGGAGE.extract(carrier, context)
        self._tracer = tracer
        self._name = f"{scope['method']} {scope['path']}"
        self._scope = scope
        self._span = tracer.start_span(
            scope["method"],
            context=context,
            kind=SpanKind.SERVER,
            attributes=_server_attributes(scope),
        )
        self._context = set_span_in_context(self._span, context)

    @property
    def traceresponse(self) -> bytes | None:
        span = self._span.get_span_context()
        return b"00-%032x-%016x-%02x" % (span.trace_id, span.span_id, span.trace_flags)

    @property
    def trace_id(self) -> str | None:
        return format(self._span.get_span_context().trace_id, "032x")

    def event(self, name: str, attributes: Attributes) -> None:
        self._span.add_event(name, attributes)

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        return _AttemptSpan(self._tracer, self._context, start)

    def end(self, *, status: int | None, attributes: Attributes, error_type: str | None) -> None:
        span = self._span
        if span.is_recording():
            final: dict[str, Any] = {name: _bounded(value) for name, value in attributes.items()}
            # Only a path that a route knows may name a span: others are the caller's to invent.
            if route := getattr(self._scope.get("route"), "path", None):
                final[names.ROUTE] = route
                span.update_name(f"{self._scope['method']} {route}")
            if status is not None:
                final[names.STATUS] = status
            broken = error_type is not None and attributes.get(names.END_REASON) in (
                "upstream_error",
                "internal_error",
            )
            if (status is not None and status >= 500) or (status == 200 and broken):
                final[names.ERROR_TYPE] = error_type or str(status)
                span.set_status(StatusCode.ERROR)
            span.set_attributes(final)
        span.end()


class _AttemptSpan:
    def __init__(self, tracer: Tracer, parent: Context, start: AttemptStart) -> None:
        agent = start.dialect in names.AGENTS
        self._span = tracer.start_span(
            f"invoke_agent {start.dialect}" if agent else f"chat {start.model}",
            context=parent,
            kind=SpanKind.CLIENT,
            attributes=_attempt_attributes(start),
        )
        self.carrier = _outbound(self._span, parent, start.trace_context)
        self._stream = start.stream
        self.traceparent: str | None = None
        self._tools: ToolSpans | None = None
        if agent:
            # Its process reports to our own collector: what a provider may see is another matter.
            self.traceparent = _outbound(self._span, parent, "traceparent").get("traceparent")
            if self._span.is_recording():
                self._tools = ToolSpans(tracer, set_span_in_context(self._span, parent))

    @property
    def watch(self) -> ToolWatch | None:
        return self._tools

    def first_chunk(self, seconds: float) -> None:
        if not self._stream:
            # A whole answer has no chunks: the conventions define the time for streams only.
            return
        attributes = {names.TIME_TO_FIRST_CHUNK: seconds}
        self._span.set_attributes(attributes)
        self._span.add_event("gen_ai.first_chunk", attributes)

    def end(self, end: AttemptEnd) -> None:
        span = self._span
        failed = end.error is not None or end.end_reason == "internal_error"
        if self._tools is not None:
            self._tools.end(failed=failed)
        if span.is_recording():
            span.set_attributes(_end_attributes(end))
            if failed:
                # The provider's own words may hold what the client said: they stay out.
                kind = _error_type(end.error) if end.error is not None else end.end_reason
                span.set_attribute(names.ERROR_TYPE, kind)
                span.set_status(StatusCode.ERROR)
        span.end()


def _inbound(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name in (b"traceparent", b"tracestate", b"baggage"):
            key, text = name.decode(), value.decode("latin-1")
            # The list-valued two may come in several lines.
            known = key in carrier and key != "traceparent"
            carrier[key] = f"{carrier[key]},{text}" if known else text
    return carrier


def _outbound(span: Span, parent: Context, policy: str) -> Mapping[str, str]:
    """Return the attempt's own context for the provider, as much as the policy lets it see."""
    carrier: dict[str, str] = {}
    if policy == "none":
        return carrier
    context = set_span_in_context(span, parent)
    _TRACE_CONTEXT.inject(carrier, context)
    if policy == "full":
        _BAGGAGE.inject(carrier, context)
    else:
        carrier.pop("tracestate", None)
    return carrier


def _server_attributes(scope: Mapping[str, Any]) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        names.METHOD: scope["method"],
        names.PATH: _bounded(scope["path"]),
        names.SCHEME: scope["scheme"],
        names.PROTOCOL_VERSION: scope["http_version"],
    }
    if scope.get("client"):
        attributes[names.CLIENT_ADDRESS] = scope["client"][0]
    if scope.get("server"):
        attributes[names.SERVER_ADDRESS] = scope["server"][0]
        if scope["server"][1]:
            attributes[names.SERVER_PORT] = scope["server"][1]
    for name, value in scope["headers"]:
        if name == b"user-agent":
            attributes[names.USER_AGENT] = value.decode("latin-1")[:200]
    return attributes


def _attempt_attributes(start: AttemptStart) -> dict[str, Any]:
    url = urlsplit(start.base_url)
    attributes: dict[str, Any] = {
        names.OPERATION: "invoke_agent" if start.dialect in names.AGENTS else "chat",
        names.PROVIDER: names.PROVIDER_NAMES.get(start.dialect, start.dialect),
        names.REQUEST_MODEL: start.model,
        names.SERVER_ADDRESS: url.hostname or "",
        names.SERVER_PORT: url.port or (443 if url.scheme == "https" else 80),
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
        if value is not None and name in names.REQUEST_PARAMETERS:
            attributes[names.REQUEST_PARAMETERS[name]] = value
    reported = _report_attributes(start.report)
    return attributes | {name: paths for name, paths in reported.items() if paths}


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
        attributes[names.UPSTREAM_REQUEST_ID] = end.call.request_id
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
        prompt, answer = usage.prompt_tokens_details, usage.completion_tokens_details
        attributes |= {
            names.INPUT_TOKENS: usage.prompt_tokens,
            names.OUTPUT_TOKENS: usage.completion_tokens,
            names.CACHE_READ_TOKENS: prompt.cached_tokens if prompt else None,
            names.CACHE_WRITE_TOKENS: prompt.cache_write_tokens if prompt else None,
            names.CACHE_CREATION_TOKENS: prompt.cache_write_tokens if prompt else None,
            names.REASONING_TOKENS: answer.reasoning_tokens if answer else None,
        }
    return {name: value for name, value in attributes.items() if value is not None}


def _bounded(value: Any) -> Any:
    """Cut a text that a caller may have invented, such as the model it asked for."""
    return value[:LONGEST_TEXT] if isinstance(value, str) else value


def _error_type(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return error.native_type or error.kind
    return cast("str", getattr(error, "code", None) or type(error).__name__)

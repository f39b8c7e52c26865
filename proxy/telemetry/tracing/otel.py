"""Spans through OpenTelemetry's API; `records` is what stands behind it, or the SDK.

The provider is ours alone, never the process's global one: libraries that trace whenever a
global provider exists (the Anthropic SDK does) stay silent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context

from policy.tracing import Inbound
from proxy.telemetry import attributes as names
from proxy.telemetry.content.capture import Capture
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.spans import (
    NO_FAULT,
    AttemptSpan,
    AttemptStart,
    Attributes,
    Headers,
    RequestSpan,
    RouteSpan,
    RouteStart,
)
from proxy.telemetry.tracing.attempt_span import OtelAttemptSpan
from proxy.telemetry.tracing.bounds import LONGEST_NAME, bounded, bounded_all
from proxy.telemetry.tracing.propagation import inbound
from proxy.telemetry.tracing.records import SpanProvider
from proxy.telemetry.tracing.starting import start_span

__all__ = ["OtelTelemetry"]

log = logging.getLogger("execution_platform.telemetry")

SHUTDOWN_SECONDS = 5.0
"""How long the last spans may take. Our own delivery keeps to less; the SDK's knows no limit."""

_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
"""Those that the HTTP conventions let a span show: others are the caller's to invent."""


class OtelTelemetry:
    """Creates the spans of requests, each with its parent given explicitly.

    Args:
        provider: Makes and delivers them.
        version: Of this program.
        capture: What captures content; None: nothing does.
        counts: Returns what became of the spans so far.
    """

    def __init__(
        self,
        provider: SpanProvider,
        version: str,
        capture: Capture | None = None,
        counts: Callable[[], DeliveryCounts] = DeliveryCounts,
    ) -> None:
        self._provider = provider
        self._capture = capture
        self._counts = counts
        self._tracer = provider.get_tracer("execution-platform", version)

    def request(self, scope: Mapping[str, Any], policy: Inbound = "join") -> RequestSpan:
        """Start a SERVER span; its place is below the caller's as the policy has it."""
        context, links = inbound(scope["headers"], policy)
        method: str = scope["method"] if scope["method"] in _METHODS else "HTTP"
        attributes = partial(_server_attributes, scope)
        span = start_span(
            self._tracer, method, context, attributes, kind=SpanKind.SERVER, links=links
        )
        return _RequestSpan(self._tracer, span, context, scope, self._capture)

    def call(self, headers: Headers) -> RequestSpan:
        """Start an INTERNAL span, below the one that the program has made current."""
        context, _ = inbound(headers, "join")
        span = self._tracer.start_span("execution_platform", context=context)
        return _RequestSpan(self._tracer, span, context, {}, self._capture)

    def counts(self) -> DeliveryCounts:
        """Return how many spans were delivered, and how many were not."""
        return self._counts()

    async def shutdown(self) -> None:
        """Deliver what is left; give up after a few seconds, and say so."""
        try:
            if self._capture is not None:
                await self._capture.shutdown()
        finally:
            await self._shut()

    async def _shut(self) -> None:
        try:
            async with asyncio.timeout(SHUTDOWN_SECONDS):
                await asyncio.to_thread(self._provider.shutdown)
        except TimeoutError:
            log.warning("the last spans were not delivered within %g s", SHUTDOWN_SECONDS)


class _RequestSpan:
    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        context: Context,
        scope: Mapping[str, Any],
        capture: Capture | None,
    ) -> None:
        self._capture = capture
        self._tracer = tracer
        self._span = span
        self._scope = scope
        self._context = set_span_in_context(span, context)

    @property
    def is_recording(self) -> bool:
        return self._span.is_recording()

    @property
    def traceresponse(self) -> bytes | None:
        span = self._span.get_span_context()
        return b"00-%032x-%016x-%02x" % (span.trace_id, span.span_id, span.trace_flags)

    @property
    def trace_id(self) -> str | None:
        return format(self._span.get_span_context().trace_id, "032x")

    def event(self, name: str, attributes: Attributes) -> None:
        self._span.add_event(name, bounded_all(attributes))

    def route(self, start: RouteStart) -> RouteSpan:
        if start.candidates < 2:
            # Nothing was chosen; what there is to say stands on the request itself.
            return _NoChoice(self._span)
        return _RouteSpan(self._tracer, self._context, start)

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        attempt = OtelAttemptSpan(self._tracer, self._context, start)
        if self._capture is not None:
            headers = self._scope.get("headers", ())
            attempt.capture(self._capture.attempt(start.dialect, headers), start)
        return attempt

    def end(self, *, status: int | None, attributes: Attributes, error_type: str | None) -> None:
        span = self._span
        if span.is_recording():
            final = bounded_all(attributes)
            # Only a path that a route knows may name a span: others are the caller's to invent.
            if route := getattr(self._scope.get("route"), "path", None):
                final[names.ROUTE] = route
                if self._scope["method"] in _METHODS:
                    span.update_name(f"{self._scope['method']} {route}")
            if status is not None and self._scope:
                final[names.STATUS] = status
            broken = error_type is not None and attributes.get(names.END_REASON) not in NO_FAULT
            if (status is not None and status >= 500) or (status == 200 and broken):
                final[names.ERROR_TYPE] = error_type or str(status)
                span.set_status(StatusCode.ERROR)
            span.set_attributes(final)
        span.end()


class _RouteSpan:
    """Ends with the last that was decided, which the next attempt may only bring about."""

    def __init__(self, tracer: Tracer, parent: Context, told: RouteStart) -> None:
        name, attributes = f"route {told.persona[:LONGEST_NAME]}", partial(_route_attributes, told)
        self._span = start_span(tracer, name, parent, attributes, start_time=told.began)
        self._until = time.time_ns()

    def event(self, name: str, attributes: Attributes) -> None:
        self._until = time.time_ns()
        self._span.add_event(name, bounded_all(attributes), timestamp=self._until)

    def selected(self, provider: str, model: str) -> None:
        if self._span.is_recording():
            self._until = time.time_ns()
            chosen = {names.ROUTE_SELECTED: provider, names.ROUTE_MODEL: bounded(model)}
            self._span.set_attributes(chosen)

    def end(self) -> None:
        self._span.end(self._until)


class _NoChoice:
    def __init__(self, request: Span) -> None:
        self._request = request

    def event(self, name: str, attributes: Attributes) -> None:
        self._request.add_event(name, bounded_all(attributes))

    def selected(self, provider: str, model: str) -> None:
        pass

    def end(self) -> None:
        pass


def _server_attributes(scope: Mapping[str, Any]) -> dict[str, str | int]:
    known = scope["method"] in _METHODS
    attributes: dict[str, str | int] = {
        names.METHOD: scope["method"] if known else "_OTHER",
        names.PATH: bounded(scope["path"]),
        names.SCHEME: scope["scheme"],
        names.PROTOCOL_VERSION: scope["http_version"],
    }
    if not known:
        attributes[names.METHOD_ORIGINAL] = scope["method"][:LONGEST_NAME]
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


def _route_attributes(start: RouteStart) -> dict[str, Any]:
    return {
        names.ROUTE_PERSONA: bounded(start.persona),
        names.ROUTE_CANDIDATES: start.candidates,
        names.ROUTE_REQUIRED: list(start.required),
        names.ROUTE_REASON: start.reason,
    }

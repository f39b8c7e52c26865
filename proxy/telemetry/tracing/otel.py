"""Spans through OpenTelemetry's API; `records` is what stands behind it, or the SDK.

The provider is ours alone, never the process's global one: libraries that trace whenever a
global provider exists (the Anthropic SDK does) stay silent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from policy.tracing import Inbound
from proxy.telemetry import attributes as names
from proxy.telemetry.bounds import LONGEST_NAME, bounded, bounded_all
from proxy.telemetry.content.capture import Capture
from proxy.telemetry.export.counts import DeliveryCounts
from proxy.telemetry.recurring import Recurring, recurring
from proxy.telemetry.spans import (
    NO_FAULT,
    NO_ROUTE,
    AttemptSpan,
    AttemptStart,
    Attributes,
    Headers,
    RequestSpan,
    RouteSpan,
    RouteStart,
)
from proxy.telemetry.tracing.attempt_span import OtelAttemptSpan, UnrecordedAttempt
from proxy.telemetry.tracing.propagation import inbound
from proxy.telemetry.tracing.starting import Place, decides_by_trace, start_span
from proxy.telemetry.tracing.tracer import SpanProvider

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
        self._by_trace = decides_by_trace(self._tracer)

    def request(self, scope: Mapping[str, Any], policy: Inbound = "join") -> RequestSpan:
        """Start a SERVER span; its place is below the caller's as the policy has it."""
        context, links = inbound(scope["headers"], policy)
        place = Place(context)
        method: str = scope["method"] if scope["method"] in _METHODS else "HTTP"
        attributes = partial(_server_attributes, scope)
        span = start_span(
            self._tracer, method, place, attributes, kind=SpanKind.SERVER, links=links
        )
        if self._by_trace and not span.is_recording():
            return _UnrecordedRequest(self._tracer, span, place)
        return _RequestSpan(self._tracer, span, place, scope, self._capture)

    def call(self, headers: Headers) -> RequestSpan:
        """Start an INTERNAL span, below the one that the program has made current."""
        context, _ = inbound(headers, "join")
        span = self._tracer.start_span("execution_platform", context=context)
        return _RequestSpan(self._tracer, span, Place(context), {}, self._capture)

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


class _Identified:
    """What the rest of the proxy is told of a trace, recorded or not."""

    def __init__(self, span: Span) -> None:
        context = span.get_span_context()
        self.trace_id: str | None = f"{context.trace_id:032x}"
        said = f"00-{self.trace_id}-{context.span_id:016x}-{context.trace_flags:02x}"
        self.traceresponse: bytes | None = said.encode()


class _UnrecordedRequest(_Identified):
    """A request whose trace nobody records, so no span of it: providers are told, and no more."""

    is_recording = False

    def __init__(self, tracer: Tracer, span: Span, place: Place) -> None:
        super().__init__(span)
        self._tracer = tracer
        self._below = place.below(span)

    def event(self, name: str, attributes: Attributes) -> None:
        pass

    def route(self, start: RouteStart) -> RouteSpan:
        return NO_ROUTE

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        return UnrecordedAttempt(self._tracer, self._below, start)

    def end(
        self, *, status: int | None, attributes: Sequence[Attributes], error_type: str | None
    ) -> None:
        pass


class _RequestSpan(_Identified):
    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        place: Place,
        scope: Mapping[str, Any],
        capture: Capture | None,
    ) -> None:
        super().__init__(span)
        self._capture = capture
        self._tracer = tracer
        self._span = span
        self._scope: Mapping[str, Any] = scope
        self._below = place.below(span)

    @property
    def is_recording(self) -> bool:
        return self._span.is_recording()

    def event(self, name: str, attributes: Attributes) -> None:
        self._span.add_event(name, bounded_all(attributes))

    def route(self, start: RouteStart) -> RouteSpan:
        if start.candidates < 2:
            # Nothing was chosen; what there is to say stands on the request itself.
            return _NoChoice(self._span)
        return _RouteSpan(self._tracer, self._below, start)

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        attempt = OtelAttemptSpan(self._tracer, self._below, start)
        if self._capture is not None:
            headers = self._scope.get("headers", ())
            attempt.capture(self._capture.attempt(start.dialect, headers), start)
        return attempt

    def end(
        self, *, status: int | None, attributes: Sequence[Attributes], error_type: str | None
    ) -> None:
        span = self._span
        if span.is_recording():
            # Only a path that a route knows may name a span: others are the caller's to invent.
            route: str | None = getattr(self._scope.get("route"), "path", None)
            if route and self._scope["method"] in _METHODS:
                span.update_name(_name(self._scope["method"], route))
            for part in attributes:
                span.set_attributes(part if part.__class__ is Recurring else bounded_all(part))
            span.set_attributes(_ending(route, status if self._scope else None))
            broken = error_type is not None and not any(
                part.get(names.END_REASON) in NO_FAULT for part in attributes
            )
            if (status is not None and status >= 500) or (status == 200 and broken):
                span.set_attributes({names.ERROR_TYPE: bounded(error_type or str(status))})
                span.set_status(StatusCode.ERROR)
        span.end()
        # It leads back to this span: with a cycle for each request the collector took 5 % of the
        # CPU, and stopped all others for 20 ms now and then.
        self._scope = {}


@lru_cache(maxsize=256)
def _name(method: str, route: str) -> str:
    return f"{method} {route}"


class _RouteSpan:
    """Ends with the last that was decided, which the next attempt may only bring about."""

    def __init__(self, tracer: Tracer, place: Place, told: RouteStart) -> None:
        name, attributes = f"route {told.persona[:LONGEST_NAME]}", partial(_route_attributes, told)
        self._span = start_span(tracer, name, place, attributes, start_time=told.began)
        self._until = time.time_ns()

    def event(self, name: str, attributes: Attributes) -> None:
        self._until = time.time_ns()
        self._span.add_event(name, bounded_all(attributes), timestamp=self._until)

    def selected(self, provider: str, model: str) -> None:
        if self._span.is_recording():
            self._until = time.time_ns()
            self._span.set_attributes(_selected(provider, bounded(model)))

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


_server = recurring(
    *(names.METHOD, names.PATH, names.SCHEME, names.PROTOCOL_VERSION, names.METHOD_ORIGINAL),
    *(names.SERVER_ADDRESS, names.SERVER_PORT, names.USER_AGENT),
)
_route = recurring(
    *(names.ROUTE_PERSONA, names.ROUTE_CANDIDATES, names.ROUTE_REQUIRED, names.ROUTE_REASON)
)
_selected = recurring(names.ROUTE_SELECTED, names.ROUTE_MODEL)
_ending = recurring(names.ROUTE, names.STATUS)


def _server_attributes(scope: Mapping[str, Any]) -> Sequence[Attributes]:
    method: str = scope["method"]
    known = method in _METHODS
    host, port = scope.get("server") or (None, None)
    agent: str | None = None
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value[:200].decode("latin-1")
    recurring = _server(
        *(method if known else "_OTHER", bounded(scope["path"]), scope["scheme"]),
        *(scope["http_version"], None if known else method[:LONGEST_NAME]),
        *(host, port or None, agent),
    )
    # Of clients there are too many to remember what each has in common with itself.
    client = scope.get("client")
    return ({names.CLIENT_ADDRESS: client[0]}, recurring) if client else (recurring,)


def _route_attributes(start: RouteStart) -> Sequence[Attributes]:
    required = tuple(start.required)
    return (_route(bounded(start.persona), start.candidates, required, start.reason),)

"""The spans of one request, as the rest of the proxy sees them; and their absence.

What they are told comes as structs of msgspec, here and in `proxy.trail`: each request makes some,
and a frozen dataclass takes three times as long to make.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from policy.tracing import Inbound
from proxy.call import Call, ToolWatch
from proxy.telemetry.export.counts import DeliveryCounts
from translators.errors import ExecutionPlatformError
from translators.fidelity import Report
from translators.protocol import Outcome

if TYPE_CHECKING:
    # Imported where something is captured: 4 ms of the start.
    from proxy.telemetry.content.capture import AttemptContent

__all__ = [
    "NO_FAULT",
    "NO_ROUTE",
    "NO_TELEMETRY",
    "AttemptEnd",
    "AttemptSpan",
    "AttemptStart",
    "Attributes",
    "Headers",
    "NoTelemetry",
    "RequestSpan",
    "RouteSpan",
    "RouteStart",
    "Telemetry",
]

NO_FAULT: Final = ("client_disconnect", "server_shutdown")
"""Ends of an answer of status 200 that are no error of it, though it is not whole."""

Attributes = Mapping[str, str | bool | int | float | Sequence[str]]

Headers = Sequence[tuple[bytes, bytes]]


class RouteStart(msgspec.Struct, frozen=True):
    """What is known when it was decided where a request may go.

    Attributes:
        persona: As the request names it.
        candidates: How many providers and models there were.
        required: What the request needs.
        reason: Why the first target is the first, or that there is none.
        began: When the decision was begun: nanoseconds since the epoch.
    """

    persona: str
    candidates: int
    required: Sequence[str]
    reason: str
    began: int


class AttemptStart(msgspec.Struct, frozen=True):
    """What is known when an attempt begins.

    Attributes:
        provider: Its name in the policy.
        dialect: The API it is called by.
        model: The model that is asked.
        base_url: Where the provider is.
        number: From 1, over all targets of the request.
        reason: `initial`, `retry` (same target) or `fallback`.
        stream: Whether the answer is to be streamed.
        parameters: Of the request, by their name in OpenAI's API.
        report: What the translation ignored and emulated.
        trace_context: How much of it the provider may see: `none`, `traceparent` or `full`.
    """

    provider: str
    dialect: str
    model: str
    base_url: str
    number: int
    reason: str
    stream: bool
    parameters: Mapping[str, Any]
    report: Report
    trace_context: str


class AttemptEnd(msgspec.Struct, frozen=True):
    """What is known when an attempt is over.

    Attributes:
        call: Status and request id of the provider's answer.
        outcome: What the answer said of itself; None where none came.
        end_reason: `completed`, `client_disconnect`, `server_shutdown` or `upstream_error`.
        error: Why it failed, if it did.
        chunks: How many chunks went to the client.
        cost: In US dollars; None: nobody knows.
    """

    call: Call
    outcome: Outcome | None
    end_reason: str
    error: ExecutionPlatformError | None = None
    chunks: int = 0
    cost: float | None = None


class AttemptSpan(Protocol):
    """One call of a provider."""

    @property
    def carrier(self) -> Mapping[str, str]:
        """Trace context for the provider: the attempt's own, never the caller's."""
        ...

    @property
    def traceparent(self) -> str | None:
        """The attempt's context for an agent of ours; None: there is no agent, or no trace."""
        ...

    @property
    def watch(self) -> ToolWatch | None:
        """Wants to know of an agent's tools; None: there is no agent, or nothing is recorded."""
        ...

    @property
    def content(self) -> "AttemptContent | None":
        """Is told what is asked and answered; None: nobody wants to know, as is usual."""
        ...

    def first_chunk(self, seconds: float) -> None:
        """Note the first part of the answer, `seconds` after the start."""
        ...

    def end(self, end: AttemptEnd) -> None:
        """End the span."""
        ...


class RouteSpan(Protocol):
    """How it was decided whom to ask, until somebody has answered."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Note something that bears on the decision."""
        ...

    def selected(self, provider: str, model: str) -> None:
        """Say who is asked now; the last one stays."""
        ...

    def end(self) -> None:
        """End the span, at the time of what was noted last."""
        ...


class RequestSpan(Protocol):
    """One request of a client."""

    @property
    def is_recording(self) -> bool:
        """Whether anybody looks at its attributes."""
        ...

    @property
    def traceresponse(self) -> bytes | None:
        """The value of the `traceresponse` header, or None where nothing is traced."""
        ...

    @property
    def trace_id(self) -> str | None:
        """The trace's id in hexadecimal, for the decision log."""
        ...

    def event(self, name: str, attributes: Attributes) -> None:
        """Note something that happened."""
        ...

    def route(self, start: RouteStart) -> RouteSpan:
        """Start the span of the decision, if there was something to decide."""
        ...

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        """Start the span of one call of a provider."""
        ...

    def end(
        self, *, status: int | None, attributes: Sequence[Attributes], error_type: str | None
    ) -> None:
        """End the span.

        Args:
            status: Of the response; None: it had not begun.
            attributes: What is known at the end, in parts.
            error_type: Why the request failed, if it did.
        """
        ...


class Telemetry(Protocol):
    """Creates spans, and delivers them."""

    def request(self, scope: Mapping[str, Any], policy: Inbound = "join") -> RequestSpan:
        """Start the span of the request that an ASGI scope describes.

        Args:
            scope: Of the request.
            policy: What the caller's trace context does.
        """
        ...

    def call(self, headers: Headers) -> RequestSpan:
        """Start the span of a call in this process.

        Args:
            headers: The trace context of the program that calls, as HTTP has it.
        """
        ...

    def counts(self) -> DeliveryCounts:
        """Return how many spans were delivered, and how many were not."""
        ...

    async def shutdown(self) -> None:
        """Deliver what is left, within a few seconds."""
        ...


class _NoAttempt:
    carrier: Mapping[str, str] = {}
    traceparent: str | None = None
    watch: ToolWatch | None = None
    content: "AttemptContent | None" = None

    def first_chunk(self, seconds: float) -> None:
        pass

    def end(self, end: AttemptEnd) -> None:
        pass


class _NoRoute:
    def event(self, name: str, attributes: Attributes) -> None:
        pass

    def selected(self, provider: str, model: str) -> None:
        pass

    def end(self) -> None:
        pass


class _NoRequest:
    is_recording: bool = False
    traceresponse: bytes | None = None
    trace_id: str | None = None

    def event(self, name: str, attributes: Attributes) -> None:
        pass

    def route(self, start: RouteStart) -> RouteSpan:
        return NO_ROUTE

    def attempt(self, start: AttemptStart) -> AttemptSpan:
        return _NO_ATTEMPT

    def end(
        self, *, status: int | None, attributes: Sequence[Attributes], error_type: str | None
    ) -> None:
        pass


class NoTelemetry:
    """Telemetry that is off: one shared object, nothing allocated."""

    def request(self, scope: Mapping[str, Any], policy: Inbound = "join") -> RequestSpan:
        """Return a span that records nothing."""
        return _NO_REQUEST

    def call(self, headers: Headers) -> RequestSpan:
        """Return a span that records nothing."""
        return _NO_REQUEST

    def counts(self) -> DeliveryCounts:
        """Return that there was none."""
        return DeliveryCounts()

    async def shutdown(self) -> None:
        """Nothing to deliver."""


_NO_ATTEMPT = _NoAttempt()
NO_ROUTE = _NoRoute()
_NO_REQUEST = _NoRequest()
NO_TELEMETRY = NoTelemetry()

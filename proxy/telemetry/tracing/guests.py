"""Spans of a process that serves one request, before they go to the collector with ours.

Claude's command line (2.1.330) reports by itself. Five things in that are not for a collector:

1. Who is logged in: e-mail address, account and organisation are on each of its spans, and only the
   account can be switched off. An agent's tools would add their arguments.
2. Each turn of the history that it is told is an `interaction` of its own.
3. A tool of the client's, which it hands over, looks like one that it ran and broke off.
4. It calls itself an agent, and its tools tools, in the words of the GenAI conventions: so do our
   spans, and what is counted by those words would be counted twice.
5. A span that is not of the request's trace. It makes such ones where it was told no trace.

So what may pass is listed; what a later version adds stays here until somebody has looked at it.
"""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

__all__ = ["admitted"]

LONGEST_TEXT: Final = 200
"""Characters of an attribute."""

_INTERACTION: Final = "claude_code.interaction"
_TOOL: Final = "claude_code.tool"
_KNOWN: Final = ("claude_code.interaction", "claude_code.llm_request", _TOOL)
_RESOURCE: Final = frozenset({"service.name", "service.version"})
_ATTRIBUTES: Final = frozenset(
    {
        *("attempt", "decision", "effort", "error_class", "model", "session.id", "source"),
        *("span.type", "speed", "status_code", "stop_reason", "success"),
        *("cache_creation_tokens", "cache_read_tokens", "input_tokens", "output_tokens"),
        *("duration_ms", "first_content_ms", "interaction.duration_ms", "ttft_ms"),
        *("interaction.sequence", "llm_request.context", "tool_name", "tool_use_id"),
    }
)


def admitted(
    body: bytes, *, traceparent: str, history: int, tools: bool
) -> tuple[bytes | None, int]:
    """Return what of an export may go to the collector, and how many spans may not.

    Args:
        body: An `ExportTraceServiceRequest`, encoded.
        traceparent: What the process was told: spans of other traces do not pass.
        history: How many turns of the user's it was told before the one that it answers.
        tools: Whether it runs tools itself.

    Returns:
        The export that is left, or None where nothing is; and the number of spans left out.

    Raises:
        ValueError: It is no such request.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise ValueError("not an ExportTraceServiceRequest") from None
    trace = bytes.fromhex(traceparent.split("-")[1])
    passed = left_out = 0
    for group in request.resource_spans:
        _reduce(group)
        for scope in group.scope_spans:
            own = [span for span in scope.spans if _passes(span, trace, history, tools)]
            left_out += len(scope.spans) - len(own)
            passed += len(own)
            del scope.spans[:]
            scope.spans.extend(_reduced(own))
    return (request.SerializeToString() if passed else None), left_out


def _passes(span: Span, trace: bytes, history: int, tools: bool) -> bool:
    if span.trace_id != trace or not span.name.startswith(_KNOWN):
        return False
    if span.name.startswith(_TOOL):
        return tools
    return span.name != _INTERACTION or _sequence(span) > history


def _sequence(span: Span) -> int:
    """Return the number of the turn, from 1; a great one where it has none."""
    for entry in span.attributes:
        if entry.key == "interaction.sequence":
            return entry.value.int_value
    return 1 << 62


def _reduce(group: ResourceSpans) -> None:
    """Take from a group what does not belong to its spans."""
    kept = [entry for entry in group.resource.attributes if entry.key in _RESOURCE]
    group.resource.Clear()
    group.resource.attributes.extend(kept)
    for scope in group.scope_spans:
        del scope.scope.attributes[:]


def _reduced(spans: list[Span]) -> Iterator[Span]:
    for span in spans:
        kept = [entry for entry in span.attributes if entry.key in _ATTRIBUTES]
        for entry in kept:
            _shorten(entry)
        for name in ("attributes", "events", "links", "trace_state"):
            span.ClearField(name)
        # What went wrong may be told in the words of whoever was asked.
        span.status.ClearField("message")
        span.attributes.extend(kept)
        yield span


def _shorten(entry: KeyValue) -> None:
    if len(entry.value.string_value) > LONGEST_TEXT:
        entry.value.string_value = entry.value.string_value[:LONGEST_TEXT]

"""The spans of the tools that an agent runs, below the attempt's."""

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from proxy.telemetry import attributes as names

__all__ = ["ToolSpans"]

LONGEST_NAME = 128
"""Characters of a name or an id: a model may call what does not exist."""

MOST = 256
"""Spans of one attempt; a run that goes astray must not fill the collector."""


class ToolSpans:
    """The tools of one attempt: names and ids, never what they were told or said.

    Args:
        tracer: Makes the spans.
        parent: The attempt's context.
    """

    __slots__ = ("_left", "_open", "_parent", "_tracer")

    def __init__(self, tracer: Tracer, parent: Context) -> None:
        self._tracer = tracer
        self._parent = parent
        self._left = MOST
        self._open: dict[str, Span] = {}

    def started(self, id: str, name: str) -> None:
        """Start the span of a tool; a second one of the same call is not made."""
        if id in self._open or self._left <= 0:
            return
        self._left -= 1
        name = name[:LONGEST_NAME]
        self._open[id] = self._tracer.start_span(
            f"execute_tool {name}",
            context=self._parent,
            kind=SpanKind.INTERNAL,
            attributes={
                names.OPERATION: "execute_tool",
                names.TOOL_NAME: name,
                names.TOOL_CALL_ID: id[:LONGEST_NAME],
                names.TOOL_TYPE: "function",
            },
        )

    def ended(self, id: str, *, failed: bool) -> None:
        """End the span of a tool, if there is one."""
        if (span := self._open.pop(id, None)) is None:
            return
        if failed:
            span.set_attribute(names.ERROR_TYPE, "tool_error")
            span.set_status(StatusCode.ERROR)
        span.end()

    def end(self, *, failed: bool) -> None:
        """End what is still open: those tools will not answer any more.

        Args:
            failed: The attempt did. What its client cancelled is no error.
        """
        self._left = 0
        for span in self._open.values():
            span.set_attribute(names.ERROR_TYPE, "cancelled")
            if failed:
                span.set_status(StatusCode.ERROR)
            span.end()
        self._open.clear()

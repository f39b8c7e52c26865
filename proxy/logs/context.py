"""Which request is being served, for the records that are made meanwhile."""

from contextvars import ContextVar
from typing import Final

from proxy.telemetry.spans import RequestSpan

__all__ = ["SERVING", "Serving"]


class Serving:
    """One request, for as long as it is served.

    What is started meanwhile and goes on, such as a connection that is kept, has it in its context
    for ever: so it holds nothing of the request but its id, and then says that it is over.

    Args:
        request_id: Of the request.
        span: Its span.
    """

    __slots__ = ("_span", "request_id")

    def __init__(self, request_id: str, span: RequestSpan) -> None:
        self.request_id = request_id
        self._span: RequestSpan | None = span

    @property
    def is_over(self) -> bool:
        """Whether the request is over: what is logged from now on is not about it."""
        return self._span is None

    @property
    def trace_id(self) -> str | None:
        """The id of its trace; None: there is none, or the request is over."""
        return None if self._span is None else self._span.trace_id

    def end(self) -> None:
        """Say that it is over."""
        self._span = None


SERVING: Final[ContextVar[Serving | None]] = ContextVar("SERVING", default=None)
"""Set by the middleware, once for each request."""

"""What becomes of traces, as far as it is the operator's to say and not the collector's."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from policy.patterns import check_pattern
from policy.rows import Row

__all__ = ["Inbound", "TracingRules"]

Inbound = Literal["join", "link", "ignore"]


class TracingRules(Row):
    """Rules for the spans of requests.

    Attributes:
        inbound: What a caller's trace context does. `join`: the request is a part of its trace,
            which also decides whether it is sampled. `link`: the request has a trace of its own,
            with a link to the caller's. `ignore`: a trace of its own, and no link. The latter two
            are for callers that are not trusted to choose trace ids and to force sampling.
        redact: Regular expressions (RE2) of what captured content must not hold, beside keys and
            tokens, which it never does.
    """

    inbound: Inbound = "join"
    redact: Annotated[
        tuple[Annotated[str, AfterValidator(check_pattern)], ...],
        Field(strict=False, max_length=64),
    ] = ()

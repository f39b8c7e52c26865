"""One call of a provider: what goes along with it, and what is learned from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """Made by the engine for each attempt; filled in by the transport.

    Attributes:
        carrier: Trace context to send along, as header names and values.
        status: The HTTP status of the answer.
        request_id: The provider's id of the request.
        follow_ups: Further requests that the answer took, after the first.
    """

    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    status: int | None = None
    request_id: str | None = None
    follow_ups: int = 0

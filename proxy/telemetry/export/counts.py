"""How many spans were delivered, and how many were not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DeliveryCounts"]


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """A reading, since the start of the process.

    Attributes:
        exported: Spans that the collector took.
        dropped: Spans that it never got or did not take, by reason: `queue_full` (more ended than
            could be delivered), `rejected` (it said so), `unreachable` (it did not answer, or was
            too busy, for as long as they were kept). Each reason is there, with 0 at first.
        failed_exports: Tries that failed, those that were repeated included. It rises while a
            collector is away, long before a span is lost.
    """

    exported: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    failed_exports: int = 0

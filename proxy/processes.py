"""Processes of its own that a provider has, counted."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["HasProcesses", "Processes"]


@dataclass(frozen=True, slots=True)
class Processes:
    """How many there are at one moment.

    Attributes:
        parked: Ready for a request.
        serving: Requests that have one, or are about to.
        waiting: Requests that wait for their turn.
    """

    parked: int
    serving: int
    waiting: int


@runtime_checkable
class HasProcesses(Protocol):
    """A provider that has some."""

    def processes(self) -> Processes:
        """Count them."""
        ...

"""How the provider of Claude's command line is set up."""

from dataclasses import dataclass, field
from pathlib import Path

from policy.providers import Timeouts

__all__ = ["AgentSettings"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What does not differ between two requests; times in seconds.

    Attributes:
        cli: The command line's program.
        base_url: Where the CLI finds the Messages API.
        key: For that API; None: the CLI uses the operator's own login.
        timeouts: The limits of one attempt.
        pool: How many processes are kept ready; 0: each request starts its own.
        most: How many requests are served at the same time; each has a process of about 200 MB.
        queue: How many more wait for their turn.
        patience: The longest wait for a turn.
        retry_after: When a request that was turned away may come again.
    """

    cli: Path
    base_url: str
    key: str | None = field(repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: int = 0
    most: int = 8
    queue: int = 32
    patience: float = 30.0
    retry_after: float = 5.0

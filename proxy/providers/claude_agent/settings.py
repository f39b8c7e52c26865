"""How the provider of Claude's command line is set up."""

from dataclasses import dataclass, field
from pathlib import Path

from policy.agents import AgentRow
from policy.providers import Timeouts

__all__ = ["AgentSettings"]


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What does not differ between two requests; times in seconds.

    Attributes:
        cli: The command line's program.
        login: Whether the CLI uses the operator's own login; else the gate holds a key.
        timeouts: The limits of one attempt.
        pool: How many processes are kept ready; 0: each request starts its own.
        processes: How many requests are served at the same time, each by one process of 200 MB.
        queue: How many more wait for their turn.
        patience: The longest wait for a turn.
        retry_after: When a request that was turned away may come again.
        agent: What the policy opens to an agent; None: nothing, the model only answers.
    """

    cli: Path
    login: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    pool: int = 0
    processes: int = 8
    queue: int = 32
    patience: float = 30.0
    retry_after: float = 10.0
    agent: AgentRow | None = None

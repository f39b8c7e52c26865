"""One call of a provider: what goes along with it, and what is learned from it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from translators.fidelity import Report
from translators.json import encode

__all__ = ["AgentFacts", "Call", "SharedBody", "ToolWatch"]


class ToolWatch(Protocol):
    """Is told what tools an agent runs while it answers."""

    def started(self, id: str, name: str) -> None:
        """Say that a tool runs; `id` is that of the model's call."""
        ...

    def ended(self, id: str, *, failed: bool) -> None:
        """Say that it has answered. A call that is not known is nobody's."""
        ...


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What an agent's process told of its run; None where it did not.

    Attributes:
        process: `parked` or `spawned`: whether it was there before its request.
        session: Its own id of the run, which serves one request and is not used again.
        turns: How many calls of the model it made, as it counts them.
        cost: In US dollars, by the list prices that it knows.
    """

    process: str | None = None
    session: str | None = None
    turns: int | None = None
    cost: float | None = None

    def and_also(self, other: "AgentFacts") -> "AgentFacts":
        """Return what two runs for one answer come to, as where a client wants several choices."""
        return AgentFacts(
            process=self.process if self.process == other.process else None,
            session=self.session if self.session == other.session else None,
            turns=_sum(self.turns, other.turns),
            cost=_sum(self.cost, other.cost),
        )


class SharedBody:
    """The JSON of a request that is sent several times at once: all of them send the same bytes."""

    __slots__ = ("_data", "_of")

    def __init__(self) -> None:
        self._of: Mapping[str, Any] | None = None
        self._data = b""

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """Return a body as JSON: the bytes of the last one, where it is the same."""
        if body is not self._of:
            data = encode(body)
            # A cloud makes a body of its own of each request, and all of them are alike.
            self._data = self._data if data == self._data else data
            self._of = body
        return self._data


@dataclass(slots=True)
class Call:
    """Made by the engine for each attempt; filled in by the transport.

    Attributes:
        carrier: Trace context to send along, as header names and values.
        status: The HTTP status of the answer.
        request_id: The provider's id of the request.
        began: When the first event could be read; seconds of the event loop's clock.
        follow_ups: Further requests that the answer took, after the first.
        dialect: The API that the request went to, where the provider has several.
        report: What that API's translation did not carry over, where the request was prepared for
            another one.
        on_switch: Told of such an API and its report, before the request is sent.
        shared: Where the request is sent several times at once, until all answers have begun.
        traceparent: The attempt's own place in its trace, for a process of ours that reports to the
            same collector; a provider may see `carrier` alone. None: nothing is traced.
        watch: Told of the tools that an agent runs; None: nobody wants to know.
        agent: What became of an agent's run; None: no agent was asked.
        had_effects: Whether a tool was run: asking once more would run it once more.
    """

    carrier: Mapping[str, str] = field(default_factory=lambda: {})
    status: int | None = None
    request_id: str | None = None
    began: float | None = None
    follow_ups: int = 0
    dialect: str | None = None
    report: Report | None = None
    on_switch: Callable[[str, Report], None] | None = None
    shared: SharedBody | None = None
    traceparent: str | None = None
    watch: ToolWatch | None = None
    agent: AgentFacts | None = None
    had_effects: bool = False

    def encode(self, body: Mapping[str, Any]) -> bytes:
        """Return the body of a request as JSON."""
        return encode(body) if self.shared is None else self.shared.encode(body)

    def agent_ran(self, facts: AgentFacts) -> None:
        """Say what is known of an agent's run, once for each."""
        self.agent = facts if self.agent is None else self.agent.and_also(facts)

    def agent_spent(self, turns: int | None, cost: float | None) -> None:
        """Say what a run that is over came to, in calls of the model and in US dollars."""
        agent = self.agent or AgentFacts()
        self.agent = replace(agent, turns=_sum(agent.turns, turns), cost=_sum(agent.cost, cost))

    def tool_started(self, id: str, name: str) -> None:
        """Say that an agent runs a tool; `id` is that of the model's call."""
        self.had_effects = True
        if self.watch is not None:
            self.watch.started(id, name)

    def tool_ended(self, id: str, *, failed: bool = False) -> None:
        """Say that the tool of a call has answered; one that never does ends with the attempt."""
        if self.watch is not None:
            self.watch.ended(id, failed=failed)

    def switch(self, dialect: str, report: Report) -> None:
        """Say that the request goes to another API of the provider than it was prepared for.

        Raises:
            TranslationError: That API would ignore something, and the request is strict.
        """
        if self.on_switch is not None:
            self.on_switch(dialect, report)
        self.dialect, self.report = dialect, report


N = TypeVar("N", int, float)


def _sum(one: N | None, other: N | None) -> N | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other

"""Live gates on this process's traffic: which persona and provider have one, their clock, the log.

The gates themselves are in `policy.live_gates`. Their state is that of one server process.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from policy.decision import NONE_HELD
from policy.live_gate_rules import counts, is_broken
from policy.live_gates import LiveGate, Result, Ticket
from policy.quality_gates import METRICS
from policy.schema import Policy
from translators.errors import ExecutionPlatformError, ProviderError, TimeoutError

__all__ = ["Entry", "LiveGates"]

log = logging.getLogger("execution_platform")


class Entry:
    """Lets one attempt go to a provider, and hears how it went.

    Attributes:
        hurried: Whether the request's time was mostly gone before: that the provider did not make
            it in the rest is then not its fault.
    """

    __slots__ = ("_gates", "_persona", "_provider", "_ticket", "hurried")

    def __init__(self, gates: "LiveGates", persona: str, provider: str, ticket: Ticket) -> None:
        self._gates = gates
        self._persona = persona
        self._provider = provider
        self._ticket = ticket
        self.hurried = False

    @property
    def probe(self) -> bool:
        """Whether the attempt shows if the provider has recovered."""
        return self._ticket.probe

    def end(self, *, completed: bool, error: ExecutionPlatformError | None, seconds: float) -> None:
        """Say how the attempt ended.

        Args:
            completed: Whether the answer is complete.
            error: Why it failed; None, where it is not complete either: whoever asked left, or
                it is a bug of ours.
            seconds: Until the answer began.
        """
        result = "success" if completed else self._fault(error)
        change = self._ticket.end(self._gates.now(), result, seconds)
        if change is None:
            return
        who = f"`{self._provider}` for persona `{self._persona}`"
        if change.state == "closed":
            log.info("Live gate closed: %s serves again: %s.", who, change.detail)
        else:
            log.warning(
                "Live gate open: %s is passed over: %s; tried again in %g s.",
                *(who, change.detail, change.seconds),
            )

    def _fault(self, error: ExecutionPlatformError | None) -> Result | None:
        if not isinstance(error, ProviderError) or not counts(error):
            return None
        if self.hurried and isinstance(error, TimeoutError) and error.phase in _OF_THE_REQUEST:
            return None
        return "broken" if is_broken(error) else "failure"


_OF_THE_REQUEST = ("first_token", "total")


class LiveGates:
    """The gates of a process: one for each persona and provider that it was asked through.

    Args:
        policy: The rules, and who may have a gate.
        now: Seconds, from any start.
    """

    def __init__(self, policy: Policy, now: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self.now = now
        self._gates: dict[str, dict[str, LiveGate]] = {}

    def follow(self, policy: Policy) -> None:
        """Go by another policy; what did not change in it keeps its gates as they are."""
        before, self._policy = self._policy, policy
        kept = {
            name
            for name, row in policy.providers.items()
            if name in before.providers and before.providers[name] == row
        }
        if before.live_gates != policy.live_gates:
            kept.clear()
        self._gates = {
            persona: {name: gate for name, gate in gates.items() if name in kept}
            for persona, gates in self._gates.items()
            if persona in policy.personas
        }

    def held(self, persona: str) -> Mapping[str, str]:
        """Return the providers that a persona is kept from now, each with the reason."""
        gates = self._gates.get(persona)
        if gates is None:
            return NONE_HELD
        now = self.now()
        reasons = ((provider, gate.held(now)) for provider, gate in gates.items())
        return {provider: reason for provider, reason in reasons if reason is not None}

    def admit(self, persona: str, provider: str, *, force: bool) -> Entry | None:
        """Let an attempt go to a provider; None where it is kept from it.

        Args:
            persona: Of the policy: names that clients make up have no gate.
            provider: Of the policy, too.
            force: Let it go there all the same.
        """
        gates = self._gates.setdefault(persona, {})
        gate = gates.get(provider)
        if gate is None:
            gate = gates[provider] = LiveGate(self._policy.live_gates)
        ticket = gate.admit(self.now(), force=force)
        return None if ticket is None else Entry(self, persona, provider, ticket)

    def reason(self, persona: str, provider: str) -> str:
        """Return why a persona is kept from a provider; empty where it is not."""
        return self.held(persona).get(provider, "")

    def report(self, persona: str) -> dict[str, Any]:
        """Return the gates of a persona by provider, for `GET /readyz`."""
        now = self.now()
        return {
            provider: _told(gate, now) for provider, gate in self._gates.get(persona, {}).items()
        }


def _told(gate: LiveGate, now: float) -> dict[str, Any]:
    status = gate.status(now)
    told: dict[str, Any] = {"state": status.state, "attempts": status.attempts}
    for metric, value in status.metrics.items():
        told[metric + ("_ms" if METRICS[metric].unit == "ms" else "_percent")] = round(value, 2)
    if status.reason is not None:
        told["detail"] = status.reason
    if status.seconds is not None:
        told["tried_again_in"] = round(status.seconds, 1)
    return told

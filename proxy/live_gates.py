"""Live gates on this process's traffic: which persona and target have one, their clock, the log.

A target is a provider and one of its models: where one is overloaded, another may be well.

The gates themselves are in `policy.live_gates`. Their state is that of one server process.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from policy.decision import NONE_HELD
from policy.live_gate_rules import counts, is_broken
from policy.live_gates import LiveGate, Result, Ticket
from policy.quality_gates import METRICS
from policy.schema import Policy, ProviderRow, Target
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
    """The gates of a process: one for each persona and target that it was asked through.

    Args:
        policy: The rules, and who may have a gate.
        now: Seconds, from any start.
    """

    def __init__(self, policy: Policy, now: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self.now = now
        self._gates: dict[str, dict[_Key, LiveGate]] = {}

    def follow(self, policy: Policy) -> None:
        """Go by another policy; what did not change in it keeps its gates as they are."""
        before, self._policy = self._policy, policy
        same = {
            name
            for name, row in policy.providers.items()
            if name in before.providers and before.providers[name].unpriced == row.unpriced
        }
        if before.live_gates != policy.live_gates:
            same.clear()
        self._gates = {
            persona: {key: gate for key, gate in gates.items() if key[0] in same}
            for persona, gates in self._gates.items()
            if persona in policy.personas
        }

    def watches(self, persona: str, target: Target, row: ProviderRow) -> bool:
        """Return whether there is a gate for a persona at a target, or may be one.

        Names that clients make up have none; nor has what an earlier policy knew, whose last
        requests say nothing of the row that has taken its place.

        Args:
            persona: As the request names it.
            target: Where it goes.
            row: Of the target's provider, by the policy that the request goes by.
        """
        policy = self._policy
        if persona not in policy.personas:
            return False
        candidates = policy.candidates[persona]
        if policy.last_resort is not None:
            candidates = (*candidates, policy.last_resort)
        if not any(_key(candidate.target) == _key(target) for candidate in candidates):
            return False
        now = policy.providers[target.provider]
        return now is row or now.unpriced == row.unpriced

    def held(self, persona: str) -> Mapping[tuple[str, str], str]:
        """Return the targets (provider, model) that a persona is kept from now, with the reason."""
        gates = self._gates.get(persona)
        if gates is None:
            return NONE_HELD
        now = self.now()
        reasons = ((key, gate.held(now)) for key, gate in gates.items())
        return {key: reason for key, reason in reasons if reason is not None}

    def admit(self, persona: str, target: Target, *, force: bool) -> Entry | None:
        """Let an attempt go to a target that is watched; None where it is kept from it.

        Args:
            persona: Of the policy.
            target: Of the policy, too.
            force: Let it go there all the same.
        """
        gates = self._gates.setdefault(persona, {})
        gate = gates.get(_key(target))
        if gate is None:
            gate = gates[_key(target)] = LiveGate(self._policy.live_gates)
        ticket = gate.admit(self.now(), force=force)
        return None if ticket is None else Entry(self, persona, target.provider, ticket)

    def open_now(self) -> Iterator[tuple[str, str, str, bool]]:
        """Return each persona, provider and model that has a gate, and whether it is not closed."""
        now = self.now()
        for persona, gates in self._gates.items():
            for (provider, model), gate in gates.items():
                yield persona, provider, model, gate.status(now).state != "closed"

    def reason(self, persona: str, target: Target) -> str:
        """Return why a persona is kept from a target; empty where it is not."""
        return self.held(persona).get(_key(target), "")

    def report(self, persona: str) -> dict[str, Any]:
        """Return the gates of a persona, for `GET /readyz`.

        By provider; by `provider/model` where it has several of a provider.
        """
        now, gates = self.now(), self._gates.get(persona, {})
        models = Counter(provider for provider, _ in gates)
        return {
            provider if models[provider] == 1 else f"{provider}/{model}": _told(gate, now)
            for (provider, model), gate in gates.items()
        }


_Key = tuple[str, str]


def _key(target: Target) -> _Key:
    return target.provider, target.model


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

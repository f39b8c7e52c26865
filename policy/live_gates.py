"""Live gates: a provider whose own traffic fails a quality gate is passed over until it recovers.

One `LiveGate` watches what one provider makes of one persona's requests, over a sliding window. It
is told the time and the results, and knows nothing else; how it goes from state to state:

    closed ── a gate fails, with `min_samples` results at least ──> open
    open ── `cooldown` seconds later ──> half_open
    half_open ── `recover` good probes in a row ──> closed, with an empty window
    half_open ── one bad probe ──> open, for twice as long as before

Where a gate opens again within a window after it closed, the wait goes on doubling from where it
was: a provider that is well only while nobody asks it does not make the routing flap.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from policy.live_gate_rules import LiveGateRules
from policy.quality_gates import Verdict, evaluate

__all__ = ["BUCKETS", "MOST_DOUBLINGS", "Change", "LiveGate", "Result", "State", "Status", "Ticket"]

Result = Literal["success", "failure", "broken"]
"""How an attempt went: `broken` is a failure without a proper refusal, such as a cut stream."""

State = Literal["closed", "open", "half_open"]

BUCKETS: Final = 12
"""Parts of a window: it forgets by parts, so it spans eleven twelfths of its length or more."""

MOST_DOUBLINGS: Final = 4
"""How often the cooldown doubles: from 30 s up to 8 minutes."""


class _Tally:
    """Counts results; the milliseconds are those of the successes."""

    __slots__ = ("broken", "count", "milliseconds", "successes")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count = self.successes = self.broken = 0
        self.milliseconds = 0.0

    def add(self, result: Result, milliseconds: float) -> None:
        self.count += 1
        if result == "success":
            self.successes += 1
            self.milliseconds += milliseconds
        elif result == "broken":
            self.broken += 1

    def take(self, other: "_Tally") -> None:
        self.count += other.count
        self.successes += other.successes
        self.broken += other.broken
        self.milliseconds += other.milliseconds

    def metrics(self) -> dict[str, float]:
        """Return what is known, by the names of `policy.quality_gates.METRICS`."""
        if not self.count:
            return {}
        known = {
            "success_rate": 100.0 * self.successes / self.count,
            "error_rate": 100.0 * self.broken / self.count,
        }
        if self.successes:
            known["average_duration"] = self.milliseconds / self.successes
        return known


class _Window:
    """The results of the last seconds, in a ring of buckets."""

    __slots__ = ("_at", "_buckets", "_width", "total")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._buckets = [_Tally() for _ in range(BUCKETS)]
        self._at = 0
        self.total = _Tally()

    def add(self, now: float, result: Result, milliseconds: float) -> None:
        self.forget(now)
        self._buckets[self._at % BUCKETS].add(result, milliseconds)
        self.total.add(result, milliseconds)

    def forget(self, now: float) -> None:
        """Drop what is older than the window; `now` never goes back."""
        at = int(now // self._width)
        if at == self._at:
            return
        for step in range(1, min(at - self._at, BUCKETS) + 1):
            self._buckets[(self._at + step) % BUCKETS].clear()
        self._at = at
        # Added up anew: taking away what has left would let errors of rounding pile up.
        self.total.clear()
        for bucket in self._buckets:
            self.total.take(bucket)

    def clear(self) -> None:
        self.total.clear()
        for bucket in self._buckets:
            bucket.clear()


class Ticket:
    """Lets one attempt in, and takes its result: once, later ones are not heard."""

    __slots__ = ("_epoch", "_gate", "probe")

    def __init__(self, gate: "LiveGate", epoch: int, *, probe: bool) -> None:
        self._gate: LiveGate | None = gate
        self._epoch = epoch
        self.probe = probe

    def end(self, now: float, result: Result | None, seconds: float = 0.0) -> "Change | None":
        """Say how the attempt went.

        Args:
            now: Seconds, on the clock that the gate goes by.
            result: None where it says nothing of the provider.
            seconds: Until the answer began; counts for a success.

        Returns:
            What the gate did about it, if it opened or closed.
        """
        gate, self._gate = self._gate, None
        if gate is None:
            return None
        return gate.take(self, self._epoch, now, result, seconds * 1000)


@dataclass(frozen=True, slots=True)
class Change:
    """A gate has opened or closed.

    Attributes:
        state: `open` or `closed`.
        detail: Why, for people.
        verdicts: Of the gates that failed; none where it closed, or a probe failed.
        seconds: Until the first probe; 0 where it closed.
    """

    state: State
    detail: str
    verdicts: tuple[Verdict, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """A gate at one moment.

    Attributes:
        state: Where it is.
        attempts: Results in the window; in `half_open`, those of the probes.
        metrics: Of these, by name.
        reason: Why it is not closed; None where it is.
        seconds: Until the next probe; None where one may go, or none is needed.
    """

    state: State
    attempts: int
    metrics: Mapping[str, float]
    reason: str | None
    seconds: float | None


class LiveGate:
    """Watches one provider for one persona; needs the same memory whatever it is told.

    Args:
        rules: Of the policy.
    """

    __slots__ = (
        *("_closed_at", "_doublings", "_epoch", "_good", "_leases", "_now", "_probed", "_reason"),
        *("_rules", "_state", "_until", "_window"),
    )

    def __init__(self, rules: LiveGateRules) -> None:
        self._rules = rules
        self._state: State = "closed"
        self._window = _Window(rules.window)
        self._now = float("-inf")
        # Tells results of attempts that began before the last change: they say nothing new.
        self._epoch = 0
        self._reason = ""
        self._until = 0.0
        self._doublings = 0
        self._closed_at: float | None = None
        self._good = 0
        self._probed = _Tally()
        # A probe's place is free again at its time, for one that never reports back.
        self._leases: dict[Ticket, float] = {}

    def held(self, now: float) -> str | None:
        """Return why no attempt may be made now; None where one may.

        Args:
            now: Seconds, from any start; one that lies before an earlier one counts as that.
        """
        if self._state == "closed":
            return None
        now = self._advance(now)
        if self._state == "open":
            return f"{self._reason}; tried again in {_seconds(self._until - now)}"
        if len(self._leases) >= self._rules.probes:
            return f"{self._reason}; being tried again"
        return None

    def admit(self, now: float, *, force: bool = False) -> Ticket | None:
        """Let an attempt in; None where it may not be made.

        Args:
            now: Seconds.
            force: Let it in all the same, as there is nobody else; its result then does not count.
        """
        if self._state == "closed":
            return Ticket(self, self._epoch, probe=False)
        if self.held(now) is None:
            ticket = Ticket(self, self._epoch, probe=True)
            self._leases[ticket] = self._now + self._rules.cooldown
            return ticket
        return Ticket(self, -1, probe=False) if force else None

    def take(
        self, ticket: Ticket, epoch: int, now: float, result: Result | None, milliseconds: float
    ) -> Change | None:
        """Take the result of an attempt, from its ticket."""
        now = self._advance(now)
        self._leases.pop(ticket, None)
        if result is None or epoch != self._epoch:
            return None
        if self._state == "closed":
            self._window.add(now, result, milliseconds)
            total = self._window.total
            if total.count < self._rules.min_samples:
                return None
            return self._judge(now, total, f"over the last {self._rules.window:g} s")
        self._probed.add(result, milliseconds)
        if result != "success":
            return self._open(now, self._reason_after_probe(), ())
        self._good += 1
        if self._good < self._rules.recover:
            return None
        return self._judge(now, self._probed, "when it was tried again") or self._close(now)

    def status(self, now: float) -> Status:
        """Return the state, and what is known."""
        now = self._advance(now)
        if self._state == "closed":
            self._window.forget(now)
            total = self._window.total
            return Status("closed", total.count, total.metrics(), None, None)
        wait = max(0.0, self._until - now) if self._state == "open" else None
        probed = self._probed
        return Status(self._state, probed.count, probed.metrics(), self._reason, wait)

    def _advance(self, now: float) -> float:
        """Return the time; an open gate becomes half open with it."""
        self._now = now = max(now, self._now)
        if self._state == "open" and now >= self._until:
            self._state = "half_open"
        for ticket in [ticket for ticket, until in self._leases.items() if until <= now]:
            del self._leases[ticket]
        return now

    def _judge(self, now: float, tally: _Tally, when: str) -> Change | None:
        """Open where a gate fails; one for which nothing was measured does not."""
        values = tally.metrics()
        failing = {
            name: gate
            for name, gate in self._rules.gates.items()
            if name in values and not gate.passes(values[name])
        }
        if not failing:
            return None
        failed = evaluate(failing, values)
        said = " and ".join(verdict.detail for verdict in failed)
        counted = f"{tally.count} attempt{'' if tally.count == 1 else 's'}"
        return self._open(now, f"{said} {when} ({counted})", failed)

    def _open(self, now: float, reason: str, verdicts: tuple[Verdict, ...]) -> Change:
        relapse = self._state == "half_open" or (
            self._closed_at is not None and now - self._closed_at < self._rules.window
        )
        self._doublings = min(self._doublings + 1, MOST_DOUBLINGS) if relapse else 0
        wait = self._rules.cooldown * 2**self._doublings
        self._reason, self._until = reason, now + wait
        self._enter("open")
        return Change("open", reason, verdicts, wait)

    def _close(self, now: float) -> Change:
        good = f"{self._good} attempt{'' if self._good == 1 else 's'} in a row went well"
        self._closed_at, self._reason = now, ""
        self._enter("closed")
        return Change("closed", good)

    def _enter(self, state: State) -> None:
        self._state = state
        self._epoch += 1
        self._good = 0
        self._leases.clear()
        self._probed = _Tally()
        self._window.clear()

    def _reason_after_probe(self) -> str:
        # Said once, however often it fails.
        return self._reason.removesuffix(_PROBE_FAILED) + _PROBE_FAILED


_PROBE_FAILED = ", and it failed when it was tried again"


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"

"""Live gates: when a provider is passed over, when it is tried again, when it is back."""

import gc
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policy.live_gate_rules import LiveGateRules, counts, is_broken
from policy.live_gates import BUCKETS, MOST_DOUBLINGS, Change, LiveGate, Result, Ticket
from policy.quality_gates import Gate
from tests.policy.building import made, refused
from translators.errors import ErrorKind, ProviderError, StreamTruncated, TimeoutError

RULES = LiveGateRules(window=60, min_samples=10, cooldown=30, probes=1, recover=3)


@dataclass
class Watched:
    """A gate, and a clock of its own."""

    rules: LiveGateRules = RULES
    now: float = 1000.0
    gate: LiveGate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = LiveGate(self.rules)

    def let_in(self) -> Ticket:
        ticket = self.gate.admit(self.now)
        assert ticket is not None
        return ticket

    def tell(self, *results: Result | None, seconds: float = 0.1) -> Change | None:
        """Make attempts one after the other; return what the last one changed."""
        change: Change | None = None
        for result in results:
            change = self.let_in().end(self.now, result, seconds)
        return change

    @property
    def state(self) -> str:
        return self.gate.status(self.now).state

    def opened(self) -> "Watched":
        assert self.tell(*many("failure", self.rules.min_samples)) is not None
        assert self.state == "open"
        return self


def many(result: Result, number: int) -> list[Result]:
    return [result] * number


def watched(**rules: object) -> Watched:
    return Watched(LiveGateRules.model_validate({**RULES.model_dump(), **rules}))


def test_a_gate_opens_with_the_result_that_makes_it_fail():
    it = Watched()
    assert it.tell(*many("success", 9), "failure") is None  # 90 %
    change = it.tell("failure")
    assert change is not None
    assert change.state == "open"
    assert change.seconds == 30
    (verdict,) = change.verdicts
    assert (verdict.metric, verdict.threshold) == ("success_rate", 90.0)
    assert change.detail == (
        "success_rate is 81.82 %, not >= 90 % over the last 60 s (11 attempts)"
    )
    assert it.gate.held(it.now) == f"{change.detail}; tried again in 30 s"
    it.now += 25
    assert it.gate.held(it.now) == f"{change.detail}; tried again in 5.0 s"
    assert it.gate.admit(it.now) is None


def test_too_few_results_are_no_evidence():
    it = Watched()
    assert it.tell(*many("failure", 9)) is None
    assert it.state == "closed"
    assert it.tell("success") is not None


def test_what_is_older_than_the_window_is_forgotten():
    it = Watched()
    it.tell(*many("failure", 9))
    it.now += 60
    assert it.tell("failure") is None
    assert it.gate.status(it.now).attempts == 1


def test_what_is_within_the_window_is_not_forgotten():
    it = Watched()
    it.tell(*many("failure", 9))
    it.now += 60 * (BUCKETS - 1) / BUCKETS
    assert it.tell("failure") is not None


def test_attempts_that_say_nothing_of_the_provider_count_for_nothing():
    it = Watched()
    assert it.tell(*[None] * 100) is None
    assert it.gate.status(it.now).attempts == 0
    it.opened()
    it.now += 30
    assert it.tell(None, None, None, None) is None
    assert it.state == "half_open"


def test_one_probe_at_a_time_and_after_some_good_ones_it_is_back():
    it = Watched().opened()
    it.now += 30
    assert it.state == "half_open"
    first = it.let_in()
    assert first.probe
    assert it.gate.admit(it.now) is None
    assert (it.gate.held(it.now) or "").endswith("; being tried again")
    assert first.end(it.now, "success") is None
    assert it.tell("success") is None
    change = it.tell("success")
    assert change == Change("closed", "3 attempts in a row went well")
    assert it.gate.held(it.now) is None
    assert not it.let_in().probe
    # What was measured before is forgotten: it takes as many results as at first to open it.
    assert it.tell(*many("failure", 9)) is None
    assert it.tell("failure") is not None


def test_a_bad_probe_opens_it_for_twice_as_long_up_to_a_bound():
    it = Watched().opened()
    waits: list[float] = []
    for _ in range(MOST_DOUBLINGS + 2):
        it.now += it.gate.status(it.now).seconds or 0.0
        change = it.tell("success", "broken")
        assert change is not None
        waits.append(change.seconds)
        assert change.detail.count("and it failed when it was tried again") == 1
    assert waits == [60, 120, 240, 480, 480, 480]


def test_one_that_opens_soon_after_it_closed_waits_longer_and_one_that_held_does_not():
    it = Watched().opened()
    it.now += 30
    it.tell(*many("success", 3))
    change = it.tell(*many("failure", 10))
    assert change is not None
    assert change.seconds == 60
    it.now += 60
    it.tell(*many("success", 3))
    it.now += 60
    change = it.tell(*many("failure", 10))
    assert change is not None
    assert change.seconds == 30


def test_results_of_attempts_from_before_the_last_change_count_for_nothing():
    it = Watched()
    late = [it.let_in() for _ in range(20)]
    it.opened()
    it.now += 30
    assert late.pop().end(it.now, "failure") is None
    assert it.state == "half_open"
    it.tell(*many("success", 3))
    assert [ticket.end(it.now, "failure") for ticket in late] == [None] * 19
    assert it.gate.status(it.now).attempts == 0


def test_a_probe_that_never_reports_back_makes_room_after_a_cooldown():
    it = Watched().opened()
    it.now += 30
    lost = it.let_in()
    it.now += 29.9
    assert it.gate.admit(it.now) is None
    it.now += 0.1
    assert it.let_in().probe
    assert it.gate.admit(it.now) is None
    # It is heard all the same, if it comes back after all.
    assert lost.end(it.now, "failure") is not None


def test_forced_attempts_are_let_in_and_their_results_count_for_nothing():
    it = Watched().opened()
    forced = it.gate.admit(it.now, force=True)
    assert forced is not None
    assert not forced.probe
    assert forced.end(it.now, "failure") is None
    it.now += 30
    # One of them is the probe: where there is nobody else, too, the provider comes back.
    probe = it.gate.admit(it.now, force=True)
    beside = it.gate.admit(it.now, force=True)
    assert probe is not None
    assert beside is not None
    assert (probe.probe, beside.probe) == (True, False)


def test_a_result_is_heard_once():
    it = Watched()
    ticket = it.let_in()
    ticket.end(it.now, "failure")
    ticket.end(it.now, "failure")
    assert it.gate.status(it.now).attempts == 1


def test_a_gate_on_durations_is_judged_by_the_successes():
    gates = {"average_duration": {"threshold": 500, "operator": "<="}}
    it = watched(gates=gates, min_samples=4)
    assert it.tell(*many("failure", 20)) is None
    assert it.tell("success", seconds=0.5) is None
    change = it.tell("success", seconds=0.6)
    assert change is not None
    assert change.detail.startswith("average_duration is 550 ms, not <= 500 ms over the last 60 s")
    # Probes that succeed, but as slowly, do not close it.
    it.now += 30
    change = it.tell(*many("success", 3), seconds=0.6)
    assert change is not None
    assert change.state == "open"
    assert change.detail.endswith("when it was tried again (3 attempts)")
    it.now += 60
    change = it.tell(*many("success", 3), seconds=0.4)
    assert change is not None
    assert change.state == "closed"


def test_the_error_rate_counts_what_broke_and_not_what_was_refused():
    it = watched(gates={"error_rate": {"threshold": 10, "operator": "<="}})
    assert it.tell(*many("failure", 18), "broken", "broken") is None
    assert it.tell("broken") is not None


def test_a_clock_that_goes_back_stands_still_until_it_has_caught_up():
    it = Watched()
    it.tell(*many("failure", 5))
    it.now -= 900
    assert it.tell(*many("failure", 5)) is not None
    assert it.gate.status(it.now).seconds == 30
    it.now += 900 + 29
    assert it.gate.status(it.now).seconds == 1
    it.now += 1
    assert it.state == "half_open"
    it.let_in()
    it.now -= 900
    assert it.gate.admit(it.now) is None


# Properties

results = st.sampled_from(["success", "success", "failure", "broken", None])
times = st.floats(-5, 40, allow_nan=False)


def containers(thing: object) -> int:
    """Return how many objects with parts a thing is made of."""
    seen: dict[int, object] = {}
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if gc.is_tracked(one) and not isinstance(one, type | ModuleType) and id(one) not in seen:
            seen[id(one)] = one
            waiting += gc.get_referents(one)
    return len(seen)


class Traffic(RuleBasedStateMachine):
    """Any traffic, on a clock that may also go back."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = LiveGateRules(window=20, min_samples=4, cooldown=5, probes=2, recover=2)
        self.gate = LiveGate(self.limits)
        self.clock = self.latest = 0.0
        self.out: list[tuple[Ticket, float]] = []
        self.last: Ticket | None = None

    @rule(step=times)
    def wait(self, step: float) -> None:
        self.clock += step
        self.latest = max(self.latest, self.clock)

    @rule(force=st.booleans())
    def ask(self, force: bool) -> None:
        before = self.gate.status(self.clock).state
        held = self.gate.held(self.clock)
        ticket = self.gate.admit(self.clock, force=force)
        assert (ticket is None) == (held is not None and not force)
        if ticket is None:
            return
        assert ticket.probe == (before == "half_open" and held is None)
        if ticket.probe:
            self.out = [(t, at) for t, at in self.out if at + self.limits.cooldown > self.latest]
            assert len(self.out) < self.limits.probes
            self.out.append((ticket, self.latest))
        self.last = ticket

    @rule(result=results)
    def answer(self, result: Result | None) -> None:
        if self.last is None:
            return
        before = self.gate.status(self.clock)
        change = self.last.end(self.clock, result, 0.2)
        self.out = [(t, at) for t, at in self.out if t is not self.last]
        if change is None:
            return
        assert result is not None
        assert self.gate.status(self.clock).state == change.state
        if before.state == "closed":
            assert change.state == "open"
            assert before.attempts + 1 >= self.limits.min_samples
        else:
            assert before.state == "half_open"
            self.out.clear()
        if change.state == "open":
            assert self.limits.cooldown <= change.seconds <= self.limits.cooldown * 16

    @rule(result=results, number=st.integers(0, 5))
    def probe_answers(self, result: Result | None, number: int) -> None:
        if self.out:
            self.last, _ = self.out[number % len(self.out)]
            self.answer(result)

    @invariant()
    def nothing_grows(self) -> None:
        assert containers(self.gate) < 100
        status = self.gate.status(self.clock)
        assert status.attempts >= 0
        assert all(0 <= value <= 200 for value in status.metrics.values())

    def teardown(self) -> None:
        # Whatever happened: after the longest wait the gate lets somebody in again.
        later = self.latest + self.limits.cooldown * 2**MOST_DOUBLINGS
        assert self.gate.admit(later) is not None


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


@given(st.lists(st.tuples(st.floats(-1e6, 1e9), results), max_size=80))
def test_time_that_jumps_anywhere_harms_nothing(events: list[tuple[float, Result | None]]):
    gate = LiveGate(RULES)
    told = 0
    for now, result in events:
        if (ticket := gate.admit(now)) is not None:
            told += 1
            ticket.end(now, result)
        status = gate.status(now)
        assert 0 <= status.attempts <= told
        assert status.seconds is None or status.seconds <= 480


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=150))
def test_a_window_has_all_of_the_last_eleven_twelfths_and_nothing_older_than_it(
    events: list[tuple[float, bool]],
):
    it = watched(min_samples=1_000_000)
    seen: list[tuple[float, bool]] = []
    for step, good in events:
        it.now += step
        it.tell("success" if good else "failure")
        seen.append((it.now, good))
        least = sum(it.now - at < 60 * (BUCKETS - 1) / BUCKETS for at, _ in seen)
        most = sum(it.now - at <= 60 for at, _ in seen)
        assert least <= it.gate.status(it.now).attempts <= most


def test_a_gate_takes_the_same_memory_after_a_hundred_thousand_results():
    it = watched(min_samples=1_000_000)
    it.tell("success")
    before = containers(it.gate)
    for number in range(100_000):
        it.now += 0.01
        it.tell("failure" if number % 3 else "success")
    assert containers(it.gate) == before


# What counts


@pytest.mark.parametrize(
    ("kind", "counted", "broken"),
    [
        ("rate_limit", True, False),
        ("overloaded", True, False),
        ("server", True, False),
        ("quota", True, False),
        ("conflict", True, False),
        ("network", True, True),
        ("timeout", True, True),
        ("protocol", True, True),
        ("auth", False, False),
        ("invalid", False, False),
        ("not_found", False, False),
        ("too_large", False, False),
    ],
)
def test_what_is_the_providers_fault(kind: ErrorKind, counted: bool, broken: bool):
    error = ProviderError("x", kind=kind)
    assert (counts(error), is_broken(error)) == (counted, broken)
    error.had_effects = True
    assert counts(error) is counted


def test_a_limit_of_our_own_is_nobodys_fault():
    error = ProviderError("x", kind="rate_limit")
    error.own_limit = True
    assert not counts(error)


def test_streams_that_break_and_answers_that_do_not_come_count_as_broken():
    for error in (StreamTruncated("x"), TimeoutError("idle", 3)):
        assert counts(error)
        assert is_broken(error)


# The policy


def test_they_are_off_unless_the_policy_has_them():
    assert not made("").live_gates.enabled
    assert not made("live_gates: {enabled: false, window: 10}\n").live_gates.enabled
    rules = made("live_gates: {}\n").live_gates
    assert rules.enabled
    assert (rules.window, rules.min_samples, rules.cooldown) == (60, 20, 30)
    assert (rules.probes, rules.recover) == (1, 5)
    assert dict(rules.gates) == {"success_rate": Gate(threshold=90, operator=">=")}


def test_the_readme_shows_the_defaults():
    text = (Path(__file__).parents[2] / "policy" / "README.md").read_text()
    (shown,) = re.findall(r"```yaml\n(live_gates:\n.*?)```", text, re.DOTALL)
    assert made(shown).live_gates == LiveGateRules()


def test_gates_are_written_as_those_of_quality_fabric():
    text = """\
live_gates:
  window: 120
  gates:
    error_rate: {threshold: 2.5, operator: "<="}
    average_duration: {threshold: 8000, operator: "<"}
"""
    rules = made(text).live_gates
    assert rules.window == 120
    assert rules.gates == {
        "error_rate": Gate(threshold=2.5, operator="<="),
        "average_duration": Gate(threshold=8000, operator="<"),
    }


@pytest.mark.parametrize(
    ("text", "line", "key", "problem", "remedy"),
    [
        ("live_gates:\n", 1, "live_gates", "must be a mapping", ""),
        ("live_gates: true\n", 1, "live_gates", "must be a mapping", ""),
        (
            "live_gates:\n  windw: 3\n",
            2,
            "live_gates.windw",
            "unknown key `windw`",
            "Did you mean `window`?",
        ),
        (
            "live_gates:\n  min_samples: 0\n",
            2,
            "live_gates.min_samples",
            "greater than or equal to 1",
            "",
        ),
        (
            "live_gates:\n  cooldown: soon\n",
            2,
            "live_gates.cooldown",
            "must be a valid number",
            "",
        ),
        ("live_gates:\n  gates: {}\n", 2, "live_gates.gates", "there is no gate", "The metrics"),
        (
            'live_gates:\n  gates:\n    sucess_rate: {threshold: 9, operator: ">="}\n',
            3,
            "live_gates.gates.sucess_rate",
            "unknown metric `sucess_rate`",
            "Did you mean `success_rate`?",
        ),
        (
            'live_gates:\n  gates:\n    success_rate: {treshold: 9, operator: ">="}\n',
            3,
            "live_gates.gates.success_rate.treshold",
            "unknown key `treshold`",
            "Did you mean `threshold`?",
        ),
        (
            'live_gates:\n  gates:\n    success_rate: {threshold: 101, operator: ">="}\n',
            3,
            "live_gates.gates.success_rate.threshold",
            "above 100 %",
            "from 0 to 100",
        ),
        (
            'live_gates:\n  gates:\n    success_rate: {threshold: 90, operator: "<="}\n',
            3,
            "live_gates.gates.success_rate",
            "a provider without a fault would fail this gate: its success_rate is 100 %",
            'Write operator ">="',
        ),
        (
            'live_gates:\n  gates:\n    average_duration: {threshold: 5000, operator: ">="}\n',
            3,
            "live_gates.gates.average_duration",
            "a provider without a fault would fail this gate",
            'Write operator "<="',
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(
    text: str, line: int, key: str, problem: str, remedy: str
):
    found = [error for error in refused(text) if error.key == key]
    assert found, refused(text)
    assert found[0].line == line
    assert problem in str(found[0])
    assert remedy in str(found[0])

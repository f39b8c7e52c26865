"""Which persona and provider have a gate, what survives a change of policy, whose fault it is."""

import pytest

from policy.schema import (
    LiveGateRules,
    Persona,
    Policy,
    Preference,
    ProviderRow,
    Target,
    Timeouts,
)
from proxy.live_gates import LiveGates
from translators.errors import (
    ExecutionPlatformError,
    InvalidRequest,
    ProviderError,
    StreamTruncated,
    TimeoutError,
)

DOWN = ProviderError("x", kind="server")
P = Target("p", "m", Timeouts())
Q = Target("q", "q", Timeouts())


def policy(*, model: str = "m", cooldown: float = 30, personas: str = "ab") -> Policy:
    def row(model: str) -> ProviderRow:
        return ProviderRow(dialect="openai_chat", base_url="http://x/v1", model=model)

    both = Persona(provider_preferences=(Preference(provider="p"), Preference(provider="q")))
    return Policy(
        providers={"p": row(model), "q": row("q")},
        personas=dict.fromkeys(personas, both),
        live_gates=LiveGateRules(min_samples=2, cooldown=cooldown, recover=1),
    )


def tell(gates: LiveGates, persona: str, provider: str, error: ExecutionPlatformError | None):
    entry = gates.admit(persona, {"p": P, "q": Q}[provider], force=True)
    assert entry is not None
    entry.end(completed=error is None, error=error, seconds=0.1)


def opened(*pairs: str) -> LiveGates:
    gates = LiveGates(policy(), lambda: 0.0)
    for persona, provider in pairs:
        tell(gates, persona, provider, DOWN)
        tell(gates, persona, provider, DOWN)
    return gates


def test_each_persona_and_provider_has_a_gate_of_its_own():
    gates = opened("ap", "bq")
    assert list(gates.held("a")) == [("p", "m")]
    assert list(gates.held("b")) == [("q", "q")]
    assert gates.admit("a", P, force=False) is None
    assert gates.admit("b", P, force=False) is not None
    assert not gates.held("unheard of")
    assert gates.report("unheard of") == {}


def test_a_new_policy_keeps_the_gates_of_what_did_not_change():
    gates = opened("ap", "aq", "bp")
    gates.follow(policy(model="another", personas="ac"))
    assert list(gates.held("a")) == [("q", "q")]
    assert not gates.held("b")


def test_new_rules_begin_with_new_gates():
    gates = opened("ap")
    gates.follow(policy(cooldown=5))
    assert not gates.held("a")
    tell(gates, "a", "p", DOWN)
    tell(gates, "a", "p", DOWN)
    assert gates.report("a")["p"]["tried_again_in"] == 5


def test_an_attempt_that_outlives_its_gate_harms_nothing():
    gates = opened()
    entry = gates.admit("a", P, force=False)
    assert entry is not None
    gates.follow(policy(cooldown=5))
    entry.end(completed=False, error=DOWN, seconds=0.0)
    assert gates.report("a") == {}


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (DOWN, True),
        (StreamTruncated("x"), True),
        (TimeoutError("total", 3), True),
        (ProviderError("x", kind="invalid"), False),
        (ProviderError("x", kind="auth"), False),
        (InvalidRequest("x"), False),
    ],
)
def test_what_counts(error: ExecutionPlatformError, counted: bool):
    gates = opened()
    tell(gates, "a", "p", error)
    assert gates.report("a")["p"]["attempts"] == counted


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (TimeoutError("total", 3), False),
        (TimeoutError("first_token", 3), False),
        (TimeoutError("idle", 3), True),
        (TimeoutError("connect", 3), True),
        (DOWN, True),
    ],
)
def test_a_provider_that_was_given_little_time_is_not_blamed_for_using_it(
    error: ProviderError, counted: bool
):
    gates = opened()
    entry = gates.admit("a", P, force=False)
    assert entry is not None
    entry.hurried = True
    entry.end(completed=False, error=error, seconds=0.0)
    assert gates.report("a")["p"]["attempts"] == counted


def test_a_schema_that_nobody_can_meet_shuts_nobody_out():
    gates = opened()
    tell(gates, "a", "p", ProviderError("x", kind="protocol", code="invalid_json_answer"))
    assert gates.report("a")["p"]["attempts"] == 0


def test_two_models_of_a_provider_are_two_gates():
    both = (Preference(provider="p", model="m"), Preference(provider="p", model="n"))
    rows = policy().providers
    rules = LiveGateRules(min_samples=2)
    two = Policy(
        providers=rows, personas={"a": Persona(provider_preferences=both)}, live_gates=rules
    )
    gates = LiveGates(two, lambda: 0.0)
    other = Target("p", "n", Timeouts())
    for target, error in ((P, DOWN), (other, None)) * 2:
        entry = gates.admit("a", target, force=True)
        assert entry is not None
        entry.end(completed=error is None, error=error, seconds=0.1)
    assert list(gates.held("a")) == [("p", "m")]
    assert {name: told["state"] for name, told in gates.report("a").items()} == {
        "p/m": "open",
        "p/n": "closed",
    }


def test_only_targets_of_the_policy_that_holds_now_are_watched():
    gates = opened()
    row = policy().providers["p"]
    assert gates.watches("a", P, row)
    assert not gates.watches("a", Target("p", "made up", Timeouts()), row)
    assert not gates.watches("made up", P, row)
    gates.follow(policy(model="another"))
    # What is under way under the earlier policy says nothing of the new row.
    assert not gates.watches("a", P, row)
    gates.follow(policy())
    assert gates.watches("a", P, row)

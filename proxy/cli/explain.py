"""`explain`: where a request would go, and why."""

import argparse

from policy.decision import Decision, decide
from policy.live_gate_rules import LiveGateRules
from policy.personas import apply
from policy.quality_gates import METRICS
from proxy.availability import available
from proxy.cli.check import plain_request
from proxy.cli.request_file import read_request
from proxy.cli.table import columns
from proxy.service import load_configuration
from translators.errors import NoProvider
from translators.wire.request import ChatCompletionRequest

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the decision; return 1 if there is no provider."""
    configuration = load_configuration()
    policy = configuration.policy
    chat = _request(options.request, options.persona)
    reasons = available(policy, configuration.environment, sandbox=configuration.settings.sandbox)
    try:
        decision = decide(chat, policy, reasons)
    except NoProvider as error:
        print(f"Nobody can serve this: it would be refused with status {error.status_hint}.")
        print(error.message)
        return 1
    _print(decision)
    persona = policy.personas.get(decision.persona)
    if policy.live_gates.enabled and persona is not None:
        print("\nLive gates are on")
        print(f"  {_in_words(policy.live_gates)}")
        print("  a running server says in `GET /readyz` whom it passes over")
    if persona is not None:
        applied = apply(chat, persona)
        added = [n for n in persona.parameters if getattr(chat, n) is None]
        print("\nThe persona adds")
        print(f"  {len(applied.messages) - len(chat.messages)} system message")
        for name in added:
            print(f"  {name}: {getattr(applied, name)}")
    return 0


def _in_words(rules: LiveGateRules) -> str:
    gates = ", ".join(
        f"{name} {gate.operator} {gate.threshold:g} {METRICS[name].unit}"
        for name, gate in rules.gates.items()
    )
    return (
        f"{gates}, over {rules.window:g} s and from {rules.min_samples} attempts on: a provider "
        f"that fails is tried again after {rules.cooldown:g} s"
    )


def _print(decision: Decision) -> None:
    print(f"Persona    {decision.persona}")
    print(f"Chosen     {decision.targets[0].provider}: {decision.reason}")
    print("\nThe request needs")
    needs = list(decision.required.items()) or [("nothing special", "")]
    print(columns(needs, indent="  "))
    print("\nWould be asked, in this order")
    targets = [
        (str(i), target.provider, target.model) for i, target in enumerate(decision.targets, 1)
    ]
    print(columns(targets, indent="  "))
    if decision.rejected:
        print("\nPassed over")
        print(columns([(r.provider, r.model, r.detail) for r in decision.rejected], indent="  "))


def _request(path: str | None, persona: str) -> ChatCompletionRequest:
    if path is None:
        return plain_request(persona)
    return read_request(path, persona=persona, called=f"--request {path}")

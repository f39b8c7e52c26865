"""`explain`: where a request would go, and why.

It calls nobody, unless `--url` names a running server, whose live gates count then, or which is
asked what became of a request that it has served.
"""

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from policy.decision import Decision, decide
from policy.live_gate_rules import LiveGateRules
from policy.personas import apply
from policy.quality_gates import METRICS
from policy.schema import Policy
from proxy.availability import available
from proxy.cli import explain_request
from proxy.cli.check import plain_request
from proxy.cli.request_file import read_request
from proxy.cli.running_server import base_of, get
from proxy.cli.table import columns
from proxy.service import load_configuration
from translators.errors import ExecutionPlatformError, NoProvider
from translators.json import UNREADABLE
from translators.wire.request import ChatCompletionRequest

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Print the decision; return 1 if there is no provider, or no answer of the server."""
    if (wrong := _misused(options)) is not None:
        options.refuse(wrong)
    if options.request_id is not None:
        return explain_request.run(options)
    configuration = load_configuration()
    policy = configuration.policy
    chat = _request(options.request, options.persona)
    reasons = available(policy, configuration.environment, sandbox=configuration.settings.sandbox)
    try:
        gates: Mapping[str, Any] = {}
        if options.url:
            key = configuration.environment.get("EP_API_KEY", "").strip()
            gates = asyncio.run(_gates(options.url, key, options.persona))
        decision = decide(chat, policy, reasons, _held(gates, options.persona, policy))
    except NoProvider as error:
        print(f"Nobody can serve this: it would be refused with status {error.status_hint}.")
        print(error.message)
        return 1
    _print(decision)
    persona = policy.personas.get(decision.persona)
    if policy.live_gates.enabled and persona is not None:
        print("\nLive gates are on")
        print(f"  {_in_words(policy.live_gates)}")
        for target, gate in gates.items():
            print(f"  {target}: {gate['state']}, {gate['attempts']} attempts in the window")
        if not options.url:
            print("  `--url` asks a running server whom it passes over; so does `GET /readyz`")
    if persona is not None:
        applied = apply(chat, persona)
        added = [n for n in persona.parameters if getattr(chat, n) is None]
        print("\nThe persona adds")
        print(f"  {len(applied.messages) - len(chat.messages)} system message")
        for name in added:
            print(f"  {name}: {getattr(applied, name)}")
    return 0


def _misused(options: argparse.Namespace) -> str | None:
    """Return what is wrong with options that do not go together."""
    if options.request_id is None:
        if options.persona is None:
            return "name a persona, or a request with --url and --request-id"
        return "--json goes with --request-id" if options.json else None
    if options.persona is not None or options.request is not None:
        return "--request-id is about a request that was made: leave the persona and --request out"
    return None if options.url else "--request-id needs the server that has served it: --url"


async def _gates(url: str, key: str, persona: str) -> Mapping[str, Any]:
    """Return the live gates of a persona, as a running server has them.

    Raises:
        ExecutionPlatformError: It does not say.
    """
    # With any status: it says so, too, when nobody can be served.
    _, body = await get(url, "/readyz", key)
    try:
        personas = cast("dict[str, Any]", msgspec.json.decode(body))["personas"]
        return cast("dict[str, Any]", personas).get(persona, {}).get("live_gates", {})
    except (*UNREADABLE, KeyError, TypeError, AttributeError):
        raise ExecutionPlatformError(
            f"The server at {base_of(url)} does not tell its gates: it is none of ours, or wants a "
            "client key in EP_API_KEY."
        ) from None


def _held(gates: Mapping[str, Any], persona: str, policy: Policy) -> Mapping[tuple[str, str], str]:
    held: dict[tuple[str, str], str] = {}
    candidates = list(policy.candidates.get(persona, ()))
    if policy.last_resort is not None:
        candidates.append(policy.last_resort)
    for target in (candidate.target for candidate in candidates):
        gate = gates.get(target.provider) or gates.get(f"{target.provider}/{target.model}")
        if gate is not None and gate["state"] != "closed":
            held[target.provider, target.model] = str(gate.get("detail") or gate["state"])
    return held


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

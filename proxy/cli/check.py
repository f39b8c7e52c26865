"""`check`: is the configuration right, and what would each persona use?"""

import argparse
from collections.abc import Mapping

from policy.decision import decide
from policy.schema import Policy
from proxy.availability import available, cli_credentials
from proxy.claude_cli import AGENT_WARNING, LOGIN_WARNING
from proxy.cli.table import columns
from proxy.service import Configuration, access_of, load_configuration
from proxy.telemetry.content.mode import content_mode
from proxy.telemetry.setup import check_telemetry, wants_telemetry
from translators.errors import NoProvider
from translators.json import encode
from translators.wire.request import ChatCompletionRequest, parse_request

__all__ = ["plain_request", "run"]


def run(options: argparse.Namespace) -> int:
    """Print what would be used; return 1 if a persona can be served by nobody."""
    configuration = load_configuration()
    check_telemetry(configuration.environment)
    policy, settings = configuration.policy, configuration.settings
    print(
        f"policy     {settings.policy or 'the shipped one'}: "
        f"{len(policy.personas)} personas, {len(policy.providers)} providers"
    )
    print(
        f"server     {settings.host}:{settings.port}, "
        f"{'anybody may ask' if access_of(configuration).open else 'client keys are required'}"
    )
    traces = (
        "on"
        if wants_telemetry(configuration.environment)
        else ("off (set OTEL_EXPORTER_OTLP_ENDPOINT)")
    )
    if traces == "on" and content_mode(configuration.environment).captures:
        traces += ", with what clients ask and models answer"
    print(f"tracing    {traces}")

    reasons = available(policy, configuration.environment, sandbox=settings.sandbox)
    _print_providers(policy, reasons, configuration)

    print("\nPersonas, for a plain streamed request")
    lines: list[tuple[str, str, str]] = []
    served = True
    for name in policy.personas:
        try:
            decision = decide(plain_request(name), policy, reasons)
        except NoProvider as error:
            served = False
            why = error.message.partition("Candidates: ")[2] or error.message
            lines.append((name, "NOBODY", why))
            continue
        first, *others = decision.targets
        then = ", then " + ", ".join(target.provider for target in others) if others else ""
        skipped = "".join(f"; not {r.provider}: {r.detail}" for r in decision.rejected)
        lines.append((name, f"{first.provider} ({first.model}){then}", decision.reason + skipped))
    print(columns(lines, indent="  "))
    if not served:
        print("\nA persona that nobody serves is refused with status 503.")
        if not configuration.settings.sandbox:
            print("`serve --sandbox` simulates the providers: it needs no keys.")
    return 0 if served else 1


def _print_providers(
    policy: Policy, reasons: Mapping[str, str | None], configuration: Configuration
) -> None:
    print("\nProviders")
    sandbox = configuration.settings.sandbox
    credentials = {} if sandbox else cli_credentials(policy, configuration.environment)
    rows: list[tuple[str, str, str]] = []
    for name, row in policy.providers.items():
        detail = reasons[name] or ("simulated" if sandbox else row.base_url)
        if name in credentials:
            detail += f", with {credentials[name].text}"
        rows.append((name, "ok" if reasons[name] is None else "unavailable", detail))
    print(columns(rows, indent="  "))
    for name, row in policy.providers.items():
        if row.agent is not None:
            print(f"\nNote: {name} {row.agent.summary}. {AGENT_WARNING}")
    for name, credential in credentials.items():
        if credential.login:
            print(f"\nNote: {name} {LOGIN_WARNING}")


def plain_request(persona: str) -> ChatCompletionRequest:
    """Return the simplest request for a persona."""
    messages = [{"role": "user", "content": "Hello"}]
    return parse_request(encode({"model": persona, "messages": messages, "stream": True}))

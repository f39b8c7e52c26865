"""What can be had of a configuration, and what is wrong with the rest."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from policy.decision import decide
from policy.errors import PolicyError
from policy.schema import Policy
from proxy.cli.check import plain_request
from proxy.cli.diagnosis.findings import Finding
from proxy.config import ConfigurationError, Settings, load_environment, load_policy, load_settings
from proxy.service import Configuration
from translators.errors import NoProvider

__all__ = ["Read", "persona_finding", "read_configuration"]

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Read:
    """A configuration to go on with.

    Attributes:
        configuration: What is right of it; the shipped policy where the file is wrong.
        findings: What is wrong with the rest, and what was read.
        environment: All variables, wrong ones included: none of the secrets among them is printed.
    """

    configuration: Configuration
    findings: list[Finding]
    environment: Mapping[str, str]


def read_configuration() -> Read:
    """Read environment, `.env` and policy; whatever is wrong becomes a finding."""
    findings: list[Finding] = []
    try:
        environment = load_environment()
    except ConfigurationError as error:
        environment = dict(os.environ)
        remedy = "Correct the line: NAME=VALUE, in quotes where it holds spaces."
        findings += [_failed(".env", text, remedy) for text in error.problems]
    everything = environment
    settings, environment, problems = _tolerant(load_settings, environment)
    findings += _of_variables(problems)

    def read(variables: Mapping[str, str]) -> Policy:
        return load_policy(settings.policy, variables)

    try:
        policy, environment, problems = _tolerant(read, environment)
    except PolicyError as error:
        findings += [_of_policy(one) for one in error.errors]
        shipped = {n: v for n, v in environment.items() if n not in _OF_THE_FILE}
        # What it says of keys is said of another policy than the one that is meant.
        policy, _, _ = _tolerant(lambda variables: load_policy(None, variables), shipped)
        instead = "the checks below are made with the shipped policy"
        findings.append(Finding("policy", "", "skipped", instead))
    else:
        findings += _of_variables(problems)
        findings.append(_read(policy, settings))
    return Read(Configuration(settings, policy, environment), findings, everything)


def persona_finding(policy: Policy, reasons: Mapping[str, str | None]) -> Finding:
    """Say which personas nobody serves, of a plain streamed request."""
    nobody: list[str] = []
    for name in policy.personas:
        try:
            decide(plain_request(name), policy, reasons)
        except NoProvider:
            nobody.append(name)
    total = len(policy.personas)
    if not total:
        remedy = "Add some under `personas:` in the policy file."
        return Finding("personas", "", "failed", "the policy has no persona", remedy)
    if not nobody:
        return Finding("personas", "", "ok", f"all {total} have a provider that can be used")
    remedy = (
        "Do what is said of one of their providers: `execution-platform explain PERSONA` lists "
        "them. `--sandbox` needs no key."
    )
    found = f"no provider satisfies requirements for persona {', '.join(nobody)}"
    status = "failed" if len(nobody) == total else "warning"
    return Finding("personas", "", status, found, remedy)


_OF_THE_FILE = frozenset({"EP_POLICY", "EP_DEFAULT_PROVIDER"})


def _tolerant(
    read: Callable[[Mapping[str, str]], Value], environment: Mapping[str, str]
) -> tuple[Value, Mapping[str, str], list[str]]:
    """Read, leaving out the variables that are wrong: each text begins with the name of one.

    Raises:
        ConfigurationError: Something is wrong that is no variable.
    """
    problems: list[str] = []
    while True:
        try:
            return read(environment), environment, problems
        except ConfigurationError as error:
            wrong = {text.partition(":")[0] for text in error.problems}
            left = {name: value for name, value in environment.items() if name not in wrong}
            if len(left) == len(environment):
                raise
            environment = left
            problems += error.problems


def _of_variables(problems: list[str]) -> list[Finding]:
    return [
        _failed(name, text.strip(), f"Correct or unset {name}, in the environment or in `.env`.")
        for name, _, text in (problem.partition(":") for problem in problems)
    ]


def _of_policy(error: PolicyError) -> Finding:
    place = error.source if error.line is None else f"{error.source}:{error.line}"
    found = f"{error.key}: {error.problem}" if error.key else error.problem
    remedy = error.remedy or "policy/README.md explains every key."
    return Finding("policy", place, "failed", found, remedy)


def _failed(subject: str, found: str, remedy: str) -> Finding:
    return Finding("configuration", subject, "failed", found, remedy)


def _read(policy: Policy, settings: Settings) -> Finding:
    which = "the shipped one" if settings.policy is None else str(settings.policy)
    found = f"{which}: {len(policy.personas)} personas, {len(policy.providers)} providers"
    return Finding("policy", "", "ok", found)

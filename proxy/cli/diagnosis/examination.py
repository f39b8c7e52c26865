"""All checks, in the order in which they are told."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from policy.schema import ProviderRow
from proxy.cli.asking import Asking, asking
from proxy.cli.diagnosis.asked import asked_finding
from proxy.cli.diagnosis.claude import cli_finding, memory_finding, memory_left
from proxy.cli.diagnosis.configuration import persona_finding, read_configuration
from proxy.cli.diagnosis.findings import Finding, secrets_of, without_secrets
from proxy.cli.diagnosis.machine import (
    address_finding,
    clock_finding,
    descriptors_finding,
    extra_findings,
    installation_finding,
    temporary_finding,
    workers_finding,
)
from proxy.cli.diagnosis.network import Reach, reach_provider
from proxy.cli.diagnosis.providers import (
    forward_proxy,
    key_finding,
    provider_findings,
    reach_finding,
    rows_to_check,
)
from proxy.cli.diagnosis.services import is_our_server, redis_finding, tracing_finding
from proxy.service import Configuration

__all__ = ["Wanted", "examine"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at.

    Attributes:
        every: Also the providers that no persona can reach.
        offline: Nothing that talks to a server.
        live: One authenticated request to each provider, too.
        progress: Told what is waited for.
    """

    every: bool
    offline: bool
    live: bool
    progress: Callable[[str], None]


def examine(wanted: Wanted) -> list[Finding]:
    """Make every check; return what they found, without secrets."""
    read = read_configuration()
    findings = [installation_finding(), *read.findings]
    findings += asyncio.run(_examine(read.configuration, wanted))
    secrets = secrets_of(read.environment)
    return [without_secrets(finding, secrets) for finding in findings]


async def _examine(configuration: Configuration, wanted: Wanted) -> list[Finding]:
    try:
        async with asking(configuration) as providers:
            return await _checked(configuration, providers, wanted)
    except OSError as error:
        # The sandbox's port: nothing else of ours is opened.
        found = f"it cannot be started: {error.strerror or error}"
        remedy = "See that programs may listen on 127.0.0.1 here."
        return [Finding("sandbox", "", "failed", found, remedy)]


async def _checked(
    configuration: Configuration, providers: Asking, wanted: Wanted
) -> list[Finding]:
    policy, environment, reasons = providers.policy, configuration.environment, providers.reasons
    rows = rows_to_check(policy, every=wanted.every)
    agents = {n: r for n, r in rows.items() if r.dialect == "claude_agent" and reasons[n] is None}
    answers = await _answers(configuration, rows, wanted, has_agents=bool(agents))
    reached = answers.reached
    findings = [persona_finding(policy, reasons)]
    findings += provider_findings(policy, rows, reasons, environment)
    findings += extra_findings(configuration, rows)
    findings += _present(
        key_finding(name, row, environment) for name, row in rows.items() if row.enabled
    )
    findings += _present([answers.cli])
    if agents:
        findings += _present([memory_finding(agents, memory_left())])
    if wanted.offline:
        findings.append(Finding("reachability", "", "skipped", "no server is tried"))
    findings += [
        reach_finding(
            name,
            found,
            needed=reasons[name] is None and policy.reaches(name),
        )
        for name, found in reached.items()
    ]
    if wanted.live:
        findings += await _asked(rows, providers, reached, wanted)
    offsets = {name: r.offset for name, r in reached.items() if r.offset is not None}
    findings += _present([forward_proxy(rows.values(), environment)])
    findings += _present([answers.tracing, answers.redis])
    findings += [clock_finding(offsets), address_finding(configuration, is_ours=answers.is_ours)]
    findings += [descriptors_finding(), temporary_finding(needed=bool(agents))]
    return findings + _present([workers_finding(configuration)])


@dataclass(frozen=True, slots=True)
class _Answers:
    """What others say, all of them asked at the same time."""

    reached: Mapping[str, Reach]
    cli: Finding | None
    tracing: Finding
    redis: Finding | None
    is_ours: bool


async def _answers(
    configuration: Configuration,
    rows: Mapping[str, ProviderRow],
    wanted: Wanted,
    *,
    has_agents: bool,
) -> _Answers:
    settings, environment = configuration.settings, configuration.environment
    urls = {} if wanted.offline else {n: r.base_url for n, r in rows.items() if r.enabled}
    # A row in a cloud without its place has no address yet.
    urls = {name: url for name, url in urls.items() if url}
    if urls:
        wanted.progress(f"Trying to reach {', '.join(urls)} …")
    cli = asyncio.create_task(asyncio.to_thread(cli_finding)) if has_agents else None
    reached, tracing, redis, is_ours = await asyncio.gather(
        asyncio.gather(*(reach_provider(url, environment) for url in urls.values())),
        tracing_finding(environment, offline=wanted.offline),
        redis_finding(settings, offline=wanted.offline),
        is_our_server(settings),
    )
    return _Answers(
        reached=dict(zip(urls, reached, strict=True)),
        cli=None if cli is None else await cli,
        tracing=tracing,
        redis=redis,
        is_ours=is_ours,
    )


async def _asked(
    rows: Mapping[str, ProviderRow],
    providers: Asking,
    reached: Mapping[str, Reach],
    wanted: Wanted,
) -> list[Finding]:
    """Ask those that can be used and were reached; of the others it is known already."""
    usable = [n for n, r in reached.items() if not r.trouble and providers.reasons[n] is None]
    if usable:
        wanted.progress(f"Asking {', '.join(usable)} for their models …")
    questions = (
        asked_finding(name, rows[name], providers.key(name), providers.client) for name in usable
    )
    return await asyncio.gather(*questions)


def _present(findings: Iterable[Finding | None]) -> list[Finding]:
    return [finding for finding in findings if finding is not None]

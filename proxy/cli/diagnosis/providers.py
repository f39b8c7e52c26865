"""Providers: whether they can be used, with which key, and whether they are reached."""

from collections.abc import Collection, Mapping
from typing import Final

from policy.schema import Policy, ProviderRow
from proxy.availability import cli_credentials
from proxy.cli.diagnosis.findings import Finding, split_reason
from proxy.cli.diagnosis.network import Reach, provider_proxy, remedy_for
from translators.errors import ProviderError

__all__ = ["forward_proxy", "key_finding", "provider_findings", "reach_finding", "rows_to_check"]

_PLACEHOLDERS: Final = ("your-", "your_", "<", "changeme", "replace", "xxxx", "...", "…")


def rows_to_check(policy: Policy, *, every: bool) -> dict[str, ProviderRow]:
    """Return the rows that a request may go to, or all of them."""
    rows = policy.providers.items()
    return {name: row for name, row in rows if every or policy.reaches(name)}


def provider_findings(
    policy: Policy,
    rows: Mapping[str, ProviderRow],
    reasons: Mapping[str, str | None],
    environment: Mapping[str, str],
) -> list[Finding]:
    """Say of each provider whether it can be used, and with which credential."""
    credentials = cli_credentials(policy, environment)
    findings: list[Finding] = []
    for name, row in rows.items():
        reason = reasons[name]
        if not row.enabled:
            findings.append(Finding("provider", name, "skipped", "switched off in the policy"))
        elif reason is not None:
            found, remedy = split_reason(reason)
            remedy = remedy or "Correct its row in the policy, or prefer another provider."
            findings.append(Finding("provider", name, "warning", found, remedy))
        else:
            found = f"can be used: {row.dialect}, {row.model}"
            if name in credentials:
                found += f", with {credentials[name].text}"
            findings.append(Finding("provider", name, "ok", found))
    return findings


def key_finding(name: str, row: ProviderRow, environment: Mapping[str, str]) -> Finding | None:
    """Say which variable holds a provider's key, and whether it looks like one.

    Returns:
        None where there is no key: whether one is needed stands in what is said of the provider.
    """
    given = [variable for variable in row.api_key_env if environment.get(variable, "").strip()]
    if not given:
        return None
    variable, *others = given
    value = environment[variable]
    if trouble := _trouble(value):
        return Finding("key", name, "warning", f"{variable} {trouble}", f"Correct {variable}.")
    found = f"in {variable}"
    if any(environment[other].strip() != value for other in others):
        found += f", which differs from {' and '.join(others)} and wins"
    return Finding("key", name, "ok", found)


def _trouble(value: str) -> str | None:
    """Return what is odd about a key; nothing of the key itself."""
    bare = value.strip()
    if bare[0] in "\"'" or bare[-1] in "\"'":
        return "holds quotes, which are sent as a part of the key"
    if value != bare:
        return "has white space around the key"
    if bare.lower().startswith("bearer"):
        return "begins with `Bearer`, which is put before the key anyway"
    if any(mark in bare.lower() for mark in _PLACEHOLDERS):
        return "holds a placeholder, as in .env.example, and no key"
    return None


def reach_finding(name: str, reached: Reach, *, needed: bool = True) -> Finding:
    """Say whether a provider is reached.

    Args:
        name: The provider.
        reached: How far one got.
        needed: Whether requests go to it: then it is a failure that it cannot be reached.
    """
    if reached.trouble:
        way = f" through the forward proxy {reached.via}" if reached.via else ""
        found = f"{reached.place}{way}: {reached.trouble}"
        remedy = remedy_for(reached, "its `base_url`")
        return Finding("reachability", name, "failed" if needed else "warning", found, remedy)
    if reached.via:
        took = f"{reached.seconds * 1000:.0f} ms"
        found = f"{reached.place} is behind the forward proxy {reached.via}, reached in {took}"
        return Finding("reachability", name, "ok", found)
    tls = f" with {reached.tls}" if reached.tls else ""
    found = f"{reached.place} is reached in {reached.seconds * 1000:.0f} ms{tls}"
    return Finding("reachability", name, "ok", found)


def forward_proxy(rows: Collection[ProviderRow], environment: Mapping[str, str]) -> Finding | None:
    """Say through which forward proxies providers are asked; None: through none."""
    try:
        found = {provider_proxy(row.base_url, environment) for row in rows if row.base_url}
    except ProviderError as error:
        return Finding(
            "forward proxy", "", "failed", error.message.rstrip("."), "Correct the variable."
        )
    places = sorted(one.place for one in found if one is not None)
    if not places:
        return None
    return Finding("forward proxy", "", "ok", f"providers are asked through {', '.join(places)}")

"""`models`: what a provider's API says of its models."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from policy.schema import Policy, ProviderRow
from policy.spelling import did_you_mean, listed
from proxy.cli.asking import asking
from proxy.cli.table import columns
from proxy.discovery import listed_models
from proxy.http import HttpClient, HttpStatusError
from proxy.providers.anthropic_messages import own_transport
from proxy.service import Configuration, load_configuration
from translators.anthropic_messages.errors import error_from_response
from translators.anthropic_messages.models import profile_from_info
from translators.errors import InvalidRequest
from translators.json import encode

__all__ = ["run"]

Info = Mapping[str, Any]

_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def run(options: argparse.Namespace) -> int:
    """Print the models of one provider, or of all that can be asked."""
    found = asyncio.run(_listed(load_configuration(), options.provider))
    if options.json:
        print(encode([{"provider": name, **info} for name, info in found]).decode())
    else:
        print(columns(_table(found)))
    return 0


async def _listed(configuration: Configuration, wanted: str | None) -> list[tuple[str, Info]]:
    async with asking(configuration) as providers:
        found: list[tuple[str, Info]] = []
        for name, row in _rows(providers.policy, wanted, providers.reasons).items():
            models = await _models(row, providers.key(name), providers.client)
            found += [(name, info) for info in models]
        return found


def _rows(
    policy: Policy, wanted: str | None, reasons: Mapping[str, str | None]
) -> dict[str, ProviderRow]:
    """Return the providers to ask.

    Raises:
        InvalidRequest: There is none, or not the one that is wanted; says why.
    """
    rows = {
        name: row
        for name, row in policy.providers.items()
        if row.dialect == "anthropic_messages" and row.credentials is None
    }
    if wanted is None:
        usable = {name: row for name, row in rows.items() if reasons[name] is None}
        if not usable:
            why = "; ".join(f"{name}: {reasons[name]}" for name in rows)
            raise InvalidRequest(f"No provider can be asked. {why or 'The policy has none.'}")
        return usable
    if wanted not in policy.providers:
        hint = did_you_mean(wanted, policy.providers)
        known = listed(sorted(policy.providers))
        raise InvalidRequest(f"Unknown provider `{wanted}`. {hint} Known: {known}.")
    if wanted not in rows:
        raise InvalidRequest(
            f"`{wanted}` does not tell its models' limits: only the Messages API does, and not in "
            "the clouds. What the policy says of it is in `capabilities`."
        )
    if reasons[wanted] is not None:
        raise InvalidRequest(f"`{wanted}` cannot be asked: {reasons[wanted]}.")
    return {wanted: rows[wanted]}


async def _models(row: ProviderRow, key: str | None, client: HttpClient) -> Sequence[Info]:
    try:
        return await listed_models(own_transport(row, key=key, client=client))
    except HttpStatusError as error:
        raise error_from_response(error.status, error.headers, error.body) from error


def _table(found: Sequence[tuple[str, Info]]) -> list[tuple[str, ...]]:
    rows = [("PROVIDER", "MODEL", "PROMPT", "ANSWER", "EFFORT", "CAN")]
    for provider, info in found:
        model = str(info.get("id"))
        profile = profile_from_info(model, info)
        can = {
            "schemas": profile.structured_outputs,
            "web search": profile.web_search,
            "forced tools": profile.forced_tools,
            "sampling": profile.sampling,
            "no thinking": not profile.always_thinks,
        }
        rows.append(
            (
                provider,
                model,
                _count(profile.max_input_tokens),
                _count(profile.max_tokens),
                " ".join(name for name in _EFFORTS if name in profile.efforts) or "-",
                ", ".join(name for name, is_so in can.items() if is_so),
            )
        )
    return rows


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"

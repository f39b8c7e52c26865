"""One authenticated request to each provider, the cheapest there is: its list of models."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from policy.schema import ProviderRow
from proxy.cli.diagnosis.findings import Finding
from proxy.http import HttpClient, HttpStatusError
from proxy.providers.over_http import bearer, http_transport
from translators.errors import ProviderError

__all__ = ["ASK_SECONDS", "asked_finding"]

ASK_SECONDS: Final = 3.0
"""For the whole answer. All providers are asked at the same time."""


def _openai(row: ProviderRow, key: str) -> tuple[str, Mapping[str, str]]:
    return "/models", bearer(row, key)


def _anthropic(row: ProviderRow, key: str) -> tuple[str, Mapping[str, str]]:
    version = {"anthropic-version": "2023-06-01"}
    return "/v1/models?limit=1", {row.api_key_header or "x-api-key": key, **version}


def _gemini(row: ProviderRow, key: str) -> tuple[str, Mapping[str, str]]:
    path = f"/{row.api_version or 'v1beta'}/models?pageSize=1"
    return path, {row.api_key_header or "x-goog-api-key": key}


_LISTS: Final[Mapping[str, Callable[[ProviderRow, str], tuple[str, Mapping[str, str]]]]] = {
    "openai_chat": _openai,
    "openai_responses": _openai,
    "anthropic_messages": _anthropic,
    "claude_agent": _anthropic,
    "gemini_generate": _gemini,
}
"""Where each API has its list, and how a key goes there; as in the vendors' SDKs (`models.list` of
openai 3.54, anthropic 2.12 and google-genai 3.4)."""


async def asked_finding(
    name: str, row: ProviderRow, key: str | None, client: HttpClient
) -> Finding:
    """Ask a provider for its models; say whether it takes the key, in words of our own."""
    if row.credentials is not None:
        found = f"the list of models of {row.credentials} is not asked for"
        return Finding("live", name, "skipped", found, "A request to its persona tells.")
    if key is None:
        found = "there is no key to try"
        return Finding("live", name, "skipped", found)
    path, credentials = _LISTS[row.dialect](row, key)
    transport = http_transport(row, client=client, credentials=credentials)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await transport.get(path, {})
    except HttpStatusError as error:
        return _refused(name, row, error.status)
    except TimeoutError:
        found = f"no answer within {ASK_SECONDS:g} s"
        return Finding("live", name, "warning", found, "Try again; its status page may say more.")
    except ProviderError as error:
        return Finding("live", name, "warning", error.message, "See what is said of reachability.")
    return Finding("live", name, "ok", "it takes the key")


def _refused(name: str, row: ProviderRow, status: int) -> Finding:
    variables = " or ".join(row.api_key_env) or "the variable in `api_key_env`"
    match status:
        case 401:
            what, remedy = "it refuses the key", f"Put a key that is valid there into {variables}."
        case 403:
            what = "it knows the key, and does not let it list models"
            remedy = f"Give the key in {variables} the rights it needs, or use another."
        case 400:
            what = "it refuses the request; Gemini says so of a wrong key"
            remedy = f"See that {variables} holds a key of this provider."
        case 429:
            what = "it takes no more requests now: a limit, or no credit"
            remedy = "See the account's limits and balance at the provider."
        case 404 | 405:
            what, remedy = "it has no list of models", "See that `base_url` has the right path."
        case _:
            what, remedy = "it failed", "Try again; its status page may say more."
    return Finding(
        "live",
        name,
        "failed" if status in (400, 401) else "warning",
        f"{what} (HTTP status {status})",
        remedy,
    )

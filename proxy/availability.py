"""Which providers can be used, with which key, and the sandbox in the place of all of them."""

from collections.abc import Collection, Mapping
from typing import Final, Protocol

from pydantic import SecretStr

from policy.clouds import NO_CLOUD
from policy.schema import Policy, ProviderRow
from proxy.claude_cli import Credential, cli_reason, credential
from proxy.cloud import cloud_reason
from proxy.registry import BUILT_IN

__all__ = [
    "SandboxUrls",
    "api_key",
    "api_keys",
    "availability",
    "available",
    "cli_credentials",
    "with_sandbox",
]


def availability(
    policy: Policy, environ: Mapping[str, str], dialects: Collection[str] = BUILT_IN
) -> dict[str, str | None]:
    """Return for each provider why it cannot be used, or None where it can.

    Args:
        policy: The providers.
        environ: For their keys.
        dialects: Those that this version speaks.
    """
    return {name: _reason(row, environ, dialects) for name, row in policy.providers.items()}


def _reason(row: ProviderRow, environ: Mapping[str, str], dialects: Collection[str]) -> str | None:
    if not row.enabled:
        return "switched off in the policy"
    if row.dialect not in dialects:
        return f"the dialect `{row.dialect}` is not part of this version yet"
    if row.credentials is not None:
        return cloud_reason(row, environ, has_key=api_key(row, environ) is not None)
    if row.dialect == "claude_agent":
        return cli_reason(row, environ, has_key=api_key(row, environ) is not None)
    if row.api_key_env and api_key(row, environ) is None:
        return f"no API key: set {' or '.join(row.api_key_env)}"
    return None


def api_key(row: ProviderRow, environ: Mapping[str, str]) -> SecretStr | None:
    """Return a provider's key, from the first of its variables that is set."""
    for name in row.api_key_env:
        if value := (environ.get(name) or _SANDBOX_KEYS.get(name, "")).strip():
            return SecretStr(value)
    return None


def api_keys(policy: Policy, environ: Mapping[str, str]) -> dict[str, SecretStr]:
    """Return the keys of the providers that have one."""
    keys = {name: api_key(row, environ) for name, row in policy.providers.items()}
    return {name: key for name, key in keys.items() if key is not None}


def cli_credentials(policy: Policy, environ: Mapping[str, str]) -> dict[str, Credential]:
    """Return whose credential the Claude CLI uses, for each provider that is served by it."""
    reasons = availability(policy, environ)
    return {
        name: credential(row, environ, has_key=api_key(row, environ) is not None)
        for name, row in policy.providers.items()
        if row.dialect == "claude_agent" and reasons[name] is None
    }


class SandboxUrls(Protocol):
    """Where the simulated providers listen."""

    @property
    def openai_base_url(self) -> str:
        """Of the dialect `openai_chat`."""
        ...

    @property
    def anthropic_base_url(self) -> str:
        """Of the dialect `anthropic_messages`, which the Claude CLI speaks, too."""
        ...

    @property
    def gemini_base_url(self) -> str:
        """Of the dialect `gemini_generate`."""
        ...


_SANDBOX_KEYS: Final[Mapping[str, str]] = {"EP_SANDBOX_KEY": "sandbox"}
"""Stands for the key of every simulated provider; no real key ever goes to the sandbox."""


def with_sandbox(policy: Policy, sandbox: SandboxUrls) -> Policy:
    """Return the policy with its providers on the sandbox, as far as it speaks their dialects.

    Credentials, headers and query of the real provider are left out; models, capabilities and
    time limits stay, so that routing is what it would be.
    """
    urls = {
        "openai_chat": sandbox.openai_base_url,
        "openai_responses": sandbox.openai_base_url,
        "anthropic_messages": sandbox.anthropic_base_url,
        "claude_agent": sandbox.anthropic_base_url,
        "gemini_generate": sandbox.gemini_base_url,
    }
    return policy.replace(
        providers={
            name: _in_sandbox(row, urls[row.dialect]) if row.dialect in urls else row
            for name, row in policy.providers.items()
        }
    )


def _in_sandbox(row: ProviderRow, url: str) -> ProviderRow:
    return row.model_copy(
        update={
            "base_url": url,
            "api_key_env": tuple(_SANDBOX_KEYS),
            "api_key_header": None,
            **NO_CLOUD,
            "headers": {},
            "query": {},
        }
    )


def available(
    policy: Policy, environment: Mapping[str, str], *, sandbox: bool
) -> dict[str, str | None]:
    """Return what `availability` does; on the sandbox, which need not run, keys do not count."""
    return availability(with_sandbox(policy, _SOMEWHERE) if sandbox else policy, environment)


class _Somewhere:
    """Where a sandbox would be, if one were running."""

    openai_base_url = anthropic_base_url = gemini_base_url = "http://sandbox"


_SOMEWHERE = _Somewhere()

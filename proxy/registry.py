"""Policy rows to providers: the one place where a dialect's name chooses code."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.provider import ChatProvider

__all__ = ["BUILT_IN", "create_provider"]

Factory = Callable[..., ChatProvider]

# A module is imported when a row first needs it: a dialect that nobody configured costs nothing,
# whatever its vendor's SDK weighs.
BUILT_IN: Mapping[str, str] = {
    "openai_chat": "proxy.providers.openai_chat",
    "openai_responses": "proxy.providers.openai_responses",
    "anthropic_messages": "proxy.providers.anthropic_messages",
    "gemini_generate": "proxy.providers.gemini_generate",
    "claude_agent": "proxy.providers.claude_agent",
}
"""Dialect to the module that serves it."""


def create_provider(row: ProviderRow, *, key: str | None, client: HttpClient) -> ChatProvider:
    """Return the provider of a policy row.

    Raises:
        KeyError: The row's dialect is not built in; `availability` says so beforehand.
    """
    module = import_module(BUILT_IN[row.dialect])
    return cast("Factory", module.create)(row, key=key, client=client)

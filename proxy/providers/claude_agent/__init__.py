"""Claude through the Claude Agent SDK: the operator's own CLI, as a provider like any other.

Nothing here loads the SDK before a request needs it, and it takes neither keys nor prompts to
any place but the process that serves the request.
"""

from collections.abc import Sequence
from pathlib import Path

from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.provider import Provider
from proxy.providers.claude_agent.availability import find_cli
from proxy.providers.claude_agent.settings import AgentSettings
from proxy.providers.claude_agent.transport import AgentTransport
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.translator import AgentEvent, ClaudeAgentTranslator
from translators.errors import ProviderError

__all__ = ["AgentProvider", "agent_provider", "create"]

AgentProvider = Provider[AgentRequest, Sequence[AgentEvent], AgentEvent]


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> AgentProvider:
    """Return the provider of a row of dialect `claude_agent`.

    Args:
        row: Base URL, time limits and the size of the pool.
        key: For the API; None: the CLI uses the operator's own login.
        client: Not used: the CLI makes the calls.
    """
    # Where there is none, starting it says so; `unavailable` says it before.
    cli = find_cli()
    settings = AgentSettings(
        cli=cli or Path("claude"),
        base_url=row.base_url,
        key=key,
        timeouts=row.timeouts,
        pool=row.pool or 0,
    )
    return agent_provider(settings)


def agent_provider(settings: AgentSettings) -> AgentProvider:
    """Return a provider that is set up so."""
    return Provider(ClaudeAgentTranslator(), AgentTransport(settings), _map_error)


def _map_error(error: Exception) -> ProviderError | None:
    """Return None: the transport raises nothing of the SDK's."""
    return None

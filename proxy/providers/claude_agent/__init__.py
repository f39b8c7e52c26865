"""Claude through the Claude Agent SDK: the operator's own CLI, as a provider like any other.

Nothing here loads the SDK before a request needs it, and it takes neither keys nor prompts to
any place but the process that serves the request.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from policy.schema import ProviderRow
from proxy.claude_cli import find_cli
from proxy.http import HttpClient
from proxy.processes import Processes
from proxy.provider import Provider
from proxy.providers.anthropic_messages import own_transport
from proxy.providers.claude_agent.cli_telemetry import joins, obstacle
from proxy.providers.claude_agent.otlp_relay import OtlpRelay, forwarder
from proxy.providers.claude_agent.settings import AgentSettings
from proxy.providers.claude_agent.transport import AgentTransport
from proxy.providers.over_http import error_map
from translators.anthropic_messages.errors import error_from_response
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.translator import AgentEvent, ClaudeAgentTranslator

__all__ = ["AgentProvider", "create"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentProvider(Provider[AgentRequest, Sequence[AgentEvent], AgentEvent]):
    """A provider with processes of its own.

    Attributes:
        count: Counts them.
    """

    count: Callable[[], Processes] = field(kw_only=True)

    def processes(self) -> Processes:
        """Count the processes that there are now, and who waits for one."""
        return self.count()


def create(row: ProviderRow, *, key: str | None, client: HttpClient) -> AgentProvider:
    """Return the provider of a row of dialect `claude_agent`.

    Args:
        row: Base URL, time limits and the size of the pool.
        key: For the API; None: the CLI uses the operator's own login.
        client: Makes the calls of the API, for the CLI.
    """
    settings = AgentSettings(
        # Where there is none, starting it says so; `cli_reason` says it before.
        cli=find_cli() or Path("claude"),
        login=key is None,
        timeouts=row.timeouts,
        pool=row.pool,
        processes=row.processes,
        queue=row.queue,
        patience=row.patience,
        agent=row.agent,
    )
    translator = ClaudeAgentTranslator(
        default_max_tokens=row.default_max_tokens, runs=row.agent is not None
    )
    api = own_transport(row, key=key, client=client)
    transport = AgentTransport(settings, api, _relay())
    return AgentProvider(
        translator,
        transport,
        error_map(error_from_response),
        on_start=transport.start,
        count=transport.processes,
    )


def _relay() -> OtlpRelay | None:
    """Return who takes the CLI's own spans; None where nobody wants them."""
    if (reason := obstacle(os.environ)) is not None:
        _logger.warning("The Claude CLI's own spans are left out of the traces: %s.", reason)
    return OtlpRelay(partial(forwarder, os.environ)) if joins(os.environ) else None

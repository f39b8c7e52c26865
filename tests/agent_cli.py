"""The real Claude CLI, which the tests of `claude_agent` run: the extra of that name brings it."""

from importlib.util import find_spec

import pytest

from proxy.claude_cli import find_cli

__all__ = ["NEEDS_CLI", "agent_cli_missing"]


def agent_cli_missing() -> str | None:
    """Return what to do where there is no CLI on this machine; None where there is."""
    if find_spec("claude_agent_sdk") is None:
        return "the Claude Agent SDK is not installed: tests/requirements.txt has it"
    if find_cli() is None:
        return "the Claude Agent SDK has no CLI for this platform, nor has the PATH one"
    return None


NEEDS_CLI = pytest.mark.skipif(agent_cli_missing() is not None, reason=agent_cli_missing() or "")

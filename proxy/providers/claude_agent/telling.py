"""What a process is told of the request it serves, apart from the conversation: two ways.

1. One that is parked runs already. It is told through its input, in fields that only Anthropic's
   TypeScript SDK sends (read in CLI 2.1.330).
2. One that is started for a request is told as it starts, by public flags. All can read those, so
   they name files, which only we can read.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from proxy.providers.claude_agent.granted import private_file
from proxy.providers.claude_agent.surroundings import Places
from translators.claude_agent.request import AgentRequest
from translators.json import encode

__all__ = ["SERVER", "fits", "flag_settings", "initial", "written"]

SERVER: Final = "c"
"""The name of the MCP server that the client's tools belong to."""

MAX_SETTINGS: Final = 2 * 1024 * 1024
"""Bytes of a file of settings that the CLI takes; through its input it takes any."""


def initial(request: AgentRequest) -> dict[str, Any]:
    """Return what is added to the first frame of a parked process."""
    told: dict[str, Any] = {"systemPrompt": list(request.system)}
    return {**told, "sdkMcpServers": [SERVER]} if request.tools else told


def flag_settings(request: AgentRequest, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings for a request.

    Args:
        request: Model, parameters and tools.
        environment: More variables, which hold for this request alone.
    """
    # A variable's value may have 128 KiB, but not in settings.
    told = {**environment, "CLAUDE_CODE_EXTRA_BODY": encode(request.extra).decode()}
    if request.betas:
        told["ANTHROPIC_BETAS"] = request.betas
    return {"model": request.model, "env": told}


def fits(request: AgentRequest, environment: Mapping[str, str]) -> bool:
    """Whether a process can be told the request's settings as it starts."""
    return len(json.dumps(flag_settings(request, environment))) <= MAX_SETTINGS


def written(request: AgentRequest, environment: Mapping[str, str], places: Places) -> list[str]:
    """Write what a process is to be told into its own directory; return the flags that name it."""
    settings = flag_settings(request, environment)
    flags = ["--settings", private_file(places.root / "settings.json", json.dumps(settings))]
    if request.system:
        system = "\n\n".join(request.system)
        flags += ["--system-prompt-file", private_file(places.root / "system.txt", system)]
    else:
        flags += ["--system-prompt", ""]
    if request.tools:
        servers = {"mcpServers": {SERVER: {"type": "sdk", "name": SERVER}}}
        flags += ["--mcp-config", private_file(places.root / "servers.json", json.dumps(servers))]
    return flags

"""What the policy opens to an agent: the flags of its process, and the file of its MCP servers.

Found with CLI 2.1.330:

1. `--tools` says which tools there are, `--allowedTools` which of them may be used without asking;
   nobody is asked (`dontAsk`), so all else is refused, and the model is told.
2. `--restricted` confines the tools that read and write files to the working directory, links that
   lead out of it included, and takes no settings from it. What runs commands is not confined: it
   may do what the server's user may.
3. `--max-turns` and `--max-budget-usd` end a run between two calls of the API. The tools of the
   last call have run by then.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from policy.agents import AgentRow, McpServerRow

__all__ = ["granted_environment", "granted_flags", "private_file"]

_FILE: Final = "granted.json"
_REQUESTS: Final = ("CLAUDE_CODE_EXTRA_BODY", "TRACEPARENT")
"""Variables of a request, which the CLI would hand on to an MCP server."""


def granted_flags(agent: AgentRow, ours: Mapping[str, str], folder: Path) -> list[str]:
    """Return the flags for an agent's tools and bounds.

    Args:
        agent: What the policy opens.
        ours: Our environment, for what MCP servers are to be told.
        folder: Where a file may be written that only we can read.
    """
    names = list(dict.fromkeys(rule.partition("(")[0] for rule in agent.tools))
    flags = ["--restricted", "--tools", ",".join(names), "--max-turns", str(agent.max_turns)]
    if agent.max_budget_usd is not None:
        flags += ["--max-budget-usd", f"{agent.max_budget_usd:f}"]
    if agent.mcp_servers:
        servers = {name: _server(row, ours) for name, row in agent.mcp_servers.items()}
        text = json.dumps({"mcpServers": servers})
        flags += ["--mcp-config", private_file(folder / _FILE, text)]
    # Never empty: the policy sees to that, or the flag would take the next one for its value.
    return [*flags, "--allowedTools", *agent.tools, *_mcp_tools(agent)]


def granted_environment(agent: AgentRow, ours: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an agent's tools get of ours."""
    return {name: ours[name] for name in agent.environment if name in ours}


def private_file(path: Path, text: str) -> str:
    """Write a new file that only we can read; return its path."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
    return str(path)


def _mcp_tools(agent: AgentRow) -> list[str]:
    names: list[str] = []
    for name, server in agent.mcp_servers.items():
        if server.tools is None:
            names.append(f"mcp__{name}")
        else:
            names += [f"mcp__{name}__{tool}" for tool in server.tools]
    return names


def _server(row: McpServerRow, ours: Mapping[str, str]) -> dict[str, Any]:
    if row.command is None:
        headers = {name: ours[variable] for name, variable in row.headers_env.items()}
        return {"type": row.type, "url": row.url, "headers": headers}
    return {
        "type": "stdio",
        "command": row.command,
        "args": list(row.args),
        "env": {**dict.fromkeys(_REQUESTS, ""), **{name: ours[name] for name in row.environment}},
    }

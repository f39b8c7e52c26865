"""The Claude CLI on this machine: where it is, whose credential it uses, why it cannot be used.

Nothing here loads the Claude Agent SDK, nor talks to anybody.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

from policy.agents import AgentRow
from policy.schema import ProviderRow
from proxy.addresses import is_loopback

__all__ = [
    "AGENT_WARNING",
    "LOGIN_WARNING",
    "Credential",
    "bundled_version",
    "cli_reason",
    "credential",
    "find_cli",
]

LOGIN_WARNING: Final = (
    "uses the operator's own Claude login. Anthropic grants such a login for one's own use, not "
    "for serving others: set an API key before anybody else is let in."
)

AGENT_WARNING: Final = (
    "Whoever may use a persona that prefers it has that done; commands and MCP servers may do "
    "what this server's user may."
)

_BUNDLED: Final = Path("_bundled", "claude")
_EXTRA: Final = "execution-platform[claude-agent]"
_LOGIN_VARIABLE: Final = "CLAUDE_CODE_OAUTH_TOKEN"
_ASK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens the API to the CLI.

    Attributes:
        login: Whether it is the operator's own login; else it is a key.
        text: What it is, in words, and where it comes from. Never the value.
    """

    login: bool
    text: str


def find_cli() -> Path | None:
    """Return the program: the one in the SDK's own package, else one on the search path."""
    for folder in _sdk_folders():
        if os.access(bundled := folder / _BUNDLED, os.X_OK):
            return bundled
    found = shutil.which("claude")
    return None if found is None else Path(found)


def bundled_version() -> str | None:
    """Return the version of the CLI that the installed SDK is made for; None where it says none."""
    for folder in _sdk_folders():
        with suppress(OSError, UnicodeError):
            # Read, and not imported: importing the package costs half a second.
            text = (folder / "_cli_version.py").read_text(encoding="utf-8")
            if found := re.search(r'__cli_version__ = "([^"]+)"', text):
                return found[1]
    return None


def _sdk_folders() -> list[Path]:
    spec = find_spec("claude_agent_sdk")
    return [Path(f) for f in (spec.submodule_search_locations or ())] if spec is not None else []


def _no_cli() -> str:
    """Say why there is no program to run, and what to do."""
    for folder in _sdk_folders():
        if (bundled := folder / _BUNDLED).is_file():
            return f"the Claude CLI may not be executed: chmod +x {bundled}"
    return (
        "the Claude CLI is missing: the SDK has none for this platform, nor has the PATH; install "
        "it with `npm install -g @anthropic-ai/claude-code`, and see that `claude --version` works"
    )


def cli_reason(row: ProviderRow, environ: Mapping[str, str], *, has_key: bool) -> str | None:
    """Return why a row of dialect `claude_agent` cannot be used, and what to do; None if it can.

    Args:
        row: Whether the operator's login may be used, and what the agent needs.
        environ: The process's environment.
        has_key: Whether one of the row's `api_key_env` is set.
    """
    if find_spec("claude_agent_sdk") is None:
        return f"the Claude Agent SDK is not installed: pip install '{_EXTRA}'"
    if find_cli() is None:
        return _no_cli()
    reason = None if has_key else _no_login(row, environ)
    return reason or (None if row.agent is None else _missing(row.agent, environ))


def credential(row: ProviderRow, environ: Mapping[str, str], *, has_key: bool) -> Credential:
    """Return whose credential a row that can be used has."""
    if has_key:
        names = [name for name in row.api_key_env if environ.get(name)]
        return Credential(login=False, text=f"the key in {names[0]}" if names else "a key")
    where = _LOGIN_VARIABLE if environ.get(_LOGIN_VARIABLE) else "as `claude` keeps it"
    return Credential(login=True, text=f"the operator's own login ({where})")


def _no_login(row: ProviderRow, environ: Mapping[str, str]) -> str | None:
    key = f"set {' or '.join(row.api_key_env)}" if row.api_key_env else "name one in `api_key_env`"
    if row.login == "never":
        return f"no API key: {key} (its row has `login: never`)"
    if row.login == "loopback" and not is_loopback(environ.get("EP_HOST") or "127.0.0.1"):
        return (
            "the operator's own login serves the operator alone, and the server listens for "
            f"others: {key}, or listen on loopback (`login: anywhere` in its row insists)"
        )
    if environ.get(_LOGIN_VARIABLE) or _is_kept(environ) or _cli_says_so():
        return None
    return f"no API key and no login: {key}, or log in with `claude auth login`"


def _is_kept(environ: Mapping[str, str]) -> bool:
    """Whether the CLI has a login in its configuration, where it keeps it but on macOS."""
    home = environ.get("HOME") or str(Path.home())
    folder = Path(environ.get("CLAUDE_CONFIG_DIR") or Path(home, ".claude"))
    try:
        kept: Any = json.loads((folder / ".credentials.json").read_bytes())
    except (OSError, ValueError):
        return False
    login: Any = cast("dict[str, Any]", kept).get("claudeAiOauth") if isinstance(kept, dict) else {}
    return bool(isinstance(login, dict) and cast("dict[str, Any]", login).get("accessToken"))


def _cli_says_so() -> bool:
    """Whether the CLI says that it is logged in; asked only where it keeps that in a keychain."""
    if sys.platform != "darwin" or (cli := find_cli()) is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603  the program is the SDK's own, or the operator's
            [cli, "auth", "status", "--json"],
            capture_output=True,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _missing(agent: AgentRow, environ: Mapping[str, str]) -> str | None:
    """Return what of this machine an agent lacks."""
    folder = agent.working_directory
    if folder is not None and not Path(folder).is_dir():
        return f"its working directory {folder} does not exist"
    for name, server in agent.mcp_servers.items():
        if (
            server.command is not None
            and shutil.which(server.command, path=environ.get("PATH")) is None
        ):
            return f"the program of its MCP server `{name}` is not there: {server.command}"
        for variable in (*server.environment, *server.headers_env.values()):
            if variable not in environ:
                return f"its MCP server `{name}` needs {variable}, which is not set"
    return None

"""What a process of the CLI sees of the machine: as little as it can do with.

1. Its environment is made from nothing: of ours it gets what finding programs takes. No key of a
   provider, nor our own settings, reach it; the API it knows is a door of our gate.
2. With an API key, or the token of a login, it gets a home, a configuration and a working directory
   of its own, all empty, which go when it goes. A login that is kept in the operator's
   configuration is renewed there, so the CLI needs the operator's home, and the way to the server
   that renews it; its working directory is its own all the same.
3. An agent's process has the tools, the working directory and the variables that its policy names
   (`granted`), and no other's.
4. Its switches are those that were found, one by one, to keep it from doing what nobody asked for
   (claude-agent-sdk 0.2.187, CLI 2.1.330): calls of other servers, retries and fallbacks of its
   own, files that a prompt names, reminders, marks in the prompt.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.providers.claude_agent.cli_telemetry import telemetry_environment
from proxy.providers.claude_agent.granted import granted_environment, granted_flags
from proxy.providers.claude_agent.settings import AgentSettings

__all__ = [
    "PREFIX",
    "SECRETS",
    "TELLING_FILES",
    "Places",
    "environment",
    "flags",
    "session_files",
    "working_directory",
]

PREFIX: Final = "ep-claude-"
"""What the names of private directories begin with; our own process id follows."""

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_LOGIN: Final = "CLAUDE_CODE_OAUTH_TOKEN"
SECRETS: Final = (_LOGIN,)
"""What of an environment is not to be repeated."""

TELLING_FILES: Final = ("settings.json", "system.txt", "servers.json", "granted.json")
"""What a process is told in files of its directory; its tools could read them."""

_STAND_IN: Final = "held-by-the-gate"
"""For the key of the API: the CLI wants one, and the gate puts the real one in its place."""

_KEPT_FOR_LOGIN: Final = (
    *("HOME", "USER", "LOGNAME", "CLAUDE_CONFIG_DIR"),
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
)
_SWITCHES: Final = {
    # No server but the API.
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    # One call for each request. A refused call is repeated without whatever is experimental in
    # it, so nothing is: that also keeps the body to what we say.
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
    "CLAUDE_CODE_DISABLE_MODEL_ACCESS_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",
    "DISABLE_AUTO_COMPACT": "1",
    "DISABLE_COMPACT": "1",
    # Nothing in the prompt that the client did not put there, and nothing of this machine.
    "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",
    # The request says whether the model thinks; left alone, the CLI makes every model think.
    "CLAUDE_CODE_DISABLE_THINKING": "1",
    # Tools are called by the client's names.
    "CLAUDE_AGENT_SDK_MCP_NO_PREFIX": "1",
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",
    "CLAUDE_CODE_ENTRYPOINT": "sdk-py",
}


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one process, below `root`; they exist and are empty."""

    root: Path

    @classmethod
    def make(cls) -> "Places":
        """Make them; only we may look into them."""
        places = cls(Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")))
        for path in (places.cwd, places.home, places.configuration, places.temporary):
            path.mkdir(mode=0o700)
        return places

    @property
    def cwd(self) -> Path:
        """The working directory."""
        return self.root / "work"

    @property
    def home(self) -> Path:
        """The home."""
        return self.root / "home"

    @property
    def configuration(self) -> Path:
        """Where the CLI keeps its own state."""
        return self.root / "configuration"

    @property
    def temporary(self) -> Path:
        """For temporary files."""
        return self.root / "temporary"

    @property
    def note(self) -> Path:
        """The file that tells the process's id to whoever clears up after us."""
        return self.root / "pid"

    def remove(self) -> None:
        """Remove them, and what is in them."""
        # The process may have been killed in the middle of anything: what is odd must not stop us.
        shutil.rmtree(self.root, ignore_errors=True)


def working_directory(settings: AgentSettings, places: Places) -> Path:
    """Return where a process works: in a directory of its own, unless the policy names one."""
    agent = settings.agent
    if agent is None or agent.working_directory is None:
        return places.cwd
    return Path(agent.working_directory)


def environment(
    settings: AgentSettings, places: Places, ours: Mapping[str, str], *, api: str
) -> dict[str, str]:
    """Return the whole environment of a process.

    Args:
        settings: Whose credential is used.
        places: The process's directories.
        ours: Our own environment.
        api: The address of its door.
    """
    kept = {name: ours[name] for name in _KEPT if name in ours}
    temporary = str(places.temporary)
    agent = settings.agent
    return {
        **({} if agent is None else granted_environment(agent, ours)),
        **kept,
        **_identity(settings, places, ours),
        **_SWITCHES,
        **telemetry_environment(ours, relay=api),
        "ANTHROPIC_BASE_URL": api,
        "PWD": str(working_directory(settings, places)),
        "TMPDIR": temporary,
        "CLAUDE_CODE_TMPDIR": temporary,
    }


def _identity(settings: AgentSettings, places: Places, ours: Mapping[str, str]) -> dict[str, str]:
    private = {"HOME": str(places.home), "CLAUDE_CONFIG_DIR": str(places.configuration)}
    if not settings.login:
        return {**private, "ANTHROPIC_API_KEY": _STAND_IN}
    kept = {name: ours[name] for name in _KEPT_FOR_LOGIN if name in ours}
    here = {name: _with_loopback(ours.get(name, "")) for name in ("NO_PROXY", "no_proxy")}
    if token := ours.get(_LOGIN):
        return {**kept, **here, **private, _LOGIN: token}
    return {**kept, **here}


def _with_loopback(no_proxy: str) -> str:
    return f"{no_proxy},127.0.0.1" if no_proxy else "127.0.0.1"


def session_files(pid: int, told: Mapping[str, str]) -> list[Path]:
    """Return what a process that was killed leaves in its configuration, which may be shared.

    Args:
        pid: The process's id.
        told: Its environment.
    """
    if not (home := told.get("CLAUDE_CONFIG_DIR") or told.get("HOME")):
        return []
    folder = Path(home) if "CLAUDE_CONFIG_DIR" in told else Path(home) / ".claude"
    return list((folder / "sessions").glob(f"{pid}.*"))


def flags(settings: AgentSettings, places: Places, ours: Mapping[str, str]) -> list[str]:
    """Return the arguments of every process; all can read them, so none holds what a request says.

    No settings, no slash command, no session on disk; no tool and no MCP server but ours, unless
    the policy opens some. `--bare` leaves out hooks, memory files and reminders, but also the
    operator's login, and most of the tools that an agent could use.
    """
    bare = [] if settings.login or settings.agent else ["--bare"]
    if settings.agent is None:
        tools = ["--tools", "", "--allowedTools", "mcp__c"]
    else:
        tools = granted_flags(settings.agent, ours, places.root)
    return [
        *bare,
        *("--output-format", "stream-json", "--input-format", "stream-json", "--verbose"),
        *("--include-partial-messages", "--no-session-persistence", "--disable-slash-commands"),
        *("--setting-sources=", "--strict-mcp-config", "--permission-mode", "dontAsk"),
        *tools,
    ]

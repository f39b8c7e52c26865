"""Whether Claude's command line can be used here, found out without loading its SDK."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

__all__ = ["EXTRA", "find_cli", "unavailable"]

EXTRA = "execution-platform[claude-agent]"


def find_cli() -> Path | None:
    """Return the program: the one in the SDK's own package, else one on the search path."""
    spec = find_spec("claude_agent_sdk")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        bundled = Path(folder) / "_bundled" / "claude"
        if os.access(bundled, os.X_OK):
            return bundled
    found = shutil.which("claude")
    return None if found is None else Path(found)


def unavailable() -> str | None:
    """Return why the provider cannot be used, and what to do; None where it can."""
    if find_spec("claude_agent_sdk") is None:
        return f"the Claude Agent SDK is not installed: pip install '{EXTRA}'"
    if find_cli() is None:
        return "the Claude CLI is missing: the SDK has none for this platform, nor has the PATH"
    return None

"""The policy that most tests over HTTP use: personas for every constellation of providers."""

import socket
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.serving import SandboxProcess

__all__ = ["PROMPT", "UPSTREAM_KEY", "closed_port", "deaf_port", "standard_policy"]

UPSTREAM_KEY = "upstream-key-8c41b7"
"""Stands in the environment for the providers' key; must never be seen outside."""

PROMPT = "You are the persona of the tests."

# What a test plays is the answer to one request.
_QUIET = {"discover": False}
_SHORT = {"connect": 0.4, "first_token": 0.5, "idle": 0.5}


def standard_policy(
    sandbox: SandboxProcess, *, scripted: int = 9, dead: int = 9, deaf: int = 9
) -> dict[str, Any]:
    """Return a policy.

    Args:
        sandbox: Serves `openai` and `anthropic`, and the same two with other models and limits.
        scripted: Port of a provider that a test plays itself.
        dead: Port where nobody listens.
        deaf: Port that takes no connection.
    """
    local = f"http://127.0.0.1:{scripted}"
    providers = {
        "openai": _row("openai_chat", sandbox.openai, model="gpt-4.1"),
        "second_openai": _row("openai_chat", sandbox.openai, model="gpt-4.1-mini"),
        "anthropic": _row("anthropic_messages", sandbox.anthropic, model="claude-sonnet-4-6"),
        "short_openai": _row("openai_chat", sandbox.openai, timeouts=_SHORT),
        "short_anthropic": _row("anthropic_messages", sandbox.anthropic, timeouts=_SHORT),
        "total_openai": _row("openai_chat", sandbox.openai, timeouts={"total": 0.7}),
        "total_anthropic": _row("anthropic_messages", sandbox.anthropic, timeouts={"total": 0.7}),
        "dead": _row("openai_chat", f"http://127.0.0.1:{dead}/v1"),
        "deaf": _row("openai_chat", f"http://127.0.0.1:{deaf}/v1", timeouts=_SHORT),
        "scripted_openai": _row("openai_chat", f"{local}/v1", timeouts=_SHORT),
        "scripted_anthropic": {**_row("anthropic_messages", local, timeouts=_SHORT), **_QUIET},
        "endless_openai": _row("openai_chat", f"{local}/v1"),
        "endless_anthropic": {**_row("anthropic_messages", local), **_QUIET},
    }
    chains = {
        "openai_first": ["openai", "anthropic"],
        "anthropic_first": ["anthropic", "openai"],
        "short_openai_first": ["short_openai", "anthropic"],
        "short_anthropic_first": ["short_anthropic", "openai"],
        "two_models": ["openai", "second_openai"],
        "dead_first": ["dead", "openai"],
        "deaf_first": ["deaf", "openai"],
        "scripted_openai_first": ["scripted_openai", "anthropic"],
        **{f"{name}_only": [name] for name in providers},
    }
    return {
        "providers": providers,
        "personas": {
            name: {"provider_preferences": chain, "system_prompt": PROMPT}
            for name, chain in chains.items()
        },
    }


_MODELS = {"openai_chat": "gpt-4.1", "anthropic_messages": "claude-sonnet-4-6"}
_CAPABILITIES = [
    *("system_prompts", "streaming", "tool_calling", "custom_tools", "vision", "pdf"),
    *("json_mode", "json_schema", "reasoning", "logprobs", "multiple_choices"),
]


def _row(
    dialect: str,
    url: str,
    *,
    model: str | None = None,
    timeouts: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "dialect": dialect,
        "base_url": url,
        "api_key_env": "UPSTREAM_KEY",
        "model": model or _MODELS[dialect],
        "capabilities": _CAPABILITIES,
    }
    if timeouts is not None:
        row["timeouts"] = dict(timeouts)
    return row


def closed_port() -> int:
    """Return a port where nobody listens just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def deaf_port() -> Generator[int]:
    """Yield a port whose queue of connections is full: more of them are never answered."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address)
        yield int(address[1])

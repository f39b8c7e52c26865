"""The policy of the tests of several choices and of structured output, and what they look for."""

from typing import Any

from tests.providers import PROMPT
from tests.serving import SandboxProcess

__all__ = ["FANNED_OUT", "structured_policy"]

Json = dict[str, Any]

FANNED_OUT = ("anthropic", "gemini", "responses")
"""Personas whose provider gives one answer for each request."""

_CAPABILITIES = [
    *("system_prompts", "streaming", "tool_calling", "reasoning"),
    *("json_mode", "json_schema", "multiple_choices"),
]


def structured_policy(sandbox: SandboxProcess, *, scripted: int) -> Json:
    """Return a policy with a persona for each provider, and some with a second one.

    Args:
        sandbox: Serves all but one.
        scripted: Port of a provider that a test plays itself.
    """
    gemini = f"{sandbox.url}/gemini"
    rows: dict[str, tuple[str, str, str]] = {
        "openai": ("openai_chat", sandbox.openai, "gpt-4.1"),
        "responses": ("openai_responses", sandbox.openai, "gpt-4.1"),
        "anthropic": ("anthropic_messages", sandbox.anthropic, "claude-sonnet-4-6"),
        "gemini": ("gemini_generate", gemini, "gemini-3.6-flash"),
        "older_gemini": ("gemini_generate", gemini, "gemini-2.5-flash"),
        "hasty": ("anthropic_messages", sandbox.anthropic, "claude-sonnet-4-6"),
        "scripted": ("anthropic_messages", f"http://127.0.0.1:{scripted}", "claude-sonnet-4-6"),
    }
    providers: Json = {
        name: {
            "dialect": dialect,
            "base_url": url,
            "model": model,
            "api_key_env": "UPSTREAM_KEY",
            "capabilities": _CAPABILITIES,
        }
        for name, (dialect, url, model) in rows.items()
    }
    providers["hasty"]["timeouts"] = {"first_token": 0.5}
    providers["scripted"]["discover"] = False
    chains = {name: [name] for name in providers}
    chains["anthropic_first"] = ["anthropic", "openai"]
    chains["scripted_first"] = ["scripted", "openai"]
    return {
        "providers": providers,
        "personas": {
            name: {"provider_preferences": chain, "system_prompt": PROMPT}
            for name, chain in chains.items()
        },
    }

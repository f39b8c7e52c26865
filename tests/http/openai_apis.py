"""The policy and the requests of the tests of OpenAI's two APIs behind one provider."""

from typing import Any

from tests.http.conversations import Json
from tests.http.wire import Upstream, unique
from tests.serving import SandboxProcess

__all__ = ["CHAT", "RESPONSES", "TOOLS", "api_policy", "fresh", "paths"]

CHAT, RESPONSES = "/openai/v1/chat/completions", "/openai/v1/responses"
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("get_weather", "get_time")
]


def api_policy(sandbox: SandboxProcess, scripted_port: int) -> Json:
    """Return a policy; `auto/gpt-6-…` names a model that no other test has taught the server."""
    capabilities = ["system_prompts", "streaming", "tool_calling", "reasoning", "multiple_choices"]
    row: Json = {
        "dialect": "openai_chat",
        "base_url": sandbox.openai,
        "api_key_env": "UPSTREAM_KEY",
        "capabilities": [*capabilities, "json_schema", "json_mode", "custom_tools"],
        "model": "gpt-6-sol",
    }
    anthropic = {
        **row,
        "dialect": "anthropic_messages",
        "base_url": sandbox.anthropic,
        "model": "claude-sonnet-4-6",
    }
    liar = f"http://127.0.0.1:{scripted_port}/v1"
    return {
        "allow_direct_models": True,
        "providers": {
            "auto": {**row, "reasoning_summary": "auto"},
            "bare": row,
            "chat": {**row, "api": "chat"},
            "responses": {**row, "api": "responses"},
            "native": {**row, "dialect": "openai_responses", "reasoning_summary": "detailed"},
            "liar": {**row, "base_url": liar},
            "anthropic": anthropic,
        },
        "personas": {
            "engineer": {"provider_preferences": ["auto"], "system_prompt": "You are an engineer."},
            "pro_first": {
                "provider_preferences": [{"provider": "auto", "model": "gpt-5.4-pro"}, "anthropic"]
            },
        },
    }


def fresh(row: str = "auto") -> str:
    """Return a model that takes tools through Responses alone, and that nobody asked before."""
    return f"{row}/gpt-6-{unique()}"


async def paths(upstream: Upstream, marker: str) -> list[str]:
    return [request["path"] for request in await upstream.requests(marker)]

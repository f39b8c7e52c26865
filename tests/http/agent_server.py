"""A server whose personas are served by the real Claude CLI, before the sandbox."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess

__all__ = [
    "PROMPT",
    "Json",
    "Served",
    "ask",
    "client_of",
    "policy",
    "processes",
    "runs",
    "serving",
    "user",
]

Json = dict[str, Any]

PROMPT = "You are the persona of the tests."


def policy(sandbox: SandboxProcess, **row: Any) -> Json:
    agent = {
        "dialect": "claude_agent",
        "base_url": sandbox.anthropic,
        "api_key_env": "UPSTREAM_KEY",
        "model": "claude-sonnet-5",
    }
    anthropic = {**agent, "dialect": "anthropic_messages", "discover": False}
    return {
        "providers": {"agent": {**agent, **row}, "anthropic": anthropic},
        "personas": {
            "claude": {"provider_preferences": ["agent"], "system_prompt": PROMPT},
            "either": {"provider_preferences": ["agent", "anthropic"]},
        },
    }


class Served:
    """A server whose persona `claude` is served by the CLI, and the API that it calls."""

    def __init__(self, proxy: Proxy, sandbox: SandboxProcess, files: Path) -> None:
        self.proxy, self.sandbox, self.files = proxy, sandbox, files

    @property
    def calls(self) -> list[Json]:
        """The requests that reached the API."""
        return httpx.get(f"{self.sandbox.url}/_sandbox/requests").json()

    @property
    def open(self) -> int:
        stats = httpx.get(f"{self.sandbox.url}/_sandbox/stats").json()
        return stats["dialects"]["anthropic"]["open"]

    def forget(self) -> None:
        httpx.delete(f"{self.sandbox.url}/_sandbox/requests")

    @property
    def agents(self) -> list[int]:
        """The ids of the CLI's processes below the server, zombies too."""
        return processes(self.proxy.pid)


def processes(parent: int) -> list[int]:
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(" (")[2].rpartition(")")
        except OSError:
            continue  # It ended while we looked.
        if "claude" in name and int(rest.split()[1]) == parent:
            found.append(int(stat.parent.name))
    return found


@contextmanager
def serving(
    sandbox: SandboxProcess, files: Path, env: dict[str, str] | None = None, **row: Any
) -> Generator[Served]:
    given = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": str(files), **(env or {})}
    with Proxy(env=given, policy=policy(sandbox, **row)) as proxy:
        yield Served(proxy, sandbox, files)


def client_of(served: Served) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.proxy.url}/v1", api_key="any", max_retries=0, timeout=60)


async def ask(sdk: AsyncOpenAI, stream: bool, messages: Any, **fields: Any) -> ChatCompletion:
    """Return the answer, which the SDK puts together where it is streamed."""
    completions: Any = sdk.chat.completions
    fields = {"model": "claude", "messages": messages, **fields}
    if not stream:
        return await completions.create(**fields)
    async with completions.stream(**fields) as events:
        async for _ in events:
            pass
        return await events.get_final_completion()


def user(content: Any) -> Json:
    return {"role": "user", "content": content}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

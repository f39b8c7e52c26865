"""What tests of the in-process API have in common: a clean place, and the sandbox."""

import asyncio
import gc
import json
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatChunk, ChatRequest, LLMClient, Message

from tests.serving import SandboxProcess, clean_environment

__all__ = ["Upstream", "ask", "clean", "pieces", "run", "text_of"]

T = TypeVar("T")


def clean(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> None:
    """Work in an empty directory, with an environment that configures nothing but `variables`."""
    import os

    monkeypatch.chdir(folder)
    wanted = clean_environment(variables)
    for name in list(os.environ):
        if name not in wanted:
            monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run something in an event loop of its own; what it left behind is collected, and warns."""
    result = asyncio.run(work())
    gc.collect()
    return result


def ask(text: str, **fields: Any) -> ChatRequest:
    """Return a request with one message."""
    return ChatRequest(messages=[Message(role="user", content=text)], **fields)


async def pieces(client: LLMClient, request: ChatRequest) -> list[ChatChunk]:
    """Return the pieces of an answer."""
    return [chunk async for chunk in client.chat(request)]


async def text_of(client: LLMClient, request: ChatRequest) -> str:
    """Return the text of a streamed answer."""
    return "".join([chunk.delta_text or "" for chunk in await pieces(client, request)])


class Upstream:
    """The providers, in a process of their own, and the policy that leads there."""

    def __init__(self, providers: SandboxProcess, policy: Path) -> None:
        self._url = providers.url
        self.policy = policy

    def router(self, **options: Any) -> PersonaRouter:
        """Return a router whose providers they are."""
        return PersonaRouter(policy=self.policy, **options)

    def requests(self) -> list[dict[str, Any]]:
        """Return the bodies of the chat requests that arrived, since the last call of this."""
        arrived = self._get("/_sandbox/requests")
        # Those without one look models up.
        bodies = [one["body"] for one in arrived if one["body"] is not None]
        forget = urllib.request.Request(f"{self._url}/_sandbox/requests", method="DELETE")
        urllib.request.urlopen(forget, timeout=5).close()
        return bodies

    def tally(self, dialect: str) -> dict[str, int]:
        """Return how many requests were `started`, `finished`, `open`, `aborted_by_client`."""
        none = dict.fromkeys(("started", "finished", "open", "aborted_by_client"), 0)
        return {**none, **self._get("/_sandbox/stats")["dialects"].get(dialect, {})}

    async def until(self, dialect: str, **wanted: int) -> None:
        """Wait until some counts are what they should be."""
        found: dict[str, int] = {}
        for _ in range(500):
            if wanted.items() <= (found := self.tally(dialect)).items():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{found} and not {wanted}")

    def connections(self) -> int:
        """Return how many connections were ever made."""
        return int(self._get("/_sandbox/stats")["connections_opened"])

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}{path}", timeout=5) as answer:
            return json.load(answer)

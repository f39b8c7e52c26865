"""What tests of the in-process API have in common: a clean place, and the sandbox."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from execution_platform.spi import ChatChunk, ChatRequest, LLMClient, Message

from tests.serving import clean_environment

__all__ = ["ask", "clean", "pieces", "run", "text_of"]

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

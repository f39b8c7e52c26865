from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from proxy.sandbox.server import SandboxServer


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    async with SandboxServer() as server:
        yield server


@pytest.fixture
async def openai(sandbox: SandboxServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        api_key="sk-sandbox", base_url=sandbox.openai_base_url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def anthropic(sandbox: SandboxServer) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(
        api_key="sk-sandbox", base_url=sandbox.anthropic_base_url, max_retries=0
    ) as client:
        yield client


class Wire:
    """Posts raw bodies to every dialect, with valid credentials unless told otherwise."""

    def __init__(self, server: SandboxServer, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client

    async def openai(self, text: str | None = None, /, **fields: Any) -> httpx.Response:
        body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": text or "Hi"}]}
        return await self.client.post(
            f"{self.server.openai_base_url}/chat/completions",
            headers={"authorization": "Bearer sk-sandbox"},
            json={k: v for k, v in {**body, **fields}.items() if v is not ...},
        )

    async def anthropic(
        self,
        text: str | None = None,
        /,
        *,
        version: str = "2026-10-21",
        beta: str = "",
        **fields: Any,
    ) -> httpx.Response:
        body = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 2000,
            "messages": [{"role": "user", "content": text or "Hi"}],
        }
        merged = {**body, **fields}
        return await self.client.post(
            f"{self.server.anthropic_base_url}/v1/messages",
            headers={
                "x-api-key": "sk-sandbox",
                "anthropic-version": version,
                "anthropic-beta": beta,
            },
            json={k: v for k, v in merged.items() if v is not ...},
        )

    async def gemini(
        self,
        text: str | None = None,
        /,
        *,
        model: str = "gemini-2.5-flash",
        method: str = "generateContent",
        version: str = "v1beta",
        **fields: Any,
    ) -> httpx.Response:
        merged = {"contents": [{"role": "user", "parts": [{"text": text or "Hi"}]}], **fields}
        return await self.client.post(
            f"{self.server.gemini_base_url}/{version}/models/{model}:{method}",
            headers={"x-goog-api-key": "sandbox"},
            json={k: v for k, v in merged.items() if v is not ...},
        )

    async def stats(self) -> Any:
        return (await self.client.get(f"{self.server.base_url}/_sandbox/stats")).json()

    async def requests(self) -> Any:
        return (await self.client.get(f"{self.server.base_url}/_sandbox/requests")).json()


@pytest.fixture
async def wire(sandbox: SandboxServer) -> AsyncIterator[Wire]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Wire(sandbox, client)

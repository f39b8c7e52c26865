"""Provider rows in the clouds, and providers made of them, for tests."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.cloud import in_place
from proxy.http import HttpClient
from proxy.http_client.options import ClientOptions
from proxy.provider import ChatProvider
from proxy.registry import create_provider
from proxy.ticker import Ticker
from tests.clouds import AWS_KEY, AWS_SECRET, AWS_SESSION, PROJECT, Clouds
from tests.translators.chat_requests import chat_of, context_for
from tests.translators.streams import accumulate

__all__ = ["ROWS", "aws_environment", "google_environment", "provider", "row", "said"]

Json = dict[str, Any]

ROWS: dict[str, Json] = {
    "vertex_claude": {
        "dialect": "anthropic_messages",
        "credentials": "vertex",
        "project": PROJECT,
        "location": "us-east5",
        "model": "claude-opus-5-5",
    },
    "vertex_gemini": {
        "dialect": "gemini_generate",
        "credentials": "vertex",
        "project": PROJECT,
        "location": "global",
        "model": "gemini-3-flash",
    },
    "bedrock": {
        "dialect": "anthropic_messages",
        "credentials": "bedrock",
        "region": "eu-west-1",
        "model": "anthropic.claude-opus-5-5",
    },
    "foundry": {
        "dialect": "anthropic_messages",
        "credentials": "foundry",
        "resource": "my-resource",
        "api_key_env": ["ANTHROPIC_FOUNDRY_API_KEY"],
        "model": "claude-opus-5-5",
    },
}


def row(name: str, *, origin: str = "", **changes: Any) -> ProviderRow:
    """Return a row with its address; `origin` is that of the fake, "" for the cloud's own."""
    found = in_place(ProviderRow.model_validate({**ROWS[name], **changes}), {})
    url = f"{origin}/{found.base_url.removeprefix('https://')}" if origin else found.base_url
    return found.model_copy(update={"base_url": url})


def google_environment(
    monkeypatch: pytest.MonkeyPatch, folder: Path, clouds: Clouds, *, origin: str = ""
) -> None:
    """Give the process a service account of the fake."""
    host = f"{origin}/oauth2.googleapis.com" if origin else "https://oauth2.googleapis.com"
    file = folder / "account.json"
    file.write_text(json.dumps(clouds.account(f"{host}/token")), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the process the keys that the fake knows, and no other source of any."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", AWS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", AWS_SESSION)


@asynccontextmanager
async def provider(row: ProviderRow, key: str | None = None) -> AsyncGenerator[ChatProvider]:
    """Open a provider as the server does."""
    ticker = Ticker()
    # The one that vcrpy takes over.
    client = HttpClient(ticker, ClientOptions("aiohttp"))
    try:
        made = create_provider(row, key=key, client=client)
        yield made
        await made.aclose()
    finally:
        await client.aclose()
        ticker.close()


async def said(
    provider: ChatProvider, model: str, text: str = "Why?", *, stream: bool, **fields: Any
) -> Json:
    """Ask; return the answer's choice: of a stream, as OpenAI's SDK puts it together."""
    messages = [{"role": "user", "content": text}]
    chat = chat_of({"model": "p", "messages": messages, "stream": stream, **fields})
    prepared = provider.prepare(chat, model=model, context=context_for(chat))
    if not stream:
        return json.loads((await prepared.complete(Call())).data)["choices"][0]
    source = await prepared.open(Call())
    try:
        chunks = [chunk async for some in source for chunk in some]
    finally:
        await source.aclose()
    return json.loads(accumulate(chunks).choices[0].to_json(warnings=False))

"""The vendors' SDKs as oracle: for the same request they send what we send.

Both go to the strict fake, which keeps what arrived. What differs is what only an SDK has:
headers that describe it, and the headers that it signs.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from anthropic import AsyncAnthropicFoundry
from anthropic.lib.bedrock import AsyncAnthropicBedrockMantle
from anthropic.lib.vertex import AsyncAnthropicVertex
from google import genai
from google.genai.types import HttpOptions
from google.oauth2.credentials import Credentials

from policy.clouds import cloud_url
from proxy.sandbox.server import SandboxServer
from tests.clouds import (
    AWS_KEY,
    AWS_SECRET,
    AWS_SESSION,
    BEDROCK_KEY,
    FOUNDRY_KEY,
    PROJECT,
    Clouds,
)
from tests.proxy.clouds_rows import aws_environment, google_environment, provider, row, said

_LOCATIONS = ["us-east5", "global", "us", "eu"]
# What the SDKs say of themselves, and of the connection.
_OF_THE_SDK = ("x-stainless-", "user-agent", "accept", "connection", "host", "content-length")
_KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
def clouds() -> Clouds:
    return Clouds()


@pytest.fixture
async def origin(clouds: Clouds) -> AsyncIterator[str]:
    async with SandboxServer(app=clouds.app) as server:
        yield server.base_url


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clouds: Clouds, origin: str) -> None:
    google_environment(monkeypatch, tmp_path, clouds, origin=origin)


def headers_of(headers: dict[str, str]) -> dict[str, str]:
    return {n: v for n, v in headers.items() if not n.startswith(_OF_THE_SDK)}


def credentials_of(headers: dict[str, str]) -> dict[str, str]:
    return {n: v for n, v in headers.items() if n in _KEYS}


async def post(client: Any, body: dict[str, Any], headers: dict[str, str]) -> None:
    """Send a body as the SDK does, and read what comes."""
    answer = await client.post(
        "/v1/messages",
        body=body,
        cast_to=httpx2.Response,
        stream=body.get("stream", False),
        options={"headers": {n: v for n, v in headers.items() if n.startswith("anthropic-")}},
    )
    await cast("httpx2.Response", answer).aread()


@both
@pytest.mark.usefixtures("google")
@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-4-5@20251001", "cla/ude x"])
async def test_claude_on_vertex(clouds: Clouds, origin: str, model: str, stream: bool) -> None:
    place = row("vertex_claude", origin=origin)
    async with provider(place) as vertex:
        await said(vertex, model, stream=stream)
    async with AsyncAnthropicVertex(
        access_token=clouds.tokens[-1],
        project_id=PROJECT,
        region="us-east5",
        base_url=place.base_url,
        max_retries=0,
        open_telemetry=False,
    ) as client:
        path, headers, body = clouds.seen[0]
        sent = {name: value for name, value in body.items() if name != "anthropic_version"}
        await post(client, {"model": model, **sent}, headers)
    (path, headers, body), (sdk_path, sdk_headers, sdk_body) = clouds.seen
    assert path == sdk_path
    assert {**body, "anthropic_version": ...} == {**sdk_body, "anthropic_version": ...}
    # The SDK knows one version; the older one is what Google's documentation has.
    assert sdk_body["anthropic_version"] == "2026-10-21"
    assert body["anthropic_version"] in ("2026-10-21", "vertex-2023-10-16")
    assert credentials_of(headers) == credentials_of(sdk_headers)
    assert headers_of(headers).keys() - headers_of(sdk_headers).keys() == set()


@both
@pytest.mark.usefixtures("google")
async def test_gemini_on_vertex(clouds: Clouds, origin: str, stream: bool) -> None:
    place = row("vertex_gemini", origin=origin)
    async with provider(place) as vertex:
        await said(vertex, "gemini-3-flash", stream=stream)
    client = genai.Client(
        vertexai=True,
        project=PROJECT,
        location="global",
        credentials=Credentials(token=clouds.tokens[-1]),
        http_options=HttpOptions(base_url=place.base_url),
    )
    models: Any = client.models

    def ask() -> list[Any]:
        if not stream:
            return [models.generate_content(model="gemini-3-flash", contents="x")]
        return list(models.generate_content_stream(model="gemini-3-flash", contents="x"))

    # Its asynchronous client subclasses aiohttp's session, of which aiohttp warns.
    assert await asyncio.to_thread(ask)
    client.close()
    (path, headers, _), (sdk_path, sdk_headers, _) = clouds.seen
    assert path == sdk_path
    assert credentials_of(headers) == credentials_of(sdk_headers)


@both
@pytest.mark.parametrize("key", [None, BEDROCK_KEY], ids=["signature", "key"])
async def test_claude_on_bedrock(
    monkeypatch: pytest.MonkeyPatch, clouds: Clouds, origin: str, stream: bool, key: str | None
) -> None:
    aws_environment(monkeypatch)
    place, model = row("bedrock", origin=origin), "anthropic.claude-opus-5-5"
    async with provider(place, key) as bedrock:
        await said(bedrock, model, stream=stream)
    _, headers, body = clouds.seen[0]
    access = {
        "aws_access_key": AWS_KEY,
        "aws_secret_key": AWS_SECRET,
        "aws_session_token": AWS_SESSION,
    }
    sdk: Any = AsyncAnthropicBedrockMantle
    async with sdk(
        **(access if key is None else {"api_key": key}),
        aws_region="eu-west-1",
        base_url=place.base_url,
        max_retries=0,
        open_telemetry=False,
    ) as client:
        await post(client, body, headers)
    (path, headers, body), (sdk_path, sdk_headers, sdk_body) = clouds.seen
    assert (path, body) == (sdk_path, sdk_body)
    assert headers["anthropic-version"] == sdk_headers["anthropic-version"] == "2026-10-21"
    if key is not None:
        assert credentials_of(headers) == credentials_of(sdk_headers)
    assert headers_of(headers).keys() - headers_of(sdk_headers).keys() == set()


@both
async def test_claude_on_foundry(clouds: Clouds, origin: str, stream: bool) -> None:
    place = row("foundry", origin=origin)
    async with provider(place, FOUNDRY_KEY) as foundry:
        await said(foundry, "claude-opus-5-5", stream=stream)
    _, headers, body = clouds.seen[0]
    async with AsyncAnthropicFoundry(
        api_key=FOUNDRY_KEY, base_url=place.base_url, max_retries=0, open_telemetry=False
    ) as client:
        await post(client, body, headers)
    (path, headers, body), (sdk_path, sdk_headers, sdk_body) = clouds.seen
    assert (path, body) == (sdk_path, sdk_body)
    assert credentials_of(headers) == credentials_of(sdk_headers)
    assert headers["anthropic-version"] == sdk_headers["anthropic-version"]


@pytest.mark.parametrize("location", _LOCATIONS)
def test_addresses_of_google(location: str) -> None:
    claude = AsyncAnthropicVertex(region=location, project_id="p", access_token="t")
    assert cloud_url("vertex", "anthropic_messages", location) == str(claude.base_url).rstrip("/")
    gemini: Any = genai.Client(
        vertexai=True, project="p", location=location, credentials=Credentials(token="t")
    )
    found = gemini._api_client._http_options.base_url
    gemini.close()
    assert cloud_url("vertex", "gemini_generate", location) == found.rstrip("/")


def test_addresses_of_amazon_and_microsoft() -> None:
    bedrock = AsyncAnthropicBedrockMantle(aws_region="eu-west-1", api_key="k")
    foundry = AsyncAnthropicFoundry(resource="mine", api_key="k")
    assert cloud_url("bedrock", "anthropic_messages", "eu-west-1") == _bare(bedrock.base_url)
    assert cloud_url("foundry", "anthropic_messages", "mine") == _bare(foundry.base_url)


def _bare(url: object) -> str:
    return str(url).rstrip("/")

"""Providers in the clouds: what goes over the wire, from cassettes. `tests/cassettes.py` tells
how strict they are, and what they were recorded against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.sandbox.server import SandboxServer
from tests.cassettes import RECORDING, cassette
from tests.clouds import FOUNDRY_KEY, Clouds
from tests.proxy.clouds_rows import aws_environment, google_environment, provider, row, said
from translators.errors import ProviderError


@pytest.fixture
def clouds() -> Clouds:
    return Clouds()


@pytest.fixture
async def origin(clouds: Clouds) -> AsyncIterator[str]:
    """The fake's address while recording; nothing while a cassette plays."""
    if not RECORDING:
        yield ""
        return
    async with SandboxServer(app=clouds.app) as server:
        yield server.base_url


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clouds: Clouds, origin: str) -> None:
    google_environment(monkeypatch, tmp_path, clouds, origin=origin)


@pytest.mark.usefixtures("google")
async def test_claude_on_vertex(origin: str) -> None:
    with cassette("vertex_claude", origin=origin):
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            whole = await said(vertex, "claude-opus-5-5", stream=False)
            # The token is the first answer's: the cassette has one exchange of tokens.
            streamed = await said(vertex, "claude-opus-5-5", stream=True)
    assert "Why?" in whole["message"]["content"]
    assert streamed["message"]["content"] == whole["message"]["content"]
    assert whole["finish_reason"] == streamed["finish_reason"] == "stop"


@pytest.mark.usefixtures("google")
async def test_a_claude_that_takes_sampling_parameters_on_vertex(origin: str) -> None:
    """The older version of the API has a name of its own in the body."""
    model = "claude-haiku-4-5@20251001"
    with cassette("vertex_claude_sampling", origin=origin):
        async with provider(row("vertex_claude", origin=origin, location="eu")) as vertex:
            answer = await said(vertex, model, stream=False, temperature=0.5)
    assert "Why?" in answer["message"]["content"]


@pytest.mark.usefixtures("google")
async def test_gemini_on_vertex(origin: str) -> None:
    with cassette("vertex_gemini", origin=origin):
        async with provider(row("vertex_gemini", origin=origin)) as vertex:
            whole = await said(vertex, "gemini-3-flash", stream=False)
            streamed = await said(vertex, "gemini-3-flash", stream=True)
    assert "Why?" in whole["message"]["content"]
    assert "Why?" in streamed["message"]["content"]
    assert whole["finish_reason"] == streamed["finish_reason"] == "stop"


async def test_claude_on_bedrock(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    aws_environment(monkeypatch)
    with cassette("bedrock", origin=origin):
        async with provider(row("bedrock", origin=origin)) as bedrock:
            whole = await said(bedrock, "anthropic.claude-opus-5-5", stream=False)
            streamed = await said(bedrock, "anthropic.claude-opus-5-5", stream=True)
    assert "Why?" in whole["message"]["content"]
    assert streamed["message"]["content"] == whole["message"]["content"]


async def test_claude_on_foundry(origin: str) -> None:
    with cassette("foundry", origin=origin):
        async with provider(row("foundry", origin=origin), FOUNDRY_KEY) as foundry:
            whole = await said(foundry, "claude-opus-5-5", stream=False)
            streamed = await said(foundry, "claude-opus-5-5", stream=True)
    assert "Why?" in whole["message"]["content"]
    assert streamed["message"]["content"] == whole["message"]["content"]


async def test_a_key_that_foundry_refuses(origin: str) -> None:
    with cassette("foundry_wrong_key", origin=origin):
        async with provider(row("foundry", origin=origin), "foundry-wrong-key") as foundry:
            with pytest.raises(ProviderError) as refused:
                await said(foundry, "claude-opus-5-5", stream=True)
    assert (refused.value.kind, refused.value.status_hint) == ("auth", 502)


@pytest.mark.usefixtures("google")
async def test_a_project_that_is_not_ours(origin: str) -> None:
    """The cloud around the model answers in its own form, not in the model's."""
    with cassette("vertex_claude_wrong_project", origin=origin):
        async with provider(row("vertex_claude", origin=origin, project="theirs")) as vertex:
            with pytest.raises(ProviderError) as refused:
                await said(vertex, "claude-opus-5-5", stream=False)
    assert (refused.value.kind, refused.value.status_hint) == ("auth", 502)
    assert refused.value.native_type == "PERMISSION_DENIED"

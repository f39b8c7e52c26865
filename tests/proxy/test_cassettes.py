"""The cassettes themselves: none forgotten, no secret in any, and strict when played."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from proxy.sandbox.server import SandboxServer
from tests import cassettes
from tests.cassettes import FOLDER, LABEL, cassette, names_in_use
from tests.clouds import AWS_KEY, AWS_SECRET, AWS_SESSION, BEDROCK_KEY, FOUNDRY_KEY, Clouds
from tests.proxy.clouds_rows import provider, row, said

FILES = sorted(FOLDER.glob("*"))
MODEL = "claude-opus-5-5"


def play(name: str, *, origin: str = "") -> AbstractContextManager[None]:
    """Play a cassette; under this name it does not count as used."""
    return cassette(name, origin=origin)


def test_every_cassette_is_played_and_every_name_has_one() -> None:
    used = names_in_use()
    assert {file.stem for file in FILES} == set(used), "orphaned, or not recorded"
    assert {file.suffix for file in FILES} == {".yaml"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_cassette_says_what_it_is_and_keeps_no_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith(LABEL)
    found = re.findall(r"ya29\.|Bearer [\w.]|eyJ|AKID|PRIVATE|AWS4|127\.0\.0\.1|localhost", text)
    assert not found
    secrets = (FOUNDRY_KEY, BEDROCK_KEY, AWS_KEY, AWS_SECRET, AWS_SESSION, "foundry-wrong-key")
    assert not [secret for secret in secrets if secret in text]
    headers = set(re.findall(r"^      ([a-z0-9-]+):$", text, re.MULTILINE))
    assert headers <= {
        *("content-type", "anthropic-version", "anthropic-beta", "request-id"),
        "x-goog-user-project",
    }


@pytest.fixture
def tape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder of cassettes of its own, with one that holds a whole answer of Foundry."""
    monkeypatch.setattr(cassettes, "FOLDER", tmp_path)
    monkeypatch.setattr(cassettes, "RECORDING", True)

    async def record() -> None:
        async with SandboxServer(app=Clouds().app) as server:
            place = row("foundry", origin=server.base_url)
            with play("mine", origin=server.base_url):
                async with provider(place, FOUNDRY_KEY) as foundry:
                    await said(foundry, MODEL, stream=False)
                    await said(foundry, MODEL, "And?", stream=False)

    asyncio.run(record())
    monkeypatch.setattr(cassettes, "RECORDING", False)
    yield "mine"


async def ask(*texts: str, model: str = MODEL, resource: str = "my-resource") -> None:
    async with provider(row("foundry", resource=resource), FOUNDRY_KEY) as foundry:
        for text in texts:
            await said(foundry, model, text, stream=False)


def test_what_was_recorded_plays(tape: str) -> None:
    with play(tape):
        asyncio.run(ask("Why?", "And?"))


@pytest.mark.parametrize(
    "asked",
    [
        ask("How?", "And?"),
        ask("Why?", "And?", "And?"),
        ask("Why?", "And?", model="claude-sonnet-5"),
        ask("Why?", "And?", resource="their-resource"),
    ],
    ids=["another body", "once too often", "another model", "another address"],
)
def test_what_was_not_recorded_goes_nowhere(tape: str, asked: object) -> None:
    with pytest.raises(Exception, match="Can't overwrite|mine.yaml"), play(tape):
        asyncio.run(asked)  # pyright: ignore[reportArgumentType]


def test_what_nobody_asks_for_is_a_failure(tape: str) -> None:
    with pytest.raises(AssertionError, match="never asked for"), play(tape):
        asyncio.run(ask("Why?"))


def test_a_cassette_that_is_missing_is_a_failure(tape: str) -> None:
    with pytest.raises(AssertionError, match="is empty"), play("none"):
        pass

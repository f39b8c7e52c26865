"""Rows in a cloud: which options they take, and what is said of those they do not."""

import pytest

from policy.clouds import cloud_url
from tests.policy.building import made, refused

VERTEX = "dialect: anthropic_messages, credentials: vertex, model: m"


def cloud(text: str) -> str:
    return f"providers:\n  mine: {{{text}}}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{VERTEX}, project: my-project, location: us-east5",
        f"{VERTEX}, project: 'example.com:my-project', location: global",
        VERTEX,
        f"{VERTEX}, base_url: 'https://vertex.internal/v1', project: p, location: eu",
        "dialect: gemini_generate, credentials: vertex, model: m, location: eu, api_version: v1",
        "dialect: anthropic_messages, credentials: bedrock, model: m, region: eu-west-1",
        "dialect: anthropic_messages, credentials: bedrock, model: m, api_key_env: A_KEY",
        "dialect: anthropic_messages, credentials: foundry, model: m, resource: mine, "
        "api_key_env: A_KEY, default_max_tokens: 5",
    ],
)
def test_rows_that_are_right(text: str) -> None:
    assert made(cloud(text)).providers["mine"].credentials is not None


@pytest.mark.parametrize(
    ("text", "key", "problem", "remedy"),
    [
        (f"{VERTEX}, region: eu", "region", "without `credentials: bedrock`", "Remove it"),
        (f"{VERTEX}, resource: x", "resource", "without `credentials: foundry`", "Remove it"),
        (f"{VERTEX}, discover: false", "discover", "with `credentials: vertex`", "Remove it"),
        (f"{VERTEX}, api_key_env: A_KEY", "api_key_env", "with `credentials: vertex`", "Remove"),
        (f"{VERTEX}, api_key_header: x", "api_key_header", "with `credentials: vertex`", "Remove"),
        (f"{VERTEX}, location: 'a/b'", "location", "pattern", ""),
        (f"{VERTEX}, location: 'a.example.com#'", "location", "pattern", ""),
        (f"{VERTEX}, project: '../x'", "project", "pattern", ""),
        (
            f"{VERTEX}, base_url: 'https://api.anthropic.com'",
            "base_url",
            "not the address of the cloud",
            "a name of its own",
        ),
        (
            "dialect: openai_chat, credentials: vertex, model: m",
            "credentials",
            "`vertex` does not serve the dialect `openai_chat`",
            "`anthropic_messages`, `gemini_generate`",
        ),
        (
            "dialect: gemini_generate, credentials: bedrock, model: m",
            "credentials",
            "`bedrock` does not serve the dialect `gemini_generate`",
            "`anthropic_messages`",
        ),
        (
            "dialect: anthropic_messages, credentials: azure, model: m",
            "credentials",
            "'vertex', 'bedrock' or 'foundry'",
            "",
        ),
        (
            "dialect: gemini_generate, base_url: 'https://x', model: m, project: p",
            "project",
            "without `credentials: vertex`",
            "add `credentials: vertex`",
        ),
        (
            "dialect: openai_chat, base_url: 'https://x', model: m, discover: true",
            "discover",
            "no effect with the dialect `openai_chat`",
            "it is for `anthropic_messages`",
        ),
    ],
)
def test_rows_that_are_wrong(text: str, key: str, problem: str, remedy: str) -> None:
    (error,) = refused(cloud(text))
    assert error.key == f"providers.mine.{key}"
    assert problem in error.problem
    assert remedy in error.remedy


def test_a_row_of_no_cloud_needs_an_address() -> None:
    (error,) = refused(cloud("dialect: anthropic_messages, model: m"))
    assert (error.key, error.problem) == ("providers.mine", "`base_url` is missing")


def test_a_row_laid_over_the_vendors_own() -> None:
    """Merged key by key it would keep the address of the API that it is to replace."""
    (first, *_) = refused("providers:\n  anthropic: {credentials: bedrock, region: eu-west-1}\n")
    assert first.key == "providers.anthropic.base_url"
    assert "a name of its own" in first.remedy


@pytest.mark.parametrize(
    ("dialect", "location", "url"),
    [
        ("anthropic_messages", "us-east5", "https://us-east5-aiplatform.googleapis.com/v1"),
        ("anthropic_messages", "global", "https://aiplatform.googleapis.com/v1"),
        ("gemini_generate", "eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_addresses(dialect: str, location: str, url: str) -> None:
    assert cloud_url("vertex", dialect, location) == url

"""`models`: the list that a provider's API gives, for people and for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from anthropic.types import ModelInfo

from proxy.sandbox.app import create_sandbox
from tests.cli.command import Done
from tests.clouds import in_thread

Run = Callable[..., Done]


def test_the_table(run: Run) -> None:
    done = run("models", "--sandbox")
    assert done.status == 0, done.err
    head, *lines = done.out.splitlines()
    assert head.split() == ["PROVIDER", "MODEL", "PROMPT", "ANSWER", "EFFORT", "CAN"]
    (haiku,) = [line for line in lines if "claude-haiku-4-5" in line]
    assert "200,000" in haiku and "64,000" in haiku and "sampling" in haiku
    (opus,) = [line for line in lines if "claude-opus-5-5" in line]
    # It cannot be told not to think, and cannot be made to call a tool.
    assert "xhigh max" in opus and "schemas" in opus
    assert "no thinking" not in opus and "forced tools" not in opus


def test_the_apis_own_objects(run: Run) -> None:
    done = run("models", "anthropic", "--json", "--sandbox")
    found = json.loads(done.out)
    assert len(found) > 10
    for info in found:
        assert info.pop("provider") == "anthropic"
        ModelInfo.model_validate(info)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models"], "anthropic: no API key: set EP_ANTHROPIC_API_KEY or ANTHROPIC_API_KEY"),
        (["models", "anthropic"], "`anthropic` cannot be asked: no API key: set EP_ANTHROPIC"),
        (["models", "antropic"], "Did you mean `anthropic`?"),
        (["models", "openai"], "`openai` does not tell its models' limits"),
    ],
)
def test_providers_that_cannot_be_asked(run: Run, arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert (done.status, done.out) == (1, "")
    assert words in done.err


def test_a_refused_key(run: Run, tmp_path: Path) -> None:
    """Nothing of it is shown."""
    policy = tmp_path / "policy.yaml"
    key = {"ANTHROPIC_API_KEY": "sk-ant-invalid-9d1f"}
    with in_thread(create_sandbox()) as url:
        row = f"providers:\n  anthropic: {{base_url: '{url}/anthropic'}}\n"
        policy.write_text(row, encoding="utf-8")
        done = run("models", "anthropic", "--policy", str(policy), env=key)
    assert done.status == 1
    assert "refused the proxy's own credentials" in done.err
    assert "9d1f" not in done.err

"""The checks of `doctor` that need no server: what they make of what there is."""

import os
from pathlib import Path
from typing import Any

import pytest

from policy.schema import ProviderRow
from proxy.cli.diagnosis import claude
from proxy.cli.diagnosis.claude import PROCESS_BYTES, cli_finding, memory_finding
from proxy.cli.diagnosis.findings import Finding, secrets_of, split_reason, without_secrets
from proxy.cli.diagnosis.machine import clock_finding, descriptors_finding, temporary_finding
from proxy.cli.diagnosis.network import proxy_for, reach
from proxy.cli.diagnosis.providers import key_finding
from tests.serving import wait_until

CANARY = "canary-4f7a19c2"


def row(**changes: Any) -> ProviderRow:
    fixed = {"dialect": "openai_chat", "base_url": "http://api/v1", "model": "m"}
    return ProviderRow.model_validate({"api_key_env": ["ONE", "TWO"], **fixed, **changes})


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (f'"{CANARY}"', "quotes"),
        (f" {CANARY}\n", "white space"),
        (f"Bearer {CANARY}", "Bearer"),
        ("sk-your-openai-key", "placeholder"),
        ("your-gemini-key", "placeholder"),
    ],
)
def test_a_key_that_looks_like_none(key: str, said: str) -> None:
    finding = key_finding("p", row(), {"ONE": key})
    assert finding is not None and finding.status == "warning"
    assert said in finding.found and "ONE" in finding.remedy
    assert CANARY not in finding.found


def test_which_variable_has_the_key() -> None:
    finding = key_finding("p", row(), {"ONE": CANARY, "TWO": "another-key"})
    assert finding is not None and finding.status == "ok"
    assert finding.found == "in ONE, which differs from TWO and wins"
    assert key_finding("p", row(), {"ONE": " "}) is None


def test_every_placeholder_of_the_example_is_known() -> None:
    text = (Path(__file__).parent.parent.parent / ".env.example").read_text()
    examples = [line[1:].split("=", 1) for line in text.splitlines() if "API_KEY=" in line]
    assert len(examples) >= 4
    for name, value in examples:
        finding = key_finding("p", row(api_key_env=[name]), {name: value})
        assert finding is not None and finding.status == "warning", name


@pytest.mark.parametrize(
    ("offsets", "status"),
    [
        ({}, "ok"),
        ({"a": 1.0}, "ok"),
        ({"a": -60.0}, "warning"),
        ({"a": 600.0}, "failed"),
        ({"a": 600.0, "b": -1.0}, "ok"),
    ],
)
def test_the_clock(offsets: dict[str, float], status: str) -> None:
    assert clock_finding(offsets).status == status


def test_a_clock_that_was_never_set() -> None:
    assert clock_finding({}, now=0.0).status == "failed"


def test_open_files() -> None:
    assert descriptors_finding(1_048_576).status == "ok"
    few = descriptors_finding(1024)
    assert few.status == "warning" and "ulimit -n" in few.remedy


def test_a_temporary_directory_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert temporary_finding(needed=True).status == "failed"
    said = temporary_finding(needed=False)
    assert said.status == "warning" and "TMPDIR" in said.remedy


def test_memory_for_the_processes_of_the_cli() -> None:
    rows = {"c": row(dialect="claude_agent", base_url="http://api", processes=8, pool=2)}
    enough = memory_finding(rows, 10 * PROCESS_BYTES)
    assert enough is not None and enough.status == "ok"
    little = memory_finding(rows, 4 * PROCESS_BYTES)
    assert little is not None and little.status == "warning"
    assert "together they are 4 or fewer" in little.remedy
    assert memory_finding(rows, None) is None


def group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("echo '9.9.9 (Claude Code)'", "warning", "the SDK is made for 1.2.3"),
        ("echo '1.2.3 (Claude Code)'", "ok", "version 1.2.3"),
        ("exit 3", "failed", "exit status 3"),
        ("sleep 60 & wait", "failed", "too slow to start"),
    ],
)
def test_the_claude_cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, status: str, said: str
) -> None:
    program = tmp_path / "claude"
    number = tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ >'{number}'\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(claude, "find_cli", lambda: program)
    monkeypatch.setattr(claude, "bundled_version", lambda: "1.2.3")
    monkeypatch.setattr(claude, "VERSION_SECONDS", 1.0)
    finding = cli_finding()
    assert finding is not None and finding.status == status
    assert said in finding.found
    wait_until(lambda: not group_lives(int(number.read_text())))


def test_a_forward_proxy_and_who_is_not_behind_it() -> None:
    environment = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "inside.example,localhost"}
    assert proxy_for("https://api.example/v1", environment) == "http://proxy:3128"
    assert proxy_for("https://a.inside.example/v1", environment) is None
    assert proxy_for("http://api.example/v1", environment) is None


def test_a_reason_has_a_remedy() -> None:
    assert split_reason("no API key: set ONE or TWO") == ("no API key", "Set ONE or TWO.")
    assert split_reason("it is off") == ("it is off", "")


def test_secrets_are_taken_out_wherever_they_stand() -> None:
    secrets = secrets_of(
        {
            "A_KEY": f" {CANARY}-1 ",
            "EP_CLIENT_KEYS": f"{CANARY}-2, x",
            "U": f"http://u:{CANARY}-3@h",
        }
    )
    said = Finding("n", "", "ok", f"{CANARY}-1 {CANARY}-2\n", f"{CANARY}-3")
    clean = without_secrets(said, secrets)
    assert (clean.found, clean.remedy) == ("[secret] [secret] ", "[secret]")


@pytest.mark.parametrize(
    "url", ["http://bob:hunter2x/y@proxy.corp:3128", "http://proxy:notaport", "http://[::1"]
)
async def test_an_address_that_is_none_is_told_without_any_of_it(url: str) -> None:
    reached = await reach(url)
    assert "not the address of a server" in reached.trouble
    assert "hunter2x" not in repr(reached) and "notaport" not in repr(reached)

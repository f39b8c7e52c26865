"""Whether the Claude CLI can be used, and whose credential it uses: told before anybody asks."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from policy.schema import Policy, ProviderRow
from proxy import claude_cli
from proxy.availability import availability, cli_credentials
from proxy.claude_cli import cli_reason, credential
from tests.serving import run_to_end

pytestmark = pytest.mark.usefixtures("cli")

KEYS = ["EP_ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY"]


def is_there(name: str) -> ModuleSpec:
    return ModuleSpec(name, None)


def is_not_there(name: str) -> None:
    return None


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have a CLI, whatever is installed."""
    path = tmp_path / "bin" / "claude"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    monkeypatch.setattr(claude_cli, "find_spec", is_there)
    monkeypatch.setattr(claude_cli, "find_cli", lambda: path)
    return path


def row(**changes: Any) -> ProviderRow:
    fixed = {"dialect": "claude_agent", "base_url": "http://api", "model": "claude-sonnet-5"}
    return ProviderRow.model_validate({"api_key_env": KEYS, **fixed, **changes})


def reason(environ: dict[str, str], *, has_key: bool = False, **changes: Any) -> str | None:
    return cli_reason(row(**changes), {"HOME": "/nowhere", **environ}, has_key=has_key)


def kept(home: Path, content: Any) -> dict[str, str]:
    folder = home / ".claude"
    folder.mkdir(exist_ok=True)
    (folder / ".credentials.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )
    return {"HOME": str(home)}


LOGIN = {"claudeAiOauth": {"accessToken": "sk-ant-oat-1", "refreshToken": "r"}}
TOKEN = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat-1"}


def test_a_key_is_enough(tmp_path: Path):
    assert reason({}, has_key=True) is None
    assert reason({"EP_HOST": "0.0.0.0"}, has_key=True, login="never") is None


def test_a_login_is_enough_on_loopback(tmp_path: Path):
    assert reason(TOKEN) is None
    assert reason(kept(tmp_path, LOGIN)) is None
    moved = {"HOME": "/nowhere", "CLAUDE_CONFIG_DIR": str(tmp_path / ".claude")}
    assert reason(moved) is None
    for host in ("127.0.0.1", "localhost", "::1"):
        assert reason({**TOKEN, "EP_HOST": host}) is None


@pytest.mark.parametrize("content", ["", "{", "[]", {}, {"claudeAiOauth": {}}, {"mcpOAuth": {}}])
def test_without_either_both_are_named(tmp_path: Path, content: Any):
    said = reason(kept(tmp_path, content)) or ""
    assert "EP_ANTHROPIC_API_KEY or ANTHROPIC_API_KEY" in said
    assert "claude auth login" in said
    assert "`api_key_env`" in (reason({}, api_key_env=[]) or "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "gateway.example"])
def test_a_login_does_not_serve_others_unless_the_policy_insists(host: str):
    said = reason({**TOKEN, "EP_HOST": host}) or ""
    assert "the operator alone" in said and "`login: anywhere`" in said
    assert reason({**TOKEN, "EP_HOST": host}, login="anywhere") is None


def test_a_login_may_be_ruled_out():
    said = reason(TOKEN, login="never") or ""
    assert "login: never" in said and "EP_ANTHROPIC_API_KEY" in said


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claude_cli, "find_cli", lambda: None)
    said = reason({}, has_key=True) or ""
    assert "CLI is missing" in said and "npm install -g @anthropic-ai/claude-code" in said
    monkeypatch.setattr(claude_cli, "find_spec", is_not_there)
    said = reason({}, has_key=True) or ""
    assert "pip install 'execution-platform[claude-agent]'" in said


def test_a_program_that_may_not_be_executed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    bundled = tmp_path / "_bundled" / "claude"
    bundled.parent.mkdir()
    bundled.write_text("#!/bin/sh\n")
    bundled.chmod(0o644)
    spec = ModuleSpec("claude_agent_sdk", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]

    def found(name: str) -> ModuleSpec:
        return spec

    monkeypatch.setattr(claude_cli, "find_spec", found)
    monkeypatch.setattr(claude_cli, "find_cli", lambda: None)
    assert f"chmod +x {bundled}" in (reason({}, has_key=True) or "")


def test_a_keychain_is_asked_through_the_cli(monkeypatch: pytest.MonkeyPatch, cli: Path):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert reason({}) is not None
    cli.write_text('#!/bin/sh\ntest "$*" = "auth status --json"\n')
    assert reason({}) is None


def test_whose_credential_it_is_is_told_and_never_its_value(tmp_path: Path):
    with_key = credential(row(), {"ANTHROPIC_API_KEY": "sk-ant-1"}, has_key=True)
    assert (with_key.login, with_key.text) == (False, "the key in ANTHROPIC_API_KEY")
    token = credential(row(), TOKEN, has_key=False)
    assert token.login and "CLAUDE_CODE_OAUTH_TOKEN" in token.text
    file = credential(row(), kept(tmp_path, LOGIN), has_key=False)
    assert file.login
    assert "sk-ant" not in with_key.text + token.text + file.text


def test_only_rows_that_can_be_used_have_a_credential():
    policy = Policy.model_validate({"providers": {"a": row(), "b": row(enabled=False)}})
    environ = {"EP_ANTHROPIC_API_KEY": "k", "HOME": "/nowhere"}
    assert availability(policy, environ) == {"a": None, "b": "switched off in the policy"}
    assert list(cli_credentials(policy, environ)) == ["a"]


def test_what_an_agent_needs_of_the_machine_is_looked_for(tmp_path: Path, cli: Path):
    def said(**agent: Any) -> str | None:
        environ = {"PATH": str(cli.parent)}
        return reason(environ, has_key=True, agent={"tools": ["Read"], **agent})

    assert said() is None
    assert said(working_directory=str(tmp_path)) is None
    assert "does not exist" in (said(working_directory=str(tmp_path / "no")) or "")
    assert said(mcp_servers={"docs": {"command": "claude"}}) is None
    assert "MCP server `docs`" in (said(mcp_servers={"docs": {"command": "docs-mcp"}}) or "")
    needs = {"docs": {"command": "claude", "environment": ["DOCS_TOKEN"]}}
    assert "DOCS_TOKEN, which is not set" in (said(mcp_servers=needs) or "")


def test_check_says_what_an_agent_may_do(tmp_path: Path):
    opened = {"tools": ["Read", "Bash(git log:*)"], "working_directory": str(tmp_path)}
    row = {"agent": opened, "api_key_env": ["UPSTREAM_KEY"]}
    given = {"providers": {"claude_agent": row}}
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(given))
    env = {"EP_POLICY": str(path), "UPSTREAM_KEY": "k"}
    said = run_to_end("check", env=env).stdout
    assert f"claude_agent runs Read, Bash(git log:*) in {tmp_path}." in said
    assert "may do what this server's user may" in said

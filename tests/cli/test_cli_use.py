"""Help, wrong use, wrong configuration and closed pipes: every exit has a text and a status."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import policy
from proxy import __version__
from proxy.cli import installation
from proxy.cli.table import columns
from proxy.config import ConfigurationError
from tests.cli.command import Done, pipe
from tests.serving import clean_environment

Run = Callable[..., Done]

COMMANDS = {
    "serve": [
        "--policy",
        "--host",
        "--port",
        "--workers",
        "--sandbox",
        "--quality",
        "--insecure-no-auth",
    ],
    "check": ["--policy", "--sandbox"],
    "doctor": ["--policy", "--sandbox", "--offline", "--live", "--all", "--json"],
    "personas": ["--policy"],
    "explain": ["--policy", "--sandbox", "--request", "persona"],
    "models": ["--policy", "--sandbox", "--json", "provider"],
    "tokens": ["--policy", "--sandbox", "--persona", "--provider", "--json", "FILE"],
    "chat": ["--policy", "--sandbox", "--url", "persona", "EP_API_KEY"],
    "quality": ["serve", "submit", "gates", "history", "quality_gates:", "EP_API_KEY", "pytest"],
}


def exit_of(run: Run, capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    out, err = capsys.readouterr()
    return Done(int(caught.value.code or 0), out, err)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(run: Run, capsys: pytest.CaptureFixture[str], command: str):
    done = exit_of(run, capsys, command, "--help")
    assert (done.status, done.err) == (0, "")
    for word in COMMANDS[command]:
        assert word in done.out


def test_the_help_lists_the_commands_and_where_settings_come_from(
    run: Run, capsys: pytest.CaptureFixture[str]
):
    done = exit_of(run, capsys, "--help")
    for word in (*COMMANDS, "EP_*", ".env", "OPENAI_API_KEY", "serve --sandbox"):
        assert word in done.out


def test_the_version(run: Run, capsys: pytest.CaptureFixture[str]):
    assert exit_of(run, capsys, "--version").out.strip() == __version__


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["explain"], ["chat"], ["serve", "--nonsense"]]
)
def test_wrong_use_is_status_2(run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str]):
    done = exit_of(run, capsys, *arguments)
    assert (done.status, done.out) == (2, "")
    assert "usage: execution-platform" in done.err


# wrong configuration

POLICIES = {
    "personas:\n  a:\n    provider_preferences: [opnai]\n": ["p.yaml:3:", "opnai", "`openai`"],
    "personas:\n  a:\n    provider_preferences: [openai]\n    requires: [telepathy]\n": [
        "p.yaml:4:",
        "telepathy",
    ],
    "personas:\n  a:\n    provider_preferences: [openai]\n    system_prompt_file: no.md\n": [
        "p.yaml:4:",
        "no.md",
    ],
    "personas:\n  a: {provider_preferences: [openai]}\n  a: {provider_preferences: [local]}\n": [
        "p.yaml:3:",
        "a",
    ],
    "persona: {}\n": ["p.yaml:1:", "persona", "`personas`"],
    "a: [\n": ["p.yaml:"],
}


@pytest.mark.parametrize("text", POLICIES)
@pytest.mark.parametrize("command", ["check", "personas", "serve", "explain"])
def test_a_wrong_policy_stops_with_file_line_and_remedy(
    run: Run, tmp_path: Path, text: str, command: str
):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    more = ["a"] if command == "explain" else []
    done = run(command, *more, "--policy", str(path))
    assert (done.status, done.out) == (1, "")
    assert "the configuration is wrong" in done.err
    for word in POLICIES[text]:
        assert word in done.err
    assert "Traceback" not in done.err


def test_a_policy_that_is_not_there(run: Run):
    done = run("check", "--policy", "no.yaml")
    assert done.status == 1
    assert "no.yaml: the file cannot be read (No such file or directory)" in done.err


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"EP_PRT": "1"}, ["EP_PRT", "EP_PORT"]),
        ({"EP_PORT": "abc"}, ["EP_PORT", "a whole number from 0 to 65535"]),
        ({"EP_PORT": "1", "EP_TIMEOUT": "soon"}, ["EP_TIMEOUT", "seconds"]),
        ({"EP_WORKERS": "0"}, ["EP_WORKERS"]),
        ({"EP_SANDBOX": "perhaps"}, ["EP_SANDBOX", "1 or 0"]),
        ({"EP_DEFAULT_PROVIDER": "opnai"}, ["EP_DEFAULT_PROVIDER", "`openai`"]),
        ({"EP_OPNAI_API_KEY": "canary"}, ["EP_OPNAI_API_KEY", "EP_OPENAI_API_KEY"]),
        ({"EP_CLIENT_KEYS": "canary with space"}, ["EP_CLIENT_KEYS"]),
    ],
)
def test_a_wrong_variable_stops_with_what_would_be_right(
    run: Run, env: Mapping[str, str], said: list[str]
):
    done = run("check", env=env)
    assert (done.status, done.out) == (1, "")
    for word in said:
        assert word in done.err
    assert "canary" not in done.err


def test_a_port_in_use_is_said_with_a_remedy(run: Run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("serve", "--sandbox", "--port", port)
    assert (done.status, done.out) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}" in done.err
    assert "--port" in done.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])
def test_without_keys_only_loopback_is_served(run: Run, host: str):
    done = run("serve", "--sandbox", "--host", host, "--port", "0")
    assert (done.status, done.out) == (1, "")
    for word in ("loopback", "EP_CLIENT_KEYS", "--insecure-no-auth"):
        assert word in done.err


# the installation


def test_an_installation_of_ones_own_is_right():
    installation.check_installation()


@pytest.mark.parametrize("rival", installation.RIVALS)
def test_an_environment_shared_with_a_rival_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, rival: str
):
    def distribution(name: str) -> object:
        if name != rival:
            raise PackageNotFoundError(name)
        return object()

    monkeypatch.setattr(installation, "distribution", distribution)
    done = run("personas")
    assert (done.status, done.out) == (1, "")
    for word in (f"the package `{rival}`", "environment of its own", "python3 -m venv"):
        assert word in done.err


def test_packages_from_different_places_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy, "__file__", "/elsewhere/policy/__init__.py")
    with pytest.raises(ConfigurationError, match="not installed side by side"):
        installation.check_installation()


# closed pipes


@pytest.mark.parametrize(
    "arguments",
    [["personas"], ["check", "--sandbox"], ["explain", "architect", "--sandbox"], ["--help"],
     ["chat", "architect", "--sandbox"]],
)  # fmt: skip
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_went_away_is_no_error(arguments: list[str], unbuffered: str):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            input=b"Hi\n",
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
            env=clean_environment({"PYTHONUNBUFFERED": unbuffered}),
            timeout=30,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_columns_are_aligned_and_nothing_trails():
    rows = [("a", "bbb", "c  "), ("aaaa", "b", "")]
    assert columns(rows, indent="  ") == "  a     bbb  c\n  aaaa  b"
    assert columns([]) == ""


def test_the_module_is_the_command():
    assert pipe("--version").out.strip() == __version__

"""Every command, as a user runs it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.serving import Proxy, clean_environment

COMMANDS = ("serve", "check", "personas", "explain", "chat")
KEYS = {"EP_ANTHROPIC_API_KEY": "sk-ant-canary-1234567", "OPENAI_API_KEY": "sk-canary-7654321"}


def run(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        input=stdin,
        env=clean_environment(env),
        cwd=cwd or Path("/"),
        capture_output=True,
        text=True,
        timeout=60,
    )


def write(folder: Path, text: str) -> str:
    path = folder / "policy.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_each_command_does_and_takes(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "--policy FILE" in done.stdout
    assert "--sandbox" in done.stdout


def test_help_names_the_commands_and_the_first_thing_to_try() -> None:
    done = run("--help")
    assert all(command in done.stdout for command in COMMANDS)
    assert "serve --sandbox" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("fly",), ("serve", "--port", "many"), ("explain",)])
def test_wrong_use_is_status_2_and_shows_the_usage(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_check_says_who_serves_each_persona_and_shows_no_key() -> None:
    done = run("check", env=KEYS)
    assert done.returncode == 0, done.stderr
    assert "architect " in done.stdout
    assert "anthropic (claude" in done.stdout
    assert "not claude_agent: the dialect `claude_agent` is not part" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_check_without_keys_says_what_to_set() -> None:
    done = run("check")
    assert done.returncode == 1
    assert "no API key: set EP_ANTHROPIC_API_KEY or ANTHROPIC_API_KEY" in done.stdout
    assert "NOBODY" in done.stdout
    assert run("check", "--sandbox").returncode == 0


def test_personas_lists_them() -> None:
    done = run("personas")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split()[0] == "PERSONA"
    assert len(lines) == 8


def test_explain_says_why_for_a_plain_request() -> None:
    done = run("explain", "architect", env=KEYS)
    assert done.returncode == 0
    assert "Chosen     anthropic: the best preference that qualifies" in done.stdout
    assert "Passed over\n  claude_agent" in done.stdout
    assert "1 system message" in done.stdout


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_explain_goes_by_what_the_request_needs(source: str, tmp_path: Path) -> None:
    body = {
        "messages": [{"role": "user", "content": "JSON, please"}],
        "response_format": {"type": "json_object"},
    }
    path = tmp_path / "request.json"
    path.write_text(json.dumps(body))
    where, stdin = (str(path), "") if source == "file" else ("-", path.read_text())
    done = run("explain", "architect", "--request", where, env=KEYS, stdin=stdin)
    assert done.returncode == 0, done.stderr
    assert "Chosen     openai" in done.stdout
    assert "json_mode" in done.stdout
    assert "lacks `json_mode` (response_format)" in done.stdout


def test_explain_of_what_nobody_serves_is_status_1_with_the_reason() -> None:
    done = run("explain", "architect_openai", env={"EP_ANTHROPIC_API_KEY": "sk-ant-x"})
    assert done.returncode == 1
    assert "refused with status 503" in done.stdout
    assert "set EP_OPENAI_API_KEY or OPENAI_API_KEY" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "architekt"), "Did you mean `architect`"),
        (("explain", "architect", "--request", "missing.json"), "missing.json: No such file"),
        (("personas", "--policy", "missing.yaml"), "missing.yaml"),
        (("chat", "nobody", "--sandbox"), "does not exist"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, stdin="hello\n")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"EP_WORKERS": "many"}, "EP_WORKERS: `many` is not right"),
        ({"EP_TIMEOT": "3"}, "Did you mean `EP_TIMEOUT`"),
        ({"EP_CLIENT_KEYS": "a b"}, "EP_CLIENT_KEYS: the value is not right"),
        ({"EP_DEFAULT_PROVIDER": "opnai"}, "Did you mean `openai`"),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER is `jaeger`"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "only `http/protobuf` is built in",
        ),
    ],
)
def test_a_wrong_variable_stops_the_start(env: Mapping[str, str], said: str) -> None:
    done = run("serve", "--sandbox", "--port", "0", env=env)
    assert done.returncode != 0
    assert said in done.stderr
    assert "listens on" not in done.stdout


def test_a_wrong_policy_is_told_with_file_line_and_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, "personas:\n  a:\n    provider_preferences: [opnai]\n")
    done = run("check", "--policy", path)
    assert done.returncode == 1
    assert f"{path}:3: personas.a.provider_preferences[0]" in done.stderr
    assert "Did you mean `openai`?" in done.stderr


def test_a_port_in_use_is_told_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "another program listens there already; choose another port" in done.stderr


def test_chat_streams_answers_and_keeps_the_conversation() -> None:
    # The sandbox counts what it is told: a second turn holds the first.
    done = run("chat", "architect", "--sandbox", stdin="[sandbox say=one]\n\n[sandbox say=two]\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["one", "two"]


def test_chat_goes_on_after_a_turn_that_failed_and_says_so_in_the_end() -> None:
    said = "[sandbox fail=400]\n[sandbox say=still-here]\n/exit\nnever read\n"
    done = run("chat", "architect", "--sandbox", stdin=said)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "still-here"
    assert "400" in done.stderr or "invalid_request_error" in done.stderr


def test_chat_with_a_running_server(shipped: Proxy) -> None:
    done = run("chat", "architect", "--url", f"{shipped.url}/v1", stdin="[sandbox say=over-http]\n")
    assert (done.returncode, done.stdout.strip()) == (0, "over-http")


def test_chat_with_a_server_that_breaks_off(shipped: Proxy) -> None:
    broken = "[sandbox cut=6 words=60]\n"
    done = run("chat", "architect", "--url", shipped.url, stdin=broken)
    assert done.returncode == 1
    assert "upstream" in done.stderr


def test_chat_with_no_server_says_how_to_start_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = run("chat", "architect", "--url", f"http://127.0.0.1:{port}", stdin="hi\n")
    assert done.returncode == 1
    assert "execution-platform serve" in done.stderr


def test_a_reader_that_has_enough_is_no_error() -> None:
    pipe = f"{sys.executable} -m proxy personas | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", pipe], env=clean_environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == ""


def test_an_environment_shared_with_a_rival_is_refused(tmp_path: Path) -> None:
    metadata = tmp_path / "translators-6.0.4.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: translators\nVersion: 6.0.4\n")
    known = clean_environment()["PYTHONPATH"]
    done = run("personas", env={"PYTHONPATH": os.pathsep.join([str(tmp_path), known])})
    assert done.returncode == 1
    assert "`translators`, which is installed here, too" in done.stderr
    assert "environment of its own" in done.stderr


def test_a_dot_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EP_ANTHROPIC_API_KEY=sk-ant-x\nEP_PORT=1234\n")
    done = run("check", env={"EP_PORT": "4321"}, cwd=tmp_path)
    assert "127.0.0.1:4321" in done.stdout
    assert "anthropic (claude" in done.stdout

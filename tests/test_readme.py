"""What the README says is done: its blocks run as they stand, but for the port."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy.schema import ProviderRow
from proxy.config import load_policy
from tests.agent_cli import NEEDS_CLI
from tests.serving import clean_environment

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+) ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [match.groups() for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def blocks(language: str, tag: str = "") -> list[str]:
    return [text for found, note, text in BLOCKS if (found, note) == (language, tag)]


def environment() -> dict[str, str]:
    found = clean_environment()
    # As a newcomer's shell has it: our command is found by way of the activated environment.
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found["PATH"]])
    return found


def free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The server of the first block, on a free port."""
    (command,) = blocks("bash", "run")
    number = free_port()
    process = subprocess.Popen(
        ["bash", "-ec", f"exec {command.strip()} PORT={number}"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(number, process)
        yield number
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    # A checkout that was not set up yet is set up by the command.
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except OSError:
            assert process.poll() is None, "`make run` ended"
            time.sleep(0.2)
    raise AssertionError("`make run` did not start a server")


def shell(text: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    script = text.replace(". .venv/bin/activate", ":")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )


def curls() -> list[str]:
    return [text for text in blocks("bash") if "curl" in text]


def test_the_first_curl_streams_an_answer(port: int) -> None:
    done = shell(curls()[0].replace("8080", str(port)))
    assert done.returncode == 0, done.stderr
    assert '"content":"Sandbox answer' in done.stdout
    assert done.stdout.endswith("data: [DONE]\n\n")


def test_the_second_curl_shows_a_fallback(port: int) -> None:
    done = shell(curls()[1].replace("8080", str(port)))
    assert done.returncode == 0, done.stderr
    assert "x-ep-attempts: 2" in done.stdout
    assert "x-ep-provider: openai" in done.stdout
    assert '"finish_reason":"stop"' in done.stdout


def test_the_third_curl_explains_a_request(port: int) -> None:
    done = shell(curls()[2].replace("8080", str(port)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["request_id"] == "my-1"
    assert {"failed", "answered"} <= {one["verdict"] for one in found["candidates"]}


def test_the_python_example_runs(port: int) -> None:
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("8080", str(port))],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("answered by claude")


def test_the_program_runs_without_a_server(tmp_path: Path) -> None:
    (code,) = blocks("python", "program")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "> Design a REST API" in done.stdout


def test_the_other_commands_run_in_one_shell() -> None:
    done = shell("".join(b for b in blocks("bash") if "curl" not in b))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed over\n  claude_agent" in done.stdout
    assert "tracing    off" in done.stdout
    assert "tracing    on" in done.stdout


def test_the_doctor_finds_nothing_wrong_with_the_sandbox() -> None:
    (command,) = blocks("bash", "doctor")
    done = shell(f"export EP_SANDBOX=1 EP_PORT=0; {command}")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "it takes the key" in done.stdout
    assert "0 failed" in done.stdout


def test_the_claude_agent_sdk_is_added_by_the_block_that_says_so(tmp_path: Path) -> None:
    (command,) = blocks("bash", "claude_agent")
    done = shell(f"{command.strip()} --dry-run VENV={tmp_path}")
    assert "-r deploy/requirements-claude-agent.txt" in done.stdout, done.stderr


@NEEDS_CLI
def test_the_program_that_logs_in_is_found_as_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"`python -c '(.+)'`", text)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, text=True
    )
    assert os.access(done.stdout.strip(), os.X_OK), done.stderr


def test_serve_starts_with_the_keys_of_the_block_before() -> None:
    (command,) = blocks("bash", "serve")
    process = subprocess.Popen(
        ["bash", "-ec", f"exec {command.strip()} --port 0"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("Execution Platform listens on http://127.")
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_policies_of_the_policys_readme_load(tmp_path: Path) -> None:
    texts = [
        m[3] for m in BLOCK.finditer((ROOT / "policy" / "README.md").read_text()) if m[1] == "yaml"
    ]
    assert len(texts) >= 3
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        load_policy(path, {})


def test_every_option_of_the_claude_cli_is_in_the_policys_readme() -> None:
    text = (ROOT / "policy" / "README.md").read_text().partition("### Claude through")[2]
    row = ProviderRow.model_fields
    for name in ("pool", "processes", "queue", "login"):
        (told,) = re.findall(rf"^\| `{name}` \| `?(\w+)`?", text, re.MULTILINE)
        assert told == str(row[name].default)
    assert f"| `patience` | {row['patience'].default:g} |" in text


def test_the_policy_loads(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    assert list(load_policy(path, {}).personas) == ["translator"]


def test_every_link_of_every_readme_leads_somewhere() -> None:
    for readme in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", readme.read_text()):
            assert (readme.parent / target).exists(), f"{readme}: {target}"


def test_the_personas_of_the_readme_are_the_shipped_ones() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("\n## Personas")[2].partition("They are the shipped")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert named == set(load_policy(None, {}).personas)


def test_the_example_environment_has_every_setting_and_loads() -> None:
    from proxy import config
    from proxy.environment import parse_env_file

    text = (ROOT / ".env.example").read_text()
    assert parse_env_file(text) == {}
    values = parse_env_file(re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE))
    settings = config.load_settings({**values, "EP_POLICY": ""})
    assert settings == config.Settings(default_provider="openai", strict=False)
    providers = {"EP_OPENAI_API_KEY", "EP_ANTHROPIC_API_KEY", "EP_GEMINI_API_KEY"}
    documented = {name for name in values if name.startswith("EP_")} - providers
    assert documented == set(config.SETTINGS)

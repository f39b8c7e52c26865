"""A wrong configuration stops the start, and says where it is wrong and what would be right."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving import clean_environment, run_to_end

PERSONA = "personas: {writer: {provider_preferences: [openai]}}\n"

WRONG: list[tuple[str, str, int, str, str]] = [
    # What is wrong, the file, the line that is named, the key, and a part of the remedy.
    ("no yaml", "personas:\n  - [\n", 3, "", ""),
    ("a list", "- a\n", 1, "", ""),
    ("unknown key", PERSONA + "personnas: {}\n", 2, "personnas", "`personas`"),
    ("unknown persona key",
     "personas:\n  writer:\n    provider_preferences: [openai]\n    promt: x\n",
     4, "personas.writer.promt", "system_prompt"),
    ("unknown provider", "personas:\n  writer:\n    provider_preferences: [opnai]\n",
     3, "personas.writer.provider_preferences", "Did you mean `openai`?"),
    ("unknown capability",
     "personas:\n  writer:\n    provider_preferences: [openai]\n    requires: [visoin]\n",
     4, "personas.writer.requires", "Did you mean `vision`?"),
    ("no provider", "personas:\n  writer:\n    description: x\n",
     2, "personas.writer", "provider_preferences"),
    ("two of a name",
     PERSONA.replace("{writer", "\n  {writer").replace("\n  {", "{") + PERSONA, 2, "personas", ""),
    ("two personas of a name",
     "personas:\n  writer: {provider_preferences: [openai]}\n"
     "  writer: {provider_preferences: [openai]}\n", 3, "writer", ""),
    ("missing prompt file",
     "personas:\n  writer:\n    provider_preferences: [openai]\n    system_prompt_file: no.md\n",
     4, "personas.writer.system_prompt_file", "relative to the folder of the policy file"),
    ("unknown dialect",
     "providers:\n  mine: {dialect: openai_chatt, base_url: 'http://x', model: m}\n",
     2, "providers.mine.dialect", "Did you mean `openai_chat`?"),
    ("no url", "providers:\n  mine: {dialect: openai_chat, base_url: x, model: m}\n",
     2, "providers.mine.base_url", "https://"),
    ("a number for a word", "personas: {writer: {provider_preferences: 7}}\n",
     1, "personas.writer.provider_preferences", ""),
    ("a key in the file",
     "providers:\n  openai:\n    api_key: sk-verysecretkey1234567890\n",
     3, "providers.openai.api_key", "api_key_env"),
    ("a wrong parameter",
     "personas:\n  writer:\n    provider_preferences: [openai]\n"
     "    parameters: {temperature: hot}\n",
     4, "personas.writer.parameters.temperature", ""),
]  # fmt: skip


Start = Callable[..., Future[subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts servers that are not going to serve, two at a time: each takes a while to load."""
    with ThreadPoolExecutor(2) as pool:

        def start(*arguments: str, **env: str) -> Future[subprocess.CompletedProcess[str]]:
            return pool.submit(run_to_end, "serve", *arguments, env=env)

        yield start


@pytest.fixture(scope="module")
def policies(
    start: Start, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]:
    """What becomes of each wrong policy."""
    started: dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]] = {}
    for name, text, *_ in WRONG:
        path = tmp_path_factory.mktemp("policy") / "mine.yaml"
        path.write_text(text)
        started[name] = path, start("--sandbox", "--port", "0", "--policy", str(path))
    return started


@pytest.mark.parametrize(
    ("name", "line", "key", "remedy"),
    [pytest.param(name, *expected, id=name) for name, _, *expected in WRONG],
)
def test_a_wrong_policy_stops_the_start_with_file_line_key_and_remedy(
    policies: dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]],
    *,
    name: str,
    line: int,
    key: str,
    remedy: str,
) -> None:
    path, future = policies[name]
    done = future.result()
    assert done.returncode == 1
    # Nothing was announced, so nothing listens.
    assert done.stdout == ""
    assert f"{path}:{line}: " in done.stderr, done.stderr
    assert key in done.stderr
    assert remedy in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert "verysecret" not in done.stderr
    assert len(done.stderr.splitlines()) <= 5


def test_a_policy_that_is_not_there_is_said_with_a_remedy(tmp_path: Path) -> None:
    done = run_to_end("serve", "--sandbox", "--port", "0", env={"EP_POLICY": str(tmp_path / "no")})
    assert (done.returncode, done.stdout) == (1, "")
    assert "EP_POLICY" in done.stderr
    assert "Traceback" not in done.stderr


VARIABLES = [
    ("EP_PORT", "eighty", "a whole number from 0 to 65535"),
    ("EP_TIMEOUT", "-1", "a number of seconds above 0"),
    ("EP_HEARTBEAT", "often", "a number of seconds, or 0 for n"),
    ("EP_WORKERS", "0", "a whole number from 1"),
    ("EP_SANDBOX", "perhaps", "1 or 0"),
    ("EP_LOG_LEVEL", "loud", "one of debug, info"),
    ("EP_HEARTBEET", "1", "Did you mean"),
    ("EP_DEFAULT_PROVIDER", "opnai", "Did you mean `openai`?"),
    ("EP_OPENAPI_API_KEY", "sk-x", "Did you mean `EP_OPENAI_API_KEY`?"),
    ("EP_CLIENT_KEYS", "has blank,ok", "keys separated by commas"),
]


@pytest.fixture(scope="module")
def variables(start: Start) -> dict[str, Future[subprocess.CompletedProcess[str]]]:
    """What becomes of each wrong variable."""
    # Options win over variables.
    options = {"EP_SANDBOX": ("--sandbox",), "EP_PORT": ("--port", "0")}
    return {
        name: start(
            *(word for key, words in options.items() if key != name for word in words),
            **{name: value},
        )
        for name, value, _ in VARIABLES
    }


@pytest.mark.parametrize(("name", "value", "remedy"), VARIABLES, ids=[row[0] for row in VARIABLES])
def test_a_wrong_variable_stops_the_start_with_name_and_remedy(
    variables: dict[str, Future[subprocess.CompletedProcess[str]]],
    name: str,
    value: str,
    remedy: str,
) -> None:
    done = variables[name].result()
    assert (done.returncode, done.stdout) == (1, "")
    assert name in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    if name in ("EP_CLIENT_KEYS", "EP_OPENAPI_API_KEY"):
        assert value not in done.stderr


def test_wrong_telemetry_stops_the_start() -> None:
    env = {"OTEL_TRACES_EXPORTER": "carrier-pigeon"}
    done = run_to_end("serve", "--sandbox", "--port", "0", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "OTEL_TRACES_EXPORTER has `carrier-pigeon`" in done.stderr
    assert "Traceback" not in done.stderr


IMPORT = """
import json, sys
events = []
sys.addaudithook(lambda name, _: events.append(name) if name.startswith("socket.") else None)
import proxy, proxy.app, proxy.server, proxy.cli.main, proxy.cli.serve, policy, translators
print(json.dumps({"events": events, "modules": sorted(sys.modules)}))
"""
HEAVY = (
    *("anthropic", "openai", "google", "claude_agent_sdk", "opentelemetry", "httpx", "boto3"),
    *("botocore", "requests", "redis", "jsonschema", "prometheus_client", "aiohttp"),
)


def test_row_77_importing_opens_no_socket_and_loads_no_sdk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
        cwd=tmp_path,
        timeout=30,
    )
    found = json.loads(done.stdout)
    # `gethostname` and the like would be read from here as well; making a socket is what counts.
    assert found["events"] == []
    assert not [name for name in found["modules"] if name.split(".")[0] in HEAVY]


def test_row_77_a_serving_process_has_loaded_no_sdk_either(tmp_path: Path) -> None:
    script = (
        "import asyncio, json, os, sys\n"
        "from proxy.service import load_configuration, open_service\n"
        "async def main():\n"
        "    async with open_service(load_configuration()):\n"
        "        print(json.dumps(sorted(sys.modules)))\n"
        "asyncio.run(main())\n"
    )
    # Of the HTTP clients it is the default that is loaded, whichever the tests are run over.
    keys = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b", "EP_HTTP_CLIENT": ""}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(keys),
        cwd=tmp_path,
        timeout=30,
    )
    loaded = json.loads(done.stdout)
    assert "proxy.providers.anthropic_messages" in loaded
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]
    assert os.path.sep not in done.stderr


SERVE = """
import json, pathlib, sys
import uvicorn
from proxy.cli.main import main

startup = uvicorn.Server.startup

async def and_tell(server, sockets=None):
    await startup(server, sockets)
    pathlib.Path("loaded.json").write_text(json.dumps(sorted(sys.modules)))
    server.should_exit = True

uvicorn.Server.startup = and_tell
sys.exit(main(["serve", "--port", "0"]))
"""
NEEDLESS = (
    "a_plugin",
    *("aiohttp", "urllib3", "unittest", "sqlite3", "ctypes", "multidict", "yarl"),
    *("proxy.sandbox", "proxy.quality", "proxy.redis_entries", "proxy.decisions.siblings"),
    *("proxy.telemetry.content.capture", "proxy.telemetry.content.messages"),
    *("proxy.telemetry.export.otlp", "proxy.telemetry.export.schedule"),
    *("proxy.telemetry.tracing", "proxy.telemetry.export.connect", "proxy.cli.quality"),
    *("proxy.cli.doctor", "proxy.cli.diagnosis", "proxy.cli.chat", "proxy.providers.claude_agent"),
)


def test_a_plain_server_has_loaded_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    """Each module costs start-up time and, for as long as it serves, memory: 50 KB on average."""
    keys = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b", "GEMINI_API_KEY": "sk-c"}
    # What would look on while pydantic reads keys and requests.
    (tmp_path / "a_plugin.py").write_text("plugin = None\n")
    metadata = tmp_path / "a_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\na_plugin = a_plugin:plugin\n")
    env = clean_environment(keys | {"EP_HTTP_CLIENT": "native"})
    subprocess.run(
        [sys.executable, "-c", SERVE],
        capture_output=True,
        check=True,
        # What measures the coverage of child processes loads modules of its own.
        env={name: value for name, value in env.items() if not name.startswith("COVERAGE_")},
        cwd=tmp_path,
        timeout=30,
    )
    loaded: list[str] = json.loads((tmp_path / "loaded.json").read_text())
    assert {"proxy.providers.gemini_generate", "proxy.telemetry.metrics.prometheus"} <= {*loaded}
    heavy = set(HEAVY) - {"prometheus_client"}
    assert not [name for name in loaded if name.split(".")[0] in heavy]
    assert not [name for name in loaded for other in NEEDLESS if f"{name}.".startswith(f"{other}.")]


def test_a_command_that_only_tells_of_itself_loads_next_to_nothing(tmp_path: Path) -> None:
    script = "import sys, proxy.cli.main\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(),
        cwd=tmp_path,
        timeout=30,
    )
    loaded = done.stdout.split()
    assert not {"asyncio", "pydantic", "msgspec", "uvicorn", "yaml", "proxy.service"} & {*loaded}

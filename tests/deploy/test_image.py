"""The image: its Dockerfile by a linter, and by doing what it says (`image.py` says how)."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.image import DOCKERFILE, Stage, build, image_missing, instructions
from tests.deploy.parts import need
from tests.providers import closed_port
from tests.serving import START_SECONDS

# Building takes half a minute, and much longer where others want the processors, too.
pytestmark = pytest.mark.timeout(900)

CLIENT_KEY = "client-key-7be0"
SERVED = {"EP_SANDBOX": "1", "EP_CLIENT_KEYS": CLIENT_KEY}


def test_the_linter_finds_nothing() -> None:
    linter = str(Path(sys.executable).with_name("hadolint"))
    asked = [linter, "--failure-threshold", "style", str(DOCKERFILE)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def values(instruction: str) -> list[str]:
    return [value for found, value in instructions() if found == instruction]


def test_it_runs_as_a_number_that_is_nobody() -> None:
    assert values("USER") == ["10001:10001"], "Kubernetes' runAsNonRoot wants a number"


def test_signals_reach_the_server_itself() -> None:
    assert json.loads(values("ENTRYPOINT")[0]) == ["execution-platform"]
    assert json.loads(values("CMD")[0]) == ["serve"]
    assert values("STOPSIGNAL") == ["SIGTERM"]


def test_the_base_is_named_once_and_by_a_version() -> None:
    (argument,) = [value for value in values("ARG") if value.startswith("PYTHON_IMAGE")]
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+", argument)
    assert {value.split()[0] for value in values("FROM")} == {"${PYTHON_IMAGE}"}


def test_no_secret_can_get_into_a_layer() -> None:
    names = [word.partition("=")[0] for word in " ".join(values("ENV") + values("ARG")).split()]
    assert not [name for name in names if re.search("KEY|TOKEN|SECRET|PASSWORD", name)]


def test_what_is_copied_reaches_the_builder_and_nothing_else_does() -> None:
    lines = DOCKERFILE.with_suffix(".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = [rule[1:] for rule in rules if rule.startswith("!")]
    copied = {
        source
        for value in values("COPY")
        if not value.startswith("--from")
        for source in value.split()[:-1]
    }
    assert all(any(fnmatch(source, rule) for rule in let_in) for source in copied)
    assert all(any(fnmatch(source, rule) for source in copied) for rule in let_in)
    assert "**/.env*" in rules[len(let_in) :], "the last rule that fits counts"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    need(image_missing())
    folder = tmp_path_factory.mktemp("image")
    for outer in (folder, folder.parent):
        outer.chmod(0o755)
    return build(folder)


def test_an_unknown_extra_is_refused(tmp_path: Path) -> None:
    need(image_missing())
    with pytest.raises(AssertionError, match="there is no extra tracing; redis"):
        build(tmp_path / "image", EXTRAS="redis,tracing")


def test_it_holds_the_server_and_no_tool_to_build_one(image: Stage) -> None:
    files = [path for path in (image.files / "opt").rglob("*") if not path.is_dir()]
    packages = image.files / "opt/execution-platform/lib"
    (site,) = packages.glob("python3.*/site-packages")
    there = {path.name.partition("-")[0] for path in site.glob("*.dist-info")}
    assert {"execution_platform", "redis", "uvicorn", "opentelemetry_sdk"} <= there
    assert not there & {"pip", "hatchling", "setuptools", "wheel", "editables", "pytest"}
    assert not [path for path in files if path.name.startswith(".env") or ".git" in path.parts]
    assert not [path for path in files if not path.is_symlink() and path.stat().st_mode & 0o7022]
    ours = [path for path in site.glob("proxy/**/*.py")]
    bytecode = {path.name.partition(".")[0] for path in site.glob("proxy/**/__pycache__/*.pyc")}
    assert {path.stem for path in ours} <= bytecode, "it cannot be written later"


def test_beside_it_there_is_one_user_and_an_empty_folder(image: Stage) -> None:
    assert {path.name for path in image.files.iterdir()} == {"etc", "opt"}
    made = {path.name.rstrip("-") for path in (image.files / "etc").iterdir()}
    accounts = {"passwd", "group", "shadow", "gshadow", "subuid", "subgid", ".pwd.lock"}
    assert "execution-platform" in made <= {"execution-platform", *accounts}
    assert list((image.files / "etc/execution-platform").iterdir()) == []


def run(image: Stage, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with image.start(arguments, environment, **pipes) as process:
        out, err = process.communicate(timeout=START_SECONDS)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_its_root_is_read_only_and_its_user_may_nothing(image: Stage) -> None:
    done = run(image, "sh", "-c", "id -u; pwd; grep -E 'CapBnd|NoNewPrivs' /proc/self/status")
    assert done.stdout.split()[:2] == ["10001", "/etc/execution-platform"], done.stderr
    assert re.search(r"NoNewPrivs:\s+1", done.stdout)
    assert re.search(r"CapBnd:\s+0{16}\n", done.stdout)
    assert "Read-only file system" in run(image, "touch", "/opt/x").stderr
    assert run(image, "touch", "/tmp/x").returncode == 0


@contextmanager
def served(image: Stage, **environment: str) -> Generator[tuple[subprocess.Popen[str], int]]:
    """Run what a container runs without arguments; wait until its health check is content."""
    port = closed_port()
    log = image.folder / f"log-{port}"
    with log.open("w") as output:
        process = image.start(
            image.command,
            {**environment, "EP_PORT": str(port)},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while run(image, *image.healthcheck, EP_PORT=str(port)).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def ask(port: int, path: str, body: Any = None, key: str = CLIENT_KEY) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        connection.request(
            "GET" if body is None else "POST", path, body and json.dumps(body), headers
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def question(text: str) -> dict[str, Any]:
    return {"model": "code_writer", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_its_command_serves_is_healthy_and_ends_on_its_stop_signal(
    image: Stage, workers: str
) -> None:
    with served(image, **SERVED, EP_WORKERS=workers) as (process, port):
        assert ask(port, "/v1/models", key="another")[0] == 401
        with ThreadPoolExecutor() as pool:
            slow = question("Write a loop [sandbox delay=3]")
            answering = pool.submit(ask, port, "/v1/chat/completions", slow)
            time.sleep(1)
            process.send_signal(getattr(signal, image.said["STOPSIGNAL"]))
            status, answer = answering.result(30)
        assert status == 200, "an answer that has begun is not cut off"
        assert answer["choices"][0]["message"]["content"]
        # Alone, it ends by the signal itself once all is done; below PID 1 that counts as 0.
        assert process.wait(30) in (0, -signal.SIGTERM)
        assert run(image, *image.healthcheck, EP_PORT=str(port)).returncode != 0


def test_without_client_keys_it_serves_nobody_and_says_why(image: Stage) -> None:
    done = run(image, *image.command, EP_SANDBOX="1", EP_PORT="0")
    assert done.returncode == 1
    assert "EP_CLIENT_KEYS" in done.stderr


def test_a_health_check_of_a_server_that_does_not_answer_fails(image: Stage) -> None:
    assert run(image, *image.healthcheck, EP_PORT=str(closed_port())).returncode == 1


def test_other_commands_of_the_product_run_in_it(image: Stage) -> None:
    done = run(image, "execution-platform", "check", EP_OPENAI_API_KEY="sk-none-of-ours")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "architect" in done.stdout

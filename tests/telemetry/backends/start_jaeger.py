"""`make test-jaeger`: the tests of traces against a real Jaeger, which is found or started here.

In this order: the one at `JAEGER_QUERY_URL`; a container, where an engine works; Jaeger's Go
module, built once into `build/jaeger` (about 10 minutes of one core, 120 MB; 3 GB of Go's caches),
where there is a Go. Without any of them the command fails and says why.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.providers import closed_port
from tests.serving import ROOT
from tests.telemetry.backends.jaeger import JAEGER_OTLP_GRPC, JAEGER_OTLP_HTTP, JAEGER_QUERY_URL
from tests.telemetry.backends.query import Query

__all__ = ["JaegerMissing", "main", "running_jaeger"]

IMAGE: Final = "docker.io/jaegertracing/jaeger:2.20.0"
"""The one of `deploy/compose.yaml`."""

MODULE: Final = "github.com/jaegertracing/jaeger"
VERSION: Final = "v1.76.0"
"""The same commit as Jaeger v2.13.0 (its CHANGELOG: "v1.76.0 / v2.13.0"). Releases of Jaeger 2 have
no tag that Go takes, for the module's path lacks a `/v2`; this is the last commit that has one."""

BINARY: Final = ROOT / "build" / "jaeger" / f"jaeger-{VERSION}"

START_SECONDS: Final = 60.0
"""Generous: until it answers questions."""

_PORTS: Final = {JAEGER_QUERY_URL: 16686, JAEGER_OTLP_HTTP: 4318, JAEGER_OTLP_GRPC: 4317}


class JaegerMissing(Exception):
    """Why there is no Jaeger by one of the ways."""


Variables = Mapping[str, str]


@contextmanager
def running_jaeger() -> Generator[Variables]:
    """Yield the variables that name a Jaeger; one that was started here is stopped at the end.

    Raises:
        JaegerMissing: None was found, and none can be started.
    """
    if os.environ.get(JAEGER_QUERY_URL):
        yield {}
        return
    start, why_not = _first_way()
    if start is None:
        raise JaegerMissing("\n".join([f"{JAEGER_QUERY_URL} names none", *why_not]))
    for reason in why_not:
        print(f"{reason}.", flush=True)
    with start() as variables:
        print(f"Jaeger answers at {variables[JAEGER_QUERY_URL]}.", flush=True)
        yield variables


Start = Callable[[], Any]


def _first_way() -> tuple[Start | None, list[str]]:
    """Return how one is started, and why the ways before that one are closed."""
    why_not: list[str] = []
    for prepare in (_container, _module):
        try:
            return prepare(), why_not
        except JaegerMissing as missing:
            why_not.append(str(missing))
    return None, why_not


def _container() -> Start:
    engine = next((name for name in ("docker", "podman") if _works(name, "info")), None)
    if engine is None:
        raise JaegerMissing("no container engine works here (docker info, podman info)")
    if not _works(engine, "pull", "--quiet", IMAGE):
        raise JaegerMissing(f"{engine} cannot get {IMAGE}")
    return lambda: _in_container(engine)


def _works(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=300).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def _in_container(engine: str) -> Generator[Variables]:
    publish = [f"--publish=127.0.0.1::{port}" for port in _PORTS.values()]
    # Its own configuration keeps traces in memory, and listens where this variable says.
    listen = "--env=JAEGER_LISTEN_HOST=0.0.0.0"
    container = _told(engine, "run", "--detach", "--rm", *publish, listen, IMAGE)
    try:
        variables = {
            name: f"http://{_told(engine, 'port', container, f'{port}/tcp').splitlines()[0]}"
            for name, port in _PORTS.items()
        }
        _wait_for(variables[JAEGER_QUERY_URL], lambda: True)
        yield variables
    finally:
        subprocess.run([engine, "stop", "--time", "2", container], capture_output=True, timeout=60)


def _module() -> Start:
    if BINARY.exists():
        return lambda: _in_process(BINARY)
    if shutil.which("go") is None:
        raise JaegerMissing("there is no Go here to build its module with")
    print(f"Building {MODULE}@{VERSION}: once, some ten minutes.", flush=True)
    try:
        source = json.loads(_told("go", "mod", "download", "-json", f"{MODULE}@{VERSION}"))["Dir"]
        new = BINARY.with_suffix(".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        # In the module itself: its go.mod replaces another one, which `go install` refuses.
        _told("nice", "go", "build", "-trimpath", "-o", str(new), "./cmd/jaeger", cwd=source)
        new.replace(BINARY)
    except subprocess.CalledProcessError as failed:
        last = (failed.stderr or failed.stdout or "").strip().splitlines()[-3:]
        raise JaegerMissing(f"Go cannot build {MODULE}@{VERSION}: {' '.join(last)}") from None
    return lambda: _in_process(BINARY)


def _told(*command: str, cwd: str | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=cwd or tempfile.gettempdir()
    )
    return done.stdout.strip()


@contextmanager
def _in_process(binary: Path) -> Generator[Variables]:
    ports = {name: closed_port() for name in _PORTS}
    with tempfile.TemporaryDirectory(prefix="ep-jaeger-") as folder:
        config, log = Path(folder) / "config.yaml", Path(folder) / "log"
        # JSON is YAML.
        config.write_text(json.dumps(configuration(ports)))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(binary), "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            variables = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            try:
                _wait_for(variables[JAEGER_QUERY_URL], lambda: process.poll() is None)
            except JaegerMissing as missing:
                raise JaegerMissing(f"{missing}; it said: {log.read_text()[-2000:]}") from None
            yield variables
        finally:
            process.terminate()
            process.wait(30)


def configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """Return a configuration of Jaeger 2: OTLP in, memory, questions out, on loopback alone."""
    at = {name: {"endpoint": f"127.0.0.1:{port}"} for name, port in ports.items()}
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
            },
            "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": at[JAEGER_QUERY_URL],
                "grpc": {"endpoint": "127.0.0.1:0"},
            },
        },
        "receivers": {
            "otlp": {"protocols": {"http": at[JAEGER_OTLP_HTTP], "grpc": at[JAEGER_OTLP_GRPC]}}
        },
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }


def _wait_for(url: str, runs: Callable[[], bool]) -> None:
    query, deadline = Query(url), time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                query.services()
                return
            except httpx.HTTPError:
                if not runs() or time.monotonic() > deadline:
                    raise JaegerMissing("Jaeger was started and does not answer") from None
            time.sleep(0.1)
    finally:
        query.close()


def main(arguments: Sequence[str]) -> int:
    """Run the half of the tests that wants a Jaeger; return pytest's exit status, or 1.

    Args:
        arguments: For pytest; where they name no file, the tests of telemetry are run.
    """
    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    where = [] if named else ["tests/telemetry"]
    try:
        with running_jaeger() as variables:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-k", "jaeger", *where, *arguments],
                env={**os.environ, **variables},
                cwd=ROOT,
                check=False,
            )
    except JaegerMissing as missing:
        print(f"There is no Jaeger to test against:\n{missing}", file=sys.stderr)
        return 1
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The systems under test: ours in several settings, and the peers that are installed."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.peers import found
from tests.benchmarks.peers.found import KEY
from tests.benchmarks.processes import Child
from tests.benchmarks.work import APIS, MODELS, Api, Work, wrong_with
from tests.serving import clean_environment

BEARER = f"Authorization: Bearer {KEY}"


@dataclass(frozen=True)
class Place:
    """Where a system is started.

    Attributes:
        port: It listens there.
        upstream: The port of the upstream.
        folder: For its files; its own, and empty.
    """

    port: int
    upstream: int
    folder: Path


@dataclass(frozen=True)
class System:
    """A kind of server.

    Attributes:
        name: In tables and in the results.
        command: How it is started.
        version: Of what.
        apis: Those of upstreams that it translates to.
        env: Variables beside the cleaned environment.
        headers: Of requests, by the upstream's API.
        relays: It understands nothing: clients speak the upstream's own API.
        start_seconds: How long its start may take.
        opens_per_second: How fast it is given streams: a slow one falls over otherwise.
        takes_longer: How many times as long it is loaded with many connections: each is to be
            answered more than once.
    """

    name: str
    command: Callable[[Place], list[str]]
    version: str
    apis: tuple[Api, ...] = APIS
    env: Callable[[Place], Mapping[str, str]] = lambda _: {}
    headers: Callable[[Api, int], tuple[str, ...]] = lambda _, __: (BEARER,)
    relays: bool = False
    start_seconds: float = 30
    opens_per_second: float = 250
    takes_longer: float = 1


@dataclass
class Server:
    """A system that runs.

    Attributes:
        system: Which.
        port: Where it listens.
        upstream: The port of the upstream behind it.
        child: Its process; None: this is the upstream itself.
        ready_seconds: From its start to the end of its first answer.
        idle_mb: Resident memory after that.
    """

    system: System
    port: int
    upstream: int
    child: Child | None = field(repr=False)
    ready_seconds: float = 0
    idle_mb: float = 0

    def model(self, api: Api) -> str:
        """Return what a request names: our personas are called after the APIs behind them."""
        if self.system.relays or self.system.name == "Portkey":
            return MODELS[api]
        return api

    def spoken(self, api: Api) -> Api:
        """Return the API that clients speak to it."""
        return api if self.system.relays else "openai"

    def ask(self, work: Work, api: Api, *, timeout: float = 60) -> str | None:
        """Ask once; return what is wrong with the answer, None: nothing.

        Raises:
            OSError, HTTPException: There was none.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        spoken, model = self.spoken(api), self.model(api)
        headers = {"Content-Type": "application/json"}
        headers |= dict(line.split(": ", 1) for line in self.system.headers(api, self.upstream))
        try:
            path = work.path(spoken, model)
            connection.request("POST", path, work.body(spoken, model), headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            return f"status {answer.status}: {body[:300].decode(errors='replace')}"
        return wrong_with(work, spoken, body)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class StartFailed(Exception):
    """A system did not come up, or answers wrongly; the text says which, and how."""


def start(system: System, upstream: int, folder: Path, cores: Collection[int]) -> Server:
    """Start a system and wait until it has answered as it should.

    Args:
        system: Which.
        upstream: The port of the upstream.
        folder: For its files; made here, anew.
        cores: Where it may run.

    Raises:
        StartFailed: It did not, or not so.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = Place(free_port(), upstream, folder)
    environment = clean_environment(system.env(place))
    # Without bytecode every start compiles all modules, and LiteLLM some with each request.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = system.command(place)
    begun = time.perf_counter()
    child = Child(command, cores=cores, env=environment, log=folder / "log", cwd=folder)
    server = Server(system, place.port, upstream, child)
    try:
        _first_answer(server, child, begun + system.start_seconds)
        server.ready_seconds = time.perf_counter() - begun
    except BaseException:
        child.stop()
        raise
    return server


def _first_answer(server: Server, child: Child, deadline: float) -> None:
    wrong: str | None = "it does not listen"
    while time.perf_counter() < deadline and child.popen.poll() is None:
        with contextlib.suppress(OSError, HTTPException):
            wrong = server.ask(Work(), server.system.apis[0])
            if wrong is None:
                return
        # What is not up yet may say so, or nothing. 2 ms: a start takes 50 times that.
        time.sleep(0.002 if wrong == "it does not listen" else 0.2)
    raise StartFailed(f"{server.system.name}: {wrong}; its log ends:\n{child.said()}")


# --- ours ------------------------------------------------------------------------------------

PERSONA = {
    "requires": ["system_prompts"],
    "system_prompt": "You work on a benchmark. Say what is asked, and nothing else.",
}


def policy(upstream: int) -> str:
    """Return a policy: a persona for each API, named after it, with another to fall back to."""
    at = f"http://127.0.0.1:{upstream}"
    key = {"api_key_env": ["EP_BENCH_KEY"]}
    return json.dumps(
        {
            "providers": {
                "openai": {"base_url": f"{at}/v1", "model": MODELS["openai"], **key},
                "anthropic": {"base_url": at, "model": MODELS["anthropic"], **key},
                "gemini": {"base_url": at, "model": MODELS["gemini"], **key},
            },
            "personas": {
                api: {
                    **PERSONA,
                    "description": f"Answers through {api}.",
                    "provider_preferences": [api, *(other for other in APIS if other != api)],
                }
                for api in APIS
            },
        }
    )


def ours(*, sampled: float | None = None, workers: int = 1) -> System:
    """Return our server, as users run it.

    Args:
        sampled: The share of requests that are traced, to the upstream's collector; None: tracing
            is off, as without any variable of OpenTelemetry.
        workers: Server processes.
    """
    name = "ours"
    if sampled is not None:
        name += f", {sampled:.0%} traced"
    if workers > 1:
        name += f", {workers} workers"

    def command(place: Place) -> list[str]:
        file = place.folder / "policy.yaml"
        file.write_text(policy(place.upstream))
        serve = [sys.executable, "-m", "proxy", "serve", "--policy", str(file)]
        return [*serve, "--port", str(place.port), "--workers", str(workers)]

    def env(place: Place) -> dict[str, str]:
        variables = {"EP_BENCH_KEY": KEY}
        if sampled is not None:
            variables |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{place.upstream}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": str(sampled),
            }
        return variables

    return System(name, command, version("execution-platform"), env=env)


# --- the others ------------------------------------------------------------------------------


def direct() -> System:
    """Return the upstream itself: what the others add to."""
    return System("direct", lambda _: [], "", relays=True)


def nginx() -> System | None:
    """Return nginx as a relay; None: it is not installed."""
    program = found.nginx_program()
    if program is None:
        return None

    def command(place: Place) -> list[str]:
        file = place.folder / "nginx.conf"
        values = {"folder": place.folder, "port": place.port, "upstream": place.upstream}
        file.write_text(found.NGINX.format(**values))
        return [program, "-e", "stderr", "-c", str(file)]

    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    number = said.stderr.strip().rpartition("/")[2]
    return System("nginx", command, number, relays=True)


def litellm(folder: Path) -> System | None:
    """Return LiteLLM's proxy; None: it is not installed in `folder`."""
    program = found.litellm_program(folder)
    if program is None:
        return None

    def command(place: Place) -> list[str]:
        file = place.folder / "litellm.yaml"
        file.write_text(found.litellm_configuration(place.upstream))
        at = ["--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"]
        return [program, "--config", str(file), *at]

    # Its table of prices from the package, and no word home: nothing but loopback is asked.
    local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    pins = (Path(found.__file__).with_name("litellm.txt")).read_text()
    number = re.search(r"^litellm==(.*)$", pins, re.MULTILINE)
    return System(
        "LiteLLM",
        command,
        number[1] if number else "",
        env=lambda _: local,
        start_seconds=150,
        opens_per_second=40,
        takes_longer=3,
    )


def portkey(folder: Path) -> System | None:
    """Return Portkey's gateway; None: it is not installed in `folder`."""
    script, node = found.portkey_program(folder), shutil.which("node")
    if script is None or node is None:
        return None

    def headers(api: Api, upstream: int) -> tuple[str, ...]:
        versions = {"openai": "v1", "anthropic": "v1", "gemini": "v1beta"}
        provider = "google" if api == "gemini" else api
        host = f"http://127.0.0.1:{upstream}/{versions[api]}"
        return (BEARER, f"x-portkey-provider: {provider}", f"x-portkey-custom-host: {host}")

    package = Path(script).parents[1] / "package.json"
    return System(
        "Portkey",
        lambda place: [node, script, f"--port={place.port}", "--headless"],
        json.loads(package.read_text())["version"],
        apis=("openai", "anthropic"),  # what it streams from Gemini has no end
        headers=headers,
        start_seconds=60,
        opens_per_second=100,
    )


def peers(folder: Path) -> dict[str, System | None]:
    """Return the peers by name; None: that one is not installed."""
    return {"nginx": nginx(), "Portkey": portkey(folder), "LiteLLM": litellm(folder)}

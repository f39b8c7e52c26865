"""One load on one system, and several systems in turn."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from tests.benchmarks.processes import Child, Cores, cpu_seconds, rss_mb
from tests.benchmarks.programs import WIRE, Programs
from tests.benchmarks.systems import Server, System, direct, start
from tests.benchmarks.work import ENDS, NAMES, Api, Work
from tests.serving import ROOT, clean_environment

LONGEST = 3600
"""Seconds after which the upstream ends by itself, more than a whole run takes."""

Row = dict[str, Any]
Rows = list[Row]

_BODY_TOLERANCE = 64
"""How much the lengths of right answers may differ: ids and counts are not always as long."""


@dataclass(frozen=True)
class Load:
    """How a system is loaded; times in seconds.

    Attributes:
        connections: At most, at once.
        seconds: How long, after the warm-up.
        warm_up: Before it; what is asked then counts for nothing but CPU per request.
        rate: Requests due each second; 0: each connection asks as soon as it is answered.
        ramp: Connections are opened over this time.
        requests: At most; 0: no limit.
        timeout: The longest wait for a whole answer.
        settle: After it, before the CPU clock is read: what is done late is part of the work.
    """

    connections: int = 1
    seconds: float = 3
    warm_up: float = 0.3
    rate: float = 0
    ramp: float = 0
    requests: int = 0
    timeout: float = 30
    settle: float = 0


@dataclass(frozen=True)
class Target:
    """A server, and the API behind it."""

    server: Server
    api: Api

    @property
    def name(self) -> str:
        return f"{self.server.system.name} → {NAMES[self.api]}"

    def fields(self) -> Row:
        """Return what tells its rows from others'."""
        return {"system": self.server.system.name, "api": self.api}


@dataclass
class Sample:
    """What one load gave.

    Attributes:
        load: What the load generator printed.
        cpu: Seconds that the system used, from the load's start to its end; None: nobody knows
            what of the upstream's own is the answers'.
        fault: Why it is no measurement; None: it is one.
    """

    load: dict[str, Any]
    cpu: float | None
    fault: str | None

    def at(self, *path: str) -> float | None:
        """Return a number of the load generator's."""
        value: Any = self.load
        for key in path:
            value = value.get(key) if value is not None else None
        return value

    @property
    def cpu_us(self) -> float | None:
        """Microseconds of the system's CPU for each request, its warm-up included."""
        count = self.load["all_answers"]
        return self.cpu / count * 1e6 if self.cpu is not None and count else None

    @property
    def cpu_us_chunk(self) -> float | None:
        """The same for each piece of a stream; what opening the streams takes is in it."""
        count = self.load["all_chunks"]
        return self.cpu / count * 1e6 if self.cpu is not None and count else None


@dataclass
class Bench:
    """What all measurements share; a context manager that ends what it started.

    Attributes:
        programs: The upstream and the load generator.
        folder: For files of this run.
        cores: Who runs where.
        rounds: How often each load is repeated.
        seconds: How long a load lasts.
        broken: How the upstream fails, to see that this is noticed; empty: it does not.
        say: Takes a line of progress.
    """

    programs: Programs
    folder: Path
    cores: Cores
    rounds: int = 3
    seconds: float = 3
    broken: str = ""
    say: Callable[[str], None] = print
    servers: list[Server] = field(default_factory=list[Server])

    def __enter__(self) -> "Bench":
        self._stack = ExitStack()
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self.programs.upstream, "--wire", str(WIRE), "--seconds", str(LONGEST * 3)]
        if self.broken:
            command += ["--broken", self.broken]
        log = self.folder / "upstream.log"
        upstream = self._child(command, cores=self.cores.load, log=log)
        self._stack.enter_context(upstream)
        assert upstream.popen.stdout is not None
        line = upstream.popen.stdout.readline()
        if not line.startswith("port "):
            self._stack.close()
            raise RuntimeError(f"the upstream did not start: {upstream.said()}")
        self.upstream = int(line.split()[1])
        self.direct = Server(direct(), self.upstream, self.upstream, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _child(self, command: Sequence[str], *, cores: Sequence[int], log: Path) -> Child:
        env = {**clean_environment(), "PYTHONUNBUFFERED": "1"}
        return Child(command, cores=cores, env=env, log=log, piped=True, cwd=ROOT)

    def start(self, system: System, stack: ExitStack, *, cores: Sequence[int] = ()) -> Server:
        """Start a system, to be stopped with `stack`; on the system's core, or on `cores`."""
        name = "".join(c if c.isalnum() else "-" for c in system.name)
        server = start(system, self.upstream, self.folder / name, cores or self.cores.system)
        assert server.child is not None
        stack.enter_context(server.child)
        server.idle_mb = rss_mb(server.child.pids())
        return server

    def seen(self) -> dict[str, int]:
        """Return what the upstream has counted."""
        with urlopen(f"http://127.0.0.1:{self.upstream}/stats", timeout=10) as answer:
            return json.load(answer)

    def load(
        self,
        target: Target,
        work: Work,
        how: Load,
        watch: Callable[[], None] | None = None,
    ) -> Sample:
        """Load a system once.

        Args:
            target: Whom.
            work: With what.
            how: How.
            watch: Called four times a second while it lasts.
        """
        server = target.server
        spoken, model = server.spoken(target.api), server.model(target.api)
        body = self.folder / "body.json"
        body.write_bytes(work.body(spoken, model))
        command = [*self.programs.load, "--port", str(server.port), "--body", str(body)]
        command += ["--path", work.path(spoken, model), "--marks", str(work.marks)]
        for header in server.system.headers(target.api, server.upstream):
            command += ["--header", header]
        if work.stream:
            command += ["--stream", "--end", ENDS[spoken]]
        for name in ("connections", "seconds", "warm_up", "rate", "ramp", "requests", "timeout"):
            command += [f"--{name.replace('_', '-')}", str(getattr(how, name))]
        child = server.child
        if child is not None:
            child.shorten_log()
        before = cpu_seconds(child.pids()) if child is not None else 0
        log = self.folder / "load.log"
        with self._child(command, cores=self.cores.load, log=log) as load:
            printed = _output(load, how, watch)
        time.sleep(how.settle)
        used = cpu_seconds(child.pids()) - before if child is not None else None
        return Sample(printed, used, _fault(printed, work, server))

    def warm(self, target: Target) -> None:
        """Have a fresh process load what it loads with its first requests."""
        for work in (Work(), Work(stream=True)):
            self.load(target, work, Load(connections=4, requests=60, warm_up=0))

    def in_turn(
        self, targets: Sequence[Target], work: Work, how: Load | Mapping[str, Load]
    ) -> dict[str, list[Sample]]:
        """Load systems in turn, A B A B: what disturbs one disturbs the others as well.

        Args:
            targets: Whom.
            work: With what.
            how: How; by the target's name where it is not the same for all.

        Returns:
            The samples of each target's name, one for each round; after a fault no more.
        """
        samples: dict[str, list[Sample]] = {target.name: [] for target in targets}
        for _ in range(self.rounds):
            for target in targets:
                of_this = samples[target.name]
                if not of_this or of_this[-1].fault is None:
                    load = how if isinstance(how, Load) else how[target.name]
                    of_this.append(self.load(target, work, load))
        return samples


def _output(load: Child, how: Load, watch: Callable[[], None] | None) -> dict[str, Any]:
    """Return what the load generator prints at its end, which comes within a bounded time."""
    assert load.popen.stdout is not None
    deadline = time.monotonic() + how.seconds + how.warm_up + how.timeout + 30
    while watch is not None and load.popen.poll() is None and time.monotonic() < deadline:
        watch()
        time.sleep(0.25)
    printed, _ = load.popen.communicate(timeout=max(deadline - time.monotonic(), 1))
    if load.popen.returncode != 0:
        raise RuntimeError(f"the load generator failed: {load.said()}")
    return json.loads(printed)


def _fault(load: Mapping[str, Any], work: Work, server: Server) -> str | None:
    """Return why a load is no measurement."""
    if load["failed"]:
        return f"{load['failed']} of {load['failed'] + load['all_answers']} answers: " + str(
            load["failure"]
        )
    if not load["all_answers"]:
        return "no answer at all"
    least, most = load["body_bytes"]
    if not work.stream and (least < work.text or most - least > _BODY_TOLERANCE):
        return f"answers of {least} to {most} bytes, where all have the same {work.text} of text"
    if server.child is not None and server.child.popen.poll() is not None:
        return f"the server ended: {server.child.said()}"
    return None


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of what is there; None: nothing is."""
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def quantiles(samples: Sequence[Sample], of: str) -> dict[str, float | None]:
    """Return medians, over rounds, of the quantiles of a duration in ms."""
    return {q: median([sample.at(of, q) for sample in samples]) for q in ("p50", "p95", "p99")}


def added(
    of: Mapping[str, float | None], direct_ones: Mapping[str, float | None] | None
) -> dict[str, float | None] | None:
    """Return what a system adds to the direct way, quantile by quantile."""
    if direct_ones is None:
        return None
    return {
        q: value - base if value is not None and (base := direct_ones[q]) is not None else None
        for q, value in of.items()
    }


def fault_of(samples: Sequence[Sample]) -> str | None:
    """Return the fault among the samples of a target."""
    return next((sample.fault for sample in samples if sample.fault is not None), None)


def to_stderr(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)

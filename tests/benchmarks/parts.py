"""The parts of the benchmark: each loads systems in some way and returns rows of figures.

A row is flat: what tells it from others (`part`, `system`, `api`, `connections`, …), its figures,
and `fault` where it has none. Durations are in ms and named so, CPU times in µs, memory in MB.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from tests.benchmarks import systems
from tests.benchmarks.measure import (
    Bench,
    Load,
    Row,
    Rows,
    Sample,
    Target,
    added,
    fault_of,
    median,
    quantiles,
)
from tests.benchmarks.processes import rss_mb
from tests.benchmarks.systems import Server, System
from tests.benchmarks.work import APIS, NAMES, Api, Size, Work

CONNECTIONS: Final = (1, 8, 64, 256)
EXPORT_SECONDS: Final = 6
"""Spans leave in batches, at the latest five seconds after they ended."""


@dataclass(frozen=True)
class Plan:
    """What is measured how long, where it can be chosen.

    Attributes:
        quick: Fewer connections, shorter: to see that things work.
        soak: Seconds of the soak.
        streams: How many are open at once in `memory`.
        rates: Requests per second in `rate`.
        peers: Those that are installed.
        apis: Those measured.
    """

    quick: bool
    soak: float
    streams: int
    rates: tuple[int, ...]
    peers: tuple[System, ...]
    apis: tuple[Api, ...] = APIS

    @property
    def connections(self) -> tuple[int, ...]:
        return (1, 64) if self.quick else CONNECTIONS


Part = Callable[[Bench, Plan, Sequence[Server]], Rows]


def targets_of(bench: Bench, servers: Sequence[Server], api: Api) -> list[Target]:
    """Return the direct way and the systems that reach an API."""
    reach = [server for server in servers if api in server.system.apis]
    return [Target(server, api) for server in (bench.direct, *reach)]


def rows_of(
    part: str,
    targets: Sequence[Target],
    samples: dict[str, list[Sample]],
    fields: Row,
    figures: Callable[[list[Sample], list[Sample] | None], Row],
) -> Rows:
    """Return a row for each target: its figures (given the direct way's samples), or its fault."""
    base = next((samples[t.name] for t in targets if t.server.system.name == "direct"), None)
    if base is not None and fault_of(base) is not None:
        base = None
    rows: Rows = []
    for target in targets:
        of_this = samples[target.name]
        row: Row = {"part": part, **target.fields(), **fields}
        fault = fault_of(of_this)
        to_what = base if target.server.child is not None else None
        rows.append(row | ({"fault": fault} if fault else figures(of_this, to_what)))
    return rows


# --- requests --------------------------------------------------------------------------------


def request_figures(samples: list[Sample], direct: list[Sample] | None) -> Row:
    latency = quantiles(samples, "latency_ms")
    base = quantiles(direct, "latency_ms") if direct is not None else None
    return {
        "per_second": median([sample.at("per_second") for sample in samples]),
        "cpu_us": median([sample.cpu_us for sample in samples]),
        "cpu_us_each_round": [sample.cpu_us for sample in samples],
        "latency_ms": latency,
        "added_ms": added(latency, base),
        "answers": sum(sample.load["all_answers"] for sample in samples),
        "unsent": sum(sample.load["unsent"] for sample in samples),
    }


def requests(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Whole answers in a closed loop, by number of connections, API and size."""
    rows: Rows = []
    for api in plan.apis:
        targets = targets_of(bench, servers, api)
        sizes: tuple[tuple[Size, tuple[int, ...]], ...] = (
            ("small", plan.connections),
            ("large", (64,)),
        )
        for size, counts in sizes:
            for connections in counts:
                bench.say(f"requests → {NAMES[api]}, {size}, {connections} connections")
                loads = {t.name: _closed_loop(bench, t, connections) for t in targets}
                samples = bench.in_turn(targets, Work(size=size), loads)
                fields: Row = {"size": size, "connections": connections}
                rows += rows_of("requests", targets, samples, fields, request_figures)
    return rows


def _closed_loop(bench: Bench, target: Target, connections: int) -> Load:
    longer = target.server.system.takes_longer if connections >= 64 else 1
    return Load(connections=connections, seconds=bench.seconds * longer, timeout=60)


def rate(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Whole answers in an open loop: latency that counts from when a request was due."""
    rows: Rows = []
    api: Api = "anthropic"
    everybody = targets_of(bench, servers, api)
    slow: set[str] = set()
    for per_second in sorted(plan.rates):
        targets = [target for target in everybody if target.name not in slow]
        bench.say(f"rate: {per_second} requests/s, open loop")
        load = Load(connections=512, seconds=bench.seconds, rate=per_second, timeout=20)
        samples = bench.in_turn(targets, Work(), load)
        of_rate = rows_of("rate", targets, samples, {"rate": per_second}, request_figures)
        for row, target in zip(of_rate, targets, strict=True):
            # Behind for good: its latency would only tell how long the load lasted.
            if row.get("unsent") or (row.get("per_second") or 0) < 0.9 * per_second:
                slow.add(target.name)
                if "fault" not in row:
                    row.update(latency_ms=None, added_ms=None, too_slow=True)
                    row["fault"] = f"{per_second} requests/s are too many"
        rows += of_rate
    return rows


# --- streams ---------------------------------------------------------------------------------


def stream_figures(samples: list[Sample], direct: list[Sample] | None) -> Row:
    figures: Row = {}
    for ours, of in (("first", "first_ms"), ("transit", "transit_ms")):
        here = quantiles(samples, of)
        base = quantiles(direct, of) if direct is not None else None
        figures |= {f"{ours}_ms": here, f"{ours}_added_ms": added(here, base)}
    cpu = median([sample.cpu_us_chunk for sample in samples])
    return figures | {
        "cpu_us_chunk": cpu,
        "cpu_us_chunk_each_round": [sample.cpu_us_chunk for sample in samples],
        "chunks_per_cpu_second": 1e6 / cpu if cpu else None,
        "answers": sum(sample.load["all_answers"] for sample in samples),
        "chunks": sum(sample.load["all_chunks"] for sample in samples),
    }


def streams(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Streamed answers: pieces that come one by one, and more of them than anyone can take."""
    seconds = bench.seconds
    # Steady: 500 pieces a second, each a wake-up of its own. Flood: 50,000 offered.
    steady = (
        Work(stream=True, chunks=40, gap=100),
        Load(connections=50, seconds=max(seconds, 4.0), ramp=1.0, timeout=60),
    )
    flood = (
        Work(stream=True, chunks=100, gap=2),
        Load(connections=100, seconds=seconds, warm_up=0, ramp=0.2, timeout=60),
    )
    rows: Rows = []
    for api in plan.apis:
        targets = targets_of(bench, servers, api)
        for kind, (work, load) in {"steady": steady, "flood": flood}.items():
            bench.say(f"streams → {NAMES[api]}, {kind}")
            samples = bench.in_turn(targets, work, load)
            rows += rows_of("streams", targets, samples, {"kind": kind}, stream_figures)
    if not plan.quick:
        work = Work(stream=True, size="large", chunks=20, gap=5)
        load = Load(connections=16, seconds=seconds, timeout=60)
        for api in plan.apis:
            bench.say(f"streams → {NAMES[api]}, large requests")
            targets = targets_of(bench, servers, api)
            samples = bench.in_turn(targets, work, load)
            rows += rows_of("streams", targets, samples, {"kind": "large"}, stream_figures)
    return rows


# --- memory ----------------------------------------------------------------------------------


def memory(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Many streams open at once: memory, in a fresh process of each system."""
    rows: Rows = []
    for system in dict.fromkeys(server.system.name for server in servers):
        of_system = next(s.system for s in servers if s.system.name == system)
        api: Api = "anthropic" if "anthropic" in of_system.apis else "openai"
        bench.say(f"memory: {plan.streams} open streams, {system}")
        with ExitStack() as stack:
            rows.append(_memory_row(bench, plan, Target(bench.start(of_system, stack), api)))
    return rows


def _memory_row(bench: Bench, plan: Plan, target: Target) -> Row:
    server, count = target.server, plan.streams
    assert server.child is not None
    pids = server.child.pids
    # What the first streams load counts as idle.
    bench.warm(target)
    idle = rss_mb(pids())
    most = {"rss": idle, "open": 0}
    # They stay open until all are.
    ramp = max(2.0, count / server.system.opens_per_second)
    work = Work(stream=True, chunks=int(ramp / 2) + 3, gap=2000)

    def watch() -> None:
        most["rss"] = max(most["rss"], rss_mb(pids()))
        most["open"] = max(most["open"], bench.seen()["answering"])

    load = Load(
        connections=count, seconds=ramp + 1, warm_up=0, ramp=ramp, requests=count, timeout=120
    )
    sample = bench.load(target, work, load, watch)
    time.sleep(1)
    row: Row = {"part": "memory", **target.fields(), "streams": count}
    fault = sample.fault
    if fault is None and most["open"] < count:
        fault = f"at most {most['open']:.0f} of {count} streams were open at once"
    if fault is not None:
        return row | {"fault": fault}
    return row | {
        "idle_mb": idle,
        "plateau_mb": most["rss"],
        "kb_per_stream": (most["rss"] - idle) * 1000 / count,
        "after_mb": rss_mb(pids()),
        "cpu_us_chunk": sample.cpu_us_chunk,
    }


def soak(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Our memory under steady load, streamed and not in turn: does it grow?"""
    del servers  # A fresh process: what other parts left in one is not growth.
    api: Api = "anthropic"
    readings: list[tuple[float, float]] = []
    with ExitStack() as stack:
        server = bench.start(systems.ours(), stack)
        child, target = server.child, Target(server, api)
        assert child is not None
        begun = time.monotonic()

        def watch() -> None:
            readings.append((time.monotonic() - begun, rss_mb(child.pids())))
            child.shorten_log()

        row: Row = {"part": "soak", **target.fields(), "seconds": plan.soak}
        count = 0
        slice_seconds = min(10.0, plan.soak / 6)
        works = (Work(), Work(stream=True, chunks=20, gap=5), Work(size="large"))
        turn = 0
        while time.monotonic() - begun < plan.soak:
            bench.say(f"soak: {time.monotonic() - begun:.0f} of {plan.soak:.0f} s")
            load = Load(connections=32, seconds=slice_seconds, warm_up=0)
            sample = bench.load(target, works[turn % 3], load, watch)
            turn += 1
            if sample.fault is not None:
                return [row | {"fault": sample.fault}]
            count += sample.load["all_answers"]
    third = readings[-1][0] / 3
    middle = median([mb for at, mb in readings if third <= at < 2 * third])
    last = median([mb for at, mb in readings if at >= 2 * third])
    return [
        row
        | {
            "answers": count,
            "first_mb": readings[0][1],
            "middle_mb": middle,
            "last_mb": last,
            "growth_percent": (last / middle - 1) * 100 if middle and last else None,
        }
    ]


# --- start, tracing, workers -----------------------------------------------------------------


def start(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """From the start of the process to the end of its first answer; idle memory then."""
    rows: Rows = []
    for system in dict.fromkeys(server.system.name for server in servers):
        of_system = next(s.system for s in servers if s.system.name == system)
        slow = of_system.start_seconds > 30
        times: list[float] = []
        idle: list[float] = []
        for _ in range(1 if plan.quick or slow else 5):
            bench.say(f"start: {system}")
            with ExitStack() as stack:
                server = bench.start(of_system, stack)
                times.append(server.ready_seconds)
                idle.append(server.idle_mb)
        figures: Row = {"ready_seconds": median(times), "idle_mb": median(idle)}
        rows.append({"part": "start", "system": system, "starts": len(times)} | figures)
    return rows


def tracing(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """Ours without tracing, with one request in ten traced, and with all."""
    del plan, servers  # Fresh processes, all three: they differ in nothing else.
    rows: Rows = []
    with ExitStack() as stack:
        three = [systems.ours(), systems.ours(sampled=0.1), systems.ours(sampled=1.0)]
        targets = [Target(bench.start(system, stack), "anthropic") for system in three]
        for target in targets:
            bench.warm(target)
        before = bench.seen()
        bench.say("tracing: whole answers, 64 connections")
        load = Load(connections=64, seconds=bench.seconds, settle=EXPORT_SECONDS)
        samples = bench.in_turn(targets, Work(), load)
        rows += rows_of("tracing", targets, samples, {"kind": "whole"}, request_figures)
        bench.say("tracing: steady streams")
        steady = Work(stream=True, chunks=40, gap=100)
        seconds = max(bench.seconds, 4)
        load = Load(connections=50, seconds=seconds, ramp=1, timeout=60, settle=EXPORT_SECONDS)
        samples = bench.in_turn(targets, steady, load)
        rows += rows_of("tracing", targets, samples, {"kind": "steady"}, stream_figures)
        seen = bench.seen()
    sent = {key: seen[key] - before[key] for key in ("otlp_posts", "otlp_bytes")}
    for row in rows:
        if row["system"] != "ours" and not sent["otlp_bytes"]:
            row["fault"] = "nothing was exported: this is no figure with tracing"
    return [*rows, {"part": "tracing", "system": "collector", "kind": "export", **sent}]


def workers(bench: Bench, plan: Plan, servers: Sequence[Server]) -> Rows:
    """One and two server processes, on all cores, which they share with upstream and load."""
    del plan, servers
    with ExitStack() as stack:
        both = [systems.ours(), systems.ours(workers=2)]
        started = [bench.start(system, stack, cores=bench.cores.all) for system in both]
        targets = [Target(server, "anthropic") for server in started]
        for target in targets:
            bench.warm(target)
        bench.say("workers: one and two, 64 connections")
        load = Load(connections=64, seconds=bench.seconds, warm_up=0.5)
        samples = bench.in_turn(targets, Work(), load)
    return rows_of("workers", targets, samples, {"connections": 64}, request_figures)


PARTS: Final[dict[str, Part]] = {
    "start": start,
    "requests": requests,
    "rate": rate,
    "streams": streams,
    "memory": memory,
    "tracing": tracing,
    "workers": workers,
    "soak": soak,
}

ALONE: Final = frozenset({"tracing", "workers", "soak"})
"""Parts that start their own processes and need no others."""

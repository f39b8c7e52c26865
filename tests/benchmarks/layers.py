"""Where the CPU time of one request, or of one chunk, goes: by layer, sampled under load.

    python -m tests.benchmarks.layers             whole answers from Anthropic, 64 connections
    python -m tests.benchmarks.layers steady      a chunk at a time; `large`, `flood`: as the parts
    python -m tests.benchmarks.layers --api gemini --functions 30

It takes py-spy on the path (`pip install py-spy`). A sample counts for the innermost frame that
belongs to a layer: what the standard library, pydantic or the collector of cycles do counts for
whoever called them, or happened to run. Without the sampler's own stops the CPU of a request is
measured first; the shares are applied to that.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.benchmarks import programs, systems
from tests.benchmarks.measure import Bench, Load, Target, median
from tests.benchmarks.processes import Cores
from tests.benchmarks.work import APIS, Api, Work
from tests.serving import ROOT

KINDS: Final[dict[str, tuple[Work, Load]]] = {
    "whole": (Work(), Load(connections=64)),
    "single": (Work(), Load(connections=1)),
    "large": (Work(size="large"), Load(connections=64)),
    "steady": (Work(stream=True, chunks=40, gap=100), Load(connections=50, seconds=5, ramp=1)),
    "flood": (Work(stream=True, chunks=100, gap=2), Load(connections=100, warm_up=0, ramp=0.2)),
}

LAYERS: Final = (
    (
        "uvicorn, and the connection of the client",
        r"uvicorn/protocols|proxy/(connection|answering)",
    ),
    ("event loop: waiting, system calls of others", r"asyncio/runners|uvicorn/|uvloop"),
    (
        "middleware, endpoint, body",
        r"proxy/(middleware|chat|body|disconnect|logs|event_stream|access)",
    ),
    ("tasks and timers", r"asyncio/|proxy/time_limit|proxy/ticker"),
    ("validation of the request", r"translators/wire"),
    ("decision and persona", r"policy/"),
    (
        "translation of the request",
        r"translators/\w+/(request|tools|messages|content|parameters|thinking|caching|choice|output"
        r"|models|web_search|calls|thoughts|schema|translator|contents|parts)"
        r"|translators/(fidelity|history|names|reasoning|functions|json_schema)",
    ),
    ("translation of the answer", r"translators/"),
    ("metrics", r"telemetry/metrics|prometheus_client"),
    ("spans", r"proxy/telemetry|opentelemetry"),
    ("record and line of the request", r"proxy/(decisions|decision_log)"),
    ("transport to the provider", r"proxy/http|httptools|aiohttp"),
    ("engine and attempts", r"proxy/"),
)

SAMPLE_SECONDS: Final = 9
RATE: Final = 400
"""Samples a second."""


ALSO_OF_ANSWERS: Final = re.compile(r"translators/(\w+/(thoughts|thinking|calls)|names)")
"""Files that requests and answers share: whose they are, is said by who called them."""

OTHERS: Final = "other threads: log, spans"


def samples(raw: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Yield the stacks that py-spy saw, innermost last, with how often each was seen."""
    for line in raw:
        stack, _, count = line.rpartition(" ")
        yield stack.split(";"), int(count)


def layer_of(frames: list[str]) -> tuple[str, str]:
    """Return the layer of a stack, and the function that made it so."""
    if not any("(asyncio/runners.py" in frame for frame in frames):
        return OTHERS, OTHERS
    for index in range(len(frames) - 1, -1, -1):
        place = frames[index].rpartition("(")[2]
        if frames[index].startswith("to_wire ") and "translators/wire" in place:
            # A request is written there for whoever translates it.
            continue
        for layer, files in LAYERS:
            if re.search(files, place):
                function = re.sub(r":\d+\)$", ")", frames[index])
                shared = ALSO_OF_ANSWERS.search(place) and _answers(frames[:index])
                return ("translation of the answer" if shared else layer), function
    return "other", frames[-1]


def _answers(frames: list[str]) -> bool:
    return any(re.search(r"translators/\w+/(stream|response)\.py", frame) for frame in frames)


def sampled(bench: Bench, target: Target, work: Work, load: Load) -> list[str]:
    """Load a system, and return what the sampler saw meanwhile."""
    child = target.server.child
    assert child is not None
    out = bench.folder / "samples"
    longer = replace(load, seconds=SAMPLE_SECONDS + 3)
    loading = threading.Thread(target=bench.load, args=(target, work, longer))
    loading.start()
    try:
        options = ["-d", str(SAMPLE_SECONDS), "-r", str(RATE), "-f", "raw", "-o", str(out)]
        command = ["py-spy", "record", "-p", str(child.popen.pid), *options]
        subprocess.run(command, check=True, capture_output=True, timeout=SAMPLE_SECONDS + 60)
    finally:
        loading.join()
    return out.read_text().splitlines()


def show(raw: Iterable[str], cpu: float, functions: int) -> None:
    """Print the table: microseconds of each layer, and of the dearest functions."""
    by_layer: Counter[str] = Counter()
    by_function: Counter[str] = Counter()
    for frames, count in samples(raw):
        layer, function = layer_of(frames)
        by_layer[layer] += count
        by_function[function] += count
    # Their waiting cannot always be told from work: they are shown, and not counted.
    others = by_layer.pop(OTHERS, 0)
    by_function.pop(OTHERS, None)
    if not (total := sum(by_layer.values())):
        raise SystemExit("layers: the sampler saw nothing of the server's main thread")
    print(f"| layer | µs of {cpu:.0f} | share |\n|---|---|---|")
    for layer in (*(name for name, _ in LAYERS), "other"):
        count = by_layer[layer]
        print(f"| {layer} | {count / total * cpu:.0f} | {count / total:.1%} |")
    print(f"({others} samples of other threads beside {total}; most of them waited)")
    for function, count in by_function.most_common(functions):
        print(f"{count / total * cpu:8.1f} µs  {function}")


def main() -> int:
    """Measure, sample, print; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", nargs="?", choices=KINDS, default="whole")
    parser.add_argument("--api", choices=APIS, default="anthropic")
    parser.add_argument("--traced", action="store_true", help="all requests, to the collector")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the dearest ones")
    options = parser.parse_args()
    if shutil.which("py-spy") is None:
        print("layers: py-spy is not on the path: pip install py-spy", file=sys.stderr)
        return 2
    work, load = KINDS[options.kind]
    api: Api = options.api
    cores = Cores()
    built = programs.build(ROOT / "build" / "bench")
    system = systems.ours(sampled=1.0 if options.traced else None)
    os.sched_setaffinity(0, cores.load)
    with tempfile.TemporaryDirectory(prefix="ep-bench-") as folder, ExitStack() as stack:
        bench = stack.enter_context(Bench(built, Path(folder), cores))
        target = Target(bench.start(system, stack), api)
        bench.warm(target)
        found = bench.in_turn([target], work, load)[target.name]
        each = [one.cpu_us_chunk if work.stream else one.cpu_us for one in found]
        if (cpu := median(each)) is None:
            print(f"layers: it cannot be measured: {found[-1].fault}", file=sys.stderr)
            return 1
        show(sampled(bench, target, work, load), cpu, options.functions)
    return 0


if __name__ == "__main__":
    sys.exit(main())

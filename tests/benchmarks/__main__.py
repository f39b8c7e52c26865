"""Measures our server, and the peers that are installed, side by side.

Each system runs alone on one core; a light upstream (OpenAI, Anthropic and Gemini in their own
words, and an OTLP collector) and a load generator share another. Systems are loaded in turn,
A B A B, on the same work; the figures are medians. Nothing but loopback is asked, everything is
bounded in count and time, and whatever was started is ended, after Ctrl-C as well.

The most reliable figure is CPU per request or per chunk: it holds on a noisy machine, within
about a fifth. Compare ratios of one run, not figures of two.

Answers are checked: each system's first ones to the letter, all others for their status, their
length, the number of chunks and the end of a stream. A system that fails is reported instead of
measured, and the exit status is 1.
"""

import argparse
import json
import os
import platform
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import programs, report, systems
from tests.benchmarks.bars import judged
from tests.benchmarks.measure import Bench, Rows, to_stderr
from tests.benchmarks.parts import PARTS, Plan
from tests.benchmarks.peers.found import PEERS_FOLDER
from tests.benchmarks.processes import Cores
from tests.benchmarks.runner import WrongAnswers, describe, run
from tests.benchmarks.systems import StartFailed
from tests.benchmarks.work import APIS
from tests.serving import ROOT

PAGE = Path(__file__).with_name("README.md")
BUSY = 0.5
"""A load average from which on a machine counts as busy with something else."""


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    usage = 'make bench BENCH_ARGS="…"   or   python -m tests.benchmarks …'
    examples = """
examples:
  --quick                        everything, briefly: does it work here?
  --only requests,tracing        two parts
  --only soak --soak 600         ten minutes of load: does memory grow?
  --readme                       everything, and the results into tests/benchmarks/README.md
  --from build/bench-….json      the tables of an earlier run (with --readme: into the page)
"""
    parser = argparse.ArgumentParser(
        prog="bench",
        usage=usage,
        description=__doc__,
        epilog="parts:\n" + describe() + "\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", metavar="PARTS", default="", help="these parts, with commas between (all)")
    add("--quick", action="store_true", help="one round of a second, fewer connections")
    add("--rounds", type=int, metavar="N", help="how often each load is repeated (3)")
    add("--seconds", type=float, metavar="S", help="how long each load lasts (3)")
    add("--soak", type=float, metavar="S", default=None, help="how long the soak lasts (60)")
    add("--streams", type=int, metavar="N", default=None, help="open at once in `memory` (1000)")
    add("--apis", metavar="NAMES", default=",".join(APIS), help="behind the systems (%(default)s)")
    add(
        "--systems",
        metavar="NAMES",
        help="the peers to measure, of nginx, Portkey, LiteLLM; `ours` for none (all installed)",
    )
    add("--peers", type=Path, metavar="FOLDER", default=PEERS_FOLDER, help="where they are")
    add("--output", type=Path, metavar="FILE", help="the results as JSON (build/bench-TIME.json)")
    add("--readme", action="store_true", help="put the results into tests/benchmarks/README.md")
    add("--from", dest="source", type=Path, metavar="FILE", help="measure nothing: show a run")
    add("--no-native", action="store_true", help="upstream and load in Python, as without `cc`")
    add(
        "--broken",
        choices=("status", "cut", "short", "endless"),
        default="",
        help="have the upstream answer wrongly: this must end with an error",
    )
    return parser


def _named(value: str, known: Sequence[str], what: str) -> list[str]:
    names = [name for name in value.split(",") if name]
    for name in names:
        if name not in known:
            raise SystemExit(f"bench: there is no {what} `{name}`; known are {', '.join(known)}.")
    return names


def plan_of(options: argparse.Namespace) -> tuple[Plan, list[str]]:
    """Return what is to be measured, and the names of peers that are not installed."""
    found = systems.peers(options.peers)
    asked = list(found)
    if options.systems is not None:
        asked = _named(options.systems.replace("ours", ""), list(found), "system")
    peers = tuple(system for name in asked if (system := found[name]) is not None)
    quick: bool = options.quick
    plan = Plan(
        quick=quick,
        soak=options.soak or (6 if quick else 60),
        streams=options.streams or (200 if quick else 1000),
        rates=(100, 1000) if quick else (30, 100, 300, 1000),
        peers=peers,
        apis=tuple(api for api in APIS if api in _named(options.apis, APIS, "API")),
    )
    return plan, [name for name in asked if found[name] is None]


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [os.getloadavg()[0]],
    }


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def circumstances(plan: Plan, warnings: Sequence[str]) -> dict[str, Any]:
    """Return what is known before anything is measured: the head of the results."""
    around = machine()
    found = [warning for warning in warnings if warning]
    if around["load_average"][0] > BUSY:
        found.append("the machine was busy with something else at the start")
    for warning in found:
        to_stderr(f"warning: {warning}")
    versions = {"ours": systems.ours().version}
    return {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": around,
        "versions": versions | {system.name: system.version for system in plan.peers},
        "warnings": found,
    }


def measure(options: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    """Measure; return the results, which are written after each part as well.

    Raises:
        WrongAnswers, StartFailed, RuntimeError: Nothing can be measured; the text says why.
    """
    plan, missing = plan_of(options)
    names = _named(options.only, list(PARTS), "part") or list(PARTS)
    cores = Cores()
    built = programs.build(ROOT / "build" / "bench", native=not options.no_native)
    without = [f"{name} is not installed (`make bench-peers`)" for name in missing]
    results = circumstances(plan, [built.warning, cores.warning, *without])
    output: Path = options.output or ROOT / "build" / f"bench-{_stamp(results)}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()

    def say(line: str) -> None:
        to_stderr(f"[{time.monotonic() - begun:5.0f} s] {line}")

    def note(rows: Rows) -> None:
        results["machine"]["load_average"][1:] = [os.getloadavg()[0]]
        results.update(rows=rows, bars=judged(rows), seconds=time.monotonic() - begun)
        output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")

    # Files of the run itself: short-lived, and apart from those of another one.
    folder = tempfile.TemporaryDirectory(prefix="ep-bench-")
    bench = Bench(
        built,
        Path(folder.name),
        cores,
        rounds=options.rounds or (1 if options.quick else 3),
        seconds=options.seconds or (1.0 if options.quick else 3.0),
        broken=options.broken,
        say=say,
    )
    results["options"] = {
        "arguments": repeatable(arguments),
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "parts": names,
    }
    # This process too stays away from the system under test.
    os.sched_setaffinity(0, cores.load)
    with folder, bench:
        run(bench, plan, names, note)
    say(f"results: {os.path.relpath(output)}")
    return results


def repeatable(arguments: Sequence[str]) -> str:
    """Return the options without those that name places of this machine, or are about the page."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("--output", "--peers"):
            next(words, None)
        elif word != "--readme" and not word.startswith(("--output=", "--peers=")):
            kept.append(word)
    return shlex.join(kept)


def _stamp(results: dict[str, Any]) -> str:
    return datetime.fromisoformat(results["begun"]).strftime("%Y%m%dT%H%M%S")


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or show; return the exit status: 1 where a system failed."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(words)
    if not hasattr(os, "sched_setaffinity"):
        to_stderr("bench: it takes Linux: processes are pinned to cores, and read from /proc.")
        return 2
    # A thousand streams take two thousand descriptors of a server; those it starts inherit this.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # As Ctrl-C does: what was started is ended.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if options.source is not None:
            results = json.loads(options.source.read_text())
        else:
            results = measure(options, words)
    except KeyboardInterrupt:
        to_stderr("bench: interrupted; everything that was started has been ended.")
        return 130
    except (WrongAnswers, StartFailed, RuntimeError) as error:
        to_stderr(f"bench: nothing can be measured. {error}")
        return 1
    print(report.as_text(results))
    if options.readme:
        report.write_into(PAGE, results)
        to_stderr(f"bench: the results are in {os.path.relpath(PAGE)}.")
    failed = [row for row in results["rows"] if "fault" in row and not row.get("too_slow")]
    for row in failed:
        to_stderr(f"bench: FAILED: {row['system']}, {row['part']}: {row['fault']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

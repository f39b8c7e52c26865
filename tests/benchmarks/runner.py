"""Runs parts of the benchmark, once the answers of every system have been read to the letter."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from http.client import HTTPException

from tests.benchmarks import systems
from tests.benchmarks.measure import Bench, Rows, Target
from tests.benchmarks.parts import ALONE, PARTS, Plan
from tests.benchmarks.systems import Server
from tests.benchmarks.work import NAMES, Work


def describe() -> str:
    """Return a line for each part."""
    lines: list[str] = []
    for name, part in PARTS.items():
        lines.append(f"  {name:9} {(part.__doc__ or '').strip().splitlines()[0]}")
    return "\n".join(lines)


def run(bench: Bench, plan: Plan, names: Sequence[str], note: Callable[[Rows], None]) -> Rows:
    """Run parts, the systems that they need beside each other.

    Args:
        bench: With its upstream.
        plan: What is measured how long.
        names: Of the parts.
        note: Called after each part, with all rows so far.
    """
    rows: Rows = []
    check_upstream(bench, plan)
    with ExitStack() as stack:
        servers: list[Server] = []
        if set(names) - ALONE:
            for system in (systems.ours(), *plan.peers):
                bench.say(f"starting {system.name} {system.version}")
                servers.append(bench.start(system, stack))
            for server in servers:
                check(bench, plan, server)
        for number, name in enumerate(names, 1):
            bench.say(f"part {number} of {len(names)}: {name}")
            rows += PARTS[name](bench, plan, servers)
            note(rows)
    return rows


class WrongAnswers(RuntimeError):
    """A system answers wrongly before anything is measured; the text says which, and how."""


def check_upstream(bench: Bench, plan: Plan) -> None:
    """See that the upstream itself answers as it should.

    Raises:
        WrongAnswers: It does not.
    """
    check(bench, plan, bench.direct)


def check(bench: Bench, plan: Plan, server: Server) -> None:
    """Read one answer of each kind to the letter, then warm the system up.

    Raises:
        WrongAnswers: An answer is wrong.
    """
    for api in plan.apis:
        if api not in server.system.apis:
            continue
        for work in (Work(), Work(stream=True), Work(size="large")):
            try:
                wrong = server.ask(work, api)
            except (OSError, ValueError, HTTPException) as error:
                wrong = f"no answer ({error!r})"
            if wrong is not None:
                kind = "streamed" if work.stream else f"whole, {work.size}"
                raise WrongAnswers(f"{server.system.name} → {NAMES[api]}, {kind}: {wrong}")
        bench.warm(Target(server, api))

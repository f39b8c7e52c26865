"""What it costs to keep account of a request: its record, the store, its line, and who writes it.

    python -m tests.benchmarks.account

A request that its first provider answered, of two candidates. Microseconds of CPU of the whole
process for each request, the least of some rounds; `line, written` is the line with the thread that
writes it into a pipe, one line between two pieces of other work, as a server under load has it.
"""

import subprocess
import time
from collections.abc import Callable
from typing import Final

from policy.decision import Decision
from policy.schema import Candidate, Target, Timeouts
from proxy.call import Call
from proxy.decision_log import DecisionLog, LineWriter
from proxy.decisions import record
from proxy.decisions.store import DecisionStore
from proxy.exchange import Exchange
from proxy.telemetry.spans import NO_TELEMETRY, AttemptEnd, AttemptStart, RouteStart
from proxy.trail import AttemptRecord
from tests.benchmarks.metrics import exchange
from translators.protocol import Outcome

NUMBER: Final = 5_000
ROUNDS: Final = 7
CALL: Final = Call()
WORK: Final = range(3_000)
"""Adding them up takes about 30 µs."""


def answered() -> Exchange:
    """Return a request of which all is known."""
    done = exchange(stream=False)
    first, second = (Target(name, "some-model-5", Timeouts()) for name in ("anthropic", "openai"))
    candidates = tuple(Candidate(target, frozenset()) for target in (first, second))
    reason = "first preference that can do what the request needs"
    done.decision = Decision(
        "architect", (first, second), reason, required={"tools": "`tools`"}, candidates=candidates
    )
    done.target = first
    usage = done.trail[0].usage
    done.outcome = Outcome("msg_1", first.model, "stop", "end_turn", usage)
    return done


def least(run: Callable[[], object], number: int = NUMBER) -> float:
    """Return the microseconds of CPU that one of many calls takes."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(number):
            run()
        best = min(best, time.process_time() - began)
    return best / number * 1e6


def kept(done: Exchange) -> Callable[[], object]:
    """Return what keeps a record, in a store that is full."""
    store, found = DecisionStore(1_000), record.over(done, status=200, error=None)
    numbers = iter(range(10_000_000))

    def run() -> None:
        done.request_id = f"r{next(numbers)}"
        store.begin(done)
        store.end(done, found)

    return run


def no_spans(done: Exchange) -> Callable[[], object]:
    """Return what tracing costs that is off: what the spans would have been told."""
    trail, target = done.trail[0], done.target
    assert target is not None

    def run() -> None:
        span = NO_TELEMETRY.request({})
        route = span.route(RouteStart("architect", 2, ("tools",), "first preference", 1))
        route.selected(target.provider, target.model)
        start = AttemptStart(
            provider=target.provider, dialect="anthropic_messages", model=target.model,
            base_url="https://api.anthropic.com", number=1, reason="initial", stream=False,
            parameters={}, report=trail.report, trace_context="traceparent",
        )  # fmt: skip
        attempt = span.attempt(start)
        attempt.first_chunk(0.4)
        attempt.end(AttemptEnd(CALL, done.outcome, "completed", chunks=0, cost=None))
        route.end()
        span.end(status=200, attributes=(), error_type=None)

    return run


def trail(done: Exchange) -> Callable[[], object]:
    """Return what notes an attempt."""
    one = done.trail[0]
    given = {name: getattr(one, name) for name in AttemptRecord.__annotations__}
    return lambda: AttemptRecord(**given)


def written(line: bytes) -> float:
    """Return what a line costs with the thread that writes it, while the process is busy."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
        assert reader.stdin is not None
        writer = LineWriter(reader.stdin.fileno())

        def run() -> None:
            sum(WORK)
            writer.write(line)

        spent = least(run) - least(lambda: sum(WORK))
        writer.close()
    return spent


def main() -> None:
    """Measure, and print."""
    done = answered()
    found = record.over(done, status=200, error=None)
    lines: list[bytes] = []
    log = DecisionLog(lines.append)
    log.write(found)
    (line,) = lines
    log = DecisionLog(lambda line: None)
    rows = {
        "attempt noted": least(trail(done)),
        "spans, off": least(no_spans(done)),
        "record": least(lambda: record.over(done, status=200, error=None)),
        "record, kept": least(kept(done)),
        "line": least(lambda: log.write(found)),
        "line, written": written(line),
    }
    for name, spent in rows.items():
        print(f"{name:16}{spent:7.1f} µs")
    print(f"line of {len(line)} bytes")


if __name__ == "__main__":
    main()

"""What metrics add to a request: microseconds of CPU, and how long a page takes.

`python -m tests.benchmarks.metrics` measures one server process; `several` one of several,
`otlp` one that also has OpenTelemetry's SDK.
"""

import os
import sys
import tempfile
import time
from typing import Any

from policy.decision import Decision
from policy.schema import Target, Timeouts
from proxy.exchange import Exchange
from proxy.telemetry.metrics.metering import open_metering
from proxy.telemetry.metrics.recorder import NO_METRICS, Recorder, RequestMetrics
from proxy.trail import AttemptRecord
from tests.policy.building import made
from translators.fidelity import Report
from translators.wire.request import parse_request
from translators.wire.response import Usage

NUMBER = 20_000
ROUNDS = 5


class Route:
    """As Starlette's."""

    path = "/v1/chat/completions"


SCOPE: dict[str, Any] = {"method": "POST", "route": Route()}


def exchange(*, stream: bool) -> Exchange:
    """Return the record of a request that was answered by its first provider."""
    body = b'{"model": "architect", "messages": [{"role": "user", "content": "Hi"}]}'
    done = Exchange(chat=parse_request(body), request_id="r")
    done.stream = stream
    target = Target("anthropic", "claude-sonnet-5", Timeouts())
    done.decision = Decision("architect", (target,), "first preference")
    done.target = target
    done.begun()
    done.trail.append(
        AttemptRecord(
            number=1,
            reason="initial",
            provider=target.provider,
            model=target.model,
            dialect="anthropic_messages",
            started=done.started,
            first_chunk=0.4,
            seconds=2.5,
            status=200,
            request_id=None,
            follow_ups=0,
            report=Report(),
            end_reason="completed",
            error=None,
            served_by=target.model,
            finish_reason="stop",
            usage=Usage(1200, 300, 1500),
            chunks=100,
            agent=None,
            cost=0.0081,
        )
    )
    return done


def measure(metrics: RequestMetrics, policy: Any, *, stream: bool) -> float:
    """Return microseconds of CPU that one request costs."""
    done = exchange(stream=stream)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(NUMBER):
            metrics.in_flight(1)
            metrics.in_flight(-1)
            metrics.answered(SCOPE, status=200, seconds=2.6, end_reason="completed", error=None)
            metrics.finished(done, None, policy)
        best = min(best, time.process_time() - start)
    return best / NUMBER * 1e6


def main(how: str) -> None:
    """Measure, and print."""
    environment = {"OTEL_METRICS_EXPORTER": "otlp"} if how == "otlp" else {}
    with tempfile.TemporaryDirectory() as folder:
        if how == "several":
            os.environ["EXECUTION_PLATFORM_WORKERS"] = folder
        metering = open_metering(environment, page=True)
        policy = made("personas: {architect: {provider_preferences: [anthropic]}}")
        recorder = Recorder(metering.meters, policy)
        for stream in (False, True):
            name = "streamed" if stream else "whole"
            off = measure(NO_METRICS, policy, stream=stream)
            print(f"{name:10} {measure(recorder, policy, stream=stream):6.1f} µs (off: {off:.1f})")
        assert metering.page is not None
        start = time.perf_counter()
        size = len(metering.page(as_openmetrics=False)[0])
        print(f"page       {(time.perf_counter() - start) * 1e3:6.1f} ms ({size} bytes)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "one")

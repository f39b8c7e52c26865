"""What tracing costs a request: CPU of the whole process, with encoding and delivery.

    python -m tests.benchmarks.spans [--requests 20000]

The spans of a streamed request with a choice and one attempt (SERVER, the route's and CLIENT, about
45 attributes, an event), as `proxy.telemetry.tracing.otel` makes them. A collector in a process of
its own takes them over HTTP. All ways are measured in turn, three times; the median is printed.
Loopback only; bounded in count.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

import msgspec
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from proxy.call import Call
from proxy.telemetry.recurring import recurring
from proxy.telemetry.setup import create_telemetry
from proxy.telemetry.spans import NO_TELEMETRY, AttemptEnd, AttemptStart, RouteStart, Telemetry
from proxy.telemetry.tracing.otel import OtelTelemetry
from translators.fidelity import Report
from translators.protocol import Outcome
from translators.wire.response import Usage

ROUND: Final = 250
"""Requests between two pauses in which what they left is delivered: the queue holds 2048 spans."""

SCOPE: Final[dict[str, Any]] = {
    "type": "http", "method": "POST", "path": "/v1/chat/completions", "scheme": "http",
    "http_version": "1.1", "client": ("10.1.2.3", 5), "server": ("proxy.test", 8080),
    "headers": [
        (b"host", b"proxy.test"), (b"user-agent", b"OpenAI/Python 3.54.0"),
        (b"content-type", b"application/json"), (b"authorization", b"Bearer x"),
    ],
}  # fmt: skip
ROUTE: Final = RouteStart(
    persona="architect", candidates=3, required=("system_prompts", "streaming"),
    reason="first preference that can do what the request needs", began=0,
)  # fmt: skip
SPANS: Final = 3
"""Of each request."""
START: Final = AttemptStart(
    provider="anthropic", dialect="anthropic_messages", model="claude-sonnet-5",
    base_url="https://api.anthropic.com", number=1, reason="initial", stream=True,
    parameters={"temperature": 0.3, "max_tokens": 1024}, report=Report(),
    trace_context="traceparent",
)  # fmt: skip
OUTCOME: Final = Outcome(
    id="msg_1", model="claude-sonnet-5-20260101", finish_reason="stop",
    native_finish_reason="end_turn",
    usage=Usage(prompt_tokens=812, completion_tokens=211, total_tokens=1023),
)  # fmt: skip
END: Final = recurring(
    *("ep.model.requested", "ep.attempts", "ep.model.served", "ep.provider.served"),
    *("ep.stream", "ep.stream.end_reason", "ep.persona", "ep.key.name", "ep.policy.generation"),
)
"""As `proxy.exchange` has them."""


def one_request(telemetry: Telemetry, number: int) -> None:
    """Make the spans of a request."""
    request = telemetry.request(SCOPE)
    route = request.route(msgspec.structs.replace(ROUTE, began=time.time_ns()))
    route.selected(START.provider, START.model)
    attempt = request.attempt(START)
    attempt.first_chunk(0.3)
    call = Call()
    call.status, call.request_id = 200, f"req_{number}"
    outcome = replace(OUTCOME, id=f"msg_{number}")
    attempt.end(AttemptEnd(call, outcome, "completed", chunks=60))
    route.end()
    known = END(
        *("architect", 1, "claude-sonnet-5-20260101", "anthropic"),
        *(True, "completed", "architect", "anonymous", 1),
    )
    own = {"ep.request.id": f"req_{number}", "ep.cost.usd": 0.01}
    request.end(status=200, attributes=(known, own), error_type=None)


def measured(telemetry: Telemetry, requests: int, settle: Callable[[int], None]) -> float:
    """Return the microseconds of CPU that a request takes."""
    done, spent = 0, 0.0
    while done < requests:
        began = time.process_time()
        for number in range(ROUND):
            one_request(telemetry, done + number)
        done += ROUND
        settle(done)
        spent += time.process_time() - began
    return spent / done * 1e6


def nothing(done: int) -> None:
    """Wait for nothing."""


def ours(url: str, requests: int, **variables: str) -> float:
    """Measure our own pipeline."""
    telemetry = create_telemetry({"OTEL_EXPORTER_OTLP_ENDPOINT": url, **variables})

    def delivered(done: int) -> None:
        # What is no whole batch waits for the next.
        while telemetry.counts().exported < SPANS * done - 512:
            time.sleep(0.01)

    spent = measured(telemetry, requests, nothing if variables else delivered)
    began = time.process_time()
    asyncio.run(telemetry.shutdown())
    lost = sum(telemetry.counts().dropped.values())
    assert not lost, f"{lost} spans were lost: this measures nothing"
    return spent + (time.process_time() - began) / requests * 1e6


def the_sdks(url: str, requests: int) -> float:
    """Measure the SDK's pipeline below the same code."""
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url}/v1/traces"))
    provider.add_span_processor(processor)
    spent = measured(OtelTelemetry(provider, "0"), requests, lambda done: _flushed(processor))
    provider.shutdown()
    return spent


def _flushed(processor: BatchSpanProcessor) -> None:
    processor.force_flush()


def collector() -> None:
    """Take spans until standard input ends."""
    # Imported here: the process that is measured needs none of it.
    from tests.telemetry.otlp_sink import OtlpSink

    with OtlpSink() as sink:
        print(sink.url, flush=True)
        sys.stdin.read()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--collector", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.collector:
        collector()
        return
    requests = max(arguments.requests // ROUND, 1) * ROUND
    command = [sys.executable, "-m", "tests.benchmarks.spans", "--collector"]
    with ExitStack() as stack:
        sink = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert sink.stdin is not None and sink.stdout is not None
        stack.callback(sink.stdin.close)
        url = sink.stdout.readline().strip()
        ways: dict[str, Callable[[], float]] = {
            "no telemetry": lambda: measured(NO_TELEMETRY, requests, nothing),
            "sampled off": lambda: ours(url, requests, OTEL_TRACES_SAMPLER="always_off"),
            "100 %, own pipeline": lambda: ours(url, requests),
            "100 %, the SDK's": lambda: the_sdks(url, requests),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(3):
            for name, measure in ways.items():
                found[name].append(measure())
        print(f"{'CPU µs per request':24}{'median':>8}   of three")
        for name, values in found.items():
            listed = ", ".join(f"{value:.1f}" for value in sorted(values))
            print(f"{name:24}{statistics.median(values):8.1f}   {listed}")


if __name__ == "__main__":
    main()

"""Traces and log lines of a program that has the platform inside."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess, clean_environment
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.test_tracing_e2e import policy_for

HEAD = """
import asyncio
from execution_platform.exceptions import ProviderError
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

def ask(text):
    return ChatRequest([Message("user", text)])
"""

TRACED = (
    HEAD
    + """
import sys
from opentelemetry.sdk.trace import TracerProvider

tracer = TracerProvider().get_tracer("program")

async def main(**options):
    client = PersonaRouter(**options).get_client("architect")
    with tracer.start_as_current_span("work") as span:
        context = span.get_span_context()
        print(format(context.trace_id, "032x"), format(context.span_id, "016x"))
        async for chunk in client.chat(ask("Hi [sandbox provider=anthropic fail=529 key=traced]")):
            pass

asyncio.run(main(**(dict(base_url=sys.argv[1]) if len(sys.argv) > 1 else {})))
"""
)

SYNC = (
    HEAD
    + """
answer = PersonaRouter().get_client("architect_openai").chat_sync(ask("Hi"))
print(answer.served.request_id)
"""
)

ENDINGS = (
    HEAD
    + """
async def left(client):
    async for chunk in client.chat(ask("Hi [sandbox words=99 gap=0.05]")):
        return

async def main():
    client = PersonaRouter().get_client("architect_openai")
    await client.chat(ask("Hi"))
    await left(client)
    for text in ("Hi [sandbox fail=400]", "Hi [sandbox words=99 cut=9]"):
        try:
            async for chunk in client.chat(ask(text)):
                pass
        except ProviderError:
            pass
    await asyncio.sleep(0.2)

asyncio.run(main())
"""
)


def run(program: str, folder: Path, *arguments: str, **variables: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env=clean_environment({"EP_SANDBOX": "1", **variables}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as collector:
        yield collector


def test_a_chat_is_part_of_the_programs_own_trace(sink: OtlpSink, tmp_path: Path) -> None:
    printed, _ = run(TRACED, tmp_path, **sink.environment)
    trace, parent = printed.split()
    request, *attempts = sink.wait_for(trace, 3)
    assert (request.name, request.kind, request.parent) == (
        "execution_platform",
        "INTERNAL",
        parent,
    )
    assert request.attributes["ep.persona"] == "architect"
    assert request.attributes["ep.provider.served"] == "openai"
    assert request.attributes["ep.stream.end_reason"] == "completed"
    assert [attempt.parent for attempt in attempts] == [request.id] * len(attempts)
    assert attempts[-1].attributes["ep.upstream.name"] == "openai"


def test_a_running_proxy_gets_the_programs_context(
    sink: OtlpSink, providers: SandboxProcess, tmp_path: Path
) -> None:
    policy = policy_for(providers)
    policy["personas"]["architect"] = policy["personas"]["openai"]
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, **sink.environment}
    with Proxy(env=env, policy=policy) as server:
        printed, _ = run(TRACED, tmp_path, server.url)
        trace, parent = printed.split()
        request, _ = sink.wait_for(trace, 2)
        assert (request.kind, request.parent) == ("SERVER", parent)


def test_the_last_spans_of_a_program_without_a_loop_are_delivered(
    sink: OtlpSink, tmp_path: Path
) -> None:
    # Nothing is closed, and the delay of the exporter is longer than the program.
    variables = {**sink.environment, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    printed, said = run(SYNC, tmp_path, **variables)
    assert said == ""
    (request,) = [span for span in sink.spans if span.name == "execution_platform"]
    assert request.attributes["ep.request.id"] == printed.strip()


def test_the_log_of_decisions_is_silent_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert run(ENDINGS, tmp_path)[1] == ""
    lines = [
        json.loads(line)
        for line in run(ENDINGS, tmp_path, EP_LOG_LEVEL="info")[1].split("\n")
        if line
    ]
    told = [(line["status"], line["end"], line["key"], line["stream"]) for line in lines]
    assert told == [
        (200, "completed", "in-process", False),
        (200, "client_disconnect", "in-process", True),
        (400, "upstream_error", "in-process", True),
        (200, "upstream_error", "in-process", True),
    ]
    assert all(line["model"] == "architect_openai" for line in lines)

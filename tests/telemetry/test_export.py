"""What the variables make of telemetry: exporters, resource, counts; our spans beside the SDK's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.call import Call
from proxy.telemetry.export.delivery import MAX_REQUEST
from proxy.telemetry.export.encoding import Export, encode_resource, encode_scope, packed
from proxy.telemetry.setup import create_telemetry
from proxy.telemetry.spans import NO_TELEMETRY, AttemptEnd, AttemptStart
from proxy.telemetry.tracing.otel import OtelTelemetry
from proxy.telemetry.tracing.records import SpanRecord
from proxy.telemetry.tracing.tracer import RecordProvider, SpanProvider
from tests.agent_cli import NEEDS_CLI
from tests.http.agent_server import policy
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess, clean_environment, wait_until
from tests.telemetry.collector import Collector
from tests.telemetry.grpc_sink import GrpcSink
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.test_tracing_e2e import Caller
from translators.fidelity import Report

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def scope(traceparent: str | None = PARENT) -> dict[str, Any]:
    headers = [(b"user-agent", b"test")]
    if traceparent is not None:
        headers.append((b"traceparent", traceparent.encode()))
    return {
        "type": "http", "method": "POST", "path": "/v1/chat/completions", "scheme": "http",
        "http_version": "1.1", "headers": headers, "client": ("127.0.0.1", 5),
    }  # fmt: skip


def serve(telemetry: Any, traceparent: str | None = PARENT) -> None:
    """Have the spans of one request made."""
    request = telemetry.request(scope(traceparent))
    start = AttemptStart(
        provider="up", dialect="openai_chat", model="gpt", base_url="http://up.test:81/v1",
        number=1, reason="initial", stream=True, parameters={"temperature": 0.5, "stop": ["x"]},
        report=Report(), trace_context="traceparent",
    )  # fmt: skip
    attempt = request.attempt(start)
    attempt.first_chunk(0.25)
    attempt.end(AttemptEnd(Call(), None, "upstream_error", chunks=3))
    request.event("ep.fallback", {"from": "up"})
    attributes = {"ep.stream.end_reason": "upstream_error", "ep.attempts": 1}
    request.end(status=200, attributes=(attributes,), error_type="truncated")


def telling(request: ExportTraceServiceRequest) -> list[Span]:
    """Return spans without what differs from one run to the next."""
    spans = [
        span for group in request.resource_spans for one in group.scope_spans for span in one.spans
    ]
    ids = {span.span_id: number for number, span in enumerate(spans)}
    for span in spans:
        # Their order means nothing.
        sorted_ones = sorted(span.attributes, key=lambda attribute: attribute.key)
        del span.attributes[:]
        span.attributes.extend(sorted_ones)
        span.parent_span_id = str(ids.get(span.parent_span_id, span.parent_span_id.hex())).encode()
        span.flags &= ~0xFF
        span.status.SetInParent()
        for name in ("start_time_unix_nano", "end_time_unix_nano", "span_id"):
            span.ClearField(name)
        for event in span.events:
            event.ClearField("time_unix_nano")
    return spans


def test_the_sdks_provider_makes_the_same_spans_of_a_request():
    memory, ours = InMemorySpanExporter(), list[SpanRecord]()
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(memory))
    providers: list[SpanProvider] = [theirs, RecordProvider(ours.append)]
    for provider in providers:
        serve(OtelTelemetry(provider, "0"))
    export = Export(encode_resource(Resource({})), encode_scope)
    for span in ours:
        assert export.add(packed(span), MAX_REQUEST)
    found = telling(ExportTraceServiceRequest.FromString(export.finish()))
    assert len(found) == 2
    assert found == telling(encode_spans(memory.get_finished_spans()))


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


async def test_what_was_delivered_can_be_read(no_variables: None):
    assert NO_TELEMETRY.counts().exported == 0
    with Collector() as collector:
        telemetry = create_telemetry({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
        serve(telemetry)
        assert telemetry.counts().exported == 0
        await telemetry.shutdown()
        assert telemetry.counts().exported == 2
        assert telemetry.counts().dropped == {"queue_full": 0, "rejected": 0, "unreachable": 0}
        assert len(collector.names) == 2


async def test_limits_and_sampler_are_those_of_the_variables(no_variables: None):
    with Collector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "1",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
        }
        telemetry = create_telemetry(variables)
        serve(telemetry)
        serve(telemetry, traceparent=None)
        await telemetry.shutdown()
        (export,) = collector.exports
    spans = telling(ExportTraceServiceRequest.FromString(export.body))
    assert len(spans) == 2
    assert all(len(s.attributes) == 1 and s.dropped_attributes_count > 1 for s in spans)


def test_the_resource_names_service_process_and_what_the_operator_says():
    with OtlpSink() as sink:
        program = """
import asyncio, os
from proxy.telemetry.setup import create_telemetry
from tests.telemetry.test_export import serve
telemetry = create_telemetry(os.environ)
serve(telemetry)
asyncio.run(telemetry.shutdown())
"""
        env = clean_environment(
            {
                **sink.environment,
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a%20b",
            }
        )
        subprocess.run([sys.executable, "-c", program], check=True, env=env)
        subprocess.run([sys.executable, "-c", program], check=True, env=env)
        resources = [span.resource for span in sink.spans]
    assert {one["service.name"] for one in resources} == {"execution-platform"}
    assert {one["deployment.environment.name"] for one in resources} == {"test"}
    assert {one["team"] for one in resources} == {"a b"}
    assert len({one["service.instance.id"] for one in resources}) == 2
    assert len({one["process.pid"] for one in resources}) == 2


async def test_the_console_gets_a_line_for_each_span(
    no_variables: None, capsys: pytest.CaptureFixture[str]
):
    telemetry = create_telemetry({"OTEL_TRACES_EXPORTER": "console"})
    serve(telemetry)
    await telemetry.shutdown()
    attempt, server = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (server["name"], server["kind"], server["status"]) == ("POST", "SERVER", "ERROR")
    assert server["trace_id"] == attempt["trace_id"] == PARENT.split("-")[1]
    assert (server["parent_id"], attempt["parent_id"]) == ("00f067aa0ba902b7", server["span_id"])
    assert server["attributes"]["ep.attempts"] == 1
    assert server["events"][0]["name"] == "ep.fallback"
    assert server["resource"]["service.name"] == "execution-platform"
    assert server["start"] <= attempt["start"] <= attempt["end"] <= server["end"]
    assert telemetry.counts().exported == 2


async def test_spans_may_go_to_the_console_too(
    no_variables: None, capsys: pytest.CaptureFixture[str]
):
    with Collector() as collector:
        telemetry = create_telemetry(
            {
                "OTEL_TRACES_EXPORTER": "otlp, console",
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            }
        )
        serve(telemetry)
        await telemetry.shutdown()
        assert len(collector.names) == len(capsys.readouterr().out.splitlines()) == 2
        assert telemetry.counts().exported == 2


@pytest.fixture(scope="module")
def sink() -> Iterator[GrpcSink]:
    with GrpcSink() as collector:
        yield collector


def variables_for(sink: GrpcSink) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


def test_a_server_with_two_workers_delivers_over_grpc(sink: GrpcSink):
    env = {**variables_for(sink), "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    body = {"model": "architect", "messages": [{"role": "user", "content": "Hi"}]}
    traces: list[str] = []
    with Proxy("--sandbox", "--workers", "2", env=env) as server:
        url = f"{server.url}/v1/chat/completions"

        def answered() -> bool:
            try:
                answer = httpx.post(url, json=body, trust_env=False, timeout=30)
            except httpx.TransportError:
                return False
            traces.append(answer.headers["traceresponse"].split("-")[1])
            return len(traces) == 8

        wait_until(answered, 30)
        assert sink.spans == []
        server.stop()
    assert {trace: len(sink.names(trace)) for trace in traces} == dict.fromkeys(traces, 3)


@NEEDS_CLI
def test_the_spans_of_an_agents_process_arrive_over_grpc(
    sink: GrpcSink, providers: SandboxProcess, tmp_path: Path
):
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": str(tmp_path), **variables_for(sink)}
    with Proxy(env=env, policy=policy(providers)) as server:
        caller = Caller()
        assert caller.ask(server, "claude").status_code == 200
        wait_until(lambda: len(sink.names(caller.trace)) >= 4, 15)
    assert sorted(sink.names(caller.trace)) == [
        "POST /v1/chat/completions",
        "claude_code.interaction",
        "claude_code.llm_request",
        "invoke_agent claude_agent",
    ]

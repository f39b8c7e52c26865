"""The tests' own collector is as strict as a real one, and tells a trace as Jaeger does."""

import gzip
import importlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.providers import closed_port
from tests.serving import ROOT, wait_until
from tests.telemetry.backends.jaeger import JAEGER_QUERY_URL, Jaeger
from tests.telemetry.backends.spans import spans_of
from tests.telemetry.conftest import Exporter
from tests.telemetry.otlp_sink import OtlpSink

PROTOBUF = {"content-type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as collector:
        yield collector


def export(trace: str, **changes: Any) -> ExportTraceServiceRequest:
    """Return an export with a span of every kind of value, and its child."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    name = KeyValue(key="service.name", value=AnyValue(string_value="backend-test"))
    group.resource.attributes.append(name)
    now = time.time_ns()
    values = {
        "text": AnyValue(string_value="ü"),
        "whole": AnyValue(int_value=1 << 60),
        "part": AnyValue(double_value=2.0),
        "yes": AnyValue(bool_value=True),
        "list": AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="a")])),
    }
    outer = Span(
        trace_id=bytes.fromhex(trace),
        span_id=bytes.fromhex("00f067aa0ba902b7"),
        parent_span_id=bytes.fromhex("1111111111111111"),
        trace_state="vendor=1",
        name="outer",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=now,
        end_time_unix_nano=now + 3_000_001,
        attributes=[KeyValue(key=key, value=value) for key, value in values.items()],
        events=[
            Span.Event(
                name="happened",
                time_unix_nano=now + 1,
                attributes=[KeyValue(key="n", value=AnyValue(int_value=7))],
            )
        ],
        links=[Span.Link(trace_id=b"\x01" * 16, span_id=b"\x02" * 8)],
    )
    inner = Span(
        trace_id=bytes.fromhex(trace),
        span_id=b"\x03" * 8,
        parent_span_id=outer.span_id,
        name="inner",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=now + 2,
        end_time_unix_nano=now + 3,
        status=Status(code=Status.STATUS_CODE_ERROR, message="it failed"),
    )
    for field, value in changes.items():
        setattr(inner, field, value)
    group.scope_spans.add().spans.extend([outer, inner])
    return request


def test_a_trace_is_told_with_all_that_was_exported(exporter: Exporter) -> None:
    """By HTTP whatever the parameter says: what is compared is what the back end made of it."""
    trace = secrets.token_hex(16)
    given = export(trace)
    url = exporter.backend.environment_for("http/protobuf")["OTEL_EXPORTER_OTLP_ENDPOINT"]
    body = given.SerializeToString()
    answer = httpx.post(f"{url}/v1/traces", content=body, headers=PROTOBUF, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    wait_until(lambda: exporter.backend.trace(trace) is not None, 10)
    outer, inner = spans_of(exporter.backend.trace(trace))
    assert (outer.name, outer.kind, outer.status) == ("outer", "SERVER", "UNSET")
    assert (inner.name, inner.kind, inner.status) == ("inner", "INTERNAL", "ERROR")
    assert (inner.parent, inner.status_message) == (outer.id, "it failed")
    assert (outer.id, outer.parent, outer.trace) == ("00f067aa0ba902b7", "1" * 16, trace)
    assert outer.attributes == {
        "text": "ü",
        "whole": 1 << 60,
        "part": 2.0,
        "yes": True,
        "list": ["a"],
    }
    assert outer.resource["service.name"] == "backend-test"
    start = given.resource_spans[0].scope_spans[0].spans[0].start_time_unix_nano
    assert (outer.start, outer.end) == (start, start + 3_000_001)
    ((name, attributes, at),) = [(e.name, e.attributes, e.time) for e in outer.events]
    assert (name, attributes, at) == ("happened", {"n": 7}, start + 1)
    assert outer.links == (("01" * 16, "02" * 8),)
    assert outer.state == "vendor=1"
    assert "backend-test" in exporter.backend.services()
    assert exporter.backend.trace(secrets.token_hex(16)) is None


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/v1/trace", PROTOBUF, b"", 404),
        ("POST", "/", PROTOBUF, b"", 404),
        ("GET", "/v1/traces", PROTOBUF, b"", 405),
        ("POST", "/v1/traces", {"content-type": "application/json"}, b"{}", 415),
        ("POST", "/v1/traces", {}, b"", 415),
        ("POST", "/v1/traces", PROTOBUF, b"\xff\xff", 400),
        ("POST", "/v1/traces", {**PROTOBUF, "content-encoding": "gzip"}, b"plain", 400),
        ("POST", "/v1/traces", {**PROTOBUF, "content-encoding": "br"}, b"", 400),
        ("POST", "/v1/traces", PROTOBUF, export("0" * 32, span_id=b"1").SerializeToString(), 400),
    ],
)
def test_what_no_collector_takes_is_refused_and_remembered(
    sink: OtlpSink, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = client.request(method, sink.url + path, content=body, headers=headers)
    assert answer.status_code == status
    assert len(sink.refused) == 1
    assert sink.spans == []


def test_compressed_exports_are_kept_as_they_were_meant(sink: OtlpSink) -> None:
    body = export("ab" * 16).SerializeToString()
    headers = {**PROTOBUF, "content-encoding": "gzip"}
    url = f"{sink.url}/v1/traces"
    assert httpx.post(url, content=gzip.compress(body), headers=headers).status_code == 200
    assert sink.bodies == sink.exported("traces") == [body]
    assert b"backend-test" in sink.told("")


def test_answers_can_be_set(sink: OtlpSink) -> None:
    url, body = f"{sink.url}/v1/traces", export("ab" * 16).SerializeToString()
    sink.answers.first = [503, 429]
    sink.answers.headers = {"retry-after": "7"}
    sink.answers.rejected, sink.answers.message = 1, "too many"
    answers = [httpx.post(url, content=body, headers=PROTOBUF) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 429, 200]
    assert answers[0].headers["retry-after"] == "7"
    partial = ExportTraceServiceResponse.FromString(answers[2].content).partial_success
    assert (partial.rejected_spans, partial.error_message) == (1, "too many")
    # What is refused is not taken, and still it was exported.
    assert len(sink.of_trace("ab" * 16)) == 2
    assert sink.exports == 3


def test_grpc_is_taken_and_refused_alike(sink: OtlpSink) -> None:
    grpc: Any = importlib.import_module("grpc")
    body = export("ab" * 16).SerializeToString()
    with grpc.insecure_channel(sink.grpc_url.removeprefix("http://")) as channel:
        call = channel.unary_unary(EXPORT)
        assert ExportTraceServiceResponse.FromString(call(body, timeout=10)) is not None
        for status, code in ((503, "UNAVAILABLE"), (429, "RESOURCE_EXHAUSTED")):
            sink.answers.status = status
            with pytest.raises(grpc.RpcError) as refused:
                call(body, timeout=10)
            assert refused.value.code().name == code
        sink.answers.status = 200
        with pytest.raises(grpc.RpcError) as refused:
            call(b"\xff\xff", timeout=10)
        assert refused.value.code().name == "INVALID_ARGUMENT"
    assert len(sink.of_trace("ab" * 16)) == 2
    assert [e.protocol for e in sink.inbox.exports] == ["grpc"] * 4


def test_nobody_answers_at_a_sink_that_is_closed() -> None:
    with OtlpSink() as sink, httpx.Client(trust_env=False) as client:
        url, body = f"{sink.url}/v1/traces", export("ab" * 16).SerializeToString()
        assert client.post(url, content=body, headers=PROTOBUF).status_code == 200
        sink.__exit__(None, None, None)
        # Not even over the connection that was open.
        with pytest.raises(httpx.TransportError):
            client.post(url, content=body, headers=PROTOBUF)


def test_a_jaeger_that_is_named_and_missing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JAEGER_QUERY_URL, f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(AssertionError, match="no Jaeger answers at"):
        Jaeger.from_environment()


def test_without_any_jaeger_its_tests_fail_and_say_why(tmp_path: Any) -> None:
    kept = {name: value for name, value in os.environ.items() if name != JAEGER_QUERY_URL}
    done = subprocess.run(
        [sys.executable, "-c", NOWHERE],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # Neither an engine nor a Go on the way.
        env={**kept, "PATH": str(tmp_path)},
    )
    assert done.returncode == 1, done.stdout
    for reason in (JAEGER_QUERY_URL, "no container engine works", "no Go here"):
        assert reason in done.stderr
    assert "Traceback" not in done.stderr


NOWHERE = """
import sys
from pathlib import Path
from tests.telemetry.backends import start_jaeger
start_jaeger.BINARY = Path("not/built")
sys.exit(start_jaeger.main([]))
"""


def test_the_sink_answers_in_json_that_jaegers_readers_know(sink: OtlpSink) -> None:
    httpx.post(
        f"{sink.url}/v1/traces", content=export("ab" * 16).SerializeToString(), headers=PROTOBUF
    )
    answer = httpx.get(f"{sink.query_url}/api/v3/traces/{'ab' * 16}", trust_env=False)
    span = json.loads(answer.content)["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert (span["traceId"], span["kind"]) == ("ab" * 16, 2)
    missing = httpx.get(f"{sink.query_url}/api/v3/traces/{'cd' * 16}", trust_env=False)
    assert (missing.status_code, missing.json()["error"]["httpCode"]) == (404, 404)

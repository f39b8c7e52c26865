"""Metrics by OTLP: a real server, a real socket, and what a collector makes of it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.providers import UPSTREAM_KEY, closed_port
from tests.scrape import page
from tests.serving import Proxy, SandboxProcess, clean_environment, run_to_end, wait_until
from tests.telemetry.metrics_sink import MetricsSink, Point
from tests.telemetry.otlp_sink import OtlpSink
from tests.telemetry.test_tracing_e2e import policy_for

CANARY = "canary-77d0"


def ask(server: Proxy, persona: str = "openai", *, stream: bool = False, text: str = "Hi") -> None:
    messages = [{"role": "user", "content": text}]
    body = {"model": persona, "messages": messages, "stream": stream}
    url = f"{server.url}/v1/chat/completions"
    assert httpx.post(url, json=body, trust_env=False, timeout=30).status_code == 200


@pytest.fixture(scope="module")
def sink() -> Iterator[MetricsSink]:
    with MetricsSink() as collector:
        yield collector


@pytest.fixture(scope="module")
def exported(providers: SandboxProcess, sink: MetricsSink) -> Iterator[MetricsSink]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, **sink.environment, "EP_METRICS": "0"}
    env |= {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "deployment=test"}
    policy = policy_for(providers)
    policy["providers"]["openai"]["prices"] = {"gpt-4.1": {"input": 1.0, "output": 1.0}}
    with Proxy(env=env, policy=policy) as server:
        for number in range(4):
            ask(server, stream=number % 2 == 0, text=CANARY)
        ask(server, "both", text="[sandbox provider=anthropic fail=529]")
        server.stop()
    yield sink


def of(points: list[Point], **labels: object) -> list[float]:
    wanted = {name.replace("__", "."): value for name, value in labels.items()}
    return [p["value"] for p in points if wanted.items() <= p.items()]


def test_what_was_counted_arrives_when_the_server_ends_at_the_latest(exported: MetricsSink):
    assert exported.paths == {"/v1/metrics"}
    requests = exported.points("http.server.request.duration")
    chat = {"http__route": "/v1/chat/completions", "http__request__method": "POST"}
    assert of(requests, http__response__status_code=200, **chat) == [5]
    # None is no attribute.
    assert not any("error.type" in point for point in requests)
    attempts = exported.points("gen_ai.client.operation.duration")
    assert of(attempts, ep__upstream__name="openai", ep__attempt__reason="initial") == [4]
    assert of(attempts, ep__upstream__name="openai", ep__attempt__reason="fallback") == [1]
    assert of(attempts, error__type="overloaded_error") == [1]
    assert of(exported.points("ep.request.duration"), ep__stream=True) == [2]
    assert of(exported.points("ep.fallbacks"), ep__provider="anthropic") == [1]
    assert sum(of(exported.points("ep.cost"), ep__provider="openai")) > 0
    assert of(exported.points("ep.requests.in_flight")) == [0]
    assert of(exported.points("ep.policy.generation")) == [1]


def test_units_and_buckets_are_those_of_the_table(exported: MetricsSink):
    metrics = exported.metrics()
    duration = metrics["gen_ai.client.operation.duration"]
    assert duration.unit == "s"
    (first, *_) = duration.histogram.data_points
    assert list(first.explicit_bounds) == pytest.approx([0.01 * 2**n for n in range(14)])
    assert metrics["ep.cost"].unit == "USD"
    assert metrics["ep.tokens"].sum.is_monotonic
    # Cumulative, unless the variable says otherwise.
    assert metrics["ep.tokens"].sum.aggregation_temporality == 2


def test_who_reports_is_named_as_for_spans(exported: MetricsSink):
    resource = exported.resource()
    assert resource["service.name"] == "mine"
    assert resource["deployment"] == "test"
    assert resource["service.instance.id"]


def test_nothing_that_a_client_said_is_exported(exported: MetricsSink):
    raw = b"".join(export.SerializeToString() for export in exported.exports)
    assert CANARY.encode() not in raw
    assert UPSTREAM_KEY.encode() not in raw


def test_the_page_and_the_exporter_say_the_same(providers: SandboxProcess):
    with MetricsSink() as sink:
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, "OTEL_METRICS_EXPORTER": "otlp"}
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_TRACES_EXPORTER": "none"}
        env |= {"OTEL_METRIC_EXPORT_INTERVAL": "200"}
        temporality = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        env |= {temporality: "delta", "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
        with Proxy(env=env, policy=policy_for(providers)) as server:
            ask(server)
            wait_until(lambda: bool(sink.points("gen_ai.client.inference.duration")), 20)
            text = page(server)
            assert "gen_ai_client_inference_duration_seconds_count" in text
            assert "gen_ai_client_operation_duration_seconds" not in text
        metrics = sink.metrics()
        tokens = metrics["gen_ai.client.inference.usage.input_tokens"]
        assert tokens.sum.aggregation_temporality == 1
        (point,) = tokens.sum.data_points
        assert "gen_ai.token.modality" in {entry.key for entry in point.attributes}
        assert "gen_ai.client.token.usage" not in metrics


@pytest.mark.parametrize(
    "env",
    [{}, {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}],
    ids=["traces alone", "disabled"],
)
def test_the_address_for_traces_alone_gets_no_metrics(
    providers: SandboxProcess, env: dict[str, str]
):
    with OtlpSink(status=404) as jaeger:
        given = {"UPSTREAM_KEY": UPSTREAM_KEY, **jaeger.environment, **env}
        given["OTEL_METRIC_EXPORT_INTERVAL"] = "50"
        with Proxy(env=given, policy=policy_for(providers)) as server:
            ask(server)
            server.stop()
            assert "v1/metrics" not in server.log()
        # The answer to metrics would have been the same, and they would be no spans.
        assert jaeger.exports <= 3


@pytest.mark.parametrize("collector", ["closed", "silent", "failing"])
def test_a_collector_that_is_not_there_harms_no_request(providers: SandboxProcess, collector: str):
    with socket.socket() as silent, MetricsSink(status=503) as failing:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = {
            "closed": f"http://127.0.0.1:{closed_port()}",
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "failing": failing.url,
        }[collector]
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        env["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = f"{url}/v1/metrics"
        with Proxy(env=env, policy=policy_for(providers)) as server:
            for number in range(10):
                ask(server, stream=number % 2 == 0)
            # Generous: what is left undelivered is given up after five seconds.
            assert server.stop(seconds=25) in (0, -15)


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"OTEL_METRICS_EXPORTER": "pigeon"}, "OTEL_METRICS_EXPORTER is `pigeon`"),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, "`GET /metrics` by itself"),
        (
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"},
            "Set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
        ),
        (
            {"OTEL_METRICS_EXPORTER": "console", "OTEL_METRIC_EXPORT_INTERVAL": "0"},
            "OTEL_METRIC_EXPORT_INTERVAL is not right",
        ),
    ],
)
def test_a_wrong_variable_stops_the_start_and_says_what_would_be_right(
    env: dict[str, str], says: str
):
    done = run_to_end("serve", "--sandbox", "--port", "0", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


PROGRAM = """
import asyncio, sys
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

async def main():
    client = PersonaRouter().get_client("architect_openai")
    async for chunk in client.chat(ChatRequest([Message("user", "Hi")])):
        pass

asyncio.run(main())
loaded = {name.split(".")[0] for name in sys.modules}
print(*sorted({"prometheus_client", "opentelemetry"} & loaded))
"""


@pytest.mark.parametrize("asked", [True, False])
def test_a_program_with_the_platform_inside_exports_where_it_is_asked_to(
    asked: bool, tmp_path: Path
):
    with MetricsSink() as sink:
        env = {"EP_SANDBOX": "1", **(sink.environment if asked else {})}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM],
            env=clean_environment(env),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        # It has no page, and pays for none.
        assert done.stdout == ("opentelemetry\n" if asked else "\n")
        points = sink.points("ep.request.duration")
        assert of(points, ep__persona="architect_openai", ep__stream=True) == [1] * asked
        assert sink.points("http.server.request.duration") == []

"""What tracing does to the process: start, stop, workers, and collectors that are not there."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serving import Proxy, SandboxProcess, clean_environment, run_to_end, wait_until
from tests.telemetry.otlp_sink import OtlpSink

BODY = {"model": "architect", "messages": [{"role": "user", "content": "Hi"}]}
UNUSED = "http://127.0.0.1:9"


def ask(server: Proxy, stream: bool = False) -> httpx.Response:
    url = f"{server.url}/v1/chat/completions"
    return httpx.post(url, json={**BODY, "stream": stream}, trust_env=False, timeout=30)


def trace_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return answer.headers["traceresponse"].split("-")[1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_spans_are_delivered_before_the_process_ends(workers: str):
    # The schedule is far longer than the test: only the flush at the end can deliver them.
    with OtlpSink() as sink:
        env = {**sink.environment, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with Proxy("--sandbox", "--workers", workers, env=env) as server:
            wait_until(lambda: _answers(server), 30)
            traces = [trace_of(ask(server, stream=i % 2 == 0)) for i in range(12)]
            assert sink.spans == []
            server.stop()
        assert {trace: len(sink.of_trace(trace)) for trace in traces} == dict.fromkeys(traces, 3)
        assert "Failed to detach context" not in server.log()


def _answers(server: Proxy) -> bool:
    try:
        return httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("collector", ["closed", "silent", "failing"])
def test_a_collector_that_is_not_there_harms_no_request(collector: str):
    with socket.socket() as silent, OtlpSink(status=503) as failing:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        urls = {
            "closed": UNUSED,
            "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "failing": failing.url,
        }
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": urls[collector], "OTEL_BSP_SCHEDULE_DELAY": "10"}
        with Proxy("--sandbox", env=env) as server:
            for number in range(20):
                trace_of(ask(server, stream=number % 2 == 0))
            # Generous: what is left undelivered is given up after five seconds.
            assert server.stop(seconds=20) in (0, -15)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": UNUSED, "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": UNUSED, "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": UNUSED, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_tracing_that_is_off_is_not_even_imported(env: dict[str, str]):
    program = """
import asyncio, sys
from proxy.service import load_configuration, open_service
async def main():
    async with open_service(load_configuration()) as service:
        span = service.telemetry.request({})
        print(span.traceresponse, [name for name in sys.modules if "opentelemetry" in name])
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment({"EP_SANDBOX": "1", **env}),
    )
    assert done.stdout == "None []\n"


def test_tracing_that_is_off_sends_neither_spans_nor_headers(providers: SandboxProcess):
    with OtlpSink() as sink:
        env = {**sink.environment, "OTEL_TRACES_EXPORTER": "none"}
        with Proxy("--sandbox", env=env) as server:
            headers = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
            url = f"{server.url}/v1/chat/completions"
            answer = httpx.post(url, json=BODY, headers=headers, trust_env=False)
            assert answer.status_code == 200
            assert "traceresponse" not in answer.headers
            server.stop()
        assert sink.exports == 0


def test_variables_of_the_env_file_count_too(tmp_path: Path):
    with OtlpSink() as sink:
        lines = [f"{name}={value}" for name, value in sink.environment.items()]
        lines.append("OTEL_RESOURCE_ATTRIBUTES=service.name=mine,deployment.environment.name=test")
        (tmp_path / ".env").write_text("\n".join(lines))
        program = """
import asyncio
from proxy.service import load_configuration, open_service
async def main():
    async with open_service(load_configuration()) as service:
        scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http",
                 "http_version": "1.1", "headers": []}
        service.telemetry.request(scope).end(status=200, attributes={}, error_type=None)
asyncio.run(main())
"""
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            cwd=tmp_path,
            env=clean_environment({"EP_SANDBOX": "1"}),
        )
        (span,) = sink.spans
        assert span.resource["service.name"] == "mine"
        assert span.resource["deployment.environment.name"] == "test"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OTEL_PROPAGATORS", "pigeon", "which is not installed; `tracecontext`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "which is not built in"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "known are `always_on`"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "known are `otlp`, `console` and `none`"),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_exporter_that_is_not_built_in_stops_the_start(
    name: str, value: str, said: str, workers: str
):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": UNUSED, name: value}
    done = run_to_end("serve", "--sandbox", "--port", "0", "--workers", workers, env=env)
    assert done.returncode == 1
    assert said in done.stderr
    assert f"`{value}`" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""

"""What a process of the CLI is told of tracing."""

import pytest

from proxy.providers.claude_agent.cli_telemetry import (
    joins,
    obstacle,
    request_environment,
    sampled,
    telemetry_environment,
)

RELAY = "http://127.0.0.1:4711/door"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.test:4318"}


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.test/x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "console"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "otlp,console"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "zipkin"}, False),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_CERTIFICATE": __file__}, True),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"}, False),
    ],
)
def test_the_cli_joins_where_our_own_spans_go_to_a_collector(ours: dict[str, str], expected: bool):
    assert joins(ours) is expected
    assert bool(telemetry_environment(ours, relay=RELAY)) is expected


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (
            {**ENDPOINT, "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/json"),
    ],
)
def test_where_it_cannot_the_reason_is_told(ours: dict[str, str], words: str):
    assert words in (obstacle(ours) or "")


@pytest.mark.parametrize("ours", [{}, ENDPOINT, {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}])
def test_where_it_can_or_need_not_there_is_none(ours: dict[str, str]):
    assert obstacle(ours) is None


def test_it_reports_to_the_relay_spans_alone_and_knows_nothing_of_the_collector():
    secret = "canary-1f"
    ours = {
        **ENDPOINT,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={secret}",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS": f"x-key={secret}",
        "OTEL_RESOURCE_ATTRIBUTES": f"deployment.environment.name={secret}",
        "OTEL_SERVICE_NAME": secret,
        "OTEL_LOG_USER_PROMPTS": "1",
        "OTEL_LOG_TOOL_DETAILS": "1",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
    }
    told = telemetry_environment(ours, relay=RELAY)
    assert secret not in repr(told) and "collector.test" not in repr(told)
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == RELAY
    assert (told["OTEL_LOGS_EXPORTER"], told["OTEL_METRICS_EXPORTER"]) == ("none", "none")
    assert not [name for name in told if name.startswith("OTEL_LOG_")]
    assert told["OTEL_SERVICE_NAME"] == "claude-code"


def test_a_request_brings_its_place_in_the_trace_and_nothing_of_the_callers():
    assert request_environment("00-a-b-01") == {"TRACEPARENT": "00-a-b-01"}
    assert request_environment(None) == {}


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        ("00-a-b-01", True),
        ("00-a-b-03", True),
        ("00-a-b-00", False),
        ("00-a-b-02", False),
        (None, False),
    ],
)
def test_what_is_not_sampled_has_nothing_to_report(traceparent: str | None, expected: bool):
    assert sampled(traceparent) is expected

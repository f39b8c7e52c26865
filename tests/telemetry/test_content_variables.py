"""The variables that switch content capture on, and the secrets that the server knows."""

import subprocess
import sys

import pytest

from policy.build import CapabilityTable, build
from policy.document import parse
from policy.schema import Policy
from proxy.telemetry.content.known_secrets import known_secrets, presented_keys
from proxy.telemetry.content.mode import (
    CAPTURE,
    ContentMode,
    check_events,
    content_bytes,
    content_mode,
)
from proxy.telemetry.setup import TelemetryError, check_telemetry
from tests.serving import clean_environment, run_to_end

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


class TestMode:
    @pytest.mark.parametrize(
        ("value", "spans", "events"),
        [
            *(("", False, False), ("NO_CONTENT", False, False), ("false", False, False)),
            *(("SPAN_ONLY", True, False), (" span_only ", True, False), ("True", True, False)),
            *(("event_only", False, True), ("Span_And_Event", True, True)),
        ],
    )
    def test_values(self, value: str, spans: bool, events: bool) -> None:
        mode = content_mode({CAPTURE: value})
        assert mode == ContentMode(spans, events)
        assert mode.captures == (spans or events)
        assert content_mode({}) == ContentMode()

    @pytest.mark.parametrize("value", ["yes", "SPANS", "1", "SPAN_ONLY,EVENT_ONLY"])
    @pytest.mark.parametrize("traced", [{}, ENDPOINT])
    def test_another_value_stops_the_start(self, value: str, traced: dict[str, str]) -> None:
        with pytest.raises(TelemetryError) as raised:
            check_telemetry({CAPTURE: value, **traced})
        assert f"{CAPTURE} is `{value}`; known are `NO_CONTENT`, `SPAN_ONLY`" in str(raised.value)

    @pytest.mark.parametrize("command", [("serve", "--sandbox", "--port", "0"), ("check",)])
    def test_it_is_said_in_a_line(self, command: tuple[str, ...]) -> None:
        done = run_to_end(*command, env={CAPTURE: "everything", **ENDPOINT})
        assert done.returncode != 0
        assert f"{CAPTURE} is `everything`; known are" in done.stderr
        assert "Traceback" not in done.stderr

    def test_check_says_that_content_leaves(self) -> None:
        for value, words in (("SPAN_ONLY", ", with what clients ask"), ("NO_CONTENT", "on\n")):
            done = run_to_end("check", env={CAPTURE: value, "EP_SANDBOX": "1", **ENDPOINT})
            assert f"tracing    on{words.removeprefix('on')}" in done.stdout

    def test_off_the_exporter_of_events_is_not_even_imported(self) -> None:
        program = """
import asyncio, sys
from proxy.service import load_configuration, open_service
async def main():
    async with open_service(load_configuration()):
        print([name for name in sys.modules if "_logs" in name and "exporter" in name
               or name in ("proxy.telemetry.content.events", "re2")])
asyncio.run(main())
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=clean_environment({"EP_SANDBOX": "1", **ENDPOINT}),
        )
        assert done.stdout == "[]\n"


class TestEvents:
    @pytest.mark.parametrize(
        ("environment", "exporter"),
        [
            ({}, "otlp"),
            ({"OTEL_LOGS_EXPORTER": " Console "}, "console"),
            ({"OTEL_LOGS_EXPORTER": "none"}, "none"),
            ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp"),
            (
                {
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
                },
                "otlp",
            ),
            ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_LOGS_EXPORTER": "none"}, "none"),
        ],
    )
    def test_where_they_go(self, environment: dict[str, str], exporter: str) -> None:
        assert check_events(environment) == exporter

    @pytest.mark.parametrize(
        ("environment", "said"),
        [
            ({"OTEL_LOGS_EXPORTER": "loki"}, "OTEL_LOGS_EXPORTER is `loki`; known are `otlp`"),
            ({"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}, "over `http/protobuf` only"),
        ],
    )
    def test_what_cannot_be_is_refused_where_events_are_wanted(
        self, environment: dict[str, str], said: str
    ) -> None:
        with pytest.raises(TelemetryError, match=said):
            check_telemetry({**ENDPOINT, **environment, CAPTURE: "EVENT_ONLY"})
        check_telemetry({**ENDPOINT, **environment, CAPTURE: "SPAN_ONLY"})

    @pytest.mark.parametrize(
        ("environment", "bytes"),
        [
            ({}, 5000),
            ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "300"}, 300),
            ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "30000"}, 5000),
            (
                {
                    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "300",
                    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "900",
                },
                900,
            ),
            ({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": ""}, 5000),
        ],
    )
    def test_limits_of_opentelemetry_count(self, environment: dict[str, str], bytes: int) -> None:
        assert content_bytes(environment, 5000) == bytes


def policy(**sections: object) -> Policy:
    import json

    return build(
        parse(json.dumps(sections), "t.yaml"), capabilities=CapabilityTable(), read_prompt=str
    )


class TestKnownSecrets:
    def test_what_the_server_knows(self) -> None:
        row = {
            "dialect": "openai_chat",
            "base_url": "https://api.example/v1",
            "model": "m",
            "api_key_env": ["FIRST", "SECOND"],
            "headers": {"x-team": "red-squadron", "x-n": "1"},
        }
        server = {"url": "https://mcp.example", "headers_env": {"authorization": "DOCS"}}
        agent = {
            "dialect": "claude_agent",
            "base_url": "https://api.example",
            "model": "m",
            "agent": {"mcp_servers": {"docs": server}},
        }
        environment = {
            "FIRST": "key1",
            "SECOND": " second-key ",
            "DOCS": "Bearer docs-credential",
            "AWS_SECRET_ACCESS_KEY": "aws-access-secret",
            "GITHUB_TOKEN": "plain-hub-token",
            "DB_PASSWORD": "long-enough-word",
            "SHORT_TOKEN": "true",
            "MAX_TOKENS": "1000000000",
            "PATH": "/usr/local/bin",
            "EP_REDIS_URL": "redis://user:redis-word@host:6379/0",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=collector-1,authorization=Basic%20YWJjZGVmZ2g",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x=collector-2",
        }
        found = known_secrets(
            policy(providers={"a": row, "b": agent}, personas={}), environment, ["client-1"]
        )
        assert found == {
            *("client-1", "key1", "second-key", "red-squadron", "docs-credential"),
            *("Bearer docs-credential", "aws-access-secret", "plain-hub-token", "redis-word"),
            *("long-enough-word", "collector-1", "collector-2", "Basic%20YWJjZGVmZ2g"),
            *("Basic YWJjZGVmZ2g", "YWJjZGVmZ2g"),
        }

    def test_what_a_caller_shows(self) -> None:
        headers = [
            (b"authorization", b"Bearer caller-key-1"),
            (b"x-api-key", b"caller-key-2"),
            (b"user-agent", b"something-long"),
            (b"api-key", b"short"),
        ]
        found = presented_keys(headers)
        assert found == ["Bearer caller-key-1", "caller-key-1", "caller-key-2", "caller-key-2"]
        assert presented_keys(()) == []

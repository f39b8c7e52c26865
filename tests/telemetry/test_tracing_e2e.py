"""Tracing over real sockets: a caller, the server process, a provider and a collector."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess
from tests.telemetry.backends.spans import TracedSpan
from tests.telemetry.caller import CANARY, CHAT, STATE, Caller, upstream
from tests.telemetry.otlp_sink import OtlpSink


def policy_for(sandbox: SandboxProcess) -> dict[str, Any]:
    openai = {
        "dialect": "openai_chat",
        "base_url": sandbox.openai,
        "api_key_env": "UPSTREAM_KEY",
        "model": "gpt-4.1",
        "capabilities": ["system_prompts", "streaming", "tool_calling"],
    }
    anthropic = {
        **openai,
        "dialect": "anthropic_messages",
        "base_url": sandbox.anthropic,
        "model": "claude-sonnet-4-6",
    }
    rows = {
        "openai": openai,
        "anthropic": anthropic,
        "hidden": {**openai, "trace_context": "none"},
        "whole": {**openai, "trace_context": "full"},
    }
    personas = {name: {"provider_preferences": [name]} for name in rows}
    personas["both"] = {"provider_preferences": ["anthropic", "openai"]}
    return {"providers": rows, "personas": personas}


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(providers: SandboxProcess, sink: OtlpSink) -> Iterator[Proxy]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, **sink.environment}
    with Proxy(env=env, policy=policy_for(providers)) as server:
        yield server


def tree(spans: list[TracedSpan]) -> tuple[TracedSpan, list[TracedSpan]]:
    (root,) = [span for span in spans if span.kind == "SERVER"]
    attempts = [span for span in spans if span.kind == "CLIENT"]
    assert {span.parent for span in attempts} <= {root.id}
    return root, attempts


@pytest.mark.parametrize("persona", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_row_81_row_82_row_86_row_99_caller_proxy_and_provider_are_one_trace(
    traced: Proxy, providers: SandboxProcess, sink: OtlpSink, persona: str, stream: bool
):
    caller = Caller()
    answer = caller.ask(traced, persona, stream=stream)
    assert answer.status_code == 200
    root, (attempt,) = tree(sink.wait_for(caller.trace, 2))
    assert root.parent == caller.span
    assert (root.name, root.status, attempt.status) == (f"POST {CHAT}", "UNSET", "UNSET")
    assert root.start <= attempt.start <= attempt.end <= root.end
    (headers,) = upstream(providers, caller)
    version, trace, parent, flags = headers["traceparent"].split("-")
    assert (version, trace, parent) == ("00", caller.trace, attempt.id)
    assert int(flags, 16) & 1 == 1
    response = re.fullmatch(r"00-(\w{32})-(\w{16})-(\w{2})", answer.headers["traceresponse"])
    assert response is not None
    assert response.groups()[:2] == (caller.trace, root.id)
    assert attempt.attributes["gen_ai.usage.input_tokens"] > 0
    assert attempt.attributes["server.port"] == int(providers.url.rpartition(":")[2])
    assert root.resource["service.name"] == "execution-platform"
    assert root.resource["process.pid"] == traced.pid


@pytest.mark.parametrize("persona", ["openai", "anthropic", "hidden"])
def test_bug_02_nothing_else_of_the_caller_reaches_the_provider(
    traced: Proxy, providers: SandboxProcess, persona: str
):
    caller = Caller()
    caller.ask(traced, persona, stream=True)
    (headers,) = upstream(providers, caller)
    assert CANARY not in json.dumps(headers) and STATE not in json.dumps(headers)
    assert caller.span not in json.dumps(headers)
    assert not {"tracestate", "baggage", "x-private"} & set(headers)
    assert ("traceparent" in headers) == (persona != "hidden")


def test_a_server_of_ones_own_may_see_the_whole_context(traced: Proxy, providers: SandboxProcess):
    caller = Caller()
    caller.ask(traced, "whole")
    (headers,) = upstream(providers, caller)
    assert headers["tracestate"] == f"vendor={STATE}"
    assert headers["baggage"] == f"user={CANARY}"
    assert "x-private" not in headers


@pytest.mark.parametrize("stream", [False, True])
def test_row_87_a_fallback_is_two_attempts_below_one_root(
    traced: Proxy, providers: SandboxProcess, sink: OtlpSink, stream: bool
):
    caller = Caller()
    answer = caller.ask(traced, "both", "[sandbox provider=anthropic fail=529]", stream=stream)
    assert answer.status_code == 200
    root, (failed, served) = tree(sink.wait_for(caller.trace, 3))
    assert [span.status for span in (root, failed, served)] == ["UNSET", "ERROR", "UNSET"]
    assert failed.name == "chat claude-sonnet-4-6"
    assert failed.attributes["error.type"] == "overloaded_error"
    assert failed.attributes["http.response.status_code"] == 529
    assert served.attributes["ep.attempt.reason"] == "fallback"
    parents = [headers["traceparent"].split("-")[2] for headers in upstream(providers, caller)]
    assert parents == [failed.id, served.id]


def test_row_85_a_stream_cut_by_the_provider_ends_both_spans_as_errors(
    traced: Proxy, sink: OtlpSink
):
    caller = Caller()
    answer = caller.ask(traced, "openai", "[sandbox words=50 cut=20]", stream=True)
    assert answer.status_code == 200
    root, (attempt,) = tree(sink.wait_for(caller.trace, 2))
    assert (root.status, attempt.status) == ("ERROR", "ERROR")
    assert attempt.attributes["ep.stream.end_reason"] == "upstream_error"
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ["error"]


def test_a_client_that_leaves_is_no_error(traced: Proxy, sink: OtlpSink):
    caller = Caller()
    message = {"role": "user", "content": "[sandbox words=500 gap=0.05]"}
    body = {"model": "openai", "messages": [message], "stream": True}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", traced.url + CHAT, json=body, headers=caller.headers) as answer,
    ):
        next(answer.iter_lines())
    root, (attempt,) = tree(sink.wait_for(caller.trace, 2))
    for span in (root, attempt):
        assert span.status == "UNSET"
        assert span.attributes["ep.stream.end_reason"] == "client_disconnect"


def test_bug_08_no_key_and_no_prompt_leaves_in_a_span(traced: Proxy, sink: OtlpSink):
    callers = [Caller() for _ in range(3)]
    callers[0].ask(traced, "openai", CANARY)
    callers[1].ask(traced, "anthropic", f"{CANARY} [sandbox fail=400]")
    callers[2].ask(traced, "openai", f"{CANARY} [sandbox error=3]", stream=True)
    for caller in callers:
        text = repr(sink.wait_for(caller.trace, 2))
        assert CANARY not in text
        assert UPSTREAM_KEY not in text

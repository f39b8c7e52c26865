"""The trace of a request that the Claude CLI serves: ours, and below it what the CLI reports.

The OpenAI SDK's place is taken by a caller with a trace of its own; all else is real: the server
process, the CLI, the native wire, a collector.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.claude_agent.running import NEEDS_CLI
from tests.claude_agent.test_agent import use
from tests.http.agent_server import policy
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess, wait_until
from tests.telemetry.backends.spans import TracedSpan
from tests.telemetry.caller import CANARY, Caller, upstream
from tests.telemetry.otlp_sink import OtlpSink

pytestmark = NEEDS_CLI

Json = dict[str, Any]


def with_reader(sandbox: SandboxProcess, folder: Path) -> Json:
    """Return a policy with an agent that may read in a folder, beside a persona of none."""
    given = policy(sandbox, pool=1)
    opened = {"tools": ["Read"], "working_directory": str(folder)}
    given["providers"]["reader"] = {**given["providers"]["agent"], "pool": 0, "agent": opened}
    given["personas"]["reader"] = {"provider_preferences": ["reader", "anthropic"]}
    return given


@pytest.fixture(scope="module")
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as collector:
        yield collector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / "note.txt").write_text(f"a note with {CANARY}")
    return folder


@pytest.fixture(scope="module")
def traced(
    providers: SandboxProcess,
    sink: OtlpSink,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxy]:
    temporary = str(tmp_path_factory.mktemp("files"))
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": temporary, **sink.environment}
    with Proxy(env=env, policy=with_reader(providers, folder)) as server:
        yield server


def tree(spans: list[TracedSpan]) -> dict[str, str]:
    """Return each span's name with the name of its parent."""
    names = {span.id: span.name for span in spans}
    return {span.name: names.get(span.parent, "(caller)") for span in spans}


SERVER = "POST /v1/chat/completions"
AGENT = "invoke_agent claude_agent"


@pytest.mark.parametrize("stream", [False, True])
def test_the_cli_joins_the_trace(
    traced: Proxy, sink: OtlpSink, providers: SandboxProcess, stream: bool
):
    caller = Caller()
    answer = caller.ask(traced, "claude", f"Hi {CANARY}", stream=stream)
    assert answer.status_code == 200
    spans = sink.wait_for(caller.trace, 4)
    assert tree(spans) == {
        SERVER: "(caller)",
        AGENT: SERVER,
        "claude_code.interaction": AGENT,
        "claude_code.llm_request": "claude_code.interaction",
    }
    assert all(span.status == "UNSET" for span in spans)
    by_name = {span.name: span for span in spans}
    agent = by_name[AGENT]
    assert agent.kind == "CLIENT"
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert agent.attributes["gen_ai.usage.output_tokens"] > 0
    assert agent.attributes["ep.agent.process"] in ("parked", "spawned")
    # What is counted by the conventions' words is counted once.
    own = [span for span in spans if any(name.startswith("gen_ai.") for name in span.attributes)]
    assert own == [agent]
    assert by_name["claude_code.llm_request"].resource["service.name"] == "claude-code"
    told = repr(spans)
    assert CANARY not in told and UPSTREAM_KEY not in told and "user." not in told
    # The API's own parent is our span, not the CLI's.
    (headers,) = upstream(providers, caller)
    assert headers["traceparent"].split("-")[1:3] == [caller.trace, agent.id]


def test_parked_processes_take_no_trace_from_one_request_to_the_next(traced: Proxy, sink: OtlpSink):
    first, second = Caller(), Caller()
    for caller in (first, second):
        assert caller.ask(traced, "claude").status_code == 200
    for caller in (first, second):
        spans = sink.wait_for(caller.trace, 4)
        assert len(spans) == 4
        assert {span.trace for span in spans} == {caller.trace}


def test_an_agents_tools_are_spans_below_its_own(traced: Proxy, sink: OtlpSink, folder: Path):
    caller = Caller()
    ask = use("Read", file_path=str(folder / "note.txt"))
    assert caller.ask(traced, "reader", f'{ask} say="Read."]').status_code == 200
    wait_until(lambda: SERVER in tree(sink.of_trace(caller.trace)), 10)
    spans = sink.wait_for(caller.trace, 8)
    names = tree(spans)
    assert names["execute_tool Read"] == AGENT
    assert names[AGENT] == SERVER
    assert names["claude_code.interaction"] == AGENT
    by_name = {span.name: span for span in spans}
    tool = by_name["execute_tool Read"]
    assert tool.attributes["gen_ai.tool.name"] == "Read"
    assert by_name[AGENT].start <= tool.start <= tool.end <= by_name[AGENT].end
    assert by_name[AGENT].attributes["ep.agent.cost_usd"] > 0
    assert CANARY not in repr(spans) and "note.txt" not in repr(spans)


def test_a_run_whose_tools_have_run_is_tried_nowhere_else(
    traced: Proxy, sink: OtlpSink, folder: Path
):
    """Its second call fails: another provider, or the same once more, would do it all again."""
    caller = Caller()
    ask = use("Read", file_path=str(folder / "note.txt"))
    fails = f"[sandbox fail=529 after=1 key={caller.trace}]"
    answer = caller.ask(traced, "reader", f"{ask} rounds=9] {fails}")
    assert answer.status_code == 503, answer.text
    assert answer.headers["x-should-retry"] == "false"
    spans = sink.wait_for(caller.trace, 3)
    assert [span.name for span in spans].count(AGENT) == 1
    assert not [span for span in spans if span.name.startswith("chat ")]
    agent = next(span for span in spans if span.name == AGENT)
    assert agent.status == "ERROR"


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_on"])
def test_what_is_not_sampled_is_not_reported(
    providers: SandboxProcess, tmp_path: Path, sampler: str
):
    with OtlpSink() as sink:
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": str(tmp_path), **sink.environment}
        env["OTEL_TRACES_SAMPLER"] = sampler
        with Proxy(env=env, policy=policy(providers)) as server:
            caller = Caller()
            caller.headers["traceparent"] = f"00-{caller.trace}-{caller.span}-00"
            assert caller.ask(server, "claude").status_code == 200
            server.stop()
        assert sink.spans == []


def test_the_last_spans_are_delivered_when_the_server_stops(
    providers: SandboxProcess, tmp_path: Path
):
    with OtlpSink() as sink:
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": str(tmp_path), **sink.environment}
        with Proxy(env=env, policy=policy(providers)) as server:
            caller = Caller()
            assert caller.ask(server, "claude").status_code == 200
            server.stop()
        names = {span.name for span in sink.of_trace(caller.trace)}
        assert {SERVER, AGENT, "claude_code.interaction"} <= names
    assert list(tmp_path.iterdir()) == []


def test_a_collector_that_is_down_delays_no_answer(providers: SandboxProcess, tmp_path: Path):
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "TMPDIR": str(tmp_path)}
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    with Proxy(env=env, policy=policy(providers)) as server:
        answer = Caller().ask(server, "claude")
    assert answer.status_code == 200
    assert json.loads(answer.content)["choices"][0]["finish_reason"] == "stop"

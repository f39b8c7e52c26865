"""The trees of requests that the real Claude CLI serves, as a collector or Jaeger has them."""

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import pytest

from tests.claude_agent.running import NEEDS_CLI
from tests.claude_agent.test_agent import use
from tests.serving import SandboxProcess
from tests.telemetry.backends.backend import whole_trace
from tests.telemetry.backends.spans import children_of
from tests.telemetry.caller import Caller, upstream
from tests.telemetry.conftest import Exporter
from tests.telemetry.test_agent_traces import with_reader
from tests.telemetry.traced_server import (
    CANARIES,
    SERVER,
    SYSTEM_PROMPT,
    TracedServer,
    ours,
    serving,
)

pytestmark = NEEDS_CLI


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    (folder / f"{CANARIES['arguments']}.txt").write_text(f"a note with {CANARIES['answer']}")
    return folder


@pytest.fixture(scope="module")
def traced(
    providers: SandboxProcess,
    exporter: Exporter,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TracedServer]:
    policy = with_reader(providers, folder)
    for persona in policy["personas"].values():
        persona["system_prompt"] = SYSTEM_PROMPT
    env = {"TMPDIR": str(tmp_path_factory.mktemp("files"))}
    backend, protocol = exporter.backend, exporter.protocol
    with serving(providers, backend, protocol, policy=policy, env=env) as server:
        yield server


SUCCESS = f"""
{SERVER} SERVER UNSET completed
  invoke_agent claude_agent CLIENT UNSET completed"""

WITH_TOOL = f"""
{SERVER} SERVER UNSET completed
  route reader INTERNAL UNSET
  invoke_agent claude_agent CLIENT UNSET completed
    execute_tool Read INTERNAL UNSET"""

FAILED = f"""
{SERVER} SERVER UNSET upstream_error
  invoke_agent claude_agent CLIENT ERROR invalid_request_error upstream_error"""

FELL_BACK = f"""
{SERVER} SERVER UNSET completed
  route either INTERNAL UNSET
  invoke_agent claude_agent CLIENT ERROR overloaded_error upstream_error
  chat claude-sonnet-5 CLIENT UNSET completed"""

LEFT = f"""
{SERVER} SERVER UNSET client_disconnect
  invoke_agent claude_agent CLIENT UNSET client_disconnect"""


@pytest.mark.parametrize("stream", [False, True])
def test_an_agents_own_spans_are_below_its_attempt(traced: TracedServer, stream: bool) -> None:
    caller = Caller()
    text = f'[sandbox say="{CANARIES["answer"]}"]'
    answer = traced.ask(caller, traced.body(caller, "claude", text, stream=stream))
    assert answer.status_code == 200
    spans = traced.spans(caller, 4)
    assert traced.tree(caller, spans) == cleandoc(SUCCESS)
    (agent,) = [span for span in spans if span.kind == "CLIENT"]
    (interaction,) = children_of(agent, spans)
    assert interaction.name == "claude_code.interaction"
    (asked,) = children_of(interaction, spans)
    assert asked.name == "claude_code.llm_request"
    assert {span.status for span in spans} == {"UNSET"}
    (headers,) = upstream(traced.sandbox, caller)
    assert headers["traceparent"].split("-")[1:3] == [caller.trace, agent.id]


def test_a_tool_that_it_runs_is_below_its_attempt(traced: TracedServer, folder: Path) -> None:
    caller = Caller()
    (note,) = folder.iterdir()
    text = f'{use("Read", file_path=str(note))} say="Read."]'
    assert traced.ask(caller, traced.body(caller, "reader", text)).status_code == 200
    spans = traced.spans(caller, 9)
    assert traced.tree(caller, spans) == cleandoc(WITH_TOOL)
    others = [span.name for span in spans if span not in ours(spans)]
    assert "claude_code.tool" in others
    assert others.count("claude_code.llm_request") == 2


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_that_fails_is_an_attempt_that_failed(traced: TracedServer, stream: bool) -> None:
    caller = Caller()
    answer = traced.ask(caller, traced.body(caller, "claude", "[sandbox fail=400]", stream=stream))
    assert answer.status_code == 400, answer.text
    assert traced.tree(caller, traced.spans(caller)) == cleandoc(FAILED)


@pytest.mark.parametrize("stream", [False, True])
def test_another_provider_may_take_its_place(traced: TracedServer, stream: bool) -> None:
    caller = Caller()
    # The same API is behind both: it is well again when the second is asked.
    fails = f"[sandbox fail=529 times=1 key={caller.trace}]"
    answer = traced.ask(caller, traced.body(caller, "either", fails, stream=stream))
    assert answer.status_code == 200, answer.text
    assert traced.tree(caller, traced.spans(caller)) == cleandoc(FELL_BACK)


async def test_who_leaves_an_agent_makes_no_error(traced: TracedServer) -> None:
    caller = Caller()
    body = traced.body(caller, "claude", "[sandbox stall=9 words=60]", stream=True)
    async with await traced.connect(caller, body) as connection:
        await connection.until(b'"content":"')
    spans = whole_trace(traced.backend, caller.trace)
    assert traced.tree(caller, spans) == cleandoc(LEFT)

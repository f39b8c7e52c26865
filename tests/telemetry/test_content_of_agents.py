"""Captured content of a run of the real Claude CLI: what it was asked and what it said at last."""

import json
import secrets
from pathlib import Path

import httpx
import pytest

from tests.claude_agent.running import NEEDS_CLI
from tests.claude_agent.test_agent import use
from tests.http import agent_server
from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess
from tests.telemetry import genai_schema as schema
from tests.telemetry.backends.spans import TracedSpan
from tests.telemetry.content_sink import ContentSink

pytestmark = NEEDS_CLI

MODE = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
NOTE = "note-of-the-agent-5d"


def attempt_of(
    providers: SandboxProcess, folder: Path, persona: str, content: str, *, stream: bool
) -> tuple[str, TracedSpan, list[TracedSpan]]:
    """Return the answer, the attempt's span, and the others."""
    policy = agent_server.policy(providers, pool=0)
    tools = {"tools": ["Read"], "working_directory": str(folder)}
    policy["providers"]["reader"] = {**policy["providers"]["agent"], "agent": tools}
    policy["personas"]["reader"] = {"provider_preferences": ["reader"]}
    trace = secrets.token_hex(16)
    with ContentSink() as sink:
        env = {"UPSTREAM_KEY": UPSTREAM_KEY, **MODE, **sink.environment}
        with Proxy(env=env, policy=policy) as server:
            body = {"model": persona, "messages": [{"role": "user", "content": content}]}
            answer = httpx.post(
                f"{server.url}/v1/chat/completions",
                json={**body, "stream": stream},
                headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"},
                trust_env=False,
                timeout=60,
            )
            server.stop()
        assert answer.status_code == 200
        spans = sink.of_trace(trace)
    (attempt,) = [span for span in spans if span.name.startswith("invoke_agent")]
    if not stream:
        return answer.json()["choices"][0]["message"]["content"], attempt, spans
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines]
    return "".join(deltas), attempt, spans


@pytest.mark.parametrize("stream", [False, True])
def test_what_an_agent_was_asked_and_said(
    providers: SandboxProcess, tmp_path: Path, stream: bool
) -> None:
    said, attempt, spans = attempt_of(providers, tmp_path, "claude", "Hi there", stream=stream)
    (asked,) = schema.messages(attempt.attributes["gen_ai.input.messages"])
    assert asked["parts"] == [{"type": "text", "content": "Hi there"}]
    (prompt,) = schema.instructions(attempt.attributes["gen_ai.system_instructions"])
    assert prompt["content"] == agent_server.PROMPT
    (answer,) = schema.messages(attempt.attributes["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": said}]
    # The CLI's own spans stay without.
    assert any(span.name.startswith("claude_code.") for span in spans)
    assert not any("Hi there" in str(span) for span in spans if span is not attempt)


def test_what_its_tools_were_told_and_said_is_on_no_span(
    providers: SandboxProcess, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text(NOTE)
    ask = use("Read", file_path=str(tmp_path / "note.txt"))
    _, attempt, spans = attempt_of(
        providers, tmp_path, "reader", f'{ask} say="Read."]', stream=False
    )
    assert "Read." in attempt.attributes["gen_ai.output.messages"]
    assert any(span.name == "execute_tool Read" for span in spans)
    assert not any(NOTE in str(span) for span in spans)
    others = [span for span in spans if span is not attempt]
    assert not any("note.txt" in str(span) for span in others)

"""The span of an agent's attempt, and those of the tools that it runs."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind

from proxy.call import AgentFacts, Call
from proxy.telemetry.spans import NO_TELEMETRY, AttemptEnd, AttemptSpan, AttemptStart, Telemetry
from proxy.telemetry.tracing.otel import OtelTelemetry
from proxy.telemetry.tracing.tools import LONGEST_NAME, MOST
from tests.telemetry.traced_app import Answer, ScriptedProvider, TracedApp, span_id, trace_id
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Outcome

SCOPE: dict[str, Any] = {
    "method": "POST",
    "path": "/",
    "scheme": "http",
    "http_version": "1.1",
    "headers": [],
}


def start(dialect: str = "claude_agent", trace_context: str = "traceparent") -> AttemptStart:
    return AttemptStart(
        provider="repo_agent",
        dialect=dialect,
        model="claude-sonnet-5",
        base_url="https://api.anthropic.com",
        number=1,
        reason="initial",
        stream=False,
        parameters={},
        report=Report(),
        trace_context=trace_context,
    )


class Traced:
    """One attempt, and the spans that came of it."""

    def __init__(
        self,
        dialect: str = "claude_agent",
        *,
        trace_context: str = "traceparent",
        sampler: Sampler = ALWAYS_ON,
    ) -> None:
        self.exporter = InMemorySpanExporter()
        tracing = TracerProvider(shutdown_on_exit=False, sampler=sampler)
        tracing.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.span = (
            OtelTelemetry(tracing, "0").request(SCOPE).attempt(start(dialect, trace_context))
        )
        self.call = call_of(self.span)

    def end(
        self, end_reason: str = "completed", error: ProviderError | None = None, **outcome: Any
    ) -> ReadableSpan:
        """End the attempt; return its span."""
        said = Outcome(**outcome) if outcome else None
        self.span.end(AttemptEnd(self.call, said, end_reason, error))
        return self.exporter.get_finished_spans()[-1]

    @property
    def tools(self) -> list[ReadableSpan]:
        found = self.exporter.get_finished_spans()
        return [span for span in found if span.kind is SpanKind.INTERNAL]


def call_of(span: AttemptSpan) -> Call:
    return Call(carrier=span.carrier, traceparent=span.traceparent, watch=span.watch)


def shown(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_an_agent_is_invoked_where_a_model_is_asked():
    traced = Traced()
    span = traced.end()
    assert (span.name, span.kind) == ("invoke_agent claude_agent", SpanKind.CLIENT)
    attributes = shown(span)
    assert attributes["gen_ai.operation.name"] == "invoke_agent"
    assert attributes["gen_ai.agent.name"] == "claude_agent"
    assert attributes["gen_ai.provider.name"] == "anthropic"
    assert attributes["gen_ai.request.model"] == "claude-sonnet-5"
    assert attributes["ep.upstream.name"] == "repo_agent"


def test_a_model_is_no_agent():
    traced = Traced("anthropic_messages")
    span = traced.end()
    assert span.name == "chat claude-sonnet-5"
    assert shown(span)["gen_ai.operation.name"] == "chat"
    assert not [name for name in shown(span) if "agent" in name]
    assert (traced.call.traceparent, traced.call.watch) == (None, None)


def test_what_the_agent_told_of_its_run_is_on_the_span():
    traced = Traced()
    traced.call.agent_ran(AgentFacts(process="parked", session="s-1", turns=3, cost=0.25))
    attributes = shown(traced.end())
    told = {name: value for name, value in attributes.items() if name.startswith("ep.agent.")}
    assert told == {
        "ep.agent.process": "parked",
        "ep.agent.session_id": "s-1",
        "ep.agent.num_turns": 3,
        "ep.agent.cost_usd": 0.25,
    }
    # New with every request: not what the conventions call a conversation.
    assert "gen_ai.conversation.id" not in attributes


def test_what_it_did_not_tell_is_left_out():
    traced = Traced()
    traced.call.agent_ran(AgentFacts(process="spawned"))
    attributes = shown(traced.end())
    assert [name for name in attributes if name.startswith("ep.agent.")] == ["ep.agent.process"]


def test_several_runs_for_one_answer_are_added_up():
    call = Call()
    call.agent_ran(AgentFacts(process="parked", session="a", turns=1, cost=0.25))
    call.agent_ran(AgentFacts(process="parked", session="b", turns=2))
    call.agent_ran(AgentFacts(process="parked", session="c", cost=0.5))
    assert call.agent == AgentFacts(process="parked", turns=3, cost=0.75)


def test_usage_is_on_the_agents_span_as_on_any_attempt():
    traced = Traced()
    attributes = shown(traced.end(id="msg_1", model="claude-sonnet-5-1", finish_reason="stop"))
    assert attributes["gen_ai.response.model"] == "claude-sonnet-5-1"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)


@pytest.mark.parametrize("trace_context", ["none", "traceparent", "full"])
def test_its_process_gets_the_attempts_own_place_whatever_the_provider_may_see(trace_context: str):
    traced = Traced(trace_context=trace_context)
    version, trace, parent, flags = (traced.call.traceparent or "").split("-")
    span = traced.end()
    assert span.context is not None
    assert (version, int(trace, 16), int(parent, 16)) == (
        "00",
        span.context.trace_id,
        span.context.span_id,
    )
    assert int(flags, 16) & 1 == 1
    assert ("traceparent" in traced.call.carrier) == (trace_context != "none")


def test_where_a_trace_is_not_sampled_its_process_is_told_and_nobody_watches():
    traced = Traced(sampler=ALWAYS_OFF)
    assert traced.call.traceparent is not None
    assert int(traced.call.traceparent.rpartition("-")[2], 16) & 1 == 0
    assert traced.call.watch is None
    traced.call.tool_started("toolu_1", "Read")
    traced.call.tool_ended("toolu_1")
    traced.span.end(AttemptEnd(traced.call, None, "completed"))
    assert traced.exporter.get_finished_spans() == ()


@pytest.mark.parametrize("telemetry", [NO_TELEMETRY])
def test_telemetry_that_is_off_does_nothing_for_agents(telemetry: Telemetry):
    call = call_of(telemetry.request({}).attempt(start()))
    assert (call.traceparent, call.watch, call.agent) == (None, None, None)
    call.tool_started("toolu_1", "Read")
    call.tool_ended("toolu_1")


def test_each_tool_is_a_span_below_the_attempts():
    traced = Traced()
    traced.call.tool_started("toolu_1", "Read")
    traced.call.tool_started("toolu_2", "Bash")
    traced.call.tool_ended("toolu_2")
    traced.call.tool_ended("toolu_1")
    attempt = traced.end()
    bash, read = traced.tools
    assert (read.name, bash.name) == ("execute_tool Read", "execute_tool Bash")
    for span, id in ((read, "toolu_1"), (bash, "toolu_2")):
        assert span.parent is not None and attempt.context is not None
        assert span.parent.span_id == attempt.context.span_id
        assert span.context is not None and span.context.trace_id == attempt.context.trace_id
        assert span.status.is_unset
        assert shown(span) == {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": span.name.partition(" ")[2],
            "gen_ai.tool.call.id": id,
            "gen_ai.tool.type": "function",
        }


def test_a_tool_that_failed_is_an_error_and_the_attempt_is_not():
    traced = Traced()
    traced.call.tool_started("toolu_1", "Bash")
    traced.call.tool_ended("toolu_1", failed=True)
    attempt = traced.end()
    (tool,) = traced.tools
    assert not tool.status.is_ok and not tool.status.is_unset
    assert shown(tool)["error.type"] == "tool_error"
    assert attempt.status.is_unset and "error.type" not in shown(attempt)


@pytest.mark.parametrize(
    ("reason", "error", "is_error"),
    [
        ("client_disconnect", None, False),
        ("completed", None, False),
        ("internal_error", None, True),
        ("upstream_error", ProviderError("It broke off.", kind="network"), True),
    ],
)
def test_a_tool_that_never_answers_ends_with_the_attempt(
    reason: str, error: ProviderError | None, is_error: bool
):
    traced = Traced()
    traced.call.tool_started("toolu_1", "Bash")
    attempt = traced.end(reason, error)
    (tool,) = traced.tools
    assert shown(tool)["error.type"] == "cancelled"
    assert tool.status.is_unset is not is_error
    assert attempt.status.is_unset is not is_error
    assert tool.end_time is not None and attempt.end_time is not None
    assert tool.end_time <= attempt.end_time


def _twice(call: Call) -> None:
    call.tool_started("toolu_1", "Read")
    call.tool_started("toolu_1", "Other")
    call.tool_ended("toolu_1")
    call.tool_ended("toolu_1")


def _unknown(call: Call) -> None:
    call.tool_ended("toolu_9")
    call.tool_started("toolu_1", "Read")


@pytest.mark.parametrize("tell", [_twice, _unknown])
def test_a_call_is_one_span(tell: Callable[[Call], None]):
    traced = Traced()
    tell(traced.call)
    traced.end()
    assert [span.name for span in traced.tools] == ["execute_tool Read"]


def test_a_tool_after_the_end_is_nobodys():
    traced = Traced()
    traced.end()
    traced.call.tool_started("toolu_1", "Read")
    traced.call.tool_ended("toolu_1")
    assert traced.tools == []


def test_what_a_model_invents_has_bounds():
    traced = Traced()
    for number in range(MOST + 10):
        traced.call.tool_started(f"{number}" + "i" * 1000, "n" * 1000)
    traced.end()
    assert len(traced.tools) == MOST
    for span in traced.tools:
        assert max(len(str(value)) for value in shown(span).values()) == LONGEST_NAME
        assert len(span.name) < LONGEST_NAME + 20


class AgentProvider(ScriptedProvider):
    """Runs a tool, and never hears of it again."""

    def _next(self, call: Call) -> Answer:
        self.call = call
        call.tool_started("toolu_1", "Read")
        call.agent_ran(AgentFacts(process="parked"))
        return super()._next(call)


@pytest.mark.parametrize("stream", [False, True])
async def test_through_the_application_a_transport_reports_what_its_agent_does(stream: bool):
    provider = AgentProvider(Answer())
    app = TracedApp(provider, rows={"first": {"dialect": "claude_agent"}})
    await app.ask(stream=stream)
    (attempt,) = app.attempts
    (tool,) = [span for span in app.spans if span.kind is SpanKind.INTERNAL]
    assert (attempt.name, tool.name) == ("invoke_agent claude_agent", "execute_tool Read")
    assert tool.parent is not None and attempt.context is not None
    assert tool.parent.span_id == attempt.context.span_id
    assert shown(attempt)["ep.agent.process"] == "parked"
    assert (provider.call.traceparent or "").split("-")[1:3] == [
        trace_id(attempt),
        span_id(attempt),
    ]

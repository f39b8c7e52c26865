"""Over real sockets: what a collector is told of the choice, and of the caller's own trace."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.providers import closed_port
from tests.serving import SandboxProcess
from tests.telemetry.backends.backend import whole_trace
from tests.telemetry.backends.spans import SpanEvent, TracedSpan, render
from tests.telemetry.caller import STATE, Caller, upstream
from tests.telemetry.conftest import Exporter
from tests.telemetry.traced_server import LOOK, TracedServer, line_of, serving, traced_policy

Json = dict[str, Any]


@pytest.fixture(scope="module")
def traced(providers: SandboxProcess, exporter: Exporter) -> Iterator[TracedServer]:
    policy = traced_policy(providers, dead=closed_port())
    with serving(providers, exporter.backend, exporter.protocol, policy=policy) as server:
        yield server


def spans_for(
    traced: TracedServer, persona: str, text: str = "Hi", **fields: Any
) -> tuple[TracedSpan, list[TracedSpan], list[TracedSpan]]:
    """Ask; return the request's span, the route's (one or none) and the attempts'."""
    caller = Caller()
    traced.ask(caller, traced.body(caller, persona, text, **fields))
    spans = traced.spans(caller)
    traced.tree(caller, spans)
    (root,) = [span for span in spans if span.kind == "SERVER"]
    routes = [span for span in spans if span.name.startswith("route ")]
    return root, routes, [span for span in spans if span.kind == "CLIENT"]


def events(span: TracedSpan, name: str) -> list[SpanEvent]:
    return [event for event in span.events if event.name == name]


LACKS_TOOLS = {
    "ep.route.candidate": "no_tools",
    "ep.route.reason": "missing_capabilities",
    "ep.route.missing": ["tool_calling"],
}


@pytest.mark.parametrize("stream", [False, True])
def test_the_choice_is_a_span_beside_the_attempts(traced: TracedServer, stream: bool) -> None:
    root, (route,), (attempt,) = spans_for(traced, "routed", tools=[LOOK], stream=stream)
    assert (route.name, route.kind, route.status) == ("route routed", "INTERNAL", "UNSET")
    assert route.parent == attempt.parent == root.id
    assert route.attributes["ep.route.persona"] == "routed"
    assert route.attributes["ep.route.candidates"] == 2
    assert "tool_calling" in route.attributes["ep.route.required"]
    assert route.attributes["ep.route.reason"]
    assert route.attributes["ep.route.selected"] == attempt.attributes["ep.upstream.name"]
    assert route.attributes["ep.route.selected"] == "openai"
    assert [event.attributes for event in events(route, "ep.route.rejected")] == [LACKS_TOOLS]
    assert events(root, "ep.route.rejected") == []
    assert events(root, "ep.fallback") == []


def test_where_there_was_no_choice_the_request_says_it(traced: TracedServer) -> None:
    root, routes, attempts = spans_for(traced, "incapable", tools=[LOOK])
    assert (routes, attempts) == ([], [])
    assert [event.attributes for event in events(root, "ep.route.rejected")] == [LACKS_TOOLS]


def test_where_none_of_several_is_capable_the_choice_says_why(traced: TracedServer) -> None:
    root, (route,), attempts = spans_for(traced, "two_incapable", tools=[LOOK])
    assert attempts == []
    assert events(root, "ep.route.rejected") == []
    rejected = [e.attributes["ep.route.candidate"] for e in events(route, "ep.route.rejected")]
    assert rejected == ["no_tools", "no_tools_either"]
    assert "ep.route.selected" not in route.attributes


OVERLOADED = "[sandbox provider=anthropic fail=529]"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("persona", "text", "failed"),
    [
        ("anthropic_first", OVERLOADED, [("anthropic", "overloaded_error")]),
        ("dead_first", "Hi", [("dead", "network")]),
        ("openai_first", "[sandbox fail=500]", [("openai", "server_error")]),
        ("openai_first", "Hi", []),
        ("openai_only", "[sandbox fail=500]", []),
    ],
)
def test_a_fallback_is_an_event_of_the_request(
    traced: TracedServer, persona: str, text: str, failed: list[tuple[str, str]], stream: bool
) -> None:
    root, _, attempts = spans_for(traced, persona, text, stream=stream)
    found = events(root, "ep.fallback")
    told = [(e.attributes["ep.upstream.name"], e.attributes["error.type"]) for e in found]
    assert told == failed
    if found:
        first, second = attempts[:2]
        assert first.end <= found[0].time <= second.start


@pytest.fixture(scope="module", params=["join", "link", "ignore"])
def inbound(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def facing(providers: SandboxProcess, exporter: Exporter, inbound: str) -> Iterator[TracedServer]:
    """A server with a policy for callers' traces."""
    policy = traced_policy(providers)
    policy["tracing"] = {"inbound": inbound}
    policy["providers"]["whole"] = {**policy["providers"]["openai"], "trace_context": "full"}
    policy["personas"]["whole"] = {"provider_preferences": ["whole"]}
    with serving(providers, exporter.backend, exporter.protocol, policy=policy) as server:
        yield server


def traced_as(answer: httpx.Response) -> str:
    assert answer.status_code == 200
    return answer.headers["traceresponse"].split("-")[1]


@pytest.mark.parametrize("stream", [False, True])
def test_bug_03_a_callers_trace_is_joined_linked_or_ignored(
    facing: TracedServer, inbound: str, stream: bool
) -> None:
    caller = Caller()
    answer = facing.ask(caller, facing.body(caller, "whole", "Hi", stream=stream))
    trace = traced_as(answer)
    spans = whole_trace(facing.backend, trace)
    root, attempt = spans
    assert (trace == caller.trace) == (inbound == "join")
    assert root.parent == (caller.span if inbound == "join" else "")
    assert root.links == (((caller.trace, caller.span),) if inbound == "link" else ())
    assert attempt.links == ()
    assert render(spans, parent=root.parent, tell=line_of).count("\n") == 1
    # To those who see all of it, too, the caller's state goes on only in its own trace.
    assert (STATE in root.state) == (inbound == "join")
    (headers,) = upstream(facing.sandbox, caller)
    assert headers["traceparent"].split("-")[1:3] == [trace, attempt.id]
    assert (STATE in headers.get("tracestate", "")) == (inbound == "join")
    if inbound == "ignore":
        told = facing.backend.told(trace)
        assert bytes.fromhex(caller.trace) not in told
        assert caller.trace.encode() not in told


def test_who_is_not_joined_does_not_decide_what_is_sampled(
    facing: TracedServer, inbound: str
) -> None:
    caller = Caller()
    caller.headers["traceparent"] = f"00-{caller.trace}-{caller.span}-00"
    answer = facing.ask(caller, facing.body(caller, "openai_only", "Hi"))
    sampled = int(answer.headers["traceresponse"].split("-")[3], 16) & 1
    assert bool(sampled) == (inbound != "join")
    if sampled:
        assert len(whole_trace(facing.backend, traced_as(answer))) == 2


def test_without_a_trace_of_the_callers_all_are_alike(facing: TracedServer) -> None:
    caller = Caller()
    for name in ("traceparent", "tracestate", "baggage"):
        del caller.headers[name]
    trace = traced_as(facing.ask(caller, facing.body(caller, "openai_only", "Hi")))
    root, _ = whole_trace(facing.backend, trace)
    assert (root.parent, root.links) == ("", ())

"""Trace context in and out: join the caller, show the provider our own span and no more."""

import logging
import re
from typing import Any

import anyio
import pytest
from opentelemetry import propagate
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator

from tests.telemetry.traced_app import (
    HANG,
    Answer,
    ScriptedProvider,
    TracedApp,
    chunk,
    span_id,
    trace_id,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
INBOUND = {
    "traceparent": f"00-{TRACE}-{PARENT}-01",
    "tracestate": "vendor=canary-state",
    "baggage": "user=canary-baggage",
}
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def ids(header: str) -> tuple[str, str, bool]:
    """Return trace, span and whether it is sampled; the other flags may be anything."""
    match = FORM.fullmatch(header)
    assert match is not None
    return match[1], match[2], bool(int(match[3], 16) & 1)


async def test_row_86_bug_03_the_callers_trace_is_joined():
    app = TracedApp(ScriptedProvider(Answer()))
    reply = await app.ask(headers=INBOUND)
    root = app.server
    assert trace_id(root) == TRACE
    assert root.parent is not None
    assert format(root.parent.span_id, "016x") == PARENT
    assert root.parent.is_remote
    assert ids(reply.headers["traceresponse"]) == (TRACE, span_id(root), True)


async def test_row_83_traceresponse_names_the_server_span():
    app = TracedApp(ScriptedProvider(Answer()))
    for stream in (False, True):
        app.exporter.clear()
        reply = await app.ask(stream=stream)
        assert ids(reply.headers["traceresponse"]) == (
            trace_id(app.server),
            span_id(app.server),
            True,
        )


async def test_each_request_without_a_context_is_a_trace_of_its_own():
    app = TracedApp(ScriptedProvider(Answer()))
    await app.ask()
    await app.ask()
    assert len({trace_id(span) for span in app.spans}) == 2


@pytest.mark.parametrize(
    "wrong",
    ["", "rubbish", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", "00-\xff-x-01",
     f"ff-{TRACE}-{PARENT}-01"],
)  # fmt: skip
async def test_a_context_that_is_none_starts_a_new_trace(wrong: str):
    app = TracedApp(ScriptedProvider(Answer()))
    reply = await app.ask(headers={"traceparent": wrong, "baggage": "\xff=\xff;;,"})
    assert reply.status == 200
    assert app.server.parent is None
    assert trace_id(app.server) != TRACE


async def test_a_caller_that_does_not_sample_is_obeyed():
    app = TracedApp(ScriptedProvider(Answer()))
    headers = {**INBOUND, "traceparent": f"00-{TRACE}-{PARENT}-00"}
    reply = await app.ask(headers=headers)
    assert reply.status == 200
    assert app.spans == []
    assert ids(reply.headers["traceresponse"])[2] is False


@pytest.mark.parametrize("stream", [False, True])
async def test_row_81_row_82_row_99_bug_01_the_provider_sees_the_attempts_own_span(stream: bool):
    provider = ScriptedProvider(Answer())
    app = TracedApp(provider)
    await app.ask(stream=stream, headers=INBOUND)
    (carrier,) = provider.carriers
    assert ids(carrier["traceparent"]) == (TRACE, span_id(app.attempts[0]), True)
    assert span_id(app.attempts[0]) != span_id(app.server) != PARENT


async def test_bug_02_state_and_baggage_of_the_caller_stay_here():
    provider = ScriptedProvider(Answer())
    app = TracedApp(provider)
    await app.ask(headers=INBOUND)
    assert set(provider.carriers[0]) == {"traceparent"}


async def test_each_attempt_has_a_context_of_its_own():
    first, second = ScriptedProvider(Answer(500)), ScriptedProvider(Answer())
    app = TracedApp(first, second)
    await app.ask("both", headers=INBOUND)
    carriers = [*first.carriers, *second.carriers]
    assert [ids(c["traceparent"])[1] for c in carriers] == [span_id(s) for s in app.attempts]


@pytest.mark.parametrize("policy", ["none", "traceparent", "full"])
async def test_a_policy_says_how_much_a_provider_sees(policy: str):
    provider = ScriptedProvider(Answer())
    app = TracedApp(provider, rows={"first": {"trace_context": policy}})
    await app.ask(headers=INBOUND)
    (carrier,) = provider.carriers
    if policy == "none":
        assert carrier == {}
        return
    assert ids(carrier["traceparent"])[1] == span_id(app.attempts[0])
    full = {"tracestate": "vendor=canary-state", "baggage": "user=canary-baggage"}
    rest = {name: value for name, value in carrier.items() if name != "traceparent"}
    assert rest == (full if policy == "full" else {})


async def test_bug_12_no_context_is_attached_or_detached(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        hanging = Answer(events=[chunk("a")], then=HANG)
        app = TracedApp(ScriptedProvider(hanging))
        await app.ask(stream=True, leave_after=1)
        app = TracedApp(ScriptedProvider(Answer(events=[chunk("a")])))
        await app.ask(stream=True)
    assert "detach" not in caplog.text
    assert "different Context" not in caplog.text


async def test_spans_of_requests_at_one_time_do_not_mix():
    app = TracedApp(ScriptedProvider(Answer()))
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(lambda: app.ask(stream=True))
    children = {format(span.parent.span_id, "016x") for span in app.attempts if span.parent}
    servers = {span_id(span) for span in app.spans if span.parent is None}
    assert children == servers
    assert len(servers) == 20


@pytest.mark.parametrize("inbound", ["join", "link", "ignore"])
async def test_a_policy_says_what_a_callers_context_does(inbound: str):
    provider = ScriptedProvider(Answer())
    rows = {"first": {"trace_context": "full"}}
    app = TracedApp(provider, rows=rows, tracing={"inbound": inbound})
    # A caller that does not sample: only who is joined is obeyed.
    sampled = "01" if inbound == "join" else "00"
    reply = await app.ask(headers={**INBOUND, "traceparent": f"00-{TRACE}-{PARENT}-{sampled}"})
    root, (carrier,) = app.server, provider.carriers
    assert (trace_id(root) == TRACE) == (inbound == "join")
    assert (root.parent is not None) == (inbound == "join")
    links = [format(link.context.span_id, "016x") for link in root.links]
    assert links == ([PARENT] if inbound == "link" else [])
    assert ids(reply.headers["traceresponse"])[:2] == (trace_id(root), span_id(root))
    # What belongs to the caller's trace does not go on in another.
    assert ("baggage" in carrier, "tracestate" in carrier) == (inbound == "join",) * 2


async def test_a_context_that_is_none_is_not_linked():
    app = TracedApp(ScriptedProvider(Answer()), tracing={"inbound": "link"})
    await app.ask(headers={"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"})
    assert list(app.server.links) == []


class Odd(TextMapPropagator):
    """Puts baggage into headers of its own, as some propagators do."""

    @property
    def fields(self) -> set[str]:
        return {"traceparent", "baggage"}

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:
        return set_baggage("user", "alice", context)

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        for name, value in get_all(context).items():
            carrier[f"odd-{name}"] = value


async def test_baggage_stays_here_whatever_a_propagator_calls_it():
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Odd())
    try:
        for policy, seen in (("traceparent", {}), ("full", {"odd-user": "alice"})):
            provider = ScriptedProvider(Answer())
            app = TracedApp(provider, rows={"first": {"trace_context": policy}})
            await app.ask(headers=INBOUND)
            assert provider.carriers == [seen]
    finally:
        propagate.set_global_textmap(before)

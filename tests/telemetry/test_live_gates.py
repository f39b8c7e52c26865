"""What of a live gate is in the trace, the decision log and the server's log."""

import json
import logging
from typing import Any

import pytest

from tests.telemetry.traced_app import (
    HANG,
    Answer,
    ScriptedProvider,
    TracedApp,
    chunk,
    error_body,
)

FAILS = Answer(500, error_body("Down"))
GATES: dict[str, Any] = {"min_samples": 3, "cooldown": 30, "recover": 2}


def events(app: TracedApp) -> list[tuple[str, dict[str, Any]]]:
    """What stands on the route's span; with one candidate, on the request's."""
    span = app.routes[0] if app.routes else app.server
    return [(event.name, dict(event.attributes or {})) for event in span.events]


async def test_a_held_back_candidate_is_an_event_and_a_line(caplog: pytest.LogCaptureFixture):
    app = TracedApp(ScriptedProvider(FAILS), live_gates=GATES)
    with caplog.at_level(logging.INFO, "execution_platform"):
        for _ in range(3):
            assert (await app.ask("both")).status == 200
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    detail = "success_rate is 0 %, not >= 90 % over the last 60 s (3 attempts)"
    assert record.getMessage() == (
        f"Live gate open: `first` for persona `both` is passed over: {detail}; tried again in 30 s."
    )
    app.exporter.clear()
    app.now += 10
    reply = await app.ask("both")
    assert (reply.status, reply.headers["x-ep-attempts"]) == (200, "1")
    held = f"{detail}; tried again in 20 s"
    (event,) = events(app)
    assert event == (
        "ep.route.rejected",
        {
            "ep.route.candidate": "first",
            "ep.route.reason": "gate",
            "ep.route.missing": (),
            "ep.route.detail": held,
        },
    )
    line = json.loads(app.log[-1])
    assert line["rejected"] == [
        {"provider": "first", "reason": "gate", "missing": [], "detail": held}
    ]
    assert line["reason"] == "the best preference that qualifies"


async def test_probes_are_events_and_the_recovery_is_a_line(caplog: pytest.LogCaptureFixture):
    app = TracedApp(ScriptedProvider(FAILS, FAILS, FAILS, Answer()), live_gates=GATES)
    for _ in range(3):
        await app.ask("both")
    app.now += 30
    app.exporter.clear()
    await app.ask("both")
    assert events(app) == [("ep.gate.probe", {"ep.upstream.name": "first"})]
    caplog.clear()
    with caplog.at_level(logging.INFO, "execution_platform"):
        await app.ask("both")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "INFO",
        "Live gate closed: `first` for persona `both` serves again: 2 attempts in a row went well.",
    )


async def test_where_all_are_held_back_the_trace_says_that_they_are_asked_all_the_same():
    app = TracedApp(ScriptedProvider(FAILS), live_gates=GATES)
    for _ in range(2):  # Each is tried twice, as there is nobody else.
        assert (await app.ask("one")).status == 502
    app.exporter.clear()
    assert (await app.ask("one")).status == 502
    assert events(app) == [("ep.route.gates_set_aside", {})]
    assert len(app.attempts) == 2
    line = json.loads(app.log[-1])
    assert line["rejected"] == []
    assert "asked all the same" in line["reason"]


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_says_nothing_of_the_provider(stream: bool):
    begun = Answer(events=[chunk("Hel"), chunk("lo")], then=HANG)
    app = TracedApp(ScriptedProvider(begun), live_gates=GATES)
    for _ in range(5):
        await app.ask("both", stream=stream, leave_after=0)
    assert app.live_gates.report("both")["first"] == {"state": "closed", "attempts": 0}


async def test_who_leaves_behind_the_finish_reason_has_had_the_answer():
    app = TracedApp(ScriptedProvider(Answer(then=HANG)), live_gates=GATES)
    for _ in range(3):
        await app.ask("both", stream=True, leave_after=3)
    told = app.live_gates.report("both")["first"]
    assert (told["attempts"], told["success_rate_percent"]) == (3, 100.0)


async def test_a_bug_of_ours_says_nothing_of_the_provider():
    broken = Answer(events=[], then=RuntimeError("bug"))
    app = TracedApp(ScriptedProvider(broken), live_gates=GATES)
    for _ in range(5):
        assert (await app.ask("both", stream=True)).status == 500
    assert app.live_gates.report("both")["first"] == {"state": "closed", "attempts": 0}


async def test_without_the_switch_nothing_is_watched():
    app = TracedApp(ScriptedProvider(FAILS))
    for _ in range(30):
        assert (await app.ask("both")).headers["x-ep-attempts"] == "2"
    assert app.live_gates.report("both") == {}

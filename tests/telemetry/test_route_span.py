"""The span of the decision where a request goes: who could be asked, who is not, and why."""

import json
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from policy.decision import Decision, Target
from proxy.exchange import Exchange
from proxy.preparation import Preparation
from tests.telemetry.traced_app import (
    Answer,
    ScriptedProvider,
    TracedApp,
    error_body,
    span_id,
)
from translators.errors import TranslationError

DOWN = Answer(500, error_body("Down"))
TOOLS: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "f"}}]}
WITHOUT_TOOLS = {"capabilities": ["streaming"]}


def events(span: ReadableSpan) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, dict(event.attributes or {})) for event in span.events]


@pytest.mark.parametrize("stream", [True, False])
async def test_where_there_is_a_choice_a_span_says_what_was_chosen(stream: bool):
    app = TracedApp(ScriptedProvider(Answer()))
    assert (await app.ask("both", stream=stream)).status == 200
    (route,) = app.routes
    assert (route.name, route.kind) == ("route both", SpanKind.INTERNAL)
    assert route.status.status_code is StatusCode.UNSET
    assert route.parent is not None
    assert format(route.parent.span_id, "016x") == span_id(app.server)
    assert dict(route.attributes or {}) == {
        "ep.route.persona": "both",
        "ep.route.candidates": 2,
        "ep.route.required": ("streaming",) if stream else (),
        "ep.route.reason": "first preference",
        "ep.route.selected": "first",
        "ep.route.model": "gpt-first",
    }
    assert events(route) == []
    (attempt,) = app.attempts
    assert attempt.parent == route.parent
    begins = (app.server.start_time or 0, route.start_time or 0, route.end_time or 0)
    assert list(begins) == sorted(begins)
    # It is over when the provider is asked, not when that has answered.
    assert (route.end_time or 0) <= (attempt.start_time or 0)


async def test_one_candidate_is_no_choice():
    app = TracedApp(ScriptedProvider(Answer()))
    assert (await app.ask("one")).status == 200
    assert app.routes == []
    assert len(app.spans) == 2


async def test_a_rejected_candidate_is_an_event_with_what_it_lacks():
    app = TracedApp(ScriptedProvider(Answer()), rows={"first": WITHOUT_TOOLS})
    assert (await app.ask("both", **TOOLS)).status == 200
    (route,) = app.routes
    shown = dict(route.attributes or {})
    assert (shown["ep.route.selected"], shown["ep.route.candidates"]) == ("second", 2)
    assert shown["ep.route.required"] == ("tool_calling",)
    assert events(route) == [
        (
            "ep.route.rejected",
            {
                "ep.route.candidate": "first",
                "ep.route.reason": "missing_capabilities",
                "ep.route.missing": ("tool_calling",),
            },
        )
    ]
    assert events(app.server) == []
    (attempt,) = app.attempts
    assert (attempt.attributes or {})["ep.attempt.reason"] == "initial"


async def test_where_nobody_qualifies_the_span_says_what_each_lacks():
    rows = {"first": WITHOUT_TOOLS, "second": WITHOUT_TOOLS}
    app = TracedApp(ScriptedProvider(Answer()), rows=rows)
    reply = await app.ask("both", **TOOLS)
    assert (reply.status, reply.json["error"]["code"]) == (400, "no_provider")
    (route,) = app.routes
    assert [e["ep.route.candidate"] for _, e in events(route)] == ["first", "second"]
    shown = dict(route.attributes or {})
    assert shown["ep.route.reason"] == "nobody qualifies"
    assert "ep.route.selected" not in shown
    assert app.attempts == []
    assert route.status.status_code is app.server.status.status_code is StatusCode.UNSET


async def test_a_fallback_is_an_event_of_the_request_and_the_choice_moves_on():
    app = TracedApp(ScriptedProvider(DOWN))
    assert (await app.ask("both")).status == 200
    (route,) = app.routes
    assert (route.attributes or {})["ep.route.selected"] == "second"
    assert events(app.server) == [
        ("ep.fallback", {"ep.upstream.name": "first", "error.type": "server_error"})
    ]
    assert (app.server.attributes or {})["ep.fallback"] is True
    first, second = app.attempts
    assert (first.end_time or 0) <= (route.end_time or 0) <= (second.start_time or 0)
    for span in (app.server, route):
        assert span.status.status_code is StatusCode.UNSET
        assert not [name for name in span.attributes or {} if name.startswith("gen_ai.")]


async def test_what_shows_later_is_an_event_of_the_decision_too():
    # That an API cannot express a request is found out only where those before it have failed.
    app = TracedApp(ScriptedProvider(DOWN))
    prepare = Preparation.prepare

    async def refuse(own: Preparation, exchange: Exchange, decision: Decision, target: Target):
        if target.provider == "second":
            raise TranslationError("It has no `seed`.", param="seed")
        return await prepare(own, exchange, decision, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Preparation, "prepare", refuse)
        assert (await app.ask("both", seed=1)).status == 502
    (route,) = app.routes
    assert events(route) == [
        (
            "ep.route.rejected",
            {
                "ep.route.candidate": "second",
                "ep.route.reason": "translation",
                "ep.route.missing": ("seed",),
            },
        )
    ]
    assert (route.attributes or {})["ep.route.selected"] == "first"
    assert (route.end_time or 0) >= (app.attempts[0].end_time or 0)


async def test_a_long_name_does_not_make_a_long_span_name():
    app = TracedApp(ScriptedProvider(Answer()))
    reply = await app.ask("x" * 5000)
    assert reply.status == 404
    assert [span.name for span in app.spans] == ["POST /v1/chat/completions"]
    assert len(json.dumps(app.server.to_json())) < 4000


async def test_methods_that_are_made_up_do_not_name_spans():
    app = TracedApp(ScriptedProvider(Answer()))
    await app.ask(method="BREW", path="/v1/models")
    shown = dict(app.server.attributes or {})
    assert app.server.name == "HTTP"
    assert shown["http.request.method"] == "_OTHER"
    assert shown["http.request.method_original"] == "BREW"

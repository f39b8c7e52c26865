"""What spans say and never say: standard names, no content, no key, nothing twice."""

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any, get_args

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    url_attributes,
    user_agent_attributes,
)

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.telemetry import attributes as names
from proxy.telemetry.spans import NO_TELEMETRY, AttemptEnd, AttemptStart
from tests.telemetry.traced_app import (
    HANG,
    USAGE,
    Answer,
    ScriptedProvider,
    TracedApp,
    chunk,
    error_body,
)
from translators.fidelity import Report

# Private by name only: the package keeps what is not stable yet there, without types.
gen_ai_attributes: Any = import_module(
    "opentelemetry.semconv._incubating.attributes.gen_ai_attributes"
)

STANDARD = {
    value
    for module in (
        client_attributes,
        error_attributes,
        gen_ai_attributes,
        http_attributes,
        network_attributes,
        server_attributes,
        url_attributes,
        user_agent_attributes,
    )
    for value in vars(module).values()
    if isinstance(value, str) and "." in value
}
# Newer than the package: semantic-conventions-genai 1.42.0-dev, which has a home of its own.
NEWER = {
    "gen_ai.request.reasoning.level",
    "gen_ai.request.stream",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens",
}


def our_names() -> set[str]:
    plain = {v for k, v in vars(names).items() if k.isupper() and isinstance(v, str)}
    return plain | set(names.REQUEST_PARAMETERS.values())


def test_row_84_names_are_the_conventions_own():
    ours = {name for name in our_names() if not name.startswith("ep.")}
    assert ours - STANDARD - NEWER == set()
    assert len(ours & STANDARD) > 20


def test_every_dialect_of_the_policy_has_a_provider_name():
    known = {member.value for member in gen_ai_attributes.GenAiProviderNameValues}
    assert set(names.PROVIDER_NAMES.values()) <= known
    dialects = set(get_args(ProviderRow.model_fields["dialect"].annotation))
    assert dialects <= set(names.PROVIDER_NAMES) or not dialects


PARAMETERS: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "seed": 7,
    "max_tokens": 50,
    "reasoning_effort": "low",
}


async def test_request_parameters_are_shown_by_their_standard_names():
    app = TracedApp(ScriptedProvider(Answer()))
    await app.ask(**PARAMETERS, stop=["canary"], user="canary", metadata={"k": "canary"}, top_k=3)
    shown = dict(app.attempts[0].attributes or {})
    requested = {k: v for k, v in shown.items() if k.startswith("gen_ai.request.")}
    assert requested == {
        "gen_ai.request.model": "gpt-first",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.reasoning.level": "low",
    }


async def test_parameters_of_the_persona_are_shown_where_the_client_set_none():
    own = {"temperature": 0.3, "max_tokens": 100, "seed": 7}
    app = TracedApp(ScriptedProvider(Answer()), parameters=own)
    await app.ask("one", temperature=0.9, max_completion_tokens=50)
    shown = dict(app.attempts[0].attributes or {})
    found = {
        name: shown[f"gen_ai.request.{name}"] for name in ("temperature", "max_tokens", "seed")
    }
    assert found == {"temperature": 0.9, "max_tokens": 50, "seed": 7}


async def test_bug_11_parameters_that_are_null_are_left_out(caplog: pytest.LogCaptureFixture):
    nothing: dict[str, Any] = dict.fromkeys(PARAMETERS)
    app = TracedApp(ScriptedProvider(Answer(usage={"prompt_tokens": 1})))
    await app.ask(**nothing, stream=True)
    for span in app.spans:
        assert None not in (span.attributes or {}).values()
    assert [r for r in caplog.records if r.name.startswith("opentelemetry")] == []


async def test_usage_is_only_on_the_attempt_that_answered():
    failed = Answer(500)
    app = TracedApp(ScriptedProvider(failed), ScriptedProvider(Answer(usage=USAGE)))
    await app.ask("both", stream=True)
    first, second = app.attempts
    assert not [name for name in first.attributes or {} if ".usage." in name]
    shown = dict(second.attributes or {})
    assert shown["gen_ai.usage.cache_write.input_tokens"] == 3
    assert shown["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert shown["gen_ai.usage.input_tokens"] == 10


async def test_row_88_bug_7_nothing_of_the_answer_is_told_twice():
    app = TracedApp(ScriptedProvider(Answer(500)), ScriptedProvider(Answer(usage=USAGE)))
    await app.ask("both", stream=True)
    assert not [name for name in app.server.attributes or {} if name.startswith("gen_ai.")]
    for event in app.server.events:
        assert not event.name.startswith("gen_ai.")


async def test_ignored_and_emulated_parameters_are_on_the_attempt_and_in_the_headers():
    app = TracedApp(ScriptedProvider(Answer()))
    message = {"role": "assistant", "content": "x", "reasoning_content": "hm"}
    reply = await app.ask(messages=[message, {"role": "user", "content": "y"}])
    shown = dict(app.attempts[0].attributes or {})
    assert shown["ep.params.ignored"] == ("messages[].reasoning_content",)
    assert "ep.params.emulated" not in shown
    assert reply.headers["x-ep-ignored-params"] == "messages[].reasoning_content"


CANARY = "canary-77af"
KEY = f"key-{CANARY}"


def everything(spans: list[ReadableSpan]) -> Iterator[str]:
    """Every word in spans: the events' attributes, too, which `repr` would not show."""
    for span in spans:
        yield span.name
        yield span.status.description or ""
        yield json.dumps(dict(span.attributes or {}))
        yield json.dumps(dict(span.resource.attributes))
        for event in span.events:
            yield event.name
            yield json.dumps(dict(event.attributes or {}))
        for link in span.links:
            yield json.dumps(dict(link.attributes or {}))


TOLD = error_body(f"You said {CANARY}", param="messages", type="invalid_request_error")
SAID: list[Answer] = [
    Answer(text=CANARY),
    Answer(events=[chunk(CANARY)], then=HANG),
    Answer(events=[chunk(CANARY), {"error": TOLD["error"]}]),
    Answer(events=[chunk(CANARY)]),
    Answer(400, TOLD),
    Answer(401, error_body(f"Incorrect API key provided: {KEY}", code="invalid_api_key")),
    Answer(500, error_body(f"Traceback: {CANARY}")),
    Answer(events=[], then=RuntimeError(CANARY)),
]


@pytest.mark.parametrize("answer", SAID)
@pytest.mark.parametrize("stream", [False, True])
async def test_bug_08_bug_09_no_content_and_no_key_is_in_any_span(answer: Answer, stream: bool):
    app = TracedApp(ScriptedProvider(answer), keys=[KEY])
    call = {"id": CANARY, "type": "function", "function": {"name": CANARY, "arguments": CANARY}}
    await app.ask(
        stream=stream,
        headers={"authorization": f"Bearer {KEY}", "cookie": CANARY, "x-secret": CANARY},
        leave_after=int(stream) if answer.then == HANG else None,
        messages=[
            {"role": "system", "content": CANARY},
            {"role": "user", "content": [{"type": "text", "text": CANARY}], "name": CANARY},
            {"role": "assistant", "content": CANARY, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": CANARY, "content": CANARY},
        ],
        tools=[{"type": "function", "function": {"name": CANARY, "description": CANARY}}],
        stop=[CANARY],
        user=CANARY,
        metadata={CANARY: CANARY},
        safety_identifier=CANARY,
    )
    assert app.attempts
    assert CANARY not in "\n".join(everything(app.spans))
    assert b"".join(app.log).count(CANARY.encode()) == 0


@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"authorization": f"Bearer wrong-{CANARY}"}},
        {"raw": json.dumps({"model": "one", "messages": [{"role": CANARY}]}).encode()},
        {"raw": f'{{"{CANARY}'.encode()},
        {"tools": [{"type": "function", "function": {"name": CANARY}}], "temperature": CANARY},
    ],
)
async def test_bug_08_nor_where_the_request_is_refused(request_: dict[str, Any]):
    app = TracedApp(ScriptedProvider(Answer()), keys=[KEY])
    request_.setdefault("headers", {"authorization": f"Bearer {KEY}"})
    reply = await app.ask(**request_)
    assert reply.status in (400, 401)
    assert CANARY not in "\n".join(everything(app.spans))


async def test_what_a_caller_invents_has_bounds_in_spans():
    app = TracedApp(ScriptedProvider(Answer()))
    await app.ask("x" * 100_000, headers={"user-agent": "y" * 100_000, "x-request-id": "z" * 999})
    assert max(len(text) for text in everything(app.spans)) < 5_000


def test_telemetry_that_is_off_is_one_object_that_does_nothing():
    span = NO_TELEMETRY.request({})
    assert span is NO_TELEMETRY.request({"headers": []})
    assert (span.traceresponse, span.trace_id) == (None, None)
    span.event("x", {})
    span.end(status=200, attributes=(), error_type=None)


async def test_what_a_client_made_up_is_short_on_spans():
    app = TracedApp(ScriptedProvider(Answer()))
    long = "y" * 100_000
    made_up: dict[str, Any] = {long: 1}
    await app.ask("one", reasoning_effort=long, stream=True, **made_up)
    await app.ask("one", reasoning_effort="tell them: canary-5e", headers={"x-ep-strict": "true"})
    told = json.dumps([span.to_json() for span in app.spans])
    assert len(told) < 40_000
    assert "canary-5e" not in told


def test_a_models_name_is_short_on_its_span():
    start = AttemptStart(
        provider="direct",
        dialect="openai_chat",
        model="m" * 10_000,
        base_url="http://p.test",
        number=1,
        reason="initial",
        stream=False,
        parameters={},
        report=Report(),
        trace_context="none",
    )
    app = TracedApp(ScriptedProvider(Answer()))
    app.service.telemetry.call(()).attempt(start).end(AttemptEnd(Call(), None, "completed"))
    (span,) = app.attempts
    assert len(span.name) < 100
    assert len(span.to_json()) < 3_000

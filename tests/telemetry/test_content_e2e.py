"""Captured content over real sockets: the OpenAI SDK, the server, providers, a collector."""

import json
import secrets
from collections.abc import Iterator
from typing import Any, cast

import httpx
import openai
import pytest

from tests.providers import UPSTREAM_KEY
from tests.serving import Proxy, SandboxProcess, wait_until
from tests.telemetry import genai_schema as schema
from tests.telemetry.backends.spans import TracedSpan
from tests.telemetry.content_sink import ContentSink
from tests.telemetry.secrets_of_tests import SHAPED

Json = dict[str, Any]

CLIENT_KEY = "client-key-of-ann-77c1"
OTHER_SECRET = "basement-shelf-4"
VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def policy_for(sandbox: SandboxProcess) -> Json:
    row = {"api_key_env": "UPSTREAM_KEY", "capabilities": [
        *("system_prompts", "streaming", "tool_calling", "vision", "reasoning", "multiple_choices"),
    ]}  # fmt: skip
    openai_row = {
        **row,
        "dialect": "openai_chat",
        "base_url": sandbox.openai,
        "model": "gpt-4.1",
        "headers": {"x-place": OTHER_SECRET},
    }
    anthropic = {
        **row,
        "dialect": "anthropic_messages",
        "base_url": sandbox.anthropic,
        "model": "claude-sonnet-4-6",
    }
    prompt = "You are the persona of the tests."
    return {
        "providers": {"openai": openai_row, "anthropic": anthropic},
        "personas": {
            "openai": {"provider_preferences": ["openai"], "system_prompt": prompt},
            "anthropic": {"provider_preferences": ["anthropic"], "system_prompt": prompt},
            "both": {"provider_preferences": ["anthropic", "openai"]},
            "cached": {"provider_preferences": ["openai"], "cache": {"ttl": 60}},
        },
        "tracing": {"redact": [r"kunde-\d+"]},
    }


@pytest.fixture(scope="module")
def sink() -> Iterator[ContentSink]:
    with ContentSink() as collector:
        yield collector


def environment(sink: ContentSink, mode: str | None) -> dict[str, str]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_CLIENT_KEYS": CLIENT_KEY, **sink.environment}
    env["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=Bearer%20collector-key-31"
    return env if mode is None else {**env, VARIABLE: mode}


@pytest.fixture(scope="module")
def server(providers: SandboxProcess, sink: ContentSink) -> Iterator[Proxy]:
    env = environment(sink, "span_and_event")
    with Proxy(env=env, policy=policy_for(providers)) as running:
        yield running


class Asking:
    """One request of the OpenAI SDK, and what the collector has of it."""

    def __init__(self, server: Proxy, sink: ContentSink) -> None:
        self.trace = secrets.token_hex(16)
        self.sink = sink
        # Reading the certificates of the world takes longer than most tests.
        http = openai.DefaultHttpxClient(trust_env=False, verify=False, timeout=30)
        self.sdk = openai.OpenAI(
            base_url=f"{server.url}/v1",
            api_key=CLIENT_KEY,
            max_retries=0,
            default_headers={"traceparent": f"00-{self.trace}-{secrets.token_hex(8)}-01"},
            http_client=http,
        )

    def ask(self, persona: str, content: Any, *, stream: bool = False, **fields: Any) -> str:
        """Return the text of the answer."""
        messages = cast("Any", [{"role": "user", "content": content}])
        with self.sdk:
            create: Any = self.sdk.chat.completions.create
            made = create(model=persona, messages=messages, stream=stream, **fields)
            if not stream:
                return made.choices[0].message.content or ""
            return "".join(c.choices[0].delta.content or "" for c in made if c.choices)

    def attempts(self, count: int = 1) -> list[Json]:
        """Return the attributes of the attempts; their events must say the same."""
        spans = self.sink.wait_for(self.trace, count + 1)
        found = [span for span in spans if span.kind == "CLIENT"]
        events = {event.span: event for event in self.sink.events_of(self.trace, count)}
        assert len(found) == count
        for span in found:
            _check_event(span, events[span.id])
        assert not any(
            name.startswith("gen_ai.") for s in spans if s not in found for name in s.attributes
        )
        return [span.attributes for span in found]


def _check_event(span: TracedSpan, event: Any) -> None:
    assert (event.name, event.severity) == ("gen_ai.client.inference.operation.details", 5)
    assert event.resource["service.name"] == "execution-platform"
    for name, value in span.attributes.items():
        if name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            assert schema.messages(event.attributes[name]) == json.loads(value)
        elif name in ("gen_ai.tool.definitions", "gen_ai.system_instructions"):
            assert event.attributes[name] == json.loads(value)
        elif name.startswith(("gen_ai.", "server.", "error.")):
            assert event.attributes[name] == value
        else:
            assert name not in event.attributes


def texts(data: Any) -> list[str]:
    return [
        part["content"] for m in schema.messages(data) for part in m["parts"] if "content" in part
    ]


@pytest.fixture
def asking(server: Proxy, sink: ContentSink) -> Asking:
    return Asking(server, sink)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("persona", ["openai", "anthropic"])
def test_what_the_provider_was_asked_and_what_it_said(
    asking: Asking, persona: str, stream: bool
) -> None:
    answer = asking.ask(persona, "Hi [sandbox words=30]", stream=stream)
    (found,) = asking.attempts()
    # By the book: with Anthropic the prompt is no message.
    prompt = "You are the persona of the tests."
    asked = texts(found["gen_ai.input.messages"])
    if persona == "openai":
        assert asked == [prompt, "Hi [sandbox words=30]"]
        assert "gen_ai.system_instructions" not in found
    else:
        assert asked == ["Hi [sandbox words=30]"]
        (part,) = schema.instructions(found["gen_ai.system_instructions"])
        assert part == {"type": "text", "content": prompt}
    (said,) = schema.messages(found["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "text", "content": answer}]
    assert said["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("persona", ["openai", "anthropic"])
def test_tools_and_thoughts(asking: Asking, persona: str, stream: bool) -> None:
    content = '[sandbox think="I think so" tool=get_weather args={"city":"Oslo"}]'
    more: Json = {"reasoning_effort": "low"} if persona == "anthropic" else {}
    asking.ask(persona, content, stream=stream, tools=[TOOL], **more)
    (found,) = asking.attempts()
    (defined,) = schema.tools(found["gen_ai.tool.definitions"])
    assert (defined["name"], defined["parameters"]) == (
        "get_weather",
        TOOL["function"]["parameters"],
    )
    (said,) = schema.messages(found["gen_ai.output.messages"])
    thought, *_, call = said["parts"]
    assert thought == {"type": "reasoning", "content": "I think so"}
    assert (call["name"], call["arguments"]) == ("get_weather", {"city": "Oslo"})
    assert call["id"]
    assert said["finish_reason"] == "tool_call"


@pytest.mark.parametrize("stream", [False, True])
def test_an_image_is_told_by_type_and_size(asking: Asking, stream: bool) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    asking.ask("openai", [{"type": "text", "text": "Look"}, image], stream=stream)
    (found,) = asking.attempts()
    *_, message = schema.messages(found["gen_ai.input.messages"])
    blob = {"type": "blob", "modality": "image", "content": "", "size": 68}
    assert message["parts"] == [
        {"type": "text", "content": "Look"},
        {**blob, "mime_type": "image/png"},
    ]
    assert not any(PIXEL[:24].encode() in body for body in asking.sink.bodies)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("persona", ["openai", "anthropic"])
def test_several_choices_are_several_messages(asking: Asking, persona: str, stream: bool) -> None:
    asking.ask(persona, "Hi [sandbox words=5]", stream=stream, n=3)
    (found,) = asking.attempts()
    said = schema.messages(found["gen_ai.output.messages"])
    assert [message["finish_reason"] for message in said] == ["stop"] * 3
    assert all(message["parts"][0]["content"] for message in said)


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_is_two_attempts_that_hold_the_question(asking: Asking, stream: bool) -> None:
    answer = asking.ask("both", "Hi [sandbox provider=anthropic fail=529]", stream=stream)
    failed, served = asking.attempts(2)
    assert failed["error.type"] == "overloaded_error"
    assert "gen_ai.output.messages" not in failed
    assert texts(failed["gen_ai.input.messages"]) == texts(served["gen_ai.input.messages"])
    assert texts(served["gen_ai.output.messages"]) == [answer]


def test_of_an_answer_whose_client_left_the_part_that_it_saw(asking: Asking) -> None:
    messages = cast("Any", [{"role": "user", "content": "[sandbox words=500 gap=0.05]"}])
    with asking.sdk:
        stream = asking.sdk.chat.completions.create(model="openai", messages=messages, stream=True)
        seen = ""
        for part in stream:
            seen += part.choices[0].delta.content or ""
            if len(seen) > 20:
                break
        stream.close()
    (found,) = asking.attempts()
    assert found["ep.stream.end_reason"] == "client_disconnect"
    (said,) = schema.messages(found["gen_ai.output.messages"])
    assert said["parts"][0]["content"].startswith(seen)
    assert len(said["parts"][0]["content"]) < 1000
    assert said["finish_reason"] == "error"


def test_so_of_one_that_broke_off(asking: Asking) -> None:
    with pytest.raises(openai.APIError):
        asking.ask("openai", "[sandbox words=50 cut=20]", stream=True)
    (found,) = asking.attempts()
    (said,) = schema.messages(found["gen_ai.output.messages"])
    assert said["parts"][0]["content"]
    assert said["finish_reason"] == "error"


def test_a_kept_answer_asks_nobody_and_is_not_captured(server: Proxy, sink: ContentSink) -> None:
    first, second = Asking(server, sink), Asking(server, sink)
    question = f"What is {secrets.token_hex(4)}?"
    assert first.ask("cached", question) == second.ask("cached", question)
    assert len(first.attempts()) == 1
    (root,) = sink.wait_for(second.trace, 1)
    assert root.attributes["ep.cache"] == "hit"
    assert not any(name.startswith("gen_ai.") for name in root.attributes)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("persona", ["openai", "anthropic"])
def test_keys_never(server: Proxy, asking: Asking, persona: str, stream: bool) -> None:
    known = [CLIENT_KEY, UPSTREAM_KEY, OTHER_SECRET, "collector-key-31"]
    planted = [*known, *SHAPED.values(), "kunde-4711"]
    asked = " and ".join(planted)
    # The model repeats them, in text that comes in pieces and in the arguments of a call.
    tool = {**TOOL, "function": {**TOOL["function"], "description": asked}}
    args = json.dumps({"city": asked})
    asking.ask(
        persona, f"{asked} [sandbox tool=get_weather args={args}]", stream=stream, tools=[tool]
    )
    again = Asking(server, asking.sink)
    again.ask(persona, f"[sandbox say={json.dumps(asked)} chunks=40]", stream=stream)
    (called,), (told,) = asking.attempts(), again.attempts()
    assert str(called).count("[REDACTED]") > 3 * len(SHAPED)
    assert "[REDACTED] and [REDACTED]" in texts(told["gen_ai.output.messages"])[0]
    everything = b"".join(asking.sink.bodies)
    for secret in planted:
        assert secret.encode() not in everything
        assert json.dumps(secret)[1:-1].encode() not in everything


@pytest.mark.parametrize("mode", [None, "no_content"])
def test_off_no_content_leaves_the_server(providers: SandboxProcess, mode: str | None) -> None:
    canary = f"canary-{secrets.token_hex(6)}"
    with (
        ContentSink() as sink,
        Proxy(env=environment(sink, mode), policy=policy_for(providers)) as running,
    ):
        for stream in (False, True):
            asking = Asking(running, sink)
            content = f"{canary} [sandbox say={canary} tool=get_weather]"
            asking.ask("openai", content, stream=stream, tools=[TOOL])
            sink.wait_for(asking.trace, 2)
        running.stop()
        assert sink.events == []
        assert canary.encode() not in b"".join(sink.bodies)
        for word in (b"persona of the tests", b"get_weather", b"gen_ai.input", b"gen_ai.output"):
            assert word not in b"".join(sink.bodies)
        assert canary not in running.log()


@pytest.mark.parametrize(
    ("mode", "on_span", "in_event"),
    [("SPAN_ONLY", True, False), ("EVENT_ONLY", False, True)],
)
def test_where_content_goes(
    providers: SandboxProcess, mode: str, on_span: bool, in_event: bool
) -> None:
    with (
        ContentSink() as sink,
        Proxy(env=environment(sink, mode), policy=policy_for(providers)) as running,
    ):
        asking = Asking(running, sink)
        asking.ask("openai", "canary-4b", stream=True)
        spans = sink.wait_for(asking.trace, 2)
        # What is left is delivered before the process ends.
        running.stop()
        shown = [span for span in spans if "gen_ai.input.messages" in span.attributes]
        assert len(shown) == on_span
        assert [e.trace for e in sink.events] == [asking.trace] * in_event
        assert "what clients ask and models answer goes to the collector" in running.log()
        assert "canary-4b" not in running.log()


def test_what_is_not_sampled_is_not_captured(providers: SandboxProcess) -> None:
    with ContentSink() as sink:
        env = {**environment(sink, "SPAN_AND_EVENT"), "OTEL_TRACES_SAMPLER": "always_off"}
        with Proxy(env=env, policy=policy_for(providers)) as running:
            Asking(running, sink).ask("openai", "canary-4b")
            running.stop()
        assert b"canary-4b" not in b"".join(sink.bodies)


def test_the_size_is_the_operators_to_say(providers: SandboxProcess) -> None:
    with ContentSink() as sink:
        env = {**environment(sink, "SPAN_ONLY"), "EP_TRACE_CONTENT_BYTES": "2000"}
        with Proxy(env=env, policy=policy_for(providers)) as running:
            asking = Asking(running, sink)
            asking.ask("openai", f"{'x' * 50_000} [sandbox words=3000]", stream=True)
            spans = sink.wait_for(asking.trace, 2)
        (attempt,) = [span for span in spans if span.kind == "CLIENT"]
        for name in ("gen_ai.input.messages", "gen_ai.output.messages"):
            assert 1500 < len(attempt.attributes[name]) <= 2000
            assert "[cut: " in texts(attempt.attributes[name])[-1]


def test_what_opentelemetry_itself_cuts_stays_json(providers: SandboxProcess) -> None:
    with ContentSink() as sink:
        env = {**environment(sink, "SPAN_ONLY"), "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "500"}
        with Proxy(env=env, policy=policy_for(providers)) as running:
            asking = Asking(running, sink)
            asking.ask("openai", "x" * 5000)
            spans = sink.wait_for(asking.trace, 2)
        (attempt,) = [span for span in spans if span.kind == "CLIENT"]
        assert "[cut: 5000 characters]" in texts(attempt.attributes["gen_ai.input.messages"])[-1]


def test_patterns_of_the_policy_change_while_the_server_runs(providers: SandboxProcess) -> None:
    with ContentSink() as sink:
        env = {**environment(sink, "SPAN_ONLY"), "EP_POLICY_RELOAD": "0.05"}
        policy = policy_for(providers)
        with Proxy(env=env, policy={**policy, "tracing": {}}) as running:
            headers = {"authorization": f"Bearer {CLIENT_KEY}"}

            def generation() -> int:
                answer = httpx.get(f"{running.url}/readyz", headers=headers, trust_env=False)
                return answer.json()["policy"]["generation"]

            seen: list[list[str]] = []
            for patterns in ([], [r"kunde-\d+"]):
                running.change_policy({**policy, "tracing": {"redact": patterns}})
                wanted = 1 + len(seen)
                wait_until(lambda wanted=wanted: generation() >= wanted, 10)
                asking = Asking(running, sink)
                asking.ask("openai", "about kunde-4711")
                (_, attempt) = sorted(sink.wait_for(asking.trace, 2), key=lambda s: s.kind)[::-1]
                seen.append(texts(attempt.attributes["gen_ai.input.messages"])[1:])
        assert seen == [["about kunde-4711"], ["about [REDACTED]"]]


@pytest.mark.parametrize("collector", ["closed", "failing"])
def test_a_collector_that_takes_no_events_harms_no_request(
    providers: SandboxProcess, collector: str
) -> None:
    with ContentSink() as sink:
        env = environment(sink, "EVENT_ONLY")
        path = "/nowhere" if collector == "failing" else ""
        address = sink.url + path if path else "http://127.0.0.1:9"
        env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] = address
        with Proxy(env=env, policy=policy_for(providers)) as running:
            for stream in (False, True) * 5:
                assert Asking(running, sink).ask("openai", "canary-4b", stream=stream)
            # Generous: what is left undelivered is given up after five seconds.
            assert running.stop(seconds=20) in (0, -15)
            assert "canary-4b" not in running.log()

"""Tracing bugs that other gateways have or had, each tried here; the table is in README.md.

Those that another test tries already are in the table and not here.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.scripted import ENDINGS, OPENINGS, Stage, delta, scripted
from tests.serving import Proxy, SandboxProcess
from tests.telemetry.backends.spans import children_of
from tests.telemetry.caller import Caller, upstream
from tests.telemetry.conftest import Exporter
from tests.telemetry.traced_server import (
    CANARIES,
    CLIENT_KEY,
    LOOK,
    PROVIDER_KEY,
    SHARED,
    TracedServer,
    serving,
    traced_policy,
)

Json = dict[str, Any]

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def traced(
    providers: SandboxProcess, exporter: Exporter, scripted_port: int
) -> Iterator[TracedServer]:
    policy = traced_policy(providers, scripted=scripted_port)
    with serving(providers, exporter.backend, exporter.protocol, policy=policy) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
def test_bug_04_the_callers_span_is_the_callers_and_the_root_ends_last(
    traced: TracedServer, stream: bool
) -> None:
    caller = Caller()
    text = "[sandbox provider=anthropic fail=529]"
    traced.ask(caller, traced.body(caller, "anthropic_first", text, stream=stream))
    spans = traced.spans(caller)
    assert traced.tree(caller, spans)
    assert caller.span not in {span.id for span in spans}
    (root,) = [span for span in spans if span.kind == "SERVER"]
    assert root.parent == caller.span
    assert max(span.end for span in spans) == root.end


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("GET", "/v1/models", "GET /v1/models", 200),
        ("GET", "/v1/models/openai_only", "GET /v1/models/{id:path}", 200),
        ("GET", "/v1/models/nobody", "GET /v1/models/{id:path}", 404),
        ("POST", "/v1/models", "POST /v1/models", 405),
        ("POST", "/v1/messages", "POST", 404),
        ("GET", "/made/up", "GET", 404),
    ],
)
def test_bug_06_each_path_has_one_span_in_the_callers_trace(
    traced: TracedServer, method: str, path: str, name: str, status: int
) -> None:
    caller = Caller()
    headers = {**caller.headers, "authorization": f"Bearer {CLIENT_KEY}"}
    url = f"{traced.proxy.url}{path}"
    answer = httpx.request(method, url, headers=headers, trust_env=False)
    assert answer.status_code == status
    (span,) = traced.spans(caller)
    assert traced.tree(caller, [span]) == f"{name} SERVER UNSET"


def test_bug_06_names_that_a_tracer_might_use_are_the_clients_to_use(traced: TracedServer) -> None:
    caller = Caller()
    names = ("traceparent", "span", "parent_otel_span", "litellm_parent_otel_span", "trace_id")
    metadata = dict.fromkeys(names, CANARIES["prompt"])
    body = traced.body(caller, "openai_only", "Hi", metadata=metadata, user=CANARIES["prompt"])
    assert traced.ask(caller, body).status_code == 200
    tree = traced.tree(caller, traced.spans(caller))
    assert tree.splitlines()[1:] == ["  chat gpt-4.1 CLIENT UNSET completed"]


@pytest.mark.parametrize("stream", [False, True])
def test_bug_07_nothing_is_told_of_parent_and_child_alike(
    traced: TracedServer, stream: bool
) -> None:
    caller = Caller()
    text = "[sandbox provider=anthropic fail=529]"
    traced.ask(caller, traced.body(caller, "anthropic_first", text, stream=stream))
    spans = traced.spans(caller)
    (root,) = [span for span in spans if span.kind == "SERVER"]
    assert len(children_of(root, spans)) >= 2
    for child in children_of(root, spans):
        both = child.attributes.keys() & root.attributes.keys()
        assert both <= SHARED, f"{child.name}: {both - SHARED}"


@pytest.mark.parametrize("exporter_name", ["none", "console", None])
def test_bug_08_nothing_said_is_dumped_where_no_collector_is(
    providers: SandboxProcess, exporter_name: str | None
) -> None:
    env = {"UPSTREAM_KEY": PROVIDER_KEY, "EP_CLIENT_KEYS": CLIENT_KEY, "EP_LOG_LEVEL": "debug"}
    if exporter_name is not None:
        env["OTEL_TRACES_EXPORTER"] = exporter_name
    with Proxy(env=env, policy=traced_policy(providers)) as proxy:
        caller = Caller()
        message = {"role": "user", "content": f"{CANARIES['prompt']} [sandbox say=canary-answer]"}
        body = {"model": "openai_only", "messages": [message], "tools": [LOOK]}
        headers = {"authorization": f"Bearer {CLIENT_KEY}", **caller.headers}
        url = f"{proxy.url}/v1/chat/completions?of={CANARIES['query string']}"
        answer = httpx.post(url, json=body, headers=headers, trust_env=False)
        assert answer.status_code == 200
        proxy.decision(answer.headers["x-request-id"])
        proxy.stop(seconds=30)
        said = proxy.log() + proxy.rest()
    assert ("chat gpt-4.1" in said) == (exporter_name == "console")
    assert "canary" not in said


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 500])
async def test_bug_09_what_a_provider_says_of_a_failure_is_not_exported(
    traced: TracedServer, scripted_port: int, status: int, stream: bool
) -> None:
    said = f"{CANARIES['refusal']}: {CANARIES['prompt']} of {PROVIDER_KEY}"
    error = {"message": said, "type": "wrong", "param": said, "code": "wrong"}
    body = json.dumps({"error": error}).encode()

    async def play(stage: Stage) -> None:
        head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n"
        stage.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await stage.writer.drain()

    caller = Caller()
    request = traced.body(caller, "scripted_openai_only", "Hi", stream=stream)
    async with scripted(scripted_port, play):
        answer = await asyncio.to_thread(traced.ask, caller, request)
    assert answer.status_code >= 400
    spans = await asyncio.to_thread(traced.spans, caller)
    # It looks for the words in all bytes that were exported.
    assert traced.tree(caller, spans)
    assert {span.status_message for span in spans} == {""}
    assert {event.name for span in spans for event in span.events} == set[str]()


def test_bug_10_no_address_with_a_key_is_exported(traced: TracedServer) -> None:
    caller = Caller()
    assert traced.ask(caller, traced.body(caller, "gemini_only", "Hi")).status_code == 200
    spans = traced.spans(caller)
    assert traced.tree(caller, spans)
    (headers,) = upstream(traced.sandbox, caller)
    assert headers["x-goog-api-key"] == PROVIDER_KEY
    for span in spans:
        assert not {"url.full", "url.query", "http.url", "http.target"} & span.attributes.keys()
        assert "?" not in json.dumps(span.attributes)


@pytest.mark.parametrize("stream", [False, True])
async def test_bug_11_an_answer_full_of_nulls_is_exported(
    traced: TracedServer, scripted_port: int, stream: bool
) -> None:
    nulls: Json = dict.fromkeys(("id", "model", "usage", "system_fingerprint", "service_tier"))
    part = {"index": 0, "logprobs": None, "finish_reason": "stop"}
    said = {"role": "assistant", "content": "Hi", "tool_calls": None, "refusal": None}
    choice = {**part, "delta" if stream else "message": said}
    answer = json.dumps({**nulls, "created": None, "choices": [choice]}).encode()

    async def play(stage: Stage) -> None:
        await stage.start(content_type="text/event-stream" if stream else "application/json")
        await stage.send(b"data: " + answer + b"\n\ndata: [DONE]\n\n" if stream else answer)
        await stage.finish()

    caller = Caller()
    request = traced.body(caller, "scripted_openai_only", "Hi", stream=stream)
    async with scripted(scripted_port, play):
        assert (await asyncio.to_thread(traced.ask, caller, request)).status_code == 200
    spans = await asyncio.to_thread(traced.spans, caller)
    tree = traced.tree(caller, spans).splitlines()
    assert tree[1:] == ["  chat gpt-4.1 CLIENT UNSET completed"]
    assert "null" not in json.dumps([span.attributes for span in spans])


async def test_bug_12_who_leaves_a_stream_confuses_no_context(traced: TracedServer) -> None:
    caller = Caller()
    body = traced.body(caller, "openai_only", "[sandbox stall=6 words=40]", stream=True)
    async with await traced.connect(caller, body) as connection:
        await connection.until(b"the proxy")
    assert len(await asyncio.to_thread(traced.spans, caller)) == 2
    assert "detach" not in traced.proxy.log()
    assert "different Context" not in traced.proxy.log()


async def test_bug_13_what_follows_an_answer_does_not_stretch_its_spans(
    traced: TracedServer, scripted_port: int
) -> None:
    """The provider keeps its connection open; the trace is complete long before it lets go."""
    let_go = asyncio.Event()

    async def play(stage: Stage) -> None:
        await stage.start()
        await stage.send(OPENINGS["openai"] + delta("openai", "Hi") + ENDINGS["openai"])
        await let_go.wait()

    caller = Caller()
    request = traced.body(caller, "scripted_openai_only", "Hi", stream=True)
    async with scripted(scripted_port, play):
        answer = await asyncio.to_thread(traced.ask, caller, request)
        assert answer.content.endswith(b"data: [DONE]\n\n")
        spans = await asyncio.to_thread(traced.spans, caller)
        assert not let_go.is_set()
        let_go.set()
    tree = traced.tree(caller, spans).splitlines()
    assert tree[1:] == ["  chat gpt-4.1 CLIENT UNSET completed"]


def test_bug_14_times_are_fine_enough_to_tell_which_came_first(traced: TracedServer) -> None:
    spans = []
    for _ in range(3):
        caller = Caller()
        text = "[sandbox provider=anthropic fail=529]"
        traced.ask(caller, traced.body(caller, "anthropic_first", text))
        spans = traced.spans(caller)
        first, second = [span for span in spans if span.kind == "CLIENT"]
        assert first.start < first.end <= second.start < second.end
        if any(span.start % 1_000_000 for span in spans):
            return
    raise AssertionError(f"all times are whole milliseconds: {[span.start for span in spans]}")


def test_bug_15_a_streams_span_begins_with_its_request(traced: TracedServer) -> None:
    """The provider takes 0.3 s to the first word and 0.3 s more to the last: no less can pass."""
    caller = Caller()
    text = "[sandbox delay=0.3 words=12 chunks=6 gap=0.05]"
    traced.ask(caller, traced.body(caller, "openai_only", text, stream=True))
    spans = traced.spans(caller)
    assert traced.tree(caller, spans)
    (attempt,) = [span for span in spans if span.kind == "CLIENT"]
    (first,) = [event for event in attempt.events if event.name == "gen_ai.first_chunk"]
    assert first.time - attempt.start >= 300_000_000
    assert attempt.end - first.time >= 200_000_000
    told = attempt.attributes["gen_ai.response.time_to_first_chunk"]
    assert 0.3 <= told <= (first.time - attempt.start) / 1e9 + 0.001


def test_bug_16_nothing_is_sent_before_somebody_answers_and_each_try_is_there(
    traced: TracedServer,
) -> None:
    """Both begin an answer, and break off before they say a word."""
    caller = Caller()
    answer = traced.ask(caller, traced.body(caller, "openai_first", "[sandbox cut=1]", stream=True))
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/json"
    spans = traced.spans(caller)
    assert traced.tree(caller, spans)
    attempts = [span for span in spans if span.kind == "CLIENT"]
    told = [
        (span.attributes["ep.upstream.name"], span.attributes["error.type"]) for span in attempts
    ]
    assert told == [("openai", "network"), ("anthropic", "network"), ("anthropic", "network")]
    # A provider's 200 is on its attempt; the client was told another status.
    (root,) = [span for span in spans if span.kind == "SERVER"]
    assert root.attributes["http.response.status_code"] == 502
    assert {span.attributes["http.response.status_code"] for span in attempts} == {200}


def test_the_table_of_bugs_names_tests_that_are_there() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| (.+?) \|$", (HERE / "README.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == [*range(1, 17)]
    for number, tests in rows:
        named = re.findall(r"`(\w+\.py)`: `(test_\w+)`", tests)
        assert named, number
        for file, test in named:
            assert f"def {test}(" in (HERE / file).read_text(), (number, file, test)

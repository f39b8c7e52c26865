"""For every outcome of a request the whole tree, as a collector has it: nothing more or less.

A line of a tree is a span: name, kind, status, `error.type` if it has one, and how the answer
ended. Below a line stand its children. A server process, its providers and the collector are real.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any

import pytest

from tests.providers import closed_port
from tests.serving import SandboxProcess, wait_until
from tests.telemetry.backends.spans import TracedSpan
from tests.telemetry.caller import Caller, upstream
from tests.telemetry.conftest import Exporter
from tests.telemetry.traced_server import (
    CANARIES,
    LOOK,
    SERVER,
    TracedServer,
    serving,
    traced_policy,
)

Json = dict[str, Any]

TOOLS: Json = {"tools": [LOOK]}


@dataclass(frozen=True)
class Outcome:
    """One row of the table.

    Attributes:
        name: For the reader.
        tree: The lines, without the SERVER span's method and path.
        persona: Who is asked.
        text: What is asked: mostly directives for the providers. `KEY` is new each time.
        status: Of the answer.
        stream: Only streamed, or only whole; None: either.
        fields: Of the request.
    """

    name: str
    tree: str
    persona: str
    text: str = "Hi"
    status: int = 200
    stream: bool | None = None
    fields: Json = field(default_factory=dict[str, Any])


SUCCESS = """
    SERVER UNSET completed
      chat {} CLIENT UNSET completed"""

REJECTED = "SERVER UNSET completed"
UNREAD = "SERVER UNSET"
"""What was refused before it was known to be a request: nothing of an answer can be told."""

BROKEN = """
    SERVER ERROR {0} upstream_error
      chat gpt-4.1 CLIENT ERROR {0} upstream_error"""

CALL = f"""[sandbox tool=look args={{"at":"{CANARIES["arguments"]}"}}]"""
SAY = f"""[sandbox say="{CANARIES["answer"]}"]"""

OUTCOMES = [
    Outcome("success, OpenAI", SUCCESS.format("gpt-4.1"), "openai_only", SAY),
    Outcome("success, Anthropic", SUCCESS.format("claude-sonnet-4-6"), "anthropic_only", SAY),
    Outcome("success, Gemini", SUCCESS.format("gemini-3.6-flash"), "gemini_only", SAY),
    Outcome("success, Responses", SUCCESS.format("gpt-4.1"), "responses_only", SAY),
    Outcome("a tool call", SUCCESS.format("gpt-4.1"), "openai_only", CALL, fields=TOOLS),
    Outcome(
        "three answers of one that gives one at a time",
        SUCCESS.format("claude-sonnet-4-6"), "anthropic_only", fields={"n": 3},
    ),
    Outcome(
        "three answers of one that gives three",
        SUCCESS.format("gpt-4.1"), "openai_only", fields={"n": 3},
    ),
    Outcome(
        "routed: the first candidate lacks a capability",
        """
        SERVER UNSET completed
          route routed INTERNAL UNSET
          chat gpt-4.1 CLIENT UNSET completed""",
        "routed", fields=TOOLS,
    ),
    Outcome(
        "fallback: the first is overloaded",
        """
        SERVER UNSET completed
          route anthropic_first INTERNAL UNSET
          chat claude-sonnet-4-6 CLIENT ERROR overloaded_error upstream_error
          chat gpt-4.1 CLIENT UNSET completed""",
        "anthropic_first", "[sandbox provider=anthropic fail=529]",
    ),
    Outcome(
        "fallback: the first is out of reach",
        """
        SERVER UNSET completed
          route dead_first INTERNAL UNSET
          chat gpt-4.1 CLIENT ERROR network upstream_error
          chat gpt-4.1 CLIENT UNSET completed""",
        "dead_first",
    ),
    Outcome(
        "fallback: the first is silent",
        """
        SERVER UNSET completed
          route short_anthropic_first INTERNAL UNSET
          chat claude-sonnet-4-6 CLIENT ERROR timeout upstream_error
          chat gpt-4.1 CLIENT UNSET completed""",
        "short_anthropic_first", "[sandbox provider=anthropic first=30]", stream=True,
    ),
    Outcome(
        "fallback: the first breaks off before it says anything",
        """
        SERVER UNSET completed
          route openai_first INTERNAL UNSET
          chat gpt-4.1 CLIENT ERROR network upstream_error
          chat claude-sonnet-4-6 CLIENT UNSET completed""",
        "openai_first", "[sandbox provider=openai cut=1]", stream=True,
    ),
    Outcome(
        "retry: the only one has a passing failure",
        """
        SERVER UNSET completed
          chat gpt-4.1 CLIENT ERROR requests upstream_error
          chat gpt-4.1 CLIENT UNSET completed""",
        "openai_only", "[sandbox fail=429 retry_after=0 times=1 key=KEY]",
    ),
    Outcome(
        "retry of the first in spite of a second",
        """
        SERVER UNSET completed
          route openai_first INTERNAL UNSET
          chat gpt-4.1 CLIENT ERROR requests upstream_error
          chat gpt-4.1 CLIENT UNSET completed""",
        "openai_first", "[sandbox fail=429 retry_after=0.1 times=1 key=KEY]",
    ),
    Outcome(
        "all failed",
        """
        SERVER ERROR api_error upstream_error
          route openai_first INTERNAL UNSET
          chat gpt-4.1 CLIENT ERROR server_error upstream_error
          chat claude-sonnet-4-6 CLIENT ERROR api_error upstream_error
          chat claude-sonnet-4-6 CLIENT ERROR api_error upstream_error""",
        "openai_first", "[sandbox fail=500]", 502,
    ),
    Outcome(
        "the only one failed",
        """
        SERVER ERROR network upstream_error
          chat gpt-4.1 CLIENT ERROR network upstream_error
          chat gpt-4.1 CLIENT ERROR network upstream_error""",
        "dead_only", status=502,
    ),
    Outcome(
        "refused by the provider: the client's fault",
        """
        SERVER UNSET upstream_error
          chat gpt-4.1 CLIENT ERROR invalid_request_error upstream_error""",
        "openai_only", "[sandbox fail=400]", 400,
    ),
    Outcome(
        "refused by the provider: our key is wrong",
        BROKEN.format("invalid_request_error"),
        "openai_only", "[sandbox fail=401]", 502,
    ),
    Outcome("rejected: unknown persona", REJECTED, "nobody", status=404),
    Outcome("rejected: a wrong field", UNREAD, "openai_only", status=400, fields={"n": "x"}),
    Outcome("rejected: the only one is not capable", REJECTED, "incapable", status=400,
            fields=TOOLS),
    Outcome(
        "rejected: none of two is capable",
        """
        SERVER UNSET completed
          route two_incapable INTERNAL UNSET""",
        "two_incapable", status=400, fields=TOOLS,
    ),
    Outcome("truncated: cut", BROKEN.format("network"), "openai_only",
            "[sandbox words=50 cut=20]", stream=True),
    Outcome("truncated: no end", BROKEN.format("protocol"), "openai_only",
            "[sandbox words=50 eof=20]", stream=True),
    Outcome("truncated: an error in the middle", BROKEN.format("server_error"), "openai_only",
            "[sandbox words=50 error=20]", stream=True),
    Outcome("truncated: rubbish in the middle", BROKEN.format("protocol"), "openai_only",
            "[sandbox words=50 garbage=20]", stream=True),
    Outcome("truncated: half of a whole answer", BROKEN.format("protocol"), "openai_only",
            "[sandbox words=50 eof=1]", 502, stream=False),
    Outcome(
        "truncated: a whole answer is cut, twice",
        """
        SERVER ERROR network upstream_error
          chat gpt-4.1 CLIENT ERROR network upstream_error
          chat gpt-4.1 CLIENT ERROR network upstream_error""",
        "openai_only", "[sandbox words=50 cut=1]", 502, stream=False,
    ),
    Outcome(
        "truncated: after the first words nobody else is asked",
        """
        SERVER ERROR network upstream_error
          route openai_first INTERNAL UNSET
          chat gpt-4.1 CLIENT ERROR network upstream_error""",
        "openai_first", "[sandbox words=50 cut=20]", stream=True,
    ),
    Outcome("timeout: first token", BROKEN.format("timeout"), "short_openai_only",
            "[sandbox first=30]", 504, stream=True),
    Outcome("timeout: in the middle", BROKEN.format("timeout"), "short_openai_only",
            "[sandbox words=60 stall=8]", stream=True),
    Outcome("timeout: the whole stream", BROKEN.format("timeout"), "total_openai_only",
            "[sandbox gap=0.1 words=400]", stream=True),
    Outcome("timeout: the whole answer", BROKEN.format("timeout"), "total_openai_only",
            "[sandbox delay=30]", 504, stream=False),
]  # fmt: skip


def modes() -> Iterator[Any]:
    for row in OUTCOMES:
        for stream in (False, True) if row.stream is None else (row.stream,):
            yield pytest.param(row, stream, id=f"{row.name}, {'stream' if stream else 'whole'}")


@pytest.fixture(scope="module")
def traced(providers: SandboxProcess, exporter: Exporter) -> Iterator[TracedServer]:
    policy = traced_policy(providers, dead=closed_port())
    with serving(providers, exporter.backend, exporter.protocol, policy=policy) as server:
        yield server


@pytest.mark.parametrize(("outcome", "stream"), [*modes()])
def test_bug_05_the_tree_of(traced: TracedServer, outcome: Outcome, stream: bool) -> None:
    caller = Caller()
    text = outcome.text.replace("KEY", caller.trace)
    more = {"stream": True} if stream else {}
    answer = traced.ask(
        caller, traced.body(caller, outcome.persona, text, **outcome.fields, **more)
    )
    assert answer.status_code == outcome.status, answer.text
    spans = traced.spans(caller)
    assert traced.tree(caller, spans) == lines(outcome.tree)
    assert_counted(spans)
    assert_seen_by_the_providers(traced, caller, spans)


def lines(tree: str) -> str:
    """Return a tree of the table in full."""
    return f"{SERVER} {cleandoc(tree)}"


def attempts(spans: list[TracedSpan]) -> list[TracedSpan]:
    return [span for span in spans if span.kind == "CLIENT"]


def assert_counted(spans: list[TracedSpan]) -> None:
    """Each attempt bears its number and why it was made, and the request how many there were."""
    root = next(span for span in spans if span.kind == "SERVER")
    numbers = [span.attributes["ep.attempt.number"] for span in attempts(spans)]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert root.attributes.get("ep.attempts", 0) == len(numbers)
    before = None
    for span in attempts(spans):
        provider = span.attributes["ep.upstream.name"]
        expected = {None: "initial", provider: "retry"}.get(before, "fallback")
        assert span.attributes["ep.attempt.reason"] == expected
        before = provider


def assert_seen_by_the_providers(
    traced: TracedServer, caller: Caller, spans: list[TracedSpan]
) -> None:
    """The parent that a provider sees is the attempt's span: never ours, nor the caller's."""
    seen = upstream(traced.sandbox, caller)
    for headers in seen:
        assert not {"tracestate", "baggage", "x-private"} & set(headers)
    contexts = [tuple(headers["traceparent"].split("-")[1:3]) for headers in seen]
    asked = [(caller.trace, span.id) for span in attempts(spans) if "dead" not in name_of(span)]
    # An attempt may take several requests; each attempt's come together.
    assert list(dict.fromkeys(contexts)) == asked


def name_of(span: TracedSpan) -> str:
    return str(span.attributes["ep.upstream.name"])


def test_a_cached_answer_has_no_attempt(traced: TracedServer) -> None:
    for stream in (False, True):
        first, second = Caller(), Caller()
        body = traced.body(first, "cached", SAY, stream=stream)
        for caller in (first, second):
            assert traced.ask(caller, body).status_code == 200
        tree = traced.tree(first, traced.spans(first))
        assert tree == lines(SUCCESS.format("gpt-4.1"))
        spans = traced.spans(second)
        assert traced.tree(second, spans) == lines("SERVER UNSET completed")
        assert spans[0].attributes["ep.cache"] == "hit"
        assert len(upstream(traced.sandbox, first)) == 1


REFUSED: list[tuple[int, dict[str, str], bytes | None]] = [
    (401, {"authorization": "Bearer canary-prompt-52f9"}, None),
    (401, {"authorization": "canary-prompt-52f9"}, None),
    (400, {}, b'{"model": "canary-prompt-52f9'),
    (415, {"content-type": "text/canary-prompt-52f9"}, None),
]


@pytest.mark.parametrize(("status", "headers", "raw"), REFUSED)
def test_what_is_refused_at_the_door_is_a_server_span_alone(
    traced: TracedServer, status: int, headers: dict[str, str], raw: bytes | None
) -> None:
    caller = Caller()
    body = raw if raw is not None else traced.body(caller, "openai_only", "Hi")
    assert traced.ask(caller, body, headers=headers).status_code == status
    (span,) = traced.spans(caller)
    assert span.attributes["http.response.status_code"] == status
    assert traced.tree(caller, [span]) == lines(UNREAD)
    assert upstream(traced.sandbox, caller) == []


SILENT, SPEAKING = "[sandbox {} first=30 delay=30]", "[sandbox {} stall=6 words=40]"
LEFT = """
    SERVER UNSET client_disconnect
      chat gpt-4.1 CLIENT UNSET client_disconnect"""
LEFT_LATER = """
    SERVER UNSET client_disconnect
      route anthropic_first INTERNAL UNSET
      chat claude-sonnet-4-6 CLIENT ERROR overloaded_error upstream_error
      chat gpt-4.1 CLIENT UNSET client_disconnect"""
LEFT_WAITING = """
    SERVER UNSET client_disconnect
      chat gpt-4.1 CLIENT ERROR requests upstream_error"""

DISCONNECTS = {
    "before the first token, stream": (LEFT, "openai_only", SILENT, True),
    "before the answer, whole": (LEFT, "openai_only", SILENT, False),
    "after the first token": (LEFT, "openai_only", SPEAKING, True),
    "during a second attempt": (
        LEFT_LATER, "anthropic_first",
        "[sandbox provider=anthropic fail=529] " + SILENT.format("provider=openai"), True,
    ),
    "while a retry is waited for": (
        LEFT_WAITING, "openai_only", "[sandbox fail=429 retry_after=4]", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DISCONNECTS)
async def test_who_leaves_makes_no_error(traced: TracedServer, case: str) -> None:
    tree, persona, text, stream = DISCONNECTS[case]
    caller = Caller()
    text = text.format("")
    body = traced.body(caller, persona, text, **({"stream": True} if stream else {}))
    expected = 2 if "second" in case else 1
    async with await traced.connect(caller, body) as connection:
        if "words" in text:
            await connection.until(b"the proxy")
        else:
            wait_until(lambda: len(upstream(traced.sandbox, caller)) == expected, 10)
        if "waited" in case:
            # The answer to the attempt has to have come back.
            wait_until(lambda: _no_request_is_open(traced), 10)
        await connection.close()
    spans = traced.spans(caller)
    assert traced.tree(caller, spans) == lines(tree)
    assert_counted(spans)
    assert all("error.type" not in span.attributes for span in spans if span.status == "UNSET")


def _no_request_is_open(traced: TracedServer) -> bool:
    return traced.open_requests() == 0


async def test_a_stream_that_the_servers_end_cuts_off_says_so(
    providers: SandboxProcess, exporter: Exporter
) -> None:
    env = {"EP_DRAIN_TIMEOUT": "1"}
    with serving(providers, exporter.backend, exporter.protocol, env=env) as server:
        caller = Caller()
        body = server.body(caller, "openai_only", SPEAKING.format(""), stream=True)
        async with await server.connect(caller, body) as connection:
            await connection.until(b"the proxy")
            server.proxy.stop(seconds=60)
        expected = """
            SERVER UNSET server_shutdown
              chat gpt-4.1 CLIENT UNSET server_shutdown"""
        assert server.tree(caller, server.spans(caller)) == lines(expected)

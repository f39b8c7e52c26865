"""Content of attempts, captured while they are under way: in memory, with scripted providers."""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import get_current_span

from proxy.telemetry.content.bounded_answer import BoundedAnswer
from proxy.telemetry.content.capture import AttemptContent, Capture
from proxy.telemetry.content.mode import ContentMode
from proxy.telemetry.content.redaction import REDACTED, Head, Redactor
from tests.telemetry import genai_schema as schema
from tests.telemetry.secrets_of_tests import SHAPED
from tests.telemetry.traced_app import (
    HANG,
    Answer,
    ScriptedProvider,
    TracedApp,
    chunk,
    error_body,
    span_id,
)
from translators.errors import ProviderError
from translators.protocol import Chunk
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]

CONTENT = (
    *("gen_ai.input.messages", "gen_ai.output.messages"),
    *("gen_ai.system_instructions", "gen_ai.tool.definitions", "ep.content.error"),
)
SPANS = ContentMode(spans=True)


def chunks(*bodies: Json) -> list[Chunk]:
    return [Chunk(json.dumps(body).encode(), payload=True) for body in bodies]


def delta(index: int = 0, reason: str | None = None, **fields: Any) -> Chunk:
    choice = {"index": index, "delta": fields, "finish_reason": reason}
    return chunks({"id": "x", "choices": [choice]})[0]


def question(text: str = "Hi") -> ChatCompletionRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return ChatCompletionRequest.model_validate(body)


def captured(limit: int = 64 * 1024, dialect: str = "openai_chat") -> AttemptContent:
    content = Capture(SPANS, limit).attempt(dialect, ())
    content.asked(question(), Redactor())
    return content


def said(attributes: Mapping[str, Any]) -> Any:
    return schema.messages(attributes["gen_ai.output.messages"])


class TestStreams:
    @given(st.sampled_from(sorted(SHAPED)), st.lists(st.integers(1, 9), min_size=1), st.booleans())
    def test_a_secret_split_over_chunks_does_not_survive(
        self, name: str, sizes: Sequence[int], in_arguments: bool
    ) -> None:
        secret = SHAPED[name]
        text = json.dumps({"a": f"x {secret} y"}) if in_arguments else f"x {secret} y"
        pieces: list[str] = []
        place = 0
        while place < len(text):
            size = sizes[len(pieces) % len(sizes)]
            pieces.append(text[place : place + size])
            place += size
        content = captured()
        if in_arguments:
            content.told([delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}])])
            for piece in pieces:
                call = {"index": 0, "function": {"arguments": piece}}
                content.told([delta(tool_calls=[call])])
        else:
            for piece in pieces:
                content.told([delta(content=piece)])
        content.told([delta(reason="stop")])
        told = content.end(complete=True)["gen_ai.output.messages"]
        assert REDACTED in told
        assert secret not in told
        assert secret[6:16] not in told

    def test_beyond_the_limit_only_the_length_is_kept(self) -> None:
        content = captured(limit=2000)
        piece = "word " * 200
        sizes: list[int] = []
        for number in range(3000):
            content.told([delta(content=piece, reasoning_content="hm" if number == 2900 else None)])
            if number in (200, 2999):
                sizes.append(deep_size(content))
        content.told([delta(reason="length")])
        # Neither grows with what comes, nor is it anywhere near the three million characters.
        assert sizes[1] < sizes[0] + 1000
        assert sizes[1] < 200_000
        (message,) = said(content.end(complete=True))
        assert message["finish_reason"] == "length"
        thought, text = message["parts"]
        assert thought["content"] == "… [cut: 2 characters]"
        assert text["content"].startswith("word word")
        assert text["content"].endswith("… [cut: 3000000 characters]")

    def test_one_huge_chunk_is_not_kept_whole(self) -> None:
        content = captured(limit=2000)
        content.told([delta(content="x" * 5_000_000)])
        assert deep_size(content) < 100_000
        (message,) = said(content.end(complete=False))
        assert message["parts"][0]["content"].endswith("… [cut: 5000000 characters]")
        assert message["finish_reason"] == "error"

    def test_arguments_beyond_the_limit(self) -> None:
        content = captured(limit=2000)
        start = {"index": 0, "id": "c", "type": "function", "function": {"name": "f"}}
        content.told([delta(tool_calls=[start])])
        for _ in range(100):
            content.told([delta(tool_calls=[{"index": 0, "function": {"arguments": "y" * 1000}}])])
        late = {"index": 1, "id": "d", "type": "function", "function": {"name": "g"}}
        content.told([delta(tool_calls=[late]), delta(reason="tool_calls")])
        (message,) = said(content.end(complete=True))
        call = message["parts"][0]
        assert call["name"] == "f"
        assert call["arguments"].endswith("… [cut: 100000 characters]")

    def test_choices_are_told_apart(self) -> None:
        content = captured()
        content.told([delta(0, content="A"), delta(1, content="B"), delta(0, content="a")])
        content.told([delta(1, reason="stop")])
        first, second = said(content.end(complete=False))
        assert first["parts"] == [{"type": "text", "content": "Aa"}]
        assert second["parts"] == [{"type": "text", "content": "B"}]
        assert (first["finish_reason"], second["finish_reason"]) == ("error", "stop")

    def test_a_bounded_answer_is_the_same_as_a_whole_one(self) -> None:
        bounded, whole = BoundedAnswer(50), BoundedAnswer(10**9)
        for answer in (bounded, whole):
            for _ in range(300):
                answer.add([delta(0, content="ab" * 200), delta(1, refusal="no" * 100)])
            answer.add([delta(0, reason="stop"), delta(7, content="late")])
        short, long = bounded.choices(), whole.choices()
        assert len(long) == 3
        text = short[0]["message"]["content"]
        assert isinstance(text, Head)
        assert (text, text.full) == (long[0]["message"]["content"][:50], 120_000)
        assert short[1]["message"]["refusal"].full == 60_000
        assert short[0]["finish_reason"] == "stop"


def deep_size(thing: Any, seen: set[int] | None = None) -> int:
    """Return the bytes of an object and of what it holds."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    held: list[Any] = [getattr(thing, "__dict__", None)]
    if isinstance(thing, Mapping):
        entries = cast("Mapping[Any, Any]", thing)
        held += [*entries.keys(), *entries.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        held += list(cast("list[Any]", thing))
    one: object = cast("object", thing)
    slots: Sequence[str] = getattr(type(one), "__slots__", ())
    held += [getattr(one, name, None) for name in slots]
    return sys.getsizeof(one) + sum(deep_size(inner, seen) for inner in held)


class TestFailures:
    def test_chunks_that_nobody_understands_are_no_harm(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        capture = Capture(SPANS, 5000)
        for _ in range(3):
            content = capture.attempt("openai_chat", ())
            content.asked(question("canary-prompt"), Redactor())
            content.told([delta(content="Hel")])
            with caplog.at_level(logging.WARNING):
                content.told([Chunk(b'{"canary-chunk": ' + b'"x"' * 30_000, payload=True)])
            content.told([delta(content="lo")])
            attributes = content.end(complete=False)
            assert attributes["ep.content.error"] == "DecodeError"
            assert "canary-prompt" in attributes["gen_ai.input.messages"]
            assert said(attributes)[0]["parts"] == [{"type": "text", "content": "Hel"}]
        assert capture.failures == 3
        assert len(caplog.records) == 1
        assert "DecodeError" in caplog.text
        assert "canary" not in caplog.text

    def test_so_is_a_whole_answer(self) -> None:
        content = captured()
        content.answered(b"[]")
        assert content.end(complete=True)["ep.content.error"] == "TypeError"
        content = captured()
        content.answered(b'{"choices": [{"message": {"tool_calls": [{"function": 5}]}}]}')
        assert content.end(complete=True)["ep.content.error"] == "AttributeError"

    def test_so_is_a_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(self: Redactor, text: str) -> str:
            raise ValueError("canary")

        monkeypatch.setattr(Redactor, "text", broken)
        content = captured()
        assert content.end(complete=True) == {"ep.content.error": "ValueError"}


class Events:
    """Keeps what would be log records."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, Mapping[str, Any]]] = []
        self.over = 0

    def emit(self, context: Any, attributes: Mapping[str, Any], /) -> None:
        self.told.append((get_current_span(context).get_span_context(), attributes))

    async def shutdown(self) -> None:
        self.over += 1


class TestEvents:
    def test_content_is_structured_and_other_attributes_are_the_conventions_own(self) -> None:
        events = Events()
        content = Capture(ContentMode(events=True), 5000, events).attempt("openai_chat", ())
        content.asked(question(), Redactor())
        content.told([delta(content="Hello"), delta(reason="stop")])
        assert content.end(complete=True) == {}
        content.known |= {"gen_ai.request.model": "m", "ep.x": 1, "server.port": 2}
        content.tell(None)
        ((_, attributes),) = events.told
        assert attributes == {
            "gen_ai.request.model": "m",
            "server.port": 2,
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
            ],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "text", "content": "Hello"}],
                    "finish_reason": "stop",
                }
            ],
        }

    async def test_each_attempt_has_one_in_its_own_place(self) -> None:
        events = Events()
        capture = Capture(ContentMode(spans=True, events=True), 5000, events)
        failing = Answer(status=500, body=error_body())
        app = TracedApp(ScriptedProvider(failing), ScriptedProvider(Answer()), capture=capture)
        await app.ask("both")
        *failed, served = app.attempts
        assert failed
        assert len(events.told) == len(app.attempts)
        for span, (context, attributes) in zip(app.attempts, events.told, strict=True):
            assert f"{context.span_id:016x}" == span_id(span)
            input = json.loads(str((span.attributes or {})["gen_ai.input.messages"]))
            assert attributes["gen_ai.input.messages"] == input
        assert events.told[0][1]["error.type"] == "server_error"
        assert "gen_ai.output.messages" not in events.told[0][1]
        assert events.told[-1][1]["gen_ai.output.messages"] == said(served.attributes or {})
        await app.service.telemetry.shutdown()
        assert events.over == 1


def content_of(span: ReadableSpan) -> Json:
    return {name: value for name, value in (span.attributes or {}).items() if name in CONTENT}


class TestRequests:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_attempt_holds_it_and_nobody_else(self, stream: bool) -> None:
        app = TracedApp(ScriptedProvider(Answer()), capture=Capture(SPANS, 5000))
        reply = await app.ask(stream=stream)
        assert reply.status == 200
        (attempt,) = app.attempts
        content = content_of(attempt)
        assert set(content) == {"gen_ai.input.messages", "gen_ai.output.messages"}
        (asked,) = schema.messages(content["gen_ai.input.messages"])
        assert asked == {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
        (answer,) = said(content)
        assert answer["parts"] == [{"type": "text", "content": "Hello"}]
        assert answer["finish_reason"] == "stop"
        assert not any(content_of(span) for span in app.spans if span is not attempt)

    @pytest.mark.parametrize("stream", [False, True])
    async def test_after_a_fallback_both_attempts_hold_the_question(self, stream: bool) -> None:
        broken = Answer(events=[], then=ProviderError("canary", kind="overloaded", status=529))
        first = broken if stream else Answer(status=529, body=error_body("canary"))
        app = TracedApp(
            ScriptedProvider(first), ScriptedProvider(Answer()), capture=Capture(SPANS, 5000)
        )
        await app.ask("both", stream=stream)
        *failed, served = app.attempts
        assert failed
        for span in failed:
            assert set(content_of(span)) == {"gen_ai.input.messages"}
            assert "canary" not in str(span.attributes)
        assert said(content_of(served))[0]["parts"] == [{"type": "text", "content": "Hello"}]

    async def test_of_a_broken_stream_what_came_is_kept(self) -> None:
        cut = ProviderError("cut", kind="network")
        broken = Answer(events=[chunk("Hel"), chunk("lo")], then=cut)
        app = TracedApp(ScriptedProvider(broken), capture=Capture(SPANS, 5000))
        await app.ask(stream=True)
        (message,) = said(content_of(app.attempts[-1]))
        assert message["parts"] == [{"type": "text", "content": "Hello"}]
        assert message["finish_reason"] == "error"

    async def test_so_it_is_where_the_client_leaves(self) -> None:
        endless = Answer(events=[chunk("Hel"), chunk("lo")], then=HANG)
        app = TracedApp(ScriptedProvider(endless), capture=Capture(SPANS, 5000))
        await app.ask(stream=True, leave_after=2)
        (attempt,) = app.attempts
        assert (attempt.attributes or {})["ep.stream.end_reason"] == "client_disconnect"
        (message,) = said(content_of(attempt))
        assert message["parts"][0]["content"].startswith("Hel")
        assert message["finish_reason"] == "error"

    async def test_the_key_that_a_client_shows_is_taken_out(self) -> None:
        app = TracedApp(
            ScriptedProvider(Answer(text="it is plainkey77")),
            keys=["plainkey77"],
            capture=Capture(SPANS, 5000),
        )
        headers = {"authorization": "Bearer plainkey77"}
        messages = [{"role": "user", "content": "my key is plainkey77"}]
        reply = await app.ask(headers=headers, messages=messages)
        assert reply.status == 200
        content = content_of(app.attempts[0])
        assert "plainkey77" not in str(content)
        assert str(content).count(REDACTED) == 2

    @pytest.mark.parametrize("capture", [None, Capture(ContentMode(), 5000)])
    async def test_off_nothing_is_kept(self, capture: Capture | None) -> None:
        app = TracedApp(ScriptedProvider(Answer()), capture=capture)
        for stream in (False, True):
            await app.ask(stream=stream, messages=[{"role": "user", "content": "canary"}])
        for span in app.spans:
            assert content_of(span) == {}
            assert "canary" not in str(span.attributes)

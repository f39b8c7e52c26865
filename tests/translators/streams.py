"""Whole streams through a translator, and what must be true of them in every dialect."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk, ParsedChatCompletion

from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.protocol import Chunk, HttpRequest, Outcome, ResponseContext, Translator
from translators.sse import ServerSentEvent, SSEDecoder

__all__ = ["CONTEXT", "Json", "Streams", "accumulate", "accumulate_data", "events_of", "folded"]

Json = dict[str, Any]

CONTEXT = ResponseContext("chatcmpl-none", 1_700_000_000, "asked", include_usage=True)


def events_of(sse: bytes, cuts: Iterable[int] = ()) -> list[ServerSentEvent]:
    """Decode bytes that were cut at some places."""
    decoder = SSEDecoder()
    places = [0, *sorted(cuts), len(sse)]
    pieces = [sse[a:b] for a, b in zip(places, places[1:], strict=False)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def accumulate(chunks: Iterable[Chunk]) -> ParsedChatCompletion[Any]:
    """Return what a client that uses the OpenAI SDK makes of the chunks."""
    return accumulate_data(chunk.data for chunk in chunks)


def accumulate_data(chunks: Iterable[bytes]) -> ParsedChatCompletion[Any]:
    """Return the same for chunks as they are sent."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for data in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(data))
    # `get_final_completion` raises on `length`; the snapshot is the same without that.
    return cast("ParsedChatCompletion[Any]", state.current_completion_snapshot)


def folded(chunks: Iterable[Chunk]) -> Json:
    """Return the whole answer that our own fold makes of the chunks."""
    return json.loads(fold(chunk.data for chunk in chunks))


class Streams:
    """Runs streams through the translator of one dialect.

    The checks hold for every dialect: a test of one calls them with its own streams.
    """

    def __init__(
        self,
        translator: Translator[HttpRequest, bytes, ServerSentEvent],
        sse_of: Callable[[Iterable[Json]], bytes],
    ) -> None:
        self.translator = translator
        self._sse_of = sse_of

    def run(
        self, events: Iterable[ServerSentEvent], context: ResponseContext = CONTEXT
    ) -> tuple[list[Chunk], Outcome]:
        """Translate a whole stream."""
        stream = self.translator.stream(context)
        chunks = [chunk for event in events for chunk in stream.feed(event)]
        return [*chunks, *stream.end()], stream.outcome

    def run_native(
        self, events: Iterable[Json], context: ResponseContext = CONTEXT
    ) -> tuple[list[Chunk], Outcome]:
        """Translate native events given as JSON."""
        return self.run(events_of(self._sse_of(events)), context)

    def chunks_of(self, events: Iterable[Json], context: ResponseContext = CONTEXT) -> list[Json]:
        """Translate native events given as JSON; return the chunks as JSON."""
        return [json.loads(chunk.data) for chunk in self.run_native(events, context)[0]]

    def deltas_of(self, events: Iterable[Json], context: ResponseContext = CONTEXT) -> list[Json]:
        return [
            chunk["choices"][0]["delta"]
            for chunk in self.chunks_of(events, context)
            if chunk["choices"]
        ]

    def calls_in(self, events: Iterable[Json], context: ResponseContext = CONTEXT) -> list[Json]:
        deltas = self.deltas_of(events, context)
        return [call for delta in deltas for call in delta.get("tool_calls", ())]

    def outcome_of(self, events: Iterable[Json]) -> Outcome:
        return self.run_native(events)[1]

    def broken(self, events: Iterable[Json]) -> ProviderError:
        """Translate a stream that must fail; return its error."""
        with pytest.raises(ProviderError) as caught:
            self.run_native(events)
        return caught.value

    def whole(self, answer: Json, context: ResponseContext = CONTEXT) -> Json:
        """Translate an answer that was not streamed."""
        return json.loads(self.translator.response(json.dumps(answer).encode(), context).data)

    def check_cuts(
        self, body: bytes, cuts: Iterable[int], context: ResponseContext = CONTEXT
    ) -> None:
        """Check that bytes cut at these places say the same."""
        assert self.run(events_of(body, cuts), context) == self.run(events_of(body), context)

    def check_every_cut(self, body: bytes, context: ResponseContext = CONTEXT) -> None:
        """Check that bytes cut in two anywhere are the same events, and say the same."""
        events = events_of(body)
        for place in range(len(body)):
            assert events_of(body, [place]) == events
        assert self.run(events_of(body), context)[0] == self.run(events, context)[0]

    def check_pieces(self, body: bytes, context: ResponseContext = CONTEXT) -> None:
        """Check that bytes say the same in pieces, as a socket gives them."""
        expected, _ = self.run(events_of(body), context)
        for seed in range(5):
            decoder, stream = SSEDecoder(), self.translator.stream(context)
            chunks: list[Chunk] = []
            for piece in _pieces(body, random.Random(seed)):
                for event in decoder.feed(piece):
                    chunks += stream.feed(event)
            for event in decoder.end():
                chunks += stream.feed(event)
            assert [*chunks, *stream.end()] == expected

    def check_ignored(
        self,
        unknown: ServerSentEvent,
        events: Sequence[ServerSentEvent],
        *,
        context: ResponseContext = CONTEXT,
        every: int = 1,
    ) -> None:
        """Check that an event of an unknown type changes nothing, wherever it comes.

        Args:
            unknown: The event.
            events: The others.
            context: The answer's.
            every: How far apart the places are that are tried.
        """
        expected, _ = self.run(events, context)
        for place in range(0, len(events) + 1, every):
            assert self.run([*events[:place], unknown, *events[place:]], context)[0] == expected

    def check_unfinished(
        self, events: Iterable[ServerSentEvent], context: ResponseContext = CONTEXT
    ) -> None:
        """Check that a stream which breaks off behind `events` never looks finished."""
        stream = self.translator.stream(context)
        for event in events:
            assert all(b'"finish_reason":null' in chunk.data for chunk in stream.feed(event))
        with pytest.raises(StreamTruncated) as caught:
            stream.end()
        assert caught.value.code == "upstream_incomplete"

    def check_openai_sdk(
        self, events: Iterable[ServerSentEvent], context: ResponseContext = CONTEXT
    ) -> tuple[Json, Json]:
        """Check that the OpenAI SDK reads in the chunks what we fold them to.

        Returns:
            The message as the SDK has it and as we have it, for what a dialect adds.
        """
        chunks, outcome = self.run(events, context)
        (theirs,) = json.loads(accumulate(chunks).to_json(warnings=False))["choices"]
        (ours,) = folded(chunks)["choices"]
        assert theirs["finish_reason"] == ours["finish_reason"] == outcome.finish_reason
        read, said = theirs["message"], ours["message"]
        assert read["role"] == "assistant"
        assert read["content"] == (said["content"] or "")
        assert read.get("refusal") == said["refusal"]
        assert read.get("reasoning_content") == said.get("reasoning_content")
        assert len(read.get("annotations") or ()) == len(said.get("annotations") or ())
        return read, said


def _pieces(body: bytes, source: random.Random) -> Iterator[bytes]:
    place = 0
    while place < len(body):
        length = source.choice((1, 2, 7, 50, 1000))
        yield body[place : place + length]
        place += length

"""The messages of one answer: their texts and refusals, and what belongs to a text.

`response_output_text.py` and `response_text_delta_event.py` of openai 3.54. A chat answer has one
text: it is that of all parts, one behind the other, and offsets into a part become its own.
"""

from typing import Any

import msgspec

from translators.chunks import ChunkBuilder
from translators.openai_responses.events import (
    Annotation,
    Event,
    Logprob,
    Part,
    decode_as,
    kind_of,
)
from translators.openai_responses.sources import to_annotation, to_logprobs
from translators.openai_responses.thinking import Thoughts
from translators.protocol import Chunk

__all__ = ["Said"]

_NOTHING = len(b"null")
"""Bytes of JSON that hold no annotation and no token: none, `[]` or `null`."""


class _OpenPart:
    """A part of a message: where it begins in the answer's text, and what came of it."""

    __slots__ = ("annotations", "closed", "said", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.said = False
        self.closed = False
        self.annotations: list[Annotation] = []


class Said:
    """Collects the messages of one answer."""

    __slots__ = ("_annotations", "_chunks", "_length", "_parts", "_thoughts")

    def __init__(self, chunks: ChunkBuilder, thoughts: Thoughts) -> None:
        self._chunks = chunks
        self._thoughts = thoughts
        self._parts: dict[tuple[int, int], _OpenPart] = {}
        self._length = self._annotations = 0

    def text_delta(self, event: Event) -> list[Chunk]:
        """Return the chunks for a piece of a text."""
        part = self._part(event.output_index, event.content_index)
        delta = event.delta
        if not delta:
            return []
        if part.said and len(event.logprobs) <= _NOTHING:
            self._length += len(delta)
            return [self._chunks.text(delta)]
        return self._text(part, delta, _tokens(event.logprobs))

    def refusal_delta(self, event: Event) -> list[Chunk]:
        """Return the chunk for a piece of a refusal."""
        part = self._part(event.output_index, event.content_index)
        if not event.delta:
            return []
        part.said = True
        return [self._chunks.delta(refusal=event.delta)]

    def annotation(self, event: Event) -> list[Chunk]:
        """Take a source; it is told at the end of its part."""
        part = self._part(event.output_index, event.content_index)
        if len(event.annotation) > _NOTHING:
            part.annotations.append(decode_as(Annotation, event.annotation))
        return []

    def close_part(self, index: int, number: int, data: msgspec.Raw) -> list[Chunk]:
        """Take a part as it is at its end; return what was not said of it, and its sources."""
        if kind_of(data) not in ("output_text", "refusal"):
            return []
        opened, part = self._part(index, number), decode_as(Part, data)
        if opened.closed:
            return []
        opened.closed = True
        chunks: list[Chunk] = []
        if not opened.said and part.text:
            chunks += self._text(opened, part.text, part.logprobs)
        if not opened.said and part.refusal:
            chunks.append(self._chunks.delta(refusal=part.refusal))
        entries: list[dict[str, Any]] = []
        for source in part.annotations or opened.annotations:
            entry = to_annotation(source, index=self._annotations, start=opened.start)
            if entry is not None:
                self._annotations += 1
                entries.append(entry)
        if entries:
            chunks.append(self._chunks.delta(annotations=entries))
        return chunks

    def _text(self, part: _OpenPart, text: str, tokens: list[Logprob] | None) -> list[Chunk]:
        if not part.said:
            part.said = True
            self._thoughts.text()
        self._length += len(text)
        chunks = [self._chunks.text(text)]
        if tokens:
            chunks.append(self._chunks.logprobs(to_logprobs(tokens)))
        return chunks

    def _part(self, index: int, number: int) -> _OpenPart:
        part = self._parts.get((index, number))
        if part is None:
            part = self._parts[index, number] = _OpenPart(self._length)
        return part


def _tokens(raw: msgspec.Raw) -> list[Logprob] | None:
    return decode_as(list[Logprob], raw) if len(raw) > _NOTHING else None

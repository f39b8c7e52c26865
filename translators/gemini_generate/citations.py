"""Sources of an answer: Gemini's grounding and citations to OpenAI's annotations.

https://ai.google.dev/gemini-api/docs/google-search#understanding-the-response

Gemini counts bytes of UTF-8, OpenAI characters. Where a segment says no part, its offsets are
those of the whole text (thoughts left out); where it names one, they begin with that part. A
segment also quotes its text, and where the offsets do not lead there, the quotation does.
"""

from typing import Any, NamedTuple

from translators.gemini_generate.events import (
    Candidate,
    CitationMetadata,
    GroundingChunk,
    GroundingMetadata,
    Segment,
)

__all__ = ["Sources"]


class _Source(NamedTuple):
    start: int
    end: int
    part: int | None
    text: str | None
    url: str
    title: str


class Sources:
    """Collects the sources of the answer to one request."""

    __slots__ = ("_chunks", "_found")

    def __init__(self) -> None:
        self._chunks: list[GroundingChunk] = []
        # In a stream what was said before may be said again: each source counts once.
        self._found: dict[_Source, None] = {}

    def add(self, candidate: Candidate) -> None:
        """Take what a candidate, or a part of it, says of its sources."""
        if candidate.grounding_metadata is not None:
            self._add_grounding(candidate.grounding_metadata)
        if candidate.citation_metadata is not None:
            self._add_citations(candidate.citation_metadata)

    def annotations(self, text: str, starts: list[int], *, base: int = 0) -> list[dict[str, Any]]:
        """Return the annotations.

        Args:
            text: What the answer to this request said.
            starts: Where in it each part begins, in characters.
            base: How many characters came before it, with other requests.
        """
        data = text.encode()
        entries: list[dict[str, Any]] = []
        for source in self._found:
            start, end = _span(source, text, data, starts)
            span = {"start_index": base + start, "end_index": base + end}
            entries.append(
                {
                    "type": "url_citation",
                    "url_citation": {**span, "title": source.title, "url": source.url},
                }
            )
        return entries

    def _add_grounding(self, metadata: GroundingMetadata) -> None:
        # In a stream the chunks may come before the segments that they support.
        chunks = self._chunks = metadata.grounding_chunks or self._chunks
        for support in metadata.grounding_supports or ():
            segment = support.segment or Segment()
            for index in support.grounding_chunk_indices or ():
                if 0 <= index < len(chunks):
                    self._add(segment, chunks[index])

    def _add(self, segment: Segment, chunk: GroundingChunk) -> None:
        source = chunk.web or chunk.retrieved_context or chunk.maps
        if source is not None and source.uri:
            found = _Source(
                segment.start_index or 0,
                segment.end_index or 0,
                segment.part_index,
                segment.text,
                source.uri,
                source.title or "",
            )
            self._found[found] = None

    def _add_citations(self, metadata: CitationMetadata) -> None:
        for citation in metadata.citations or metadata.citation_sources or ():
            if citation.uri:
                start, end = citation.start_index or 0, citation.end_index or 0
                found = _Source(start, end, None, None, citation.uri, citation.title or "")
                self._found[found] = None


def _span(source: _Source, text: str, data: bytes, starts: list[int]) -> tuple[int, int]:
    """Return where a source's segment is, in characters."""
    base = 0
    if source.part is not None and 0 <= source.part < len(starts):
        base = len(text[: starts[source.part]].encode())
    start, end = base + source.start, base + source.end
    if source.text and data[start:end] != source.text.encode():
        place = text.find(source.text)
        if place != -1:
            return place, place + len(source.text)
    return _characters(data, start), _characters(data, end)


def _characters(data: bytes, length: int) -> int:
    """Return how many characters the first `length` bytes are; a broken one counts not."""
    return len(data[: max(length, 0)].decode(errors="ignore"))

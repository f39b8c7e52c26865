"""The reasoning of one answer: what the client sees of it, and what it is to send back.

`response_reasoning_item.py` of openai 3.54.

1. `reasoning_content` is all of it that can be read; paragraphs stand between its parts.
2. An item can go back only with what it led to (a 400 otherwise: "provided without its required
   following item"). So its encrypted content is given once a message or a call has followed;
   what led to a search of the server's own, or to nothing, is shown and not given.
3. A call carries the items since the call before it. Where the answer's text stood between
   those of the first call, `text_after` says how many were before it.
"""

from typing import Any

from translators.chunks import ChunkBuilder
from translators.openai_responses.events import ReasoningItem
from translators.openai_responses.reasoning import FORMAT, reasoning_item
from translators.protocol import Chunk

__all__ = ["Thoughts"]

_Key = tuple[int, str, int]
_Object = dict[str, Any]


class Thoughts:
    """Collects the reasoning of one answer."""

    __slots__ = ("_chunks", "_details", "_given", "_part", "_pending", "_seen", "_text_after")

    def __init__(self, chunks: ChunkBuilder) -> None:
        self._chunks = chunks
        self._part: _Key | None = None
        self._seen: set[_Key] = set()
        self._details = 0
        self._pending: list[_Object] = []
        self._given: list[_Object] = []
        self._text_after: int | None = None

    def show(self, text: str | None, key: _Key) -> list[Chunk]:
        """Return the chunk for a piece of the part `key`: item, kind, number."""
        if not text:
            return []
        if key != self._part:
            text = text if self._part is None else f"\n\n{text}"
            self._part = key
            self._seen.add(key)
        return [self._chunks.delta(reasoning_content=text)]

    def end_item(self, index: int, item: ReasoningItem) -> list[Chunk]:
        """Take a finished item; return what was not shown of it, and its details."""
        chunks: list[Chunk] = []
        summary = [part.text or "" for part in item.summary or ()]
        texts = [part.text or "" for part in item.content or ()]
        for kind, parts in (("summary", summary), ("text", texts)):
            for number, text in enumerate(parts):
                key = (index, kind, number)
                if key not in self._seen:
                    chunks += self.show(text, key)
        id: _Object = {"id": item.id} if item.id else {}
        entries = [{"type": "reasoning.summary", "summary": text, **id} for text in summary]
        entries += [{"type": "reasoning.text", "text": text, **id} for text in texts]
        chunks += self._tell(entries)
        if item.id and item.encrypted_content:
            self._pending.append(reasoning_item(item.id, summary, item.encrypted_content))
        return chunks

    def follow(self) -> list[Chunk]:
        """Say that a message or a call begins; return what may go back from now on."""
        items, self._pending = self._pending, []
        self._given += items
        return self._tell(
            [
                {
                    "type": "reasoning.encrypted",
                    "data": item["encrypted_content"],
                    "id": item["id"],
                }
                for item in items
            ]
        )

    def drop(self) -> None:
        """Say that something begins that the client cannot send back."""
        self._pending = []

    def text(self) -> None:
        """Say that the answer's text begins."""
        if self._text_after is None:
            self._text_after = len(self._given)

    def call(self) -> _Object | None:
        """Say that a call begins; return the `extra_content` that it carries, if any."""
        items, self._given = self._given, []
        after, self._text_after = self._text_after, -1
        if not items:
            return None
        own: _Object = {"reasoning_items": items}
        if after is not None and 0 <= after < len(items):
            own["text_after"] = after
        return {"openai": own}

    def _tell(self, entries: list[_Object]) -> list[Chunk]:
        if not entries:
            return []
        for entry in entries:
            entry |= {"format": FORMAT, "index": self._details}
            self._details += 1
        return [self._chunks.delta(reasoning_details=entries)]

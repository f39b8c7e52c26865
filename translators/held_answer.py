"""An answer that is held back until it was looked at, and then told: whole or in chunks.

It is told as it came, but for its text where another one is to stand there: then what points
into the text is moved with it, and token probabilities, which would belong to the old text, go.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec

from translators.json import encode
from translators.protocol import Chunk, Completion, Outcome
from translators.wire.response import Usage

__all__ = ["HeldCompletion", "HeldStream"]

JSONObject = dict[str, Any]


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


_decode = msgspec.json.Decoder(_Answer).decode


class HeldCompletion:
    """An answer with one choice that was not streamed.

    Attributes:
        text: What it says.
        finish_reason: Why it ended.
        refused: Whether it says that it will not answer.
    """

    __slots__ = ("_completion", "finish_reason", "refused", "text")

    def __init__(self, completion: Completion) -> None:
        self._completion = completion
        (choice,) = _decode(completion.data).choices
        message = choice.message or _Delta()
        self.text = message.content or ""
        self.refused = bool(message.refusal)
        self.finish_reason = choice.finish_reason

    def told(self, outcome: Outcome, *, text: str | None = None, start: int = 0) -> Completion:
        """Return the answer.

        Args:
            outcome: What is known of it; its token counts take the place of the answer's own.
            text: What it says instead.
            start: Where that stands in `self.text`.
        """
        completion = self._completion
        text = None if text == self.text else text
        if text is None and outcome.usage == completion.outcome.usage:
            return Completion(completion.data, outcome)
        body: JSONObject = msgspec.json.decode(completion.data)
        if outcome.usage is not None:
            body["usage"] = outcome.usage
        if text is not None:
            choice = cast("JSONObject", body["choices"][0])
            choice["message"]["content"] = text
            _Fit(start, len(text)).adapt(choice, choice["message"])
        return Completion(encode(body), outcome)


class HeldStream:
    """The chunks of an answer with one choice; the attributes are those of `HeldCompletion`."""

    __slots__ = ("_chunks", "_texts", "finish_reason", "refused", "size")

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []
        self._texts: list[str] = []
        self.finish_reason: str | None = None
        self.refused = False
        self.size = 0

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(self._texts)

    def hold(self, chunks: Iterable[Chunk]) -> None:
        """Take the next chunks; `size` counts their bytes."""
        for chunk in chunks:
            self._chunks.append(chunk)
            self.size += len(chunk.data)
            for choice in _decode(chunk.data).choices:
                self.finish_reason = choice.finish_reason or self.finish_reason
                if choice.delta is not None:
                    self.refused = self.refused or bool(choice.delta.refusal)
                    if choice.delta.content:
                        self._texts.append(choice.delta.content)

    def told(
        self, usage: Usage | None, *, text: str | None = None, start: int = 0
    ) -> Sequence[Chunk]:
        """Return the chunks.

        Args:
            usage: What the usage chunk says, if there is one; None: what it says now.
            text: What the answer says instead.
            start: Where that stands in `self.text`.
        """
        text = None if text == self.text else text
        if text is None and usage is None:
            return self._chunks
        told: list[Chunk] = []
        left = text
        fit = _Fit(start, len(text or ""))
        for chunk in self._chunks:
            body: JSONObject = msgspec.json.decode(chunk.data)
            if not body["choices"]:
                if usage is not None:
                    body["usage"] = usage
                told.append(Chunk(encode(body), chunk.payload))
            elif text is None:
                told.append(chunk)
            else:
                choice = cast("JSONObject", body["choices"][0])
                had = bool(choice["delta"].get("content"))
                if had:
                    # All of the new text takes the place of the first piece of the old.
                    choice["delta"]["content"], left = left, None
                fit.adapt(choice, choice["delta"])
                if _says_something(choice):
                    told.append(Chunk(encode(body), chunk.payload))
        return told


def _says_something(choice: JSONObject) -> bool:
    if choice.get("finish_reason") is not None:
        return True
    return any(value is not None for value in cast("JSONObject", choice["delta"]).values())


class _Fit:
    """Makes what belongs to a text fit the part of it that is told, in all chunks of an answer."""

    __slots__ = ("_kept", "_length", "_start")

    def __init__(self, start: int, length: int) -> None:
        self._start = start
        self._length = length
        self._kept = {"annotations": 0, "citations": 0}

    def adapt(self, choice: JSONObject, message: JSONObject) -> None:
        """Adapt a message or a delta, and what stands beside it in its choice."""
        if choice.get("logprobs"):
            choice["logprobs"] = None
        for name in self._kept.keys() & message.keys():
            found = cast("list[JSONObject]", message.pop(name) or [])
            kept = [self._numbered(name, entry) for entry in found if self._move(entry)]
            if kept:
                message[name] = kept

    def _move(self, entry: JSONObject) -> bool:
        """Move the place that a source is for; False where that is not told."""
        span: JSONObject = entry.get("url_citation") or entry
        if "start_index" in span and "end_index" in span:
            first, last = span["start_index"] - self._start, span["end_index"] - self._start
            if first < 0 or last > self._length:
                return False
            span["start_index"], span["end_index"] = first, last
        return True

    def _numbered(self, name: str, entry: JSONObject) -> JSONObject:
        """Return a source under the next number: clients put it in that place of their list."""
        if "index" in entry:
            entry["index"] = self._kept[name]
        self._kept[name] += 1
        return entry

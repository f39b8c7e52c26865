"""A streamed answer put together while it is told, for those who want it whole."""

from collections.abc import Sequence
from typing import Final

from translators.fold import Fold
from translators.json import UNREADABLE
from translators.protocol import Chunk

__all__ = ["UNFOLDABLE", "Gathering"]

UNFOLDABLE: Final = (*UNREADABLE, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What folding raises for chunks that a client may understand, and we do not."""

FOLD_BYTES: Final = 64 * 1024
"""Chunks are folded so many at once: neither one by one, nor all at the end of a long answer."""


class Gathering:
    """The part of an answer that was told so far.

    Args:
        most: Characters that are put together; whoever gathers looks at `over`, and stops.

    Attributes:
        over: There was more than that: what came after it is not to be added.
    """

    __slots__ = ("_fold", "_most", "_waiting", "_waiting_bytes", "over")

    def __init__(self, most: int) -> None:
        self.over = False
        self._most = most
        self._fold = Fold()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def add(self, batch: Sequence[Chunk]) -> None:
        """Take the next chunks.

        Raises:
            UNFOLDABLE: One of them is not as OpenAI has them.
        """
        for chunk in batch:
            self._waiting.append(chunk.data)
            self._waiting_bytes += len(chunk.data)
        if self._waiting_bytes > FOLD_BYTES:
            self._fold_waiting()

    def fold(self) -> Fold:
        """Return all of it.

        Raises:
            UNFOLDABLE: A chunk is not as OpenAI has them.
        """
        self._fold_waiting()
        return self._fold

    def _fold_waiting(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for data in waiting:
            self._fold.add(data)
        self.over = self.over or self._fold.size > self._most

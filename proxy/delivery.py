"""A streamed answer behind its commit point, on its way to the client."""

from collections.abc import Sequence

from proxy.attempt import Attempt
from proxy.exchange import Exchange
from proxy.provider import AnswerStream
from proxy.response_cache import Recorder
from translators.errors import ProviderError
from translators.protocol import Chunk

__all__ = ["Delivery", "Retelling", "Telling"]

BATCH = 8
"""Chunks of a kept answer that are written at once."""


class Delivery:
    """Iterates over the chunks, those that came together together; keeps the record of it.

    Args:
        attempt: That gave the answer.
        answer: The rest of it.
        head: What was read to find the commit point.
        recorder: Puts the answer together, to be given again; None: it is not.
    """

    __slots__ = ("_answer", "_attempt", "_content", "_exchange", "_head", "_recorder")

    def __init__(
        self,
        attempt: Attempt,
        answer: AnswerStream,
        head: list[list[Chunk]],
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._attempt = attempt
        self._content = attempt.content
        self._exchange = attempt.exchange
        self._answer = answer
        self._head = head

    def __aiter__(self) -> "Delivery":
        return self

    async def __anext__(self) -> list[Chunk]:
        """Return the next chunks.

        Raises:
            ProviderError: The answer broke off.
        """
        try:
            batch = self._head.pop(0) if self._head else await anext(self._answer)
        except StopAsyncIteration:
            self._attempt.end()
            if self._recorder is not None:
                self._recorder.complete()
                self._recorder = None
            raise
        except BaseException as error:
            if isinstance(error, ProviderError):
                error.provider = self._attempt.target.provider
                self._exchange.error = error
            self._attempt.failed(error)
            raise
        if self._answer.outcome.reasoning:
            self._attempt.keep_reasoning()
        if self._recorder is not None:
            self._recorder.add(batch)
        if self._content is not None:
            self._content.told(batch)
        self._exchange.chunks += len(batch)
        return batch

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the connection; an answer that was not read to its end was abandoned.

        Args:
            error: What stopped the one who reads the chunks, if something did.
        """
        if error is not None:
            self._attempt.failed(error)
        self._attempt.abandoned()
        await self._answer.aclose()


class Retelling:
    """Iterates over the chunks of an answer that is given again; the methods are `Delivery`'s.

    Args:
        exchange: The record of the request.
        chunks: All of the answer.
    """

    __slots__ = ("_chunks", "_exchange", "_next", "_over")

    def __init__(self, exchange: Exchange, chunks: Sequence[Chunk]) -> None:
        self._exchange = exchange
        self._chunks = chunks
        self._next = 0
        self._over = False

    def __aiter__(self) -> "Retelling":
        return self

    async def __anext__(self) -> list[Chunk]:
        """Return the next chunks."""
        batch = list(self._chunks[self._next : self._next + BATCH])
        if not batch:
            self._over = True
            raise StopAsyncIteration
        self._next += len(batch)
        self._exchange.chunks += len(batch)
        return batch

    async def aclose(self, error: BaseException | None = None) -> None:
        """Say why the rest was not read, if there is a rest."""
        if not self._over:
            self._over = True
            failed = isinstance(error, Exception)
            reason = "internal_error" if failed else self._exchange.cancelled_because
            self._exchange.end_reason = reason


Telling = Delivery | Retelling

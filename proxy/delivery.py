"""A streamed answer behind its commit point, on its way to the client."""

from proxy.attempt import Attempt
from proxy.provider import AnswerStream
from translators.errors import ProviderError
from translators.protocol import Chunk

__all__ = ["Delivery"]


class Delivery:
    """Iterates over the chunks, those that came together together; keeps the record of it.

    Args:
        attempt: That gave the answer.
        answer: The rest of it.
        head: What was read to find the commit point.
    """

    __slots__ = ("_answer", "_attempt", "_exchange", "_head")

    def __init__(self, attempt: Attempt, answer: AnswerStream, head: list[list[Chunk]]) -> None:
        self._attempt = attempt
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
            raise
        except BaseException as error:
            if isinstance(error, ProviderError):
                error.provider = self._attempt.target.provider
                self._exchange.error = error
            self._attempt.failed(error)
            raise
        if self._answer.outcome.reasoning:
            self._attempt.keep_reasoning()
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

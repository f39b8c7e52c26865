"""Several choices from an API that gives one answer for each request.

The request is sent once for each choice, all at once. To send the first alone, so that it writes
the provider's prompt cache for the others, would make them wait for its beginning, and answers
that are not streamed twice as long as one; a client that wants the cache warm can see to it.

A failure of one is the failure of all: the others are cancelled and their connections closed.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from proxy.call import Call, SharedBody
from proxy.provider import AnswerStream, Prepared
from translators.choices import CombinedOutcome, combine
from translators.chunks import ChunkBuilder
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Chunk, Completion, JsonContract, Outcome, ResponseContext

__all__ = ["ChoiceStream", "Choices"]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Choices:
    """A prepared request whose answers become the choices of one.

    Attributes:
        prepared: The request; `prepared.choices` says how often it is sent.
        context: Of the answer as a whole.
    """

    prepared: Prepared
    context: ResponseContext

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood."""
        return self.prepared.report

    @property
    def choices(self) -> int:
        """How many answers are still to be arranged for by somebody else: only this one."""
        return 1

    @property
    def contract(self) -> JsonContract | None:
        """What each of the answers is checked for."""
        return self.prepared.contract

    def for_choice(self, index: int) -> Prepared:
        """Return the request for one choice."""
        return self.prepared.for_choice(index)

    async def complete(self, call: Call) -> Completion:
        """Send it as often as there are choices; return them in one answer.

        Raises:
            ProviderError: One of them failed.
        """
        call.shared = SharedBody()
        try:
            return combine(await _all(choice.complete(call) for choice in self._each()))
        finally:
            call.shared = None

    async def open(self, call: Call) -> "ChoiceStream":
        """Send it as often as there are choices; return their chunks as they come.

        Raises:
            ProviderError: One of them failed.
        """
        answers: list[AnswerStream] = []
        call.shared = SharedBody()

        async def opened(choice: Prepared) -> AnswerStream:
            answer = await choice.open(call)
            # Whatever becomes of the one who waits for it: somebody knows that it is open.
            answers.append(answer)
            return answer

        try:
            return ChoiceStream(await _all(opened(c) for c in self._each()), self.context)
        except BaseException:
            for answer in answers:
                await answer.aclose()
            raise
        finally:
            # The answers may be long, and nobody sends the request any more.
            call.shared = None

    def _each(self) -> Iterable[Prepared]:
        return [self.prepared.for_choice(index) for index in range(self.prepared.choices)]


class ChoiceStream:
    """The chunks of several answers, as they come.

    Each answer is asked for one batch ahead, and for no more until that one was taken: what a
    slow client does not read stays with the provider.

    Args:
        answers: One for each choice, in their order.
        context: Of the answer as a whole.
    """

    __slots__ = ("_answers", "_context", "_failure", "_over", "_pending", "outcome")

    def __init__(self, answers: Sequence[AnswerStream], context: ResponseContext) -> None:
        self.outcome: Outcome = CombinedOutcome([answer.outcome for answer in answers])
        self._answers = answers
        self._context = context
        self._pending: dict[int, asyncio.Task[list[Chunk] | None]] = {}
        self._over: set[int] = set()
        self._failure: ProviderError | None = None

    def __aiter__(self) -> "ChoiceStream":
        return self

    async def __anext__(self) -> list[Chunk]:
        """Return the next chunks, of one choice or of several; last the token counts of all.

        Raises:
            ProviderError: An answer broke off.
        """
        if self._failure is not None:
            raise self._failure
        while len(self._over) < len(self._answers):
            self._ask()
            await asyncio.wait(self._pending.values(), return_when=asyncio.FIRST_COMPLETED)
            chunks = self._take()
            if self._failure is not None:
                await self.aclose()
                if not chunks:
                    raise self._failure
            elif len(self._over) == len(self._answers):
                chunks += self._usage()
            if chunks:
                return chunks
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connections."""
        tasks = list(self._pending.values())
        self._pending.clear()
        try:
            await _stopped(tasks)
        finally:
            left = [a for index, a in enumerate(self._answers) if index not in self._over]
            # At once: a provider may take its time with the end of an answer that is complete.
            await asyncio.gather(*(answer.aclose() for answer in left))

    def _ask(self) -> None:
        for index, answer in enumerate(self._answers):
            if index not in self._over and index not in self._pending:
                self._pending[index] = asyncio.create_task(_next(answer))

    def _take(self) -> list[Chunk]:
        """Return what has come; what came before a failure is delivered first."""
        chunks: list[Chunk] = []
        for index in [index for index, task in self._pending.items() if task.done()]:
            try:
                batch = self._pending.pop(index).result()
            except ProviderError as error:
                self._failure = self._failure or error
                continue
            if batch is None:
                self._over.add(index)
            else:
                chunks += batch
        return chunks

    def _usage(self) -> list[Chunk]:
        outcome = self.outcome
        if outcome.usage is None:
            return []
        builder = ChunkBuilder(self._context)
        builder.identify(self._context.id, outcome.model or self._context.model)
        return builder.usage(outcome.usage)


async def _next(answer: AnswerStream) -> list[Chunk] | None:
    """Return the next chunks; None where all have come, and the connection is free again."""
    try:
        return await anext(answer)
    except StopAsyncIteration:
        await answer.aclose()
        return None


async def _all(work: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Do several things at once; return their results, or raise what stopped the first of them.

    None of them is still under way when this returns or raises.
    """
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
        return [task.result() for task in tasks]
    finally:
        await _stopped(tasks)


async def _stopped(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they are over; what they may have to say is not heard."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            # Asked for, so that asyncio does not complain that nobody did.
            task.exception()

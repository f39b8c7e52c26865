"""The client of a persona, as a program sees it."""

from collections.abc import Awaitable
from types import TracebackType
from typing import Protocol, Self

from execution_platform.spi.answer import ChatChunk, ChatResponse, Served
from execution_platform.spi.request import ChatRequest

__all__ = ["ChatStream", "LLMClient"]


class ChatStream(Awaitable[ChatResponse], Protocol):
    """One answer, to be had once: iterated over piece by piece, or awaited as a whole.

    Nothing is asked before that. Leaving an `async for` early lets go of the answer as soon as
    nothing refers to this any more; `aclose`, or `async with`, does it at once.
    """

    @property
    def served(self) -> Served:
        """Who serves the request, as far as it is known."""
        ...

    def __aiter__(self) -> Self:
        """Return itself."""
        ...

    async def __anext__(self) -> ChatChunk:
        """Return the next piece.

        Raises:
            ExecutionPlatformError: There is no answer, or it broke off: an answer that merely
                ends is whole.
        """
        ...

    async def aclose(self) -> None:
        """Let go of the answer; the provider is told."""
        ...

    async def __aenter__(self) -> Self:
        """Return itself."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the answer."""
        ...


class LLMClient(Protocol):
    """Asks one persona."""

    @property
    def persona(self) -> str:
        """The persona's name."""
        ...

    def chat(self, request: ChatRequest) -> ChatStream:
        """Return the answer, to be iterated over with `async for`, or awaited.

        Awaiting raises `ExecutionPlatformError` where there is no answer.
        """
        ...

    def chat_sync(self, request: ChatRequest) -> ChatResponse:
        """Return the whole answer, for programs without an event loop; it blocks the thread.

        Raises:
            ExecutionPlatformError: There is no answer.
        """
        ...

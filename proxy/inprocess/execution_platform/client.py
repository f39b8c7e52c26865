"""The client of a persona, and one answer of it."""

from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, Self

from execution_platform import background
from execution_platform.asking import Asked, Backend, describe
from execution_platform.reading import ChunkReader, response_of
from execution_platform.spi.answer import ChatChunk, ChatResponse, Served
from execution_platform.spi.request import ChatRequest
from translators.errors import ExecutionPlatformError

__all__ = ["PersonaChat", "PersonaClient"]


class PersonaClient:
    """Asks one persona (`execution_platform.spi.LLMClient`); made by `PersonaRouter.get_client`.

    It may be used from several event loops, and keeps their connections open while it exists.
    """

    def __init__(self, persona: str, backend: Backend) -> None:
        self._persona = persona
        self._backend = backend

    @property
    def persona(self) -> str:
        """The persona's name."""
        return self._persona

    def chat(self, request: ChatRequest) -> "PersonaChat":
        """Return the answer, to be iterated over with `async for`, or awaited."""
        return PersonaChat(self._backend, Asked(self._persona, request))

    def chat_sync(self, request: ChatRequest) -> ChatResponse:
        """Return the whole answer, for programs without an event loop; it blocks the thread.

        The work is done in an event loop of the library's own (`execution_platform.background`).

        Raises:
            ExecutionPlatformError: There is no answer.
        """
        chat = self.chat(request)
        return background.run(chat.whole)

    def __repr__(self) -> str:
        return f"PersonaClient({self._persona!r})"


class PersonaChat:
    """One answer (`execution_platform.spi.ChatStream`): pieces, or the whole, once."""

    def __init__(self, backend: Backend, asked: Asked) -> None:
        self._backend = backend
        self._asked = asked
        self._used = False
        self._pieces: AsyncGenerator[ChatChunk] | None = None

    @property
    def served(self) -> Served:
        """Who serves the request, as far as it is known."""
        return self._asked.served

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> ChatChunk:
        """Return the next piece.

        Raises:
            ExecutionPlatformError: There is no answer, or it broke off.
        """
        if self._pieces is None:
            self._use()
            # A generator, for the event loop closes those that are dropped half-way.
            self._pieces = _pieces(self._backend, self._asked)
        return await anext(self._pieces)

    def __await__(self) -> Generator[Any, None, ChatResponse]:
        """Return the whole answer.

        Raises:
            ExecutionPlatformError: There is none.
        """
        return self.whole().__await__()

    async def whole(self) -> ChatResponse:
        """Return the whole answer, as awaiting does."""
        self._use()
        try:
            return response_of(await self._backend.whole(self._asked), self.served)
        except ExecutionPlatformError as error:
            describe(error, self.served)
            raise

    def _use(self) -> None:
        if self._used:
            raise RuntimeError(
                "This answer was taken already: one `chat` is one request. Call `chat` again."
            )
        self._used = True

    async def aclose(self) -> None:
        """Let go of the answer; the provider is told."""
        self._used = True
        if self._pieces is not None:
            await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of the answer."""
        await self.aclose()


async def _pieces(backend: Backend, asked: Asked) -> AsyncGenerator[ChatChunk]:
    """Yield an answer; the only generator on its way, so that it can be closed from anywhere."""
    answer, reader = backend.answer(asked), ChunkReader()
    try:
        while (batch := await answer.next()) is not None:
            for data in batch:
                for chunk in reader.read(data):
                    yield chunk
    except ExecutionPlatformError as error:
        await answer.close(error)
        describe(error, asked.served)
        raise
    except BaseException as error:
        await answer.close(error)
        raise
    await answer.close(None)

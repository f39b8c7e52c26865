"""A provider: one translator, one transport, one error table."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from proxy.call import Call
from translators.errors import ProviderError
from translators.fidelity import Report
from translators.protocol import Chunk, Completion, Outcome, ResponseContext, Translator
from translators.wire.request import ChatCompletionRequest

__all__ = ["Batches", "ChatProvider", "OpenStream", "Prepared", "Provider", "Transport"]

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
EventT = TypeVar("EventT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

Batches = AsyncIterator[list[Chunk]]
"""Chunks of one answer. Those that came together stay together, to be written together."""


class Transport(Protocol[RequestT_contra, ResponseT_co, EventT]):
    """The only code that talks to a provider."""

    async def send(self, request: RequestT_contra, call: Call, /) -> ResponseT_co:
        """Send a request; return the whole answer."""
        ...

    def open(
        self, request: RequestT_contra, call: Call, /
    ) -> AbstractAsyncContextManager[AsyncIterator[list[EventT]]]:
        """Send a request; yield its native events; leaving aborts the request."""
        ...

    async def aclose(self) -> None:
        """Release what the transport holds."""
        ...


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A streamed answer that has begun: its chunks, and what is known of it so far."""

    batches: Batches
    outcome: Outcome


class Prepared(Protocol):
    """A translated request, ready to be sent; may be sent more than once."""

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood."""
        ...

    async def complete(self, call: Call) -> Completion:
        """Send it; return the whole answer.

        Raises:
            ProviderError: The provider failed.
        """
        ...

    def stream(self, call: Call) -> AbstractAsyncContextManager[OpenStream]:
        """Send it; yield the answer as it comes; leaving closes the connection.

        Raises:
            ProviderError: The provider failed; also while the chunks are read.
        """
        ...


class ChatProvider(Protocol):
    """What the engine sees of a provider: its native types are hidden."""

    def prepare(
        self, chat: ChatCompletionRequest, *, model: str, context: ResponseContext
    ) -> Prepared:
        """Translate a request for `model`.

        Raises:
            TranslationError: The provider's API cannot express it.
        """
        ...

    async def aclose(self) -> None:
        """Release what the provider holds."""
        ...


@dataclass(frozen=True, slots=True)
class Provider(Generic[RequestT, ResponseT, EventT]):
    """Binds a translator to a transport; the native types meet only here.

    Attributes:
        translator: For the provider's dialect.
        transport: To the provider.
        map_error: A transport's exception to ours; None where it is not the provider's fault.
    """

    translator: Translator[RequestT, ResponseT, EventT]
    transport: Transport[RequestT, ResponseT, EventT]
    map_error: Callable[[Exception], ProviderError | None]

    def prepare(
        self, chat: ChatCompletionRequest, *, model: str, context: ResponseContext
    ) -> "PreparedRequest[RequestT, ResponseT, EventT]":
        """Translate a request for `model`."""
        translated = self.translator.request(chat, model=model)
        return PreparedRequest(self, translated.request, translated.report, context)

    async def aclose(self) -> None:
        """Release what the transport holds."""
        await self.transport.aclose()


@dataclass(frozen=True, slots=True)
class PreparedRequest(Generic[RequestT, ResponseT, EventT]):
    """A request in a provider's own form."""

    provider: Provider[RequestT, ResponseT, EventT]
    native: RequestT
    report: Report
    context: ResponseContext

    async def complete(self, call: Call) -> Completion:
        """Send it; return the whole answer."""
        with _mapped(self.provider.map_error):
            response = await self.provider.transport.send(self.native, call)
            return self.provider.translator.response(response, self.context)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[OpenStream]:
        """Send it; yield the answer as it comes."""
        state = self.provider.translator.stream(self.context)

        async def translate(events: AsyncIterator[list[EventT]]) -> AsyncGenerator[list[Chunk]]:
            with _mapped(self.provider.map_error):
                async for batch in events:
                    chunks: list[Chunk] = []
                    try:
                        for event in batch:
                            chunks += state.feed(event)
                    except ProviderError:
                        # What came before the failure was said, and is delivered.
                        if chunks:
                            yield chunks
                        raise
                    if chunks:
                        yield chunks
                if last := state.end():
                    yield list(last)

        with _mapped(self.provider.map_error):
            async with (
                self.provider.transport.open(self.native, call) as events,
                aclosing(translate(events)) as batches,
            ):
                yield OpenStream(batches, state.outcome)


@contextmanager
def _mapped(map_error: Callable[[Exception], ProviderError | None]) -> Generator[None]:
    """Turn what the provider did wrong into a `ProviderError`; let our own bugs through."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        if mapped := map_error(error):
            raise mapped from error
        raise

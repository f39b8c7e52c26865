"""A provider: one translator, one transport, one error table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from proxy.call import Call
from translators.errors import ProviderError, TimeoutError
from translators.fidelity import Report
from translators.protocol import (
    MAX_FOLLOW_UPS,
    Chunk,
    Completion,
    JsonContract,
    Outcome,
    ResponseContext,
    StreamTranslator,
    Translated,
    Translator,
)
from translators.wire.request import ChatCompletionRequest

__all__ = ["AnswerStream", "ChatProvider", "EventSource", "Prepared", "Provider", "Transport"]

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
EventT = TypeVar("EventT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)

MapError = Callable[[Exception], ProviderError | None]


class EventSource(Protocol[EventT_co]):
    """The native events of one streamed answer: those that came together, together."""

    def __aiter__(self) -> "EventSource[EventT_co]":
        """Return itself."""
        ...

    async def __anext__(self) -> Sequence[EventT_co]:
        """Return the next events."""
        ...

    async def aclose(self, *, complete: bool) -> None:
        """Let go of the answer.

        Args:
            complete: All of it has come; only the end of its body may be outstanding.
        """
        ...


class Transport(Protocol[RequestT_contra, ResponseT_co, EventT_co]):
    """The only code that talks to a provider."""

    async def send(self, request: RequestT_contra, call: Call, /) -> ResponseT_co:
        """Send a request; return the whole answer."""
        ...

    async def open(self, request: RequestT_contra, call: Call, /) -> EventSource[EventT_co]:
        """Send a request; return the native events of the answer, for the caller to close."""
        ...

    async def aclose(self) -> None:
        """Release what the transport holds."""
        ...


class AnswerStream(Protocol):
    """A streamed answer: its chunks as they come, those that came together together."""

    @property
    def outcome(self) -> Outcome:
        """What is known of the answer so far."""
        ...

    def __aiter__(self) -> "AnswerStream":
        """Return itself."""
        ...

    async def __anext__(self) -> list[Chunk]:
        """Return the next chunks.

        Raises:
            ProviderError: The answer broke off.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


class Prepared(Protocol):
    """A translated request, ready to be sent; may be sent more than once."""

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood."""
        ...

    @property
    def choices(self) -> int:
        """How many answers the client wants of an API that gives one for each request."""
        ...

    @property
    def contract(self) -> JsonContract | None:
        """What the answer is to be checked for; None: nothing."""
        ...

    def for_choice(self, index: int) -> "Prepared":
        """Return the same request, whose answer becomes the choice of that index."""
        ...

    async def complete(self, call: Call) -> Completion:
        """Send it; return the whole answer.

        Raises:
            ProviderError: The provider failed.
        """
        ...

    async def open(self, call: Call) -> AnswerStream:
        """Send it; return the answer as it comes, for the caller to close.

        Raises:
            ProviderError: The provider failed.
        """
        ...


class ChatProvider(Protocol):
    """What the engine sees of a provider: its native types are hidden."""

    def start(self) -> None:
        """Begin what goes on beside requests, inside a running event loop."""
        ...

    def dialect(self, chat: ChatCompletionRequest, *, model: str) -> str | None:
        """Return the dialect that `chat` would be sent in; None: that of the provider's row."""
        ...

    def media_to_fetch(self, chat: ChatCompletionRequest, *, model: str) -> Sequence[str]:
        """Return the addresses of media in `chat` that the provider would not fetch itself."""
        ...

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
        on_start: What the transport does beside requests, if it does anything.
    """

    translator: Translator[RequestT, ResponseT, EventT]
    transport: Transport[RequestT, ResponseT, EventT]
    map_error: MapError
    on_start: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin what goes on beside requests, inside a running event loop."""
        if self.on_start is not None:
            self.on_start()

    def dialect(self, chat: ChatCompletionRequest, *, model: str) -> str | None:
        """Return None: there is only one."""
        return None

    def media_to_fetch(self, chat: ChatCompletionRequest, *, model: str) -> Sequence[str]:
        """Return the addresses of media in `chat` that the provider would not fetch itself."""
        return self.translator.media_to_fetch(chat)

    def prepare(
        self, chat: ChatCompletionRequest, *, model: str, context: ResponseContext
    ) -> "PreparedRequest[RequestT, ResponseT, EventT]":
        """Translate a request for `model`."""
        return PreparedRequest(self, self.translator.request(chat, model=model), context)

    async def send(self, request: RequestT, call: Call) -> ResponseT:
        """Send a request; return the whole answer, or raise what the provider did wrong."""
        try:
            return await self.transport.send(request, call)
        except Exception as error:
            if (mapped := _mapped(error, self.map_error)) is None:
                raise
            raise mapped from error

    async def open(self, request: RequestT, call: Call) -> EventSource[EventT]:
        """Send a request; return its events, or raise what the provider did wrong."""
        try:
            return await self.transport.open(request, call)
        except Exception as error:
            if (mapped := _mapped(error, self.map_error)) is None:
                raise
            raise mapped from error

    async def aclose(self) -> None:
        """Release what the transport holds."""
        await self.transport.aclose()


@dataclass(frozen=True, slots=True)
class PreparedRequest(Generic[RequestT, ResponseT, EventT]):
    """A request in a provider's own form."""

    provider: Provider[RequestT, ResponseT, EventT]
    translated: Translated[RequestT]
    context: ResponseContext

    @property
    def report(self) -> Report:
        """What the translation did not carry over as it stood."""
        return self.translated.report

    @property
    def choices(self) -> int:
        """How many answers the client wants of an API that gives one for each request."""
        return self.translated.choices

    @property
    def contract(self) -> JsonContract | None:
        """What the answer is to be checked for; None: nothing."""
        return self.translated.contract

    def for_choice(self, index: int) -> "PreparedRequest[RequestT, ResponseT, EventT]":
        """Return the same request, whose answer becomes the choice of that index."""
        return replace(self, context=replace(self.context, choice=index))

    async def complete(self, call: Call) -> Completion:
        """Send it, and what follows from it; return the whole answer."""
        provider, translator = self.provider, self.provider.translator
        request = self.translated.request
        natives = [await provider.send(request, call)]
        while len(natives) <= MAX_FOLLOW_UPS:
            following = translator.follow_up(request, natives[-1])
            if following is None:
                break
            call.follow_ups += 1
            request = following
            natives.append(await provider.send(request, call))
        if len(natives) == 1:
            return translator.response(natives[0], self.context)
        return translator.join(natives, self.context, self.translated.request)

    async def open(self, call: Call) -> "TranslatedStream[RequestT, ResponseT, EventT]":
        """Send it; return the answer as it comes."""
        provider, request = self.provider, self.translated.request
        source = await provider.open(request, call)
        # It decides itself whether to keep the request, which may be large, and the answer long.
        state = provider.translator.stream(self.context, request)
        return TranslatedStream(provider, call, source, state)


class TranslatedStream(Generic[RequestT, ResponseT, EventT]):
    """Native events to chunks, for as long as somebody asks for more."""

    __slots__ = ("_call", "_failure", "_over", "_provider", "_source", "_state", "outcome")

    def __init__(
        self,
        provider: Provider[RequestT, ResponseT, EventT],
        call: Call,
        source: EventSource[EventT],
        state: StreamTranslator[RequestT, EventT],
    ) -> None:
        self.outcome = state.outcome
        self._provider = provider
        self._call = call
        self._source = source
        self._state = state
        self._failure: ProviderError | None = None
        self._over = False

    def __aiter__(self) -> "TranslatedStream[RequestT, ResponseT, EventT]":
        return self

    async def __anext__(self) -> list[Chunk]:
        """Return the next chunks.

        Raises:
            ProviderError: The answer broke off.
        """
        if self._failure is not None:
            raise self._failure
        while not self._over or await self._went_on():
            try:
                events = await anext(self._source)
            except StopAsyncIteration:
                self._over = True
                chunks = list(self._state.end())
            except Exception as error:
                failure = (
                    error if isinstance(error, ProviderError) else self._provider.map_error(error)
                )
                if failure is None:
                    raise
                chunks = self._end_of_broken(failure)
            else:
                chunks = self._feed(events)
                if self._state.complete and self._failure is None:
                    # Whatever becomes of the connection now, the answer is whole.
                    self._over = True
                    chunks = self._finish(chunks)
            if chunks:
                return chunks
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the connection."""
        await self._source.aclose(complete=self._over and self._failure is None)

    async def _went_on(self) -> bool:
        """Ask for the rest of an answer that is not whole; return whether there is one."""
        following = self._state.follow_up
        if following is None:
            return False
        await self._source.aclose(complete=True)
        self._call.follow_ups += 1
        try:
            self._source = await self._provider.open(following, self._call)
        except ProviderError as error:
            # Who reads on after an error gets it again, and no further request is sent.
            self._failure = error
            raise
        self._over = False
        return True

    def _end_of_broken(self, failure: ProviderError) -> list[Chunk]:
        """Return the last chunks where only the end of the body is missing, not of the answer."""
        try:
            chunks = list(self._state.end())
        except ProviderError:
            # The connection's own failure says more than that something is missing.
            raise failure from None
        if self._state.follow_up is not None and isinstance(failure, TimeoutError):
            # The rest could be asked for, but there is no time left for it.
            raise failure
        self._over = True
        return chunks

    def _finish(self, chunks: list[Chunk]) -> list[Chunk]:
        try:
            return [*chunks, *self._state.end()]
        except ProviderError as error:
            return self._after(chunks, error)

    def _after(self, chunks: list[Chunk], error: ProviderError) -> list[Chunk]:
        """Keep `error` for the next time: what came before the failure is delivered first."""
        if not chunks:
            raise error
        self._failure = error
        return chunks

    def _feed(self, events: Sequence[EventT]) -> list[Chunk]:
        chunks: list[Chunk] = []
        try:
            for event in events:
                chunks += self._state.feed(event)
        except ProviderError as error:
            return self._after(chunks, error)
        return chunks


def _mapped(error: Exception, map_error: MapError) -> ProviderError | None:
    """Return what the provider did wrong; None where `error` says it, or is a bug of ours."""
    return None if isinstance(error, ProviderError) else map_error(error)

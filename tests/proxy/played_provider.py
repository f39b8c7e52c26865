"""A provider whose answers a test plays: a small dialect of its own, behind the real `Provider`.

An answer is a list of tuples (events) among which may stand an `asyncio.Event` to be waited for
and an exception to be raised; before the first tuple they are about the answer's headers.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.call import Call
from proxy.provider import PreparedRequest, Provider
from translators.chunks import ChunkBuilder
from translators.errors import ProviderError, StreamTruncated
from translators.fold import fold
from translators.protocol import (
    MAX_FOLLOW_UPS,
    Chunk,
    Completion,
    JsonContract,
    Outcome,
    ResponseContext,
    Translated,
)
from translators.wire.request import ChatCompletionRequest
from translators.wire.response import Usage, add_usage

__all__ = ["Item", "Native", "Played", "PlayedTransport", "Request", "ask", "context", "played"]

Json = dict[str, Any]
Request = dict[str, Any]
Native = tuple[str, Any]
Item = Native | asyncio.Event | Exception


class PlayedStream:
    """Turns the events into chunks."""

    def __init__(self, context: ResponseContext, request: Request | None) -> None:
        self.outcome = Outcome()
        self._build = ChunkBuilder(context)
        self._request = request
        self._more: Any = None
        self._asked = 0
        self._begun = False

    @property
    def complete(self) -> bool:
        return self.outcome.finish_reason is not None or self._more is not None

    @property
    def follow_up(self) -> Request | None:
        if self._more is None or self._request is None or self._asked > MAX_FOLLOW_UPS:
            return None
        return {**self._request, "rest": self._more}

    def feed(self, event: Native, /) -> Sequence[Chunk]:
        kind, value = event
        build, chunks = self._build, list[Chunk]()
        if not self._begun:
            self._begun = True
            self.outcome.id, self.outcome.model = f"up-{value}", "played-1"
            build.identify(f"up-{value}", "played-1")
            chunks.append(build.role())
        if self._more is not None:
            self._more = None
        match kind:
            case "text":
                chunks.append(build.text(value))
            case "call":
                self.outcome.reasoning[value] = {"played": value}
                chunks.append(build.tool_start(value, id=value, name="f"))
                chunks.append(build.tool_arguments(value, "{}"))
            case "usage":
                self.outcome.usage = add_usage(self.outcome.usage, Usage(value, 1, value + 1))
            case "more":
                self._more = value
                self._asked += 1
            case "end":
                self.outcome.finish_reason = value
            case _:
                chunks.append(build.delta(**{kind: value}))
        return chunks

    def end(self) -> Sequence[Chunk]:
        if self._more is not None and self._asked <= MAX_FOLLOW_UPS:
            return ()
        reason: Any = "length" if self._more is not None else self.outcome.finish_reason
        if reason is None:
            raise StreamTruncated("It stopped.")
        usage = self.outcome.usage
        return [self._build.finish(reason), *(self._build.usage(usage) if usage else [])]


@dataclass(frozen=True)
class PlayedTranslator:
    """The dialect: one answer for each request; JSON is not enforced."""

    contract: JsonContract | None

    def media_to_fetch(self, chat: ChatCompletionRequest) -> Sequence[str]:
        return ()

    def request(self, chat: ChatCompletionRequest, *, model: str) -> Translated[Request]:
        body = {"model": model, "messages": chat.to_wire()["messages"]}
        return Translated(body, choices=chat.n or 1, contract=self.contract)

    def response(self, native: list[Native], context: ResponseContext) -> Completion:
        return self._played([native], PlayedStream(context, None))

    def join(
        self, natives: Sequence[list[Native]], context: ResponseContext, request: Request
    ) -> Completion:
        return self._played(natives, PlayedStream(context, request))

    def _played(self, natives: Sequence[list[Native]], stream: PlayedStream) -> Completion:
        chunks: list[Chunk] = []
        for native in natives:
            chunks += [chunk for event in native for chunk in stream.feed(event)]
            chunks += stream.end()
        return Completion(fold(chunk.data for chunk in chunks), stream.outcome)

    def follow_up(self, request: Request, native: list[Native]) -> Request | None:
        kind, value = native[-1]
        return {**request, "rest": value} if kind == "more" else None

    def stream(self, context: ResponseContext, request: Request | None = None) -> PlayedStream:
        return PlayedStream(context, request)


class PlayedEvents:
    """The events of one answer, one at a time; counts how many were asked for."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = list(items)
        self.given = 0
        self.closed: bool | None = None

    def __aiter__(self) -> "PlayedEvents":
        return self

    async def __anext__(self) -> Sequence[Native]:
        assert self.closed is None, "nobody reads a closed answer"
        await asyncio.sleep(0)
        while self._items:
            item = self._items.pop(0)
            if isinstance(item, asyncio.Event):
                await item.wait()
            elif isinstance(item, Exception):
                raise item
            else:
                self.given += 1
                return [item]
        raise StopAsyncIteration

    async def aclose(self, *, complete: bool) -> None:
        self.closed = complete if self.closed is None else self.closed


@dataclass
class PlayedTransport:
    """Plays an answer for each request, in their order; the last one again and again.

    Attributes:
        requests: What arrived.
        sources: The streams that were opened.
        waiting: Requests whose answer has not begun.
        given_up: How many of them were cancelled.
    """

    answers: list[list[Item]]
    requests: list[Request] = field(default_factory=list[Request])
    sources: list[PlayedEvents] = field(default_factory=list[PlayedEvents])
    waiting: int = 0
    given_up: int = 0
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    async def reached(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        while len(self.requests) < count:
            self._arrival.clear()
            await self._arrival.wait()

    async def _begin(self, request: Request, call: Call) -> list[Item]:
        items = list(self.answers[min(len(self.requests), len(self.answers) - 1)])
        self.requests.append(request)
        self._arrival.set()
        self.waiting += 1
        try:
            await asyncio.sleep(0)
            while items:
                item = items[0]
                if isinstance(item, Exception):
                    raise item
                if not isinstance(item, asyncio.Event):
                    break
                await item.wait()
                del items[0]
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        finally:
            self.waiting -= 1
        call.status = 200
        return items

    async def send(self, request: Request, call: Call, /) -> list[Native]:
        events = PlayedEvents(await self._begin(request, call))
        return [event async for batch in events for event in batch]

    async def open(self, request: Request, call: Call, /) -> PlayedEvents:
        self.sources.append(PlayedEvents(await self._begin(request, call)))
        return self.sources[-1]

    async def aclose(self) -> None:
        pass

    @property
    def open_sources(self) -> int:
        """How many streams are not closed."""
        return sum(source.closed is None for source in self.sources)


def _map_error(error: Exception) -> ProviderError | None:
    return ProviderError(str(error), kind="network") if isinstance(error, OSError) else None


Played = Provider[Request, list[Native], Native]


def played(
    *answers: list[Item], contract: JsonContract | None = None
) -> tuple[Played, PlayedTransport]:
    """Return a provider that gives these answers, and its transport to look at."""
    transport = PlayedTransport(list(answers))
    return Provider(PlayedTranslator(contract), transport, _map_error), transport


def context(**more: Any) -> ResponseContext:
    """Return the facts of an answer."""
    return ResponseContext("chatcmpl-own", 1_700_000_000, "asked", **more)


def ask(
    provider: Played, text: str = "Hi", *, usage: bool = True, **fields: Any
) -> PreparedRequest[Request, list[Native], Native]:
    """Return a request to a provider, ready to be sent."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    chat = ChatCompletionRequest.model_validate(body)
    return provider.prepare(chat, model="asked", context=context(include_usage=usage))

"""The proxy's side of an answer that takes several requests: streams that end and that break."""

from collections.abc import Sequence
from typing import Any

import pytest
from gemini_api import TRANSLATOR, sse_of, translate
from gemini_events import event, finished, text

from proxy.call import Call
from proxy.provider import PreparedRequest, Provider
from tests.translators.chat_requests import user
from tests.translators.streams import CONTEXT, Json, accumulate, events_of
from translators.errors import ProviderError, StreamTruncated, TimeoutError
from translators.protocol import HttpRequest, Translated
from translators.sse import ServerSentEvent

REQUEST = translate(messages=[user("Hi")], stream=True).request
BREAK = ProviderError("The connection broke.", kind="network")
MORE = finished("CONTINUATION", continuationToken="t1")


class _Source:
    """The events of one answer, and how its connection ends."""

    def __init__(self, events: list[Json], end: ProviderError | None) -> None:
        self._events = events_of(sse_of(events))
        self._end = end
        self.closed = False

    def __aiter__(self) -> "_Source":
        return self

    async def __anext__(self) -> Sequence[ServerSentEvent]:
        if self._events:
            return [self._events.pop(0)]
        raise self._end or StopAsyncIteration

    async def aclose(self, *, complete: bool) -> None:
        self.closed = True


class _Transport:
    """Answers each request by the next source."""

    def __init__(self, *sources: _Source) -> None:
        self.sources = sources
        self.sent: list[Json] = []

    async def send(self, request: HttpRequest, call: Call, /) -> bytes:
        raise NotImplementedError

    async def open(self, request: HttpRequest, call: Call, /) -> _Source:
        self.sent.append(request.body)
        return self.sources[len(self.sent) - 1]

    async def aclose(self) -> None:
        raise NotImplementedError


async def read(transport: _Transport) -> Any:
    """Return the choice that a client reads."""
    provider = Provider(TRANSLATOR, transport, lambda _: None)
    prepared = PreparedRequest(provider, Translated(REQUEST), CONTEXT)
    stream = await prepared.open(Call())
    try:
        chunks = [chunk async for some in stream for chunk in some]
    finally:
        await stream.aclose()
    assert all(source.closed for source in transport.sources[: len(transport.sent)])
    return accumulate(chunks).choices[0]


ANSWER = [event(text("b")), finished()]
WITH_TOKEN = event(text("a"), continuationToken="t1")


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([event(text("a")), MORE], None),
        ([event(text("a")), MORE], BREAK),
        ([WITH_TOKEN], None),
        ([WITH_TOKEN], BREAK),
    ],
)
async def test_rest_is_asked_for_however_the_connection_ended(
    events: list[Json], end: ProviderError | None
):
    transport = _Transport(_Source(events, end), _Source(ANSWER, None))
    choice = await read(transport)
    assert (choice.message.content, choice.finish_reason) == ("ab", "stop")
    assert transport.sent == [REQUEST.body, {**REQUEST.body, "continuationToken": "t1"}]


@pytest.mark.parametrize(("end", "error"), [(BREAK, ProviderError), (None, StreamTruncated)])
async def test_row_65_without_a_token_a_broken_stream_is_broken(
    end: ProviderError | None, error: type[ProviderError]
):
    transport = _Transport(_Source([event(text("a"))], end), _Source(ANSWER, None))
    with pytest.raises(error):
        await read(transport)
    assert len(transport.sent) == 1


async def test_row_66_error_of_the_second_request_ends_the_answer():
    failed: Json = {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}
    transport = _Transport(_Source([event(text("a")), MORE], None), _Source([failed], None))
    with pytest.raises(ProviderError, match="Busy."):
        await read(transport)


@pytest.mark.parametrize("phase", ["idle", "total"])
async def test_row_67_an_answer_whose_time_is_up_is_not_resumed(phase: str):
    transport = _Transport(_Source([WITH_TOKEN], TimeoutError(phase, 1)), _Source(ANSWER, None))
    with pytest.raises(TimeoutError):
        await read(transport)
    assert len(transport.sent) == 1

"""What a provider itself says of its models: limits and abilities, asked for beside the requests.

A model's first request, and all of them where the provider does not answer, go by the built-in
table. The question goes through the data path's own client: the anthropic SDK would cost 1.5 s of
CPU and 80 MB for one GET of 1 KB, whether in this process or in one of its own.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from proxy.call import Call
from proxy.http import HttpStatusError, HttpTransport
from proxy.provider import EventSource
from translators.anthropic_messages.models import ModelProfile, profile_from_info, profile_of
from translators.errors import ProviderError
from translators.json import UNREADABLE
from translators.protocol import HttpRequest
from translators.sse import ServerSentEvent

__all__ = ["DiscoveringTransport", "Discovery", "asked_model", "listed_models"]

TTL: Final = 6 * 3600.0
"""Seconds for which an answer is believed."""

RETRY: Final = 600.0
"""Seconds until a provider that did not answer is asked again."""

PATIENCE: Final = 10.0
"""Seconds for an answer."""

MOST: Final = 256
"""Models remembered: where clients may name any model, they must not fill the memory."""

MOST_QUESTIONS: Final = 8
"""Questions open at one time; models beyond them are asked for by a later request."""

_VERSION: Final = {"anthropic-version": "2026-10-21"}

Answer = TypeVar("Answer")
Ask = Callable[[str], Awaitable[Mapping[str, Any]]]
"""From a model's name to the API's object for it."""


@dataclass(slots=True)
class _Known:
    profile: ModelProfile
    until: float


class Discovery:
    """The profiles of one provider's models. Lives in one event loop.

    Args:
        ask: Returns what the API says of a model, as `GET /v1/models/{id}` does. Raises
            `ProviderError` or `HttpStatusError` where it says nothing.
        clock: Seconds from any start.
    """

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._questions: dict[str, asyncio.Task[None]] = {}

    def profile(self, model: str) -> ModelProfile:
        """Return what is known of a model now; what is not, or no longer, is asked for."""
        known = self._known.get(model)
        if known is None or self._clock() >= known.until:
            self._begin(model)
        if known is None:
            return profile_of(model)
        self._known.move_to_end(model)
        return known.profile

    async def aclose(self) -> None:
        """Leave the open questions."""
        questions = list(self._questions.values())
        for question in questions:
            question.cancel()
        await asyncio.gather(*questions, return_exceptions=True)

    def _begin(self, model: str) -> None:
        if model in self._questions or len(self._questions) >= MOST_QUESTIONS:
            return
        question = asyncio.create_task(self._answer(model), name=f"discover {model[:80]}")
        self._questions[model] = question
        question.add_done_callback(lambda _: self._questions.pop(model))

    async def _answer(self, model: str) -> None:
        before = self._known.get(model)
        try:
            info = await self._ask(model)
        except (ProviderError, HttpStatusError):
            # Nothing is lost: what was known before stays, and so does the table.
            profile = profile_of(model) if before is None else before.profile
            self._known[model] = _Known(profile, self._clock() + RETRY)
        else:
            self._known[model] = _Known(profile_from_info(model, info), self._clock() + TTL)
        self._known.move_to_end(model)
        while len(self._known) > MOST:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class DiscoveringTransport:
    """A transport whose provider's models are asked about meanwhile.

    Attributes:
        inner: The transport to the provider.
        discovery: Ends with it.
    """

    inner: HttpTransport
    discovery: Discovery

    async def send(self, request: HttpRequest, call: Call) -> bytes:
        """Send a request; return the body of the answer."""
        return await self.inner.send(request, call)

    async def open(self, request: HttpRequest, call: Call) -> EventSource[ServerSentEvent]:
        """Send a request; return the events of the answer."""
        return await self.inner.open(request, call)

    async def aclose(self) -> None:
        """Leave the open questions, and release what the transport holds."""
        await self.discovery.aclose()
        await self.inner.aclose()


async def asked_model(transport: HttpTransport, model: str) -> Mapping[str, Any]:
    """Return what the Messages API says of a model (`ModelInfo` of anthropic 2.12).

    Raises:
        HttpStatusError: It says nothing; 404 for a model it does not know.
        ProviderError: It cannot be reached, or its answer is no object.
    """
    path = f"/v1/models/{quote(model, safe='')}"
    return await _answer(transport, path, dict[str, Any])


async def listed_models(transport: HttpTransport) -> list[Mapping[str, Any]]:
    """Return what the Messages API says of each of its models, the newest first.

    Raises:
        HttpStatusError: It has no such list.
        ProviderError: It cannot be reached, or its answer is no such list.
    """
    models: list[Mapping[str, Any]] = []
    after = ""
    for _ in range(MOST):
        page = await _answer(transport, f"/v1/models?limit=1000{after}", _Page)
        models += page.data
        if not page.has_more or not page.last_id:
            break
        after = f"&after_id={quote(page.last_id, safe='')}"
    return models


class _Page(msgspec.Struct):
    data: list[dict[str, Any]]
    has_more: bool = False
    last_id: str | None = None


async def _answer(transport: HttpTransport, path: str, form: type[Answer]) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE):
            data = await transport.get(path, _VERSION)
        return msgspec.json.decode(data, type=form)
    except TimeoutError as error:
        raise ProviderError("The list of models takes too long.", kind="timeout") from error
    except UNREADABLE as error:
        raise ProviderError("The list of models is not readable.", kind="protocol") from error

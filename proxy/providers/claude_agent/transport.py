"""The only code that talks to Claude's command line: one process for each request."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from proxy.call import Call
from proxy.providers.claude_agent.admission import Admission
from proxy.providers.claude_agent.pool import Pool
from proxy.providers.claude_agent.process import CliProcess
from proxy.providers.claude_agent.reaper import reap
from proxy.providers.claude_agent.settings import AgentSettings
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.stream import is_end
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

if TYPE_CHECKING:
    from proxy.providers.claude_agent.conversation import Conversation

__all__ = ["START_SECONDS", "AgentEvents", "AgentTransport"]

START_SECONDS: Final = 30.0
"""How long a process may take to start and to be told its request. It is a matter of half a second,
but of many if a busy machine starts several at once."""

Event = Mapping[str, Any]

_CONVERSATION = "proxy.providers.claude_agent.conversation"


class AgentEvents:
    """The events of one answer, each by itself."""

    __slots__ = ("_call", "_conversation", "_end", "_idle", "_over", "_total", "_transport")

    def __init__(
        self, transport: "AgentTransport", conversation: "Conversation", call: Call
    ) -> None:
        self._transport = transport
        self._conversation = conversation
        self._call = call
        self._over = False
        timeouts = transport.settings.timeouts
        self._idle = timeouts.idle
        self._total = timeouts.total
        loop = asyncio.get_running_loop()
        self._end = None if timeouts.total is None else loop.time() + timeouts.total

    def __aiter__(self) -> "AgentEvents":
        return self

    async def __anext__(self) -> Sequence[Event]:
        """Return the next event.

        Raises:
            ProviderError: The answer broke off, or a time limit ran out.
        """
        if self._over:
            raise StopAsyncIteration
        try:
            event = await self._within_limits()
        except ProviderError as error:
            self._call.status = error.status
            raise
        if event is None:
            raise StopAsyncIteration
        if event.get("type") == "message_start":
            self._call.status = 200
        self._over = is_end(event)
        return (event,)

    async def aclose(self, *, complete: bool) -> None:
        """End the process."""
        if (closing := self._transport.end(self._conversation)) is not None:
            await asyncio.shield(closing)

    async def _within_limits(self) -> Event | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._idle
        last = self._end is not None and self._end < deadline
        try:
            async with asyncio.timeout_at(self._end if last else deadline):
                return await self._conversation.next_event()
        except TimeoutError as error:
            if last:
                raise ProviderTimeout("total", self._total or 0.0) from error
            raise ProviderTimeout("idle", self._idle) from error


class AgentTransport:
    """Gives each request a process of its own, and ends it with its answer."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.admission = Admission(
            most=settings.most,
            queue=settings.queue,
            patience=settings.patience,
            retry_after=settings.retry_after,
        )
        self.pool = Pool(settings.pool, lambda: CliProcess.start(settings))
        self._reaping: asyncio.Task[int] | None = None
        self._live: set[Conversation] = set()
        self._ending: set[asyncio.Task[None]] = set()

    async def send(self, request: AgentRequest, call: Call) -> list[Event]:
        """Send a request; return the events of the whole answer."""
        source = await self.open(request, call)
        events: list[Event] = []
        try:
            async for some in source:
                events += some
        finally:
            await source.aclose(complete=True)
        return events

    async def open(self, request: AgentRequest, call: Call) -> AgentEvents:
        """Send a request; return the events of the answer, to be closed by the caller.

        Raises:
            ProviderError: There is no room for it, or the CLI did not take it.
        """
        self.start()
        await self.admission.enter()
        return AgentEvents(self, await self._begin(request), call)

    def start(self) -> None:
        """Park processes, and clear up after a crash; once, with a running event loop."""
        if self._reaping is None:
            self._reaping = asyncio.create_task(asyncio.to_thread(reap))
            self.pool.fill()

    async def aclose(self) -> None:
        """End every process."""
        if self._reaping is not None:
            await asyncio.wait([self._reaping])
        for conversation in list(self._live):
            self.end(conversation)
        await self.pool.aclose()
        if self._ending:
            await asyncio.wait(self._ending)

    def end(self, conversation: "Conversation") -> "asyncio.Task[None] | None":
        """Kill a process and make room for another; return what is left to do, which goes on.

        None where it was ended before.
        """
        if conversation not in self._live:
            return None
        self._live.discard(conversation)
        conversation.kill()
        self.admission.leave()
        task = asyncio.create_task(conversation.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _begin(self, request: AgentRequest) -> "Conversation":
        conversation = None
        try:
            # Loading the SDK takes a second, which is not to be taken from others' answers.
            module = await asyncio.to_thread(import_module, _CONVERSATION)
            async with asyncio.timeout(START_SECONDS):
                process = await self.pool.take()
                conversation = cast("Conversation", module.Conversation(process, request))
                self._live.add(conversation)
                await conversation.begin()
        except BaseException as error:
            if conversation is None:
                self.admission.leave()
            else:
                self.end(conversation)
            if isinstance(error, TimeoutError) and not isinstance(error, ProviderError):
                raise ProviderTimeout("connect", START_SECONDS) from error
            raise
        return conversation

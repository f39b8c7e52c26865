"""The only code that talks to Claude's command line: one process for each request."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from proxy.call import Call
from proxy.http import HttpTransport
from proxy.processes import Processes
from proxy.providers.claude_agent.admission import Admission
from proxy.providers.claude_agent.cli_telemetry import request_environment
from proxy.providers.claude_agent.errors import SlowCli, UnknownCli
from proxy.providers.claude_agent.gate import Door, Gate
from proxy.providers.claude_agent.otlp_relay import OtlpRelay
from proxy.providers.claude_agent.pool import Pool
from proxy.providers.claude_agent.process import CliProcess
from proxy.providers.claude_agent.reaper import reap
from proxy.providers.claude_agent.settings import AgentSettings
from proxy.providers.claude_agent.telling import fits, written
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.run import ends_run
from translators.claude_agent.stream import is_end
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

if TYPE_CHECKING:
    from proxy.providers.claude_agent.conversation import Conversation

__all__ = ["DOUBTS", "START_SECONDS", "AgentEvents", "AgentTransport"]

START_SECONDS: Final = 30.0
"""How long a process may take to start and to be told its request. It is a matter of half a second,
but of many if a busy machine starts several at once."""

DOUBTS: Final = 3
"""Requests in a row that a parked process did not take, and one that was told them as it started
did. Fewer may be the requests' own fault."""

Event = Mapping[str, Any]

_logger = logging.getLogger(__name__)
_CONVERSATION = "proxy.providers.claude_agent.conversation"


class AgentEvents:
    """The events of one answer, each by itself."""

    __slots__ = ("_begun", "_conversation", "_end", "_idle", "_over", "_total", "_transport")

    def __init__(self, transport: "AgentTransport", conversation: "Conversation") -> None:
        self._transport = transport
        self._conversation = conversation
        self._begun = False
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
        event = await self._within_limits()
        if event is None:
            raise StopAsyncIteration
        self._begun = True
        self._over = ends_run(event) if self._transport.settings.agent else is_end(event)
        return (event,)

    async def aclose(self, *, complete: bool) -> None:
        """End the process; one that has reports to deliver first does so when we are gone."""
        closing = self._transport.end(self._conversation, answered=self._over)
        if closing is not None:
            await asyncio.shield(closing)

    async def _within_limits(self) -> Event | None:
        loop = asyncio.get_running_loop()
        # Until the answer begins it is as silent as the model thinks: who asks limits that.
        # An agent's tool may take its time.
        silent = not self._begun or self._conversation.busy
        deadline = None if silent else loop.time() + self._idle
        last = self._end is not None and (deadline is None or self._end < deadline)
        try:
            async with asyncio.timeout_at(self._end if last else deadline):
                return await self._conversation.next_event()
        except TimeoutError as error:
            if last:
                raise ProviderTimeout("total", self._total or 0.0) from error
            raise ProviderTimeout("idle", self._idle) from error


class AgentTransport:
    """Gives each request a process of its own, and ends it with its answer.

    Args:
        settings: How many processes there may be, and how they are started.
        api: To the Messages API, with the key if there is one.
        relay: Takes what processes report of their spans; None: they report nothing.
    """

    def __init__(
        self, settings: AgentSettings, api: HttpTransport, relay: OtlpRelay | None = None
    ) -> None:
        self.settings = settings
        self.gate = Gate(api, has_key=not settings.login, relay=relay)
        self.admission = Admission(
            most=settings.processes,
            queue=settings.queue,
            patience=settings.patience,
            retry_after=settings.retry_after,
        )
        self.pool = Pool(settings.pool, self._parked)
        self._doubts = 0
        self._closed = False
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
        if self._closed:
            self.admission.leave()
            raise _stopping()
        return AgentEvents(self, await self._begin(request, call))

    def start(self) -> None:
        """Park processes, and clear up after a crash; once, with a running event loop."""
        if self._reaping is None:
            self._reaping = asyncio.create_task(asyncio.to_thread(reap))
            self.pool.fill()

    def processes(self) -> Processes:
        """Count the processes that there are now, and who waits for one."""
        admission = self.admission
        return Processes(self.pool.parked, admission.inside, admission.waiting)

    async def aclose(self) -> None:
        """End every process."""
        self._closed = True
        if self._reaping is not None:
            await asyncio.wait([self._reaping])
        for conversation in list(self._live):
            if conversation.begins:
                # Who waits for it gives its place back.
                self._end(conversation)
            else:
                self.end(conversation)
        await self.pool.aclose()
        if self._ending:
            await asyncio.wait(self._ending)
        await self.gate.aclose()

    def end(
        self, conversation: "Conversation", *, answered: bool = False
    ) -> "asyncio.Task[None] | None":
        """Kill a process and make room for another; return what is left to do, which goes on.

        None where it was ended before. One that is `answered` and has spans to report is let end
        by itself; nobody has to wait for that, but it keeps its place until it is gone.
        """
        if conversation not in self._live:
            return None
        if answered and conversation.reports:
            self._live.discard(conversation)
            self._goes_on(conversation.finish()).add_done_callback(lambda _: self.admission.leave())
            return None
        self.admission.leave()
        return self._end(conversation)

    def _end(self, conversation: "Conversation") -> "asyncio.Task[None]":
        self._live.discard(conversation)
        conversation.kill()
        return self._goes_on(conversation.close())

    def _goes_on(self, ending: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _door(self) -> Door:
        try:
            await self.gate.open()
        except OSError as error:
            raise ProviderError(
                f"There is no port for the Claude CLI's calls: {error.strerror}.", kind="server"
            ) from error
        return self.gate.door()

    async def _parked(self) -> CliProcess:
        return await CliProcess.start(self.settings, await self._door())

    async def _spawned(self, request: AgentRequest, call: Call) -> CliProcess:
        environment = request_environment(call.traceparent)
        if not await asyncio.to_thread(fits, request, environment):
            return await self._parked()
        write = partial(written, request, environment)
        return await CliProcess.start(self.settings, await self._door(), write)

    async def _begin(self, request: AgentRequest, call: Call) -> "Conversation":
        """Begin a conversation; the place of the request is given back where it fails."""
        try:
            # Loading the SDK takes a second, which is not to be taken from others' answers.
            module = await asyncio.to_thread(import_module, _CONVERSATION)
            doubt: UnknownCli | None = None
            if self.pool.size > 0:
                try:
                    taken = await self._converse(module, request, call, await self.pool.take())
                except UnknownCli as error:
                    # What it was told through its input it may take as it starts.
                    doubt = error
                else:
                    self._doubts = 0
                    return taken
            spawned = await self._spawned(request, call)
            conversation = await self._converse(module, request, call, spawned)
            if doubt is not None:
                self._doubted(doubt)
            return conversation
        except BaseException:
            self.admission.leave()
            raise

    def _doubted(self, error: UnknownCli) -> None:
        """Park no more processes where it is not the requests that they do not take."""
        self._doubts += 1
        if self._doubts >= DOUBTS and self.pool.size > 0:
            _logger.warning("%s Processes are no longer parked.", error.message)
            self._goes_on(self.pool.aclose())

    async def _converse(
        self, module: Any, request: AgentRequest, call: Call, process: CliProcess
    ) -> "Conversation":
        agent = self.settings.agent
        calls = None if agent is None else agent.max_turns
        environment = request_environment(call.traceparent)
        try:
            if self._closed:
                raise _stopping()
            process.door.expect(request, call, calls=calls)
            made = module.Conversation(process, request, environment, runs=agent is not None)
        except BaseException:
            await process.close()
            raise
        conversation = cast("Conversation", made)
        self._live.add(conversation)
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._begun(conversation)
        except BaseException as error:
            self._end(conversation)
            if isinstance(error, TimeoutError) and not isinstance(error, ProviderError):
                raise SlowCli(START_SECONDS) from error
            raise
        return conversation

    async def _begun(self, conversation: "Conversation") -> None:
        """Wait until a conversation has begun; the end of the server ends it, not who waits."""
        conversation.beginning = beginning = asyncio.create_task(conversation.begin())
        await asyncio.wait([beginning])
        if beginning.cancelled():
            raise _stopping()
        beginning.result()


def _stopping() -> ProviderError:
    return ProviderError("The server is stopping, and with it its Claude processes.", kind="server")

"""One request to one process of the CLI, through the Claude Agent SDK.

This module loads the SDK, which takes about a second: it is imported when it is first needed.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, cast

from claude_agent_sdk import (
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    Message,
    ResultMessage,
    SdkMcpTool,
    StreamEvent,
    ToolAnnotations,
    create_sdk_mcp_server,
)

from proxy.providers.claude_agent.channel import Channel
from proxy.providers.claude_agent.errors import UnknownCli
from proxy.providers.claude_agent.process import CliProcess
from proxy.providers.claude_agent.telling import SERVER, flag_settings, initial
from translators.claude_agent.errors import error_from_result
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.run import LIMITS, ends_run, run_limit
from translators.errors import ProviderError

__all__ = ["Conversation"]

Block = dict[str, Any]

# What it says of a process that ended is in our own error, without what is not to be repeated.
logging.getLogger("claude_agent_sdk._internal.query").setLevel(logging.CRITICAL)

_LAST_SECONDS: Final = 1.0
"""How long a process may take to say what is wanted of it after its answer: a few milliseconds."""


class Conversation:
    """One request and its answer; `close` ends the process.

    Attributes:
        beginning: Runs `begin`, where somebody does so in a task: it is ended by `close`.

    Args:
        process: Runs, and has served nobody. A parked one has not been told anything either.
        request: What it is told.
        environment: Variables for this request alone.
        runs: Whether the process runs tools of its own.
    """

    def __init__(
        self,
        process: CliProcess,
        request: AgentRequest,
        environment: Mapping[str, str],
        *,
        runs: bool = False,
    ) -> None:
        self._process = process
        self._request = request
        self._environment = environment
        self._runs = runs
        told = initial(request) if process.parked else None
        self._channel = Channel(process, told, runs=runs)
        self._client = ClaudeSDKClient(_options(request.tools), transport=self._channel)
        self._messages: AsyncGenerator[Message] | None = None
        self._reading = False
        self.beginning: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._first: asyncio.Task[Block | None] | None = None

    async def begin(self) -> None:
        """Tell the CLI the request; on return it has called the API.

        Raises:
            ProviderError: The CLI ended, or did not take it, or the call failed.
        """
        try:
            await self._connect()
            if self._process.parked:
                settings = await asyncio.to_thread(flag_settings, self._request, self._environment)
                await self._channel.control(
                    {"subtype": "apply_flag_settings", "settings": settings}
                )
            self._messages = cast("AsyncGenerator[Message]", self._client.receive_messages())
            *earlier, last = self._request.turns
            for turn in earlier:
                await self._replay(turn)
            await self._say(_frame(last))
        except (ClaudeSDKError, ProviderError) as error:
            raise self._reason(error) from error
        await self._called()
        self._process.forget()

    async def _connect(self) -> None:
        try:
            await self._client.connect()
        except (ClaudeSDKError, ProviderError):
            raise
        except Exception as error:
            raise UnknownCli.refused(str(error)[:500]) from error

    async def next_event(self) -> Block | None:
        """Return the next event of the API's stream; None where the CLI says no more.

        Raises:
            ProviderError: The API or the CLI failed.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return await first
        return await self._next_event()

    @property
    def reports(self) -> bool:
        """Whether the process has spans to tell of after its answer."""
        return self._process.alive and self._process.door.reports

    async def finish(self) -> None:
        """End the process when it has reported; for a conversation that is answered."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._channel.silent.wait()
            await self._process.finish()
        finally:
            await self.close()

    def kill(self) -> None:
        """Kill the process, and with it the call of the API."""
        self._process.kill()

    @property
    def begins(self) -> bool:
        """Whether it has not begun yet, and somebody waits for that."""
        return self.beginning is not None and not self.beginning.done()

    @property
    def busy(self) -> bool:
        """Whether the process runs a tool of its own."""
        return self._channel.busy

    async def close(self) -> None:
        """End the process, and what the SDK runs for it; once begun, this is not cancelled."""
        self.kill()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            if self.beginning is not None:
                # Two at a time are too many for the SDK.
                self.beginning.cancel()
                await asyncio.wait([self.beginning])
            if self._first is not None:
                self._first.cancel()
                await asyncio.wait([self._first])
            if self._messages is not None and not self._reading:
                # Whoever is reading finds that the process is gone.
                await self._messages.aclose()
            await self._client.disconnect()
        finally:
            await self._process.close()

    async def _called(self) -> None:
        """Wait until the CLI has called the API, or says that it will not."""
        self._first = asyncio.create_task(self._next_event())
        admitted = asyncio.create_task(self._process.door.admitted.wait())
        try:
            await asyncio.wait([self._first, admitted], return_when=asyncio.FIRST_COMPLETED)
        finally:
            admitted.cancel()
        if self._first.done():
            # Raises what it failed with, and is still there for `next_event`.
            self._first.result()

    async def _next_event(self) -> Block | None:
        while (message := await self._next()) is not None:
            if isinstance(message, StreamEvent):
                if message.parent_tool_use_id is None:
                    return await self._event(message.event)
            elif isinstance(message, ResultMessage):
                return self._without_end(message)
        return None

    async def _event(self, event: Block) -> Block:
        if self._runs and ends_run(event):
            # The answer is whole, whatever becomes of the process now: what it has cost is told
            # a moment later.
            with suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    while (message := await self._next()) is not None:
                        if isinstance(message, ResultMessage):
                            break
        return event

    def _without_end(self, result: ResultMessage) -> Block:
        """Return the event for a run that its policy has ended; nothing else ends so.

        Raises:
            ProviderError: It failed.
        """
        door = self._process.door
        if self._runs and door.error is None:
            if result.subtype in LIMITS:
                return dict(run_limit(result.subtype))
            if door.exhausted:
                return dict(run_limit("error_max_turns"))
        raise self._reason(error_from_result(asdict(result)))

    async def _replay(self, turn: Block) -> None:
        """Tell a turn of the past.

        The CLI takes an assistant's at once, but queues a user's, and says when it is done with
        it: unless that is waited for, the turns get out of order.
        """
        if turn["role"] == "assistant":
            await self._say(_assistant(turn, self._request.model))
            return
        await self._say({**_frame(turn), "shouldQuery": False})
        while (message := await self._next()) is not None:
            if isinstance(message, ResultMessage):
                if message.is_error:
                    raise self._reason(error_from_result(asdict(message)))
                return
        raise self._reason(self._process.failure())

    async def _say(self, frame: Block) -> None:
        await self._client.query(_only(frame))

    async def _next(self) -> Message | None:
        if self._messages is None:
            raise RuntimeError("The conversation has not begun.")
        self._reading = True
        try:
            return await anext(self._messages, None)
        except (ClaudeSDKError, ProviderError) as error:
            raise self._reason(error) from error
        finally:
            self._reading = False

    def _reason(self, error: ClaudeSDKError | ProviderError) -> ProviderError:
        """Return why it failed: what was seen at the gate says more than the CLI does."""
        if self._process.door.error is not None:
            return self._process.door.error
        if isinstance(error, ProviderError):
            return error
        return ProviderError(f"The Claude CLI failed: {error}", kind="server")


def _options(tools: tuple[str, ...]) -> ClaudeAgentOptions:
    if not tools:
        return ClaudeAgentOptions(verbatim_prompts=True)
    server = create_sdk_mcp_server(SERVER, tools=[_tool(name) for name in tools])
    return ClaudeAgentOptions(verbatim_prompts=True, mcp_servers={SERVER: server})


def _tool(name: str) -> SdkMcpTool[Any]:
    """Return a tool that never answers: the client does, with the next request.

    The model sees the tool as it is in the request's `extra`. The schema here only has to let
    every call pass, for one that does not is answered by the CLI, with a call of the API.
    """
    annotations = ToolAnnotations(readOnlyHint=True)  # Others wait for each other.
    return SdkMcpTool(name, "", {"type": "object"}, _never, annotations)


async def _never(arguments: Any) -> Block:
    await asyncio.Event().wait()
    return {}


def _frame(turn: Block) -> Block:
    return {
        "type": turn["role"],
        "message": turn,
        "parent_tool_use_id": None,
        "uuid": str(uuid.uuid4()),
    }


def _assistant(turn: Block, model: str) -> Block:
    message = {
        "id": f"msg_{uuid.uuid4().hex[:24]}",
        "type": "message",
        "model": model,
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
        **turn,
    }
    return {**_frame(turn), "message": message}


async def _only(frame: Block) -> AsyncIterator[Block]:
    yield frame

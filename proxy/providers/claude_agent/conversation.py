"""One request to one process of the CLI, through the Claude Agent SDK.

This module loads the SDK, which takes about a second: it is imported when it is first needed.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import asdict
from typing import Any, cast

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

from proxy.providers.claude_agent.channel import SERVER, Channel
from proxy.providers.claude_agent.process import CliProcess
from translators.claude_agent.errors import error_from_result
from translators.claude_agent.request import AgentRequest
from translators.errors import ProviderError
from translators.json import encode

__all__ = ["Conversation"]

Block = dict[str, Any]


class Conversation:
    """One request and its answer; `close` ends the process."""

    def __init__(self, process: CliProcess, request: AgentRequest) -> None:
        self._process = process
        self._request = request
        self._channel = Channel(process, system=request.system, tools=bool(request.tools))
        self._client = ClaudeSDKClient(_options(request.tools), transport=self._channel)
        self._messages: AsyncGenerator[Message] | None = None

    async def begin(self) -> None:
        """Tell the CLI the request; on return the answer is on its way.

        Raises:
            ProviderError: The CLI ended, or did not take it.
        """
        try:
            await self._client.connect()
            await self._channel.control(_flag_settings(self._request))
            self._messages = cast("AsyncGenerator[Message]", self._client.receive_messages())
            *earlier, last = self._request.turns
            for turn in earlier:
                await self._replay(turn)
            await self._say(_frame(last))
        except ClaudeSDKError as error:
            raise _failed(error) from error

    async def next_event(self) -> Block | None:
        """Return the next event of the API's stream; None where the CLI says no more.

        Raises:
            ProviderError: The API or the CLI failed.
        """
        while (message := await self._next()) is not None:
            if isinstance(message, StreamEvent):
                if message.parent_tool_use_id is None:
                    return message.event
            elif isinstance(message, ResultMessage):
                raise error_from_result(asdict(message))
        return None

    def kill(self) -> None:
        """Kill the process, and with it the call of the API."""
        self._process.kill()

    async def close(self) -> None:
        """End the process, and what the SDK runs for it."""
        self.kill()
        try:
            if self._messages is not None:
                await self._messages.aclose()
            await self._client.disconnect()
        finally:
            await self._process.close()

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
                    raise error_from_result(asdict(message))
                return
        raise self._process.failure()

    async def _say(self, frame: Block) -> None:
        await self._client.query(_only(frame))

    async def _next(self) -> Message | None:
        if self._messages is None:
            raise RuntimeError("The conversation has not begun.")
        try:
            return await anext(self._messages, None)
        except ClaudeSDKError as error:
            raise _failed(error) from error


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


def _flag_settings(request: AgentRequest) -> Block:
    environment = {"CLAUDE_CODE_EXTRA_BODY": encode(request.extra).decode()}
    if request.betas:
        environment["ANTHROPIC_BETAS"] = request.betas
    settings = {"model": request.model, "env": environment}
    return {"subtype": "apply_flag_settings", "settings": settings}


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


def _failed(error: ClaudeSDKError) -> ProviderError:
    return ProviderError(f"The Claude CLI failed: {error}", kind="server")

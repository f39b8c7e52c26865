"""The Claude Agent SDK's way to a process of ours.

The SDK would start the CLI itself: with our whole environment, with prompts and settings on its
command line, and with five seconds' grace at the end. Here the process was started before, and
what a request needs is told through its input, where nobody else can read it.

Fields of the CLI's input that only the TypeScript SDK sends (`systemPrompt`, `sdkMcpServers`,
`apply_flag_settings`) were read in CLI 2.1.330.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from claude_agent_sdk import Transport

from proxy.providers.claude_agent.process import CliProcess
from translators.claude_agent.stream import is_end
from translators.errors import ProviderError

__all__ = ["SERVER", "Channel"]

SERVER = "c"
"""The name of the MCP server that the client's tools belong to."""

_OWN = "ep_"
_NOWHERE = "http://127.0.0.1:9"  # Port 9 discards what comes; nothing listens there.


class Channel(Transport):
    """A transport of the SDK over a running process, for one conversation."""

    def __init__(self, process: CliProcess, *, system: tuple[str, ...], tools: bool) -> None:
        self._process = process
        self._initial: dict[str, Any] | None = {"systemPrompt": list(system)}
        if tools:
            self._initial["sdkMcpServers"] = [SERVER]
        self._asked: dict[str, asyncio.Future[None]] = {}

    async def connect(self) -> None:
        """Nothing to do: the process runs."""

    async def write(self, data: str) -> None:
        """Write a frame; the first one that initializes gets what the SDK does not know."""
        if self._initial is not None:
            frame = json.loads(data)
            if frame.get("request", {}).get("subtype") == "initialize":
                frame["request"] |= self._initial
                self._initial = None
                data = json.dumps(frame) + "\n"
        await self._process.write(data)

    async def control(self, request: dict[str, Any]) -> None:
        """Tell the CLI something, and wait until it has taken it.

        Raises:
            ProviderError: It refused, or ended.
        """
        name = f"{_OWN}{len(self._asked)}"
        taken = self._asked[name] = asyncio.get_running_loop().create_future()
        frame = {"type": "control_request", "request_id": name, "request": request}
        await self._process.write(json.dumps(frame) + "\n")
        await taken

    def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """Return what the CLI says, up to the end of the answer."""
        return self._read()

    async def _read(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for frame in self._process.frames():
                if self._is_ours(frame):
                    continue
                if _begins(frame):
                    await self._fence()
                if _ends(frame):
                    # Before anything else: a moment later the CLI may want to call the API once
                    # more. The fence stands by then, unless the answer came all at once.
                    self._process.kill()
                    yield frame
                    return
                yield frame
            await self._process.ended()
            raise self._process.failure()
        except ProviderError as error:
            for taken in self._asked.values():
                if not taken.done():
                    taken.set_exception(error)
            raise

    async def _fence(self) -> None:
        """Have any further call of the API go nowhere; the one that is being answered goes on.

        Left alone, the CLI has a cut answer continued, a refused one repeated and an empty one
        asked for again. It looks its API's address up for each call.
        """
        settings = {"env": {"ANTHROPIC_BASE_URL": _NOWHERE}}
        request = {"subtype": "apply_flag_settings", "settings": settings}
        frame = {"type": "control_request", "request_id": f"{_OWN}fence", "request": request}
        await self._process.write(json.dumps(frame) + "\n")

    def _is_ours(self, frame: dict[str, Any]) -> bool:
        """Settle what we asked ourselves; return whether `frame` was about that."""
        if frame.get("type") != "control_response":
            return False
        response = frame.get("response", {})
        taken = self._asked.get(response.get("request_id", ""))
        if taken is None:
            return False
        if not taken.done():
            if response.get("subtype") == "error":
                said = str(response.get("error"))[:500]
                taken.set_exception(
                    ProviderError(f"The Claude CLI refused its settings: {said}", kind="server")
                )
            else:
                taken.set_result(None)
        return True

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

    def is_ready(self) -> bool:
        """Return whether the process runs."""
        return self._process.alive

    async def end_input(self) -> None:
        """Nothing to do: the process is killed when its answer is there."""


def _begins(frame: dict[str, Any]) -> bool:
    return (
        frame.get("type") == "stream_event"
        and frame.get("event", {}).get("type") == "message_start"
    )


def _ends(frame: dict[str, Any]) -> bool:
    return (
        frame.get("type") == "stream_event"
        and frame.get("parent_tool_use_id") is None
        and is_end(frame.get("event", {}))
    )

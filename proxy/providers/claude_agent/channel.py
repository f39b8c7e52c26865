"""The Claude Agent SDK's way to a process of ours.

The SDK would start the CLI itself: with our whole environment, with prompts and settings on its
command line, and with five seconds' grace at the end. Here the process runs already: what it is to
be told beside the conversation is in `telling`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from claude_agent_sdk import Transport

from proxy.providers.claude_agent.account import Account
from proxy.providers.claude_agent.errors import UnknownCli
from proxy.providers.claude_agent.process import CliProcess
from translators.claude_agent.run import ends_run
from translators.claude_agent.stream import is_end
from translators.errors import ProviderError

__all__ = ["Channel"]

_OWN = "ep_"


class Channel(Transport):
    """A transport of the SDK over a running process, for one conversation.

    Args:
        process: Killed with the end of the answer, unless it has something to tell after that.
        initial: Added to the frame that initializes the CLI; None: nothing.
        runs: Whether it runs tools of its own: then an answer takes several messages.

    Attributes:
        silent: Set when the process has said all that is wanted of it.
    """

    def __init__(
        self, process: CliProcess, initial: dict[str, Any] | None, *, runs: bool = False
    ) -> None:
        self._process = process
        self._initial = initial
        self._runs = runs
        self._account = Account(process.door.call, parked=process.parked, runs=runs)
        self._over = False
        self._asked: dict[str, asyncio.Future[None]] = {}
        self.silent = asyncio.Event()

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
        # Settings may hold images: that takes a while.
        text = await asyncio.to_thread(json.dumps, frame)
        await self._process.write(text + "\n")
        await taken

    def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """Return what the CLI says, up to the end of the answer."""
        return self._read()

    async def _read(self) -> AsyncIterator[dict[str, Any]]:
        try:
            async for frame in self._process.frames():
                if self._is_ours(frame):
                    continue
                self._account.take(frame)
                answered = self._over
                if not answered and self._ends(frame):
                    self._end()
                if self._runs or not answered:
                    yield frame
                if self._over and self._is_last(frame):
                    return
            if not self._over:
                await self._process.ended()
                raise self._process.failure()
        except ProviderError as error:
            for taken in self._asked.values():
                if not taken.done():
                    taken.set_exception(error)
            raise
        finally:
            self.silent.set()

    def _ends(self, frame: dict[str, Any]) -> bool:
        if frame.get("type") != "stream_event" or frame.get("parent_tool_use_id") is not None:
            return False
        event = frame.get("event", {})
        return ends_run(event) if self._runs else is_end(event)

    def _end(self) -> None:
        """See to it that what the process would do next has no way out any more."""
        self._over = True
        self._process.door.shut()
        if not self._lingers:
            self._process.kill()

    @property
    def _lingers(self) -> bool:
        """Whether the process has something to tell after its answer: its cost, or its spans."""
        return self._runs or self._process.door.reports

    def _is_last(self, frame: dict[str, Any]) -> bool:
        """Whether nothing that is wanted comes after `frame`."""
        if not self._lingers or frame.get("type") == "result":
            return True
        return not self._runs and frame.get("event", {}).get("type") == "message_stop"

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
                taken.set_exception(UnknownCli.refused(str(response.get("error"))[:500]))
            else:
                taken.set_result(None)
        return True

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

    @property
    def busy(self) -> bool:
        """Whether the process runs a tool."""
        return self._account.busy

    def is_ready(self) -> bool:
        """Return whether the process runs."""
        return self._process.alive

    async def end_input(self) -> None:
        """Nothing to do: the process is killed when its answer is there."""

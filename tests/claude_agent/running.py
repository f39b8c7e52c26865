"""The real CLI, unmodified, before the sandbox; and what it left on the machine."""

import json
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy.call import Call
from proxy.claude_cli import find_cli
from proxy.http import HttpClient, HttpTransport
from proxy.provider import Prepared
from proxy.providers.claude_agent import AgentProvider
from proxy.providers.claude_agent.otlp_relay import OtlpRelay
from proxy.providers.claude_agent.settings import AgentSettings
from proxy.providers.claude_agent.surroundings import PREFIX
from proxy.providers.claude_agent.transport import AgentTransport
from proxy.providers.over_http import error_map
from proxy.sandbox.app import journal_of
from proxy.sandbox.server import SandboxServer
from proxy.ticker import Ticker
from tests.agent_cli import NEEDS_CLI
from translators.anthropic_messages.errors import error_from_response
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.fidelity import Report
from translators.protocol import ResponseContext
from translators.wire.request import ChatCompletionRequest

__all__ = ["KEY", "NEEDS_CLI", "Agent", "children", "files", "leftovers", "running", "told"]

KEY = "sk-ant-sandbox"
MODEL = "claude-sonnet-5"

Json = dict[str, Any]


class Agent:
    """A provider with the real CLI, and the API that it calls."""

    def __init__(self, transport: AgentTransport, sandbox: SandboxServer) -> None:
        self.transport = transport
        self.sandbox = sandbox
        self.provider = AgentProvider(
            ClaudeAgentTranslator(runs=transport.settings.agent is not None),
            transport,
            error_map(error_from_response),
            count=transport.processes,
        )
        self.report = Report()

    @property
    def calls(self) -> list[Json]:
        """The requests that reached the API, and any other server behind its address."""
        return list(journal_of(self.sandbox.app).requests)

    @property
    def body(self) -> Json:
        """The body of the only call there was."""
        (call,) = self.calls
        return call["body"]

    @property
    def aborted(self) -> int:
        """How many answers were not read to their end."""
        return journal_of(self.sandbox.app).tally("anthropic").aborted_by_client

    @property
    def open(self) -> int:
        """How many answers are being given."""
        return journal_of(self.sandbox.app).tally("anthropic").open

    def prepare(self, text: str | None = None, /, *, model: str = MODEL, **chat: Any) -> Prepared:
        """Translate a request; `text` is short for a message of the user's."""
        if text is not None:
            chat["messages"] = [{"role": "user", "content": text}]
        request = ChatCompletionRequest.model_validate({"model": "architect", **chat})
        context = ResponseContext("chatcmpl-1", 1, model, include_usage=True)
        prepared = self.provider.prepare(request, model=model, context=context)
        self.report = prepared.report
        return prepared

    async def whole(
        self, text: str | None = None, /, *, call: Call | None = None, **chat: Any
    ) -> ChatCompletion:
        """Ask, and wait for the answer."""
        completion = await self.prepare(text, **chat).complete(call or Call())
        return ChatCompletion.model_validate_json(completion.data)

    async def streamed(self, text: str | None = None, /, **chat: Any) -> ChatCompletion:
        """Ask, and have the OpenAI SDK put the chunks together."""
        state = ChatCompletionStreamState[None]()
        async for chunk in self.chunks(text, **chat):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        return ChatCompletion.model_validate(state.current_completion_snapshot.model_dump())

    async def chunks(
        self, text: str | None = None, /, *, call: Call | None = None, **chat: Any
    ) -> AsyncIterator[Json]:
        """Ask, and yield the chunks as they come."""
        answer = await self.prepare(text, stream=True, **chat).open(call or Call())
        try:
            async for batch in answer:
                for chunk in batch:
                    yield json.loads(chunk.data)
        finally:
            await answer.aclose()


@asynccontextmanager
async def running(
    *, base_url: str | None = None, relay: OtlpRelay | None = None, **changes: Any
) -> AsyncGenerator[Agent]:
    """Run an agent before a sandbox of its own; on leaving nothing of it is left."""
    ticker = Ticker()
    client = HttpClient(ticker)
    async with SandboxServer() as sandbox:
        settings = replace(AgentSettings(cli=find_cli() or Path("claude")), **changes)
        api = HttpTransport(
            client,
            base_url=base_url or sandbox.anthropic_base_url,
            headers={} if settings.login else {"x-api-key": KEY},
            query="",
            timeouts=settings.timeouts,
        )
        transport = AgentTransport(settings, api, relay)
        try:
            yield Agent(transport, sandbox)
        finally:
            await transport.aclose()
            await client.aclose()
            ticker.close()
            assert transport.gate.doors == 0
    assert leftovers() == []


def leftovers() -> list[str]:
    """Return the directories and processes that are left: zombies are processes, too."""
    folders = Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*")
    return [*map(str, folders), *(str(pid) for pid in children())]


def told(pid: int, name: str) -> bytes:
    """Return what the system tells of a process: its `environ` or `cmdline`."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files below a folder.

    The CLI makes and removes folders (its locks are some) while we look, which ends
    `Path.rglob` with an error. `folder` itself must be there.
    """

    def passed_over(error: OSError) -> None:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        if not gone or error.filename == str(folder):
            raise error

    walked = os.walk(folder, onerror=passed_over)
    found = [Path(at, name) for at, _, names in walked for name in names]
    return [path for path in found if path.match(pattern) and path.is_file()]


def children() -> list[int]:
    """Return the ids of the processes of the CLI that we have started."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # It ended while we looked.
        name, _, rest = text.partition(" (")[2].rpartition(")")
        if int(rest.split()[1]) == os.getpid() and "claude" in name:
            found.append(int(stat.parent.name))
    return found

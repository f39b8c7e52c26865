"""An answer that nobody wants any more: its provider is told, and nothing is left to warn of."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest
from execution_platform.spi import LLMClient

from tests.inprocess.sandboxed import Upstream, ask, pieces, run, text_of
from tests.serving import clean_environment

BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])

SLOW = "Hi [sandbox words=400 chunks=400 gap=0.05]"
SILENT = "Hi [sandbox delay=60]"


class Watch:
    """The counters of a provider from here on."""

    def __init__(self, upstream: Upstream, dialect: str) -> None:
        self._upstream, self._dialect = upstream, dialect
        self._before = upstream.tally(dialect)

    async def until(self, **wanted: int) -> None:
        counts = {name: self._before[name] + more for name, more in wanted.items()}
        await self._upstream.until(self._dialect, **counts)


@BOTH
def test_leaving_the_loop_closes_the_upstream(upstream: Upstream, dialect: str) -> None:
    watch = Watch(upstream, dialect)

    async def first(client: LLMClient) -> str | None:
        async for chunk in client.chat(ask(SLOW)):
            return chunk.delta_text
        return None

    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")
        assert await first(client)
        await watch.until(started=1, aborted_by_client=1, finished=0)
        # The router is as good as before.
        assert await text_of(client, ask("Hi [sandbox say=ok]")) == "ok"

    run(main)


@BOTH
def test_aclose_and_async_with_close_it_at_once(upstream: Upstream, dialect: str) -> None:
    watch = Watch(upstream, dialect)

    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")
        chat = client.chat(ask(SLOW))
        await anext(chat)
        await chat.aclose()
        await watch.until(started=1, aborted_by_client=1)
        with pytest.raises(StopAsyncIteration):
            await anext(chat)
        async with client.chat(ask(SLOW)) as other:
            await anext(other)
        await watch.until(started=2, aborted_by_client=2)
        assert other.served.provider == dialect

    run(main)


@BOTH
@pytest.mark.parametrize(("streamed", "text"), [(True, SLOW), (True, SILENT), (False, SILENT)])
def test_cancelling_the_task_closes_the_upstream(
    upstream: Upstream, dialect: str, streamed: bool, text: str
) -> None:
    watch = Watch(upstream, dialect)

    async def main() -> None:
        client = upstream.router().get_client(f"{dialect}_only")

        async def asking() -> object:
            request = ask(text)
            return await (pieces(client, request) if streamed else client.chat(request))

        task = asyncio.create_task(asking())
        await watch.until(started=1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await watch.until(aborted_by_client=1)

    run(main)


def test_a_loop_that_ends_closes_what_is_open(upstream: Upstream) -> None:
    watch = Watch(upstream, "openai")
    kept: list[object] = []

    async def main() -> None:
        chat = upstream.router().get_client("openai_only").chat(ask(SLOW))
        await anext(chat)
        kept.append(chat)

    run(main)
    asyncio.run(watch.until(aborted_by_client=1))


def test_an_answer_is_taken_once(upstream: Upstream) -> None:
    async def main() -> None:
        client = upstream.router().get_client("openai_only")
        chat = client.chat(ask("Hi"))
        await chat
        with pytest.raises(RuntimeError, match="taken already"):
            await chat
        with pytest.raises(RuntimeError, match="taken already"):
            await anext(chat)
        # Nothing was asked, so nothing is owed.
        client.chat(ask("Hi"))
        unused = client.chat(ask("Hi"))
        await unused.aclose()
        with pytest.raises(RuntimeError, match="taken already"):
            await unused

    watch = Watch(upstream, "openai")
    run(main)
    asyncio.run(watch.until(started=1, finished=1))


PROGRAM = """
import asyncio, gc, uvloop
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

def ask(text):
    return ChatRequest([Message("user", text)])

async def answered():
    # A router for each call, dropped, as the guide has it.
    return (await PersonaRouter().get_client("architect").chat(ask("Hi [sandbox say=ok]"))).text

async def left():
    client = PersonaRouter().get_client("qa_engineer")
    async for chunk in client.chat(ask("Hi [sandbox words=100 gap=0.05]")):
        return chunk.delta_text

async def held(kept=[]):
    chat = PersonaRouter().get_client("qa_engineer").chat(ask("Hi [sandbox words=100 gap=0.05]"))
    kept.append(chat)
    await anext(chat)

async def abandoned():
    asyncio.create_task(left())
    asyncio.create_task(answered())
    await asyncio.sleep(0.3)

async def closed():
    async with PersonaRouter() as router:
        await router.get_client("architect").chat(ask("Hi"))

for work in (answered, left, answered, held, abandoned, closed):
    {run}(work())
    gc.collect()
client = PersonaRouter().get_client("architect")
assert client.chat_sync(ask("Hi [sandbox say=ok]")).text == "ok"
{end}
"""


@pytest.mark.parametrize("runner", ["asyncio.run", "uvloop.run"])
@pytest.mark.parametrize(
    "end",
    [
        "",
        "del client; gc.collect()",
        "router = PersonaRouter(); router.get_client('architect').chat_sync(ask('Hi'))",
        "with PersonaRouter() as r: r.get_client('architect').chat_sync(ask('Hi'))",
        "raise SystemExit(0)",
    ],
)
def test_a_program_that_cleans_up_nothing_ends_without_a_word(
    tmp_path: Path, end: str, runner: str
) -> None:
    program = PROGRAM.replace("{run}", runner).replace("{end}", end)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program],
        env=clean_environment({"EP_SANDBOX": "1"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = [
        line
        for line in done.stderr.splitlines()
        # The event loop's debug mode tells of every step that takes a tenth of a second.
        if not (line.startswith("Executing <") and " took " in line)
    ]
    assert (done.returncode, said, done.stdout) == (0, [], "")


def test_collecting_it_is_enough(upstream: Upstream) -> None:
    watch = Watch(upstream, "anthropic")

    async def main() -> None:
        chat = upstream.router().get_client("anthropic_only").chat(ask(SLOW))
        await anext(chat)
        del chat
        gc.collect()
        await watch.until(aborted_by_client=1)

    run(main)

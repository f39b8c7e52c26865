"""How long connections live: shared in an event loop, closed when nobody uses them any more."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from execution_platform import lifetime
from execution_platform.lifetime import Lifetime, open_in
from execution_platform.router import PersonaRouter
from execution_platform.spi import LLMClient

from tests.inprocess.sandboxed import Upstream, ask, run
from tests.serving import clean_environment


async def says_ok(client: LLMClient) -> bool:
    return (await client.chat(ask("Hi [sandbox say=ok]"))).text == "ok"


def here() -> int:
    return open_in(asyncio.get_running_loop())


async def until_nothing_is_open() -> None:
    for _ in range(500):
        if not here():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it is still open")


def test_routers_of_one_configuration_share_connections(upstream: Upstream) -> None:
    async def main() -> None:
        before = upstream.connections()
        for _ in range(20):
            assert await says_ok(upstream.router().get_client("openai_only"))
            gc.collect()
        assert here() == 1
        # One of these is the look at the counter.
        assert upstream.connections() == before + 2
        # Another configuration has its own.
        assert await says_ok(upstream.router(timeout=77).get_client("openai_only"))
        assert here() == 2
        assert upstream.connections() == before + 4

    run(main)


def test_the_last_router_that_is_closed_closes_them(upstream: Upstream) -> None:
    async def main() -> None:
        one, other = upstream.router(), upstream.router()
        first, second = one.get_client("openai_only"), other.get_client("openai_only")
        assert await says_ok(first)
        assert await says_ok(second)
        await one.aclose()
        await one.aclose()
        assert here() == 1
        assert await says_ok(second)
        await other.aclose()
        assert here() == 0
        for client in (first, second):
            with pytest.raises(RuntimeError, match="was closed"):
                await client.chat(ask("Hi"))
        async with upstream.router() as third:
            assert await says_ok(third.get_client("openai_only"))
            assert here() == 1
        assert here() == 0

    run(main)


def test_routers_that_are_dropped_leave_them_for_a_while(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifetime, "LINGER", 0.3)

    async def main() -> None:
        router = upstream.router()
        client = router.get_client("openai_only")
        assert await says_ok(client)
        del router
        gc.collect()
        await asyncio.sleep(0.5)
        # The client is a user, too.
        assert here() == 1
        assert await says_ok(client)
        del client
        gc.collect()
        await asyncio.sleep(0.05)
        before = upstream.connections()
        assert await says_ok(upstream.router().get_client("openai_only"))
        assert upstream.connections() == before + 1, "it was there still"
        gc.collect()
        await until_nothing_is_open()
        assert await says_ok(upstream.router().get_client("openai_only"))

    run(main)


def test_one_router_serves_one_event_loop_after_the_other(upstream: Upstream) -> None:
    router = upstream.router()
    client = router.get_client("openai_only")
    for _ in range(3):
        assert run(lambda: says_ok(client))
        assert client.chat_sync(ask("Hi [sandbox say=ok]")).text == "ok"
    uvloop.run(says_ok(client))
    gc.collect()
    router.close()
    router.close()
    with pytest.raises(RuntimeError, match="was closed"):
        client.chat_sync(ask("Hi"))


def test_one_router_serves_several_event_loops_at_once(upstream: Upstream) -> None:
    client = upstream.router().get_client("openai_only")
    answers: list[bool] = []

    def work() -> None:
        async def several() -> None:
            answers.extend(await asyncio.gather(*(says_ok(client) for _ in range(10))))

        asyncio.run(several())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    gc.collect()
    assert answers == [True] * 40


def test_a_router_is_closed_from_another_loop_than_the_one_that_uses_it(
    upstream: Upstream,
) -> None:
    router = upstream.router()
    client = router.get_client("openai_only")
    used, done = threading.Event(), threading.Event()
    left: list[int] = []

    def elsewhere() -> None:
        async def main() -> None:
            await says_ok(client)
            used.set()
            await asyncio.to_thread(done.wait, 30)
            left.append(here())

        asyncio.run(main())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    assert used.wait(30)
    run(router.aclose)
    done.set()
    thread.join(30)
    assert left == [0]


def test_close_is_not_for_a_thread_with_an_event_loop(upstream: Upstream) -> None:
    async def main() -> None:
        router = upstream.router()
        with pytest.raises(RuntimeError, match=r"use `await router.aclose\(\)`"):
            router.close()
        # Nothing has happened.
        assert await says_ok(router.get_client("openai_only"))

    run(main)


def background_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "execution-platform"]


def test_the_thread_of_chat_sync_ends_with_the_last_router(upstream: Upstream) -> None:
    with upstream.router() as router, upstream.router() as other:
        for each in (router, other):
            assert each.get_client("openai_only").chat_sync(ask("Hi [sandbox say=ok]")).text == "ok"
        assert len(background_threads()) == 1
        router.close()
        assert len(background_threads()) == 1
    assert background_threads() == []


def test_chat_sync_serves_threads_side_by_side(upstream: Upstream) -> None:
    answers: dict[int, str] = {}
    with upstream.router() as router:
        client = router.get_client("openai_only")

        def work(number: int) -> None:
            text = f'Hi [sandbox say="number {number}"]'
            answers[number] = client.chat_sync(ask(text)).text

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == {number: f"number {number}" for number in range(20)}


def test_chat_sync_raises_what_chat_raises(upstream: Upstream) -> None:
    from execution_platform.exceptions import ProviderError

    with upstream.router() as router:
        with pytest.raises(ProviderError) as caught:
            router.get_client("openai_only").chat_sync(ask("Hi [sandbox fail=400]"))
        assert (caught.value.status, caught.value.provider) == (400, "openai")


class Opener:
    """Something to be opened, slowly, and perhaps in vain."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[int]:
        self.opened += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        try:
            yield self.opened
        finally:
            self.closed += 1


def test_it_is_opened_once_even_if_the_first_who_wants_it_gives_up() -> None:
    async def main() -> None:
        opener, owner = Opener(), object()
        life = Lifetime(owner, opener)
        tasks = [asyncio.create_task(life.get()) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
        opener.gate.set()
        assert await asyncio.gather(*tasks[1:]) == [1] * 4
        assert (opener.opened, opener.closed) == (1, 0)
        await life.aclose()
        assert (opener.opened, opener.closed) == (1, 1)

    run(main)


def test_what_could_not_be_opened_is_tried_again_by_the_next() -> None:
    async def main() -> None:
        opener, owner = Opener(), object()
        opener.failure = OSError("no more files")
        opener.gate.set()
        life = Lifetime(owner, opener)
        failures = await asyncio.gather(life.get(), life.get(), return_exceptions=True)
        assert failures == [opener.failure, opener.failure]
        opener.failure = None
        assert await life.get() == 2
        await life.aclose()
        assert here() == 0

    run(main)


def test_an_opening_that_is_cancelled_with_everything_else_is_tried_again() -> None:
    async def main() -> None:
        opener = Opener()
        life = Lifetime(object(), opener)
        waiting = asyncio.create_task(life.get())
        for _ in range(3):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        opener.gate.set()
        assert await life.get() == 2
        await life.aclose()

    run(main)


def test_closing_while_it_is_being_opened_leaves_nothing() -> None:
    async def main() -> None:
        opener = Opener()
        life = Lifetime(object(), opener)
        waiting = asyncio.create_task(life.get())
        for _ in range(3):
            await asyncio.sleep(0)
        await life.aclose()
        with pytest.raises(RuntimeError, match="was closed"):
            await waiting
        assert (opener.opened, opener.closed, here()) == (1, 0, 0)

    run(main)


@pytest.mark.usefixtures("sandbox")
def test_a_file_of_variables_is_read_as_the_server_does(monkeypatch: pytest.MonkeyPatch) -> None:
    from execution_platform.exceptions import ConfigurationError, NoProvider

    monkeypatch.delenv("EP_SANDBOX")
    with pytest.raises(NoProvider):
        PersonaRouter().get_client("architect_openai")
    Path(".env").write_text("EP_SANDBOX=1\n")
    assert run(lambda: says_ok(PersonaRouter().get_client("architect_openai")))
    Path(".env").write_text("EP_SANDBOKS=1\n")
    with pytest.raises(ConfigurationError, match="EP_SANDBOX"):
        PersonaRouter()


def test_interrupting_chat_sync_lets_go_of_the_provider(upstream: Upstream) -> None:
    before = upstream.tally("openai")["aborted_by_client"]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with upstream.router() as router:
        client = router.get_client("openai_only")
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(KeyboardInterrupt):
                client.chat_sync(ask("Hi [sandbox delay=60]"))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        asyncio.run(upstream.until("openai", aborted_by_client=before + 1))
        assert client.chat_sync(ask("Hi [sandbox say=ok]")).text == "ok"


OPENS_NOTHING = """
import sys, os
from pathlib import Path

def sockets():
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    # The listing's own descriptor is gone by now.
    return [one for one in links if os.path.islink(one) and "socket" in os.readlink(one)]

import execution_platform.router, execution_platform.spi, execution_platform.exceptions
from execution_platform.router import PersonaRouter
for router in (PersonaRouter(), PersonaRouter(base_url="http://127.0.0.1:9")):
    client = router.get_client("architect_openai")
assert PersonaRouter().select_provider("architect_openai") == "openai"
assert sockets() == []
import threading
assert threading.active_count() == 1
loaded = {name.partition(".")[0] for name in sys.modules}
unwanted = {"openai", "anthropic", "google", "claude_agent_sdk", "opentelemetry", "httpx", "redis"}
assert not loaded & unwanted, loaded & unwanted
assert "proxy.sandbox" not in sys.modules
"""

FORKS = """
import os, sys
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, Message

def says_ok(router):
    request = ChatRequest([Message("user", "Hi [sandbox say=ok]")])
    return router.get_client("architect_openai").chat_sync(request).text == "ok"

router = PersonaRouter(sandbox=True)
assert says_ok(router)
child = os.fork()
if child == 0:
    well = says_ok(router) and says_ok(PersonaRouter(sandbox=True))
    router.close()
    os._exit(0 if well else 1)
assert os.waitpid(child, 0)[1] == 0
assert says_ok(router)
router.close()
"""


@pytest.mark.parametrize("program", [OPENS_NOTHING, FORKS], ids=["opens_nothing", "forks"])
def test_a_program(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=clean_environment({"EP_OPENAI_API_KEY": "sk-test"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_router_sees_what_has_changed(
    monkeypatch: pytest.MonkeyPatch, upstream: Upstream
) -> None:
    from execution_platform.exceptions import UnknownPersona

    def personas(*names: str) -> None:
        rows = {name: {"provider_preferences": ["openai"]} for name in names}
        prompt = {"prompted": {"provider_preferences": ["openai"], "system_prompt_file": "p.md"}}
        import json

        Path("own.yaml").write_text(json.dumps({"personas": {**rows, **prompt}}))

    monkeypatch.setenv("EP_SANDBOX", "1")
    Path("p.md").write_text("Be brief.")
    personas("first")
    assert PersonaRouter(policy="own.yaml").select_provider("first") == "openai"
    personas("first", "second")
    router = PersonaRouter(policy="own.yaml")
    assert router.select_provider("second") == "openai"
    with pytest.raises(UnknownPersona):
        PersonaRouter(policy=upstream.policy).select_provider("second")
    Path("p.md").write_text("Be very detailed, please.")

    async def main() -> str:
        client = PersonaRouter(policy="own.yaml").get_client("prompted")
        return (await client.chat(ask("Hi"))).text

    assert "Be very detailed" in run(main)

"""A request's record is with one server process; whichever is asked finds it."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.http.decision_records import asked, bearer, record
from tests.http.wire import Connection, assert_error, body_of, chat, eventually, head, unique
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

ONE, TWO = "ep-one-3f81", "ep-two-77aa"
ENV = {"EP_CLIENT_KEYS": f"{ONE},{TWO}", "UPSTREAM_KEY": UPSTREAM_KEY}
FOLDER = b"EXECUTION_PLATFORM_WORKERS="


def variables(pid: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def workers(proxy: Proxy) -> dict[int, Path]:
    """Return the server processes, each with the folder that they share."""
    found: dict[int, Path] = {}
    for task in Path(f"/proc/{proxy.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            for variable in variables(int(child)):
                if variable.startswith(FOLDER):
                    found[int(child)] = Path(os.fsdecode(variable.removeprefix(FOLDER)))
    # Beside them there is Python's own process that watches what they share.
    return {pid: folder for pid, folder in found.items() if _is_worker(pid)}


def _is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def sockets(folder: Path) -> list[Path]:
    return sorted(folder.glob("decisions-*.sock"))


async def both_listen(proxy: Proxy) -> Path:
    """Wait until both processes serve; return their folder."""
    folders: list[Path] = []

    async def listening() -> bool:
        folders[:] = set(workers(proxy).values())
        return len(workers(proxy)) == 2 and len(sockets(folders[0])) == 2

    await eventually(listening, 40, "the start of both workers")
    return folders[0]


@pytest.fixture
def pair(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy("--workers", "2", env=ENV, policy=standard_policy(providers)) as server:
        try:
            yield server
        finally:
            # Killed, it would leave its workers behind.
            server.stop(signal.SIGTERM, 30)


async def served(proxy: Proxy, key: str = ONE, persona: str = "openai_only") -> str:
    id = unique()
    headers = {**bearer(key), "x-request-id": id}

    async def answered() -> bool:
        # A worker that is killed takes its connections along.
        with suppress(httpx.TransportError):
            return (await chat(proxy, persona, headers=headers)).status_code == 200
        return False

    await eventually(answered, 20)
    return id


async def test_every_process_finds_the_record_of_every_other(pair: Proxy) -> None:
    folder = await both_listen(pair)
    assert folder.stat().st_mode & 0o777 == 0o700
    ids = [await served(pair) for _ in range(20)]
    for id in ids:
        await record(pair, id, headers=bearer(ONE))
        # Each time on a connection of its own: with 20 ids and 6 of them no process is left out.
        answers = await asyncio.gather(*(asked(pair, id, bearer(ONE)) for _ in range(6)))
        assert [(one.status_code, one.json()["request_id"]) for one in answers] == [(200, id)] * 6
        others = await asyncio.gather(*(asked(pair, id, bearer(TWO)) for _ in range(3)))
        for other in others:
            assert_error(other, 404, code="decision_not_found")
    for _ in range(6):
        assert_error(await asked(pair, unique(), bearer(ONE)), 404, code="decision_not_found")
    pair.stop(signal.SIGTERM, 30)
    assert not folder.exists()
    assert {line["event"] for line in pair.lines()} == {"request"}


async def test_a_request_that_another_process_is_serving_is_told(pair: Proxy) -> None:
    await both_listen(pair)
    data = json.dumps(body_of("openai_only", "[sandbox words=60 gap=0.2]", stream=True)).encode()
    id = unique()
    async with await Connection.open(pair) as connection:
        more = {**bearer(ONE), "x-request-id": id}
        await connection.send(head(length=len(data), headers=more) + data)
        await connection.until(b'"content":"')
        for _ in range(8):
            answer = await asked(pair, id, bearer(ONE))
            assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_a_process_that_is_gone_is_forgotten(pair: Proxy) -> None:
    folder = await both_listen(pair)
    ids = [await served(pair) for _ in range(16)]
    for id in ids:
        await record(pair, id, headers=bearer(ONE))
    victim = min(workers(pair))
    before = sockets(folder)
    os.kill(victim, signal.SIGKILL)
    # uvicorn starts another one; whoever meets the dead socket removes it.

    async def replaced() -> bool:
        with suppress(httpx.TransportError):
            await asked(pair, unique(), bearer(ONE))
        now = sockets(folder)
        return victim not in workers(pair) and len(now) == 2 and now != before

    await eventually(replaced, 40, "another process")
    found = [(await asked(pair, id, bearer(ONE))).status_code for id in ids]
    assert set(found) <= {200, 404}
    assert found.count(200) >= 1
    new = await served(pair)
    await record(pair, new, headers=bearer(ONE))
    assert pair.tracebacks() == []
    # What the parent says of it is a line like others.
    assert {line["event"] for line in pair.lines()} <= {"request", "log"}


async def test_a_process_that_does_not_answer_is_not_waited_for(pair: Proxy) -> None:
    await both_listen(pair)
    ids = [await served(pair) for _ in range(16)]
    for id in ids:
        await record(pair, id, headers=bearer(ONE))
    silent = min(workers(pair))

    async def one(id: str) -> httpx.Response | None:
        # The system hands some connections to the one that sleeps: these are given up.
        with suppress(httpx.TransportError, TimeoutError):
            async with asyncio.timeout(3):
                return await asked(pair, id, bearer(ONE))
        return None

    os.kill(silent, signal.SIGSTOP)
    try:
        # All at once: after five seconds uvicorn takes it for dead.
        answers = [a for a in await asyncio.gather(*map(one, [*ids, unique()])) if a is not None]
    finally:
        with suppress(ProcessLookupError):
            os.kill(silent, signal.SIGCONT)
    assert answers
    assert {answer.status_code for answer in answers} <= {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            error = assert_error(answer, 503, code="decision_unavailable")
            assert "Ask again" in error["message"]
            assert answer.headers["retry-after"] == "1"
    await record(pair, await served(pair), headers=bearer(ONE))

"""Server processes that ask each other: what goes wrong between them harms nobody."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.decisions import siblings
from proxy.decisions.siblings import LONGEST_QUESTION, Siblings, SiblingsSilent

KNOWN = {("tenant", "r1"): b'{"request_id":"r1"}', ("tenant", "large"): b"x" * 1_000_000}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


def sockets(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def nothing(_tenant: str, _request_id: str) -> bytes | None:
    return None


@asynccontextmanager
async def started(folder: Path, known: bool = False) -> AsyncGenerator[Siblings]:
    made = Siblings(folder, (lambda t, r: KNOWN.get((t, r))) if known else nothing)
    await made.start()
    try:
        yield made
    finally:
        await made.aclose()


async def test_who_holds_it_answers_and_checks_whose_it_is(folder: Path) -> None:
    async with started(folder) as one, started(folder), started(folder, known=True) as three:
        assert await one.ask("tenant", "r1") == KNOWN["tenant", "r1"]
        assert await one.ask("tenant", "large") == KNOWN["tenant", "large"]
        assert await one.ask("another", "r1") is None
        assert await one.ask("tenant", "r2") is None
        # Nobody asks itself.
        assert await three.ask("tenant", "r1") is None
        answers = await asyncio.gather(*(one.ask("tenant", "r1") for _ in range(200)))
        assert set(answers) == {KNOWN["tenant", "r1"]}
    assert sockets(folder) == []


async def test_the_socket_of_a_process_that_is_gone_is_removed(folder: Path) -> None:
    dead = folder / "decisions-dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    async with started(folder) as one, started(folder, known=True):
        assert await one.ask("tenant", "r1") is not None
        assert await one.ask("tenant", "r2") is None
        assert not dead.exists()


async def test_a_silent_one_is_waited_for_within_bounds_and_said(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(folder / "decisions-silent.sock"))
        silent.listen(64)
        async with started(folder) as one, started(folder, known=True):
            # Whoever has it is enough.
            assert await one.ask("tenant", "r1") is not None
            begin = time.monotonic()
            with pytest.raises(SiblingsSilent) as raised:
                await one.ask("tenant", "r2")
            assert time.monotonic() - begin < siblings.SECONDS + 5
            assert raised.value.status_hint == 503
    assert (folder / "decisions-silent.sock").exists()


@pytest.mark.parametrize("answer", [b"x\n", b"-1\n", b"99999999999\n", b"10\nabc", b"9" * 70_000])
async def test_an_odd_answer_is_none(folder: Path, answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(odd, folder / "decisions-odd.sock")
    async with server, started(folder) as one:
        with pytest.raises(SiblingsSilent):
            await one.ask("tenant", "r1")


@pytest.mark.parametrize("question", [b"x\n", b"{}\n", b'{"tenant":1,"request_id":2}\n', b"\xff\n"])
async def test_an_odd_question_is_not_answered(folder: Path, question: bytes) -> None:
    async with started(folder, known=True) as one:
        (path,) = sockets(folder)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(question)
        assert await reader.read() == b""
        writer.close()
        async with started(folder) as two:
            assert await two.ask("tenant", "r1") is not None
        assert await one.ask("tenant", "r1") is None


async def test_a_question_without_an_end_is_given_up(folder: Path) -> None:
    async with started(folder, known=True):
        (path,) = sockets(folder)
        for data in (b"x" * (LONGEST_QUESTION + 1), b"x"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(data)
            async with asyncio.timeout(siblings.SECONDS + 10):
                assert await reader.read() == b""
            writer.close()


async def test_questions_under_way_end_with_the_process(folder: Path) -> None:
    async with started(folder, known=True):
        (path,) = sockets(folder)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"{")
        await asyncio.sleep(0.05)
    assert await reader.read() == b""
    writer.close()


async def test_a_folder_whose_name_is_too_long_for_a_socket_stops_nobody(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deep = folder / ("d" * 100)
    deep.mkdir()
    with caplog.at_level(logging.WARNING):
        async with started(deep) as one:
            assert await one.ask("tenant", "r1") is None
    assert "TMPDIR names another place" in caplog.text

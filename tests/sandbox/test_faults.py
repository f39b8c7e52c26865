"""Slow, broken and abandoned exchanges, over real sockets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from anthropic import APIStatusError as AnthropicStatusError
from anthropic import AsyncAnthropic
from openai import APIError, AsyncOpenAI

from proxy.sandbox.server import SandboxServer

from .conftest import Wire

_PATHS = {"openai": "/openai/v1/chat/completions", "anthropic": "/anthropic/v1/messages"}


class Raw:
    """One request over a bare socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    async def read_to_end(self) -> str:
        """Read until the connection ends; say how it did."""
        try:
            while data := await self.reader.read(65536):
                self.received += data
        except ConnectionResetError:
            return "reset"
        return "closed"

    async def read_until(self, marker: bytes) -> None:
        while marker not in self.received:
            data = await self.reader.read(65536)
            assert data, self.received
            self.received += data

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionResetError):
            await self.writer.wait_closed()


async def sent(server: SandboxServer, dialect: str, text: str, *, stream: bool = True) -> Raw:
    flag = b"true" if stream else b"false"
    model = b"gpt-4.1" if dialect == "openai" else b"claude-sonnet-4-6"
    body = (
        b'{"model":"%b","max_tokens":2000,"stream":%b,"messages":[{"role":"user","content":"%b"}]}'
        % (model, flag, text.encode())
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST {_PATHS[dialect]} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
        "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        + body
    )
    return Raw(reader, writer)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(200):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


@pytest.fixture(params=["openai", "anthropic"])
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("events", [0, 1, 3])
async def test_cut_resets_the_connection(sandbox: SandboxServer, dialect: str, events: int) -> None:
    raw = await sent(sandbox, dialect, f"[sandbox words=30 cut={events}]")
    assert await raw.read_to_end() == "reset"
    assert raw.received.count(b"data: ") == events
    assert not raw.received.endswith(b"0\r\n\r\n")
    await raw.close()


async def test_eof_ends_the_body_cleanly(sandbox: SandboxServer, dialect: str) -> None:
    raw = await sent(sandbox, dialect, "[sandbox words=30 eof=3]")
    assert await raw.read_to_end() == "closed"
    assert raw.received.count(b"data: ") == 3
    assert raw.received.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in raw.received
    assert b"message_stop" not in raw.received
    await raw.close()


async def test_a_fault_beyond_the_end_changes_nothing(sandbox: SandboxServer, dialect: str) -> None:
    raw = await sent(sandbox, dialect, "[sandbox words=3 cut=99 eof=99 error=99 stall=99]")
    assert await raw.read_to_end() == "closed"
    assert b"[DONE]" in raw.received or b"message_stop" in raw.received
    await raw.close()


async def test_error_in_mid_stream_openai(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(
        model="gpt-4.1",
        stream=True,
        messages=[{"role": "user", "content": "[sandbox words=30 error=3]"}],
    )
    received = 0
    with pytest.raises(APIError, match="The server had an error") as caught:
        async for _ in stream:
            received += 1
    assert received == 3
    assert caught.value.type == "server_error"


async def test_error_in_mid_stream_anthropic(anthropic: AsyncAnthropic) -> None:
    stream = await anthropic.messages.create(
        model="claude-sonnet-4-6",
        max_tokens=100,
        stream=True,
        messages=[{"role": "user", "content": "[sandbox words=30 error=4 error_type=api_error]"}],
    )
    with pytest.raises(AnthropicStatusError, match="Internal server error"):
        async for _ in stream:
            pass


async def test_malformed_event(sandbox: SandboxServer, dialect: str) -> None:
    raw = await sent(sandbox, dialect, "[sandbox words=30 garbage=2]")
    assert await raw.read_to_end() == "closed"
    events = [e for e in raw.received.split(b"\n\n") if b"data: {" in e]
    broken = [e for e in events if not e.rstrip().rstrip(b"\r\n0").endswith(b"}")]
    assert len(broken) == 1
    await raw.close()


async def test_pieces_cut_frames_and_characters(sandbox: SandboxServer, dialect: str) -> None:
    whole = await sent(sandbox, dialect, "[sandbox words=40]")
    await whole.read_to_end()
    cut = await sent(sandbox, dialect, "[sandbox words=40 bytes=1]")
    await cut.read_to_end()
    assert cut.received.count(b"\r\n1\r\n") > 1000
    for raw in (whole, cut):
        await raw.close()


@pytest.mark.parametrize("directive", ["cut=0", "cut=1"])
async def test_cut_of_a_whole_answer(wire: Wire, directive: str) -> None:
    with pytest.raises(httpx.HTTPError):
        await wire.openai(f"Hi [sandbox {directive}]")
    with pytest.raises(httpx.HTTPError):
        await wire.anthropic(f"Hi [sandbox {directive}]")


async def test_other_faults_of_a_whole_answer(wire: Wire) -> None:
    for directive in ("garbage=1", "eof=1"):
        answer = await wire.openai(f"Hi [sandbox {directive}]")
        assert answer.status_code == 200
        with pytest.raises(ValueError, match=r"."):
            answer.json()
    assert (await wire.anthropic("Hi [sandbox error=1]")).status_code == 529
    assert (await wire.openai("Hi [sandbox error=1]")).status_code == 500


async def test_pauses(sandbox: SandboxServer, dialect: str) -> None:
    started = time.monotonic()
    raw = await sent(sandbox, dialect, "[sandbox delay=0.2 first=0.2 gap=0.02 words=10]")
    await raw.read_until(b"HTTP/1.1 200")
    assert time.monotonic() - started >= 0.2
    await raw.read_until(b"data: ")
    before_content = time.monotonic()
    assert b"the" not in raw.received.split(b"data: ", 1)[1]
    await raw.read_to_end()
    assert time.monotonic() - before_content >= 0.2 + 5 * 0.02
    await raw.close()


@pytest.mark.parametrize(
    ("directive", "stream"),
    [
        ("delay=60", True),
        ("first=60", True),
        ("gap=60", True),
        ("stall=0", True),
        ("stall=3", True),
        ("delay=60", False),
        ("stall=0", False),
    ],
)
async def test_leaving_is_noticed_at_once(
    wire: Wire, dialect: str, directive: str, stream: bool
) -> None:
    raw = await sent(wire.server, dialect, f"[sandbox {directive} words=30]", stream=stream)

    async def is_open() -> bool:
        return (await wire.stats())["dialects"][dialect]["open"] == 1

    async def is_aborted() -> bool:
        tally = (await wire.stats())["dialects"][dialect]
        return (tally["open"], tally["aborted_by_client"], tally["finished"]) == (0, 1, 0)

    await _until(is_open)
    started = time.monotonic()
    await raw.close()
    await _until(is_aborted)
    assert time.monotonic() - started < 1


async def test_leaving_before_the_body_is_complete(wire: Wire) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", wire.server.port)
    writer.write(b"POST /openai/v1/chat/completions HTTP/1.1\r\ncontent-length: 99\r\n\r\n{")
    await writer.drain()

    async def has_started() -> bool:
        return (await wire.stats())["dialects"]["openai"]["started"] == 1

    await _until(has_started)
    writer.close()
    await writer.wait_closed()

    async def is_aborted() -> bool:
        return (await wire.stats())["dialects"]["openai"]["aborted_by_client"] == 1

    await _until(is_aborted)


async def test_retries_of_the_sdk_succeed(sandbox: SandboxServer) -> None:
    async with AsyncOpenAI(api_key="k", base_url=sandbox.openai_base_url, max_retries=2) as client:
        answer = await client.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": "[sandbox fail=429 retry_after=0.01 times=1]"}],
        )
    assert answer.choices[0].message.content


async def test_many_slow_streams(sandbox: SandboxServer) -> None:
    async def read(i: int) -> int:
        name = "openai" if i % 2 else "anthropic"
        raw = await sent(sandbox, name, "[sandbox chunks=5 gap=0.05]")
        await raw.read_to_end()
        await raw.close()
        return raw.received.count(b"data: ")

    counts: list[Any] = await asyncio.gather(*(read(i) for i in range(200)))
    assert set(counts) == {8, 11}

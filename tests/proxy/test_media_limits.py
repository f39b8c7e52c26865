"""What fetching media may cost: bytes, time, connections."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

import pytest

from proxy.media import fetcher
from proxy.media.addresses import MediaProblem
from proxy.media.download import Page
from tests.proxy.media_server import (
    GIF,
    INLINED,
    Asked,
    answer,
    gif,
    images,
    media_server,
    put_in_place,
    refused,
)
from translators.errors import TimeoutError, TranslationError


async def test_an_endless_body_is_cut_at_the_limit() -> None:
    sent = 0

    async def endless(asked: Asked) -> None:
        nonlocal sent
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n\r\n" + GIF)
        while not asked.gone.is_set():
            asked.writer.write(b"x" * 65536)
            sent += 65536
            await asked.writer.drain()

    async with media_server(endless) as server:
        host = f"127.0.0.1:{server.port}"
        error = await refused(images(f"http://{host}/x"), allow_hosts=[host], max_bytes=100_000)
        assert error.code == "image_file_too_large"
        assert "100000 bytes" in error.message
        async with asyncio.timeout(5):
            await server.asked[0].gone.wait()
    assert sent < 50_000_000


async def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    async def huge(asked: Asked) -> None:
        asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999\r\n\r\n")
        await asked.gone.wait()

    async with media_server(huge) as server:
        host = f"127.0.0.1:{server.port}"
        error = await refused(images(f"http://{host}/x"), allow_hosts=[host])
    assert error.code == "image_file_too_large"


async def test_exactly_the_limit_is_allowed() -> None:
    async with media_server(gif) as server:
        host = f"127.0.0.1:{server.port}"
        fetch = partial(put_in_place, images(f"http://{host}/x"), allow_hosts=[host])
        assert (await fetch(max_bytes=len(GIF), max_total_bytes=len(GIF))).urls == [INLINED]
        for rule in ("max_bytes", "max_total_bytes"):
            with pytest.raises(TranslationError) as raised:
                await fetch(**{rule: len(GIF) - 1})  # pyright: ignore[reportArgumentType]
            assert raised.value.code == "image_file_too_large"


async def test_all_media_of_a_request_together_are_bounded() -> None:
    async with media_server(gif) as server:
        host = f"127.0.0.1:{server.port}"
        parts = images(*(f"http://{host}/{i}" for i in range(3)))
        rules: dict[str, Any] = {"allow_hosts": [host], "max_total_bytes": 3 * len(GIF) - 1}
        error = await refused(parts, **rules)
        assert "together" in error.message
        error = await refused(parts, allow_hosts=[host], max_count=2)
        assert error.param == "messages[0].content[2].image_url.url"
        assert "more than 2 addresses" in error.message
        assert len(server.asked) == 3


async def test_gzip_that_nobody_asked_for_is_unpacked_within_the_limit() -> None:
    packed = gzip.compress(GIF + b"\0" * 50_000_000)

    async def bomb(asked: Asked) -> None:
        body = packed if asked.path == "/bomb" else gzip.compress(GIF)
        body = body[:-9] if asked.path == "/cut" else body
        body = GIF if asked.path == "/not" else body
        coding = "br" if asked.path == "/br" else "gzip"
        await answer(asked, body, kind="image/gif", headers={"content-encoding": coding})

    async with media_server(bomb) as server:
        host = f"127.0.0.1:{server.port}"
        rules: dict[str, Any] = {"allow_hosts": [host], "max_bytes": 100_000}
        assert len(packed) < 100_000
        assert (await put_in_place(images(f"http://{host}/x"), **rules)).urls == [INLINED]
        error = await refused(images(f"http://{host}/bomb"), **rules)
        assert error.code == "image_file_too_large"
        for path in ("cut", "not", "br"):
            error = await refused(images(f"http://{host}/{path}"), **rules)
            assert error.code == "failed_to_download_image"


async def test_a_gzip_bomb_is_not_unpacked_beyond_the_limit() -> None:
    packed = gzip.compress(GIF + b"\0" * 50_000_000)

    async def body() -> AsyncGenerator[bytes]:
        yield packed

    page = Page(200, {"content-encoding": "gzip"}, body())
    tracemalloc.start()
    try:
        with pytest.raises(MediaProblem) as raised:
            await page.read(100_000, lambda _: None)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert raised.value.kind == "too_large"


@pytest.mark.parametrize("silent", ["look-up", "head", "body", "drops"])
async def test_a_slow_server_costs_no_more_than_the_time_limit(silent: str) -> None:
    async def slow(asked: Asked) -> None:
        if silent in ("body", "drops"):
            asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/gif\r\n\r\nGIF89a")
        while silent == "drops":
            asked.writer.write(b"x")
            await asyncio.sleep(0.02)
        await asked.gone.wait()

    async def stuck(host: str, port: int) -> Sequence[str]:
        if silent == "look-up":
            await asyncio.Event().wait()
        return ["127.0.0.1"]

    async with media_server(slow) as server:
        host = f"files.test:{server.port}"
        async with asyncio.timeout(5):
            error = await refused(
                images(f"http://{host}/x"), resolve=stuck, allow_hosts=[host], timeout=0.2
            )
            assert error.code == "failed_to_download_image"
            assert "within 0.2 s" in error.message
            for asked in server.asked:
                if silent != "drops":
                    await asked.gone.wait()


async def test_the_requests_own_time_limit_is_not_the_clients_fault() -> None:
    async def slow(asked: Asked) -> None:
        await asked.gone.wait()

    async with media_server(slow) as server:
        host = f"127.0.0.1:{server.port}"
        parts = images(f"http://{host}/x")
        async with asyncio.timeout(5):
            with pytest.raises(TimeoutError) as raised:
                await put_in_place(parts, allow_hosts=[host], request_timeout=0.2)
    assert raised.value.status_hint == 504


async def test_one_failure_ends_the_other_downloads() -> None:
    started = asyncio.Event()

    async def serve(asked: Asked) -> None:
        if asked.path == "/slow":
            started.set()
            await asked.gone.wait()
        else:
            await started.wait()
            await answer(asked, status=500)

    async with media_server(serve) as server:
        host = f"127.0.0.1:{server.port}"
        parts = images(f"http://{host}/slow", f"http://{host}/bad")
        async with asyncio.timeout(5):
            error = await refused(parts, allow_hosts=[host], timeout=60)
            assert error.param == "messages[0].content[1].image_url.url"
            slow = next(asked for asked in server.asked if asked.path == "/slow")
            await slow.gone.wait()


async def test_a_cancelled_request_closes_its_downloads() -> None:
    started = asyncio.Event()

    async def slow(asked: Asked) -> None:
        started.set()
        await asked.gone.wait()

    async with media_server(slow) as server:
        host = f"127.0.0.1:{server.port}"
        task = asyncio.ensure_future(
            put_in_place(images(f"http://{host}/x"), allow_hosts=[host], timeout=60)
        )
        async with asyncio.timeout(5):
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.asked[0].gone.wait()


async def test_only_so_many_downloads_run_at_once() -> None:
    running, most = 0, 0

    async def counted(asked: Asked) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        await gif(asked)

    async with media_server(counted) as server:
        host = f"127.0.0.1:{server.port}"
        parts = images(*(f"http://{host}/{i}" for i in range(12)))
        found = await put_in_place(parts, allow_hosts=[host])
    assert found.urls == [INLINED] * 12
    assert most == fetcher.AT_ONCE_EACH

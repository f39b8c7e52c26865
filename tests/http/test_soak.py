"""Many requests, one after the other and side by side: what each leaves behind is nothing.

But for its record, of which the server keeps so many and no more.
"""

import asyncio
from collections.abc import Iterator

import pytest

from tests.http.wire import chat
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def proxy(providers: SandboxProcess) -> Iterator[Proxy]:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_DECISIONS": "100"}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        yield server


async def rounds(proxy: Proxy, dialect: str, count: int) -> None:
    for _ in range(count // 20):
        await asyncio.gather(
            *(chat(proxy, f"{dialect}_only", "[sandbox words=60]", stream=True) for _ in range(12)),
            *(chat(proxy, f"{dialect}_only", "[sandbox words=60]") for _ in range(4)),
            *(
                chat(proxy, f"{dialect}_only", "[sandbox words=60 error=9]", stream=True)
                for _ in range(2)
            ),
            *(chat(proxy, f"{dialect}_only", "[sandbox fail=400]") for _ in range(2)),
        )


async def test_row_76_memory_does_not_grow_with_the_number_of_requests(
    proxy: Proxy, dialect: str
) -> None:
    # Until what is kept is full and the allocator has what it needs: flat from then on.
    await rounds(proxy, dialect, 1200)
    before = proxy.rss()
    await rounds(proxy, dialect, 700)
    # Two kilobytes lost per request would be more than this.
    assert proxy.rss() - before < 1 * MIB

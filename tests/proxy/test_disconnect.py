"""A client that leaves, told by its connection or, under another server, by ASGI alone."""

import asyncio
from typing import Any

import pytest

from proxy.disconnect import CancelledOnDisconnect, ClientDisconnected, Departure


class Client:
    """Somebody who may leave."""

    def __init__(self, *, ours: bool) -> None:
        self.looks = 0
        self.scope: dict[str, Any] = {}
        self._departure = Departure(self._look)
        self._left = asyncio.Event()
        if ours:
            self._departure.put_into(self.scope)

    def _look(self) -> None:
        self.looks += 1

    async def receive(self) -> dict[str, Any]:
        """As ASGI has it."""
        await self._left.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        """Go away."""
        self._departure.happen()
        self._left.set()


@pytest.fixture(params=[True, False], ids=["ours", "another"])
async def client(request: pytest.FixtureRequest) -> Client:
    """Return a client of our server, and of another."""
    return Client(ours=request.param)


async def test_a_client_that_leaves_ends_the_block(client: Client) -> None:
    told: list[str] = []

    async def served() -> None:
        with CancelledOnDisconnect(client.scope, client.receive, lambda: told.append("gone")):
            asyncio.get_running_loop().call_later(0.01, client.leave)
            await asyncio.sleep(30)

    with pytest.raises(ClientDisconnected):
        await served()
    assert told == ["gone"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_client_that_had_left_before_ends_it_too(client: Client) -> None:
    client.leave()
    with (
        pytest.raises(ClientDisconnected),
        CancelledOnDisconnect(client.scope, client.receive, lambda: None),
    ):
        await asyncio.sleep(30)


async def test_a_client_that_leaves_behind_the_block_disturbs_nobody(client: Client) -> None:
    told: list[str] = []
    with CancelledOnDisconnect(client.scope, client.receive, lambda: told.append("gone")):
        await asyncio.sleep(0)
    client.leave()
    await asyncio.sleep(0.01)
    assert not told


async def test_one_that_had_left_and_was_answered_at_once_disturbs_nobody(client: Client) -> None:
    told: list[str] = []
    client.leave()
    with CancelledOnDisconnect(client.scope, client.receive, lambda: told.append("gone")):
        pass
    await asyncio.sleep(0.01)
    assert not told


async def test_the_servers_end_is_not_taken_for_the_clients(client: Client) -> None:
    begun = asyncio.Event()

    async def served() -> None:
        with CancelledOnDisconnect(client.scope, client.receive, lambda: None):
            begun.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(served())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_whoever_listens_has_the_connection_read_on() -> None:
    client = Client(ours=True)
    with CancelledOnDisconnect(client.scope, client.receive, lambda: None):
        assert client.looks == 1

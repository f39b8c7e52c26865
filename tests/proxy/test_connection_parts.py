"""What takes uvicorn's places in a connection does what uvicorn asks of it."""

import asyncio
import sys
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from proxy.connection import Connection
from proxy.connection_parts import Event, Flow, Queue


async def test_who_waits_for_an_event_goes_on_when_it_is_set() -> None:
    event = Event()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    event.set()
    assert await asyncio.gather(*waiting) == [True, True, True]
    assert event.is_set()
    # At once, where it is set already.
    assert await event.wait()
    event.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(event.wait(), 0.01)


async def test_one_who_gives_up_leaves_the_others_waiting() -> None:
    event = Event()
    first, second = (asyncio.create_task(event.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    event.set()
    # A waiter that was cancelled between setting and waking is nobody's error either.
    event.set()
    assert await second


class Transport(asyncio.Transport):
    """Counts what it is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def test_flow_waits_while_the_transport_takes_no_more() -> None:
    transport = Transport()
    flow = Flow(transport)
    await flow.drain()
    flow.pause_writing()
    draining = asyncio.create_task(flow.drain())
    await asyncio.sleep(0.01)
    assert not draining.done()
    flow.resume_writing()
    await draining
    flow.pause_reading()
    assert not transport.reading
    flow.resume_reading()
    assert transport.reading


def test_a_queue_gives_the_one_that_came_first() -> None:
    queue = Queue()
    assert not queue
    for entry in "abc":
        queue.appendleft(entry)
    assert [queue.pop() for _ in range(3)] == ["a", "b", "c"]


async def test_connections_share_the_names_of_their_attributes() -> None:
    class Limits:
        body_timeout = 30.0

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    config = Config(
        app, interface="asgi3", http=Connection, ws="none", lifespan="off", log_config=None
    )
    config.load()
    made = [Connection(config, ServerState(), {"settings": Limits()}) for _ in range(3)]
    # A table of its own would be 1,500 bytes.
    assert sys.getsizeof(vars(made[-1])) < 600

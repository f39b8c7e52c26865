"""Who leaves, leaves no connection: the server sees it within a second, whatever it was doing."""

import asyncio
import socket

import pytest

from proxy.http_client.connection import Connection
from proxy.http_client.seam import Answer
from tests.http_client.asking import AT_ONCE, OK, Asker, Peer, serving
from tests.providers import deaf_port
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

MIB = 1024 * 1024


async def left_alone(asking: "asyncio.Task[Answer]") -> None:
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(AT_ONCE):
            await asking


async def test_while_connecting(http: Asker) -> None:
    with deaf_port() as port:
        asking = asyncio.create_task(http.ask(f"http://127.0.0.1:{port}/"))
        await asyncio.sleep(0.1)
        await left_alone(asking)


async def test_while_waiting_for_an_answer(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    async with serving(serve) as server:
        asking = asyncio.create_task(http.ask(server.url))
        await server.arrived()
        await asyncio.sleep(0.05)
        await left_alone(asking)
        await server.left()


async def test_while_waiting_on_a_connection_that_was_kept(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()
        await peer.gone()

    async with serving(serve) as server:
        await http.whole(server.url)
        asking = asyncio.create_task(http.ask(server.url))
        await asyncio.sleep(0.1)
        await left_alone(asking)
        await server.left()
        assert len(server.peers) == 1


async def test_in_the_middle_of_a_head(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-")
        await peer.gone()

    async with serving(serve) as server:
        asking = asyncio.create_task(http.ask(server.url))
        await server.arrived()
        await asyncio.sleep(0.05)
        await left_alone(asking)
        await server.left()


async def test_while_reading(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await peer.gone()

    async with serving(serve) as server:
        answer = await http.ask(server.url)
        assert await answer.piece() == b"hello"
        reading = asyncio.create_task(answer.piece())
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        answer.close()
        await server.left()


async def test_closing_an_answer_ends_who_reads_it(http: Asker) -> None:
    """As a time limit does: it closes, and whoever waits gets an error."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")
        await peer.gone()

    async with serving(serve) as server:
        answer = await http.ask(server.url)
        reading = asyncio.create_task(answer.piece())
        await asyncio.sleep(0.05)
        answer.close()
        with pytest.raises(ProviderError):
            async with asyncio.timeout(AT_ONCE):
                await reading
        await server.left()


async def test_who_reads_never_gets_the_next_requests_answer(native: Asker) -> None:
    """An answer ends, and is closed before its reader has noticed: its connection ends with it.

    Were it free for another request, the reader would go on with that one's answer.
    """

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.05)
        await peer.say(b"0\r\n\r\n")
        await peer.gone()

    left: list[int] = []

    def close_at_the_end() -> None:
        if not answer.complete:
            loop.call_soon(close_at_the_end)
            return
        assert not reading.done()
        answer.close()
        left.append(native.open_connections())

    loop = asyncio.get_running_loop()
    async with serving(serve) as server:
        answer = await native.ask(server.url)
        reading = asyncio.create_task(answer.piece())
        await asyncio.sleep(0)
        loop.call_soon(close_at_the_end)
        # Of its own answer nothing is missing.
        assert await reading == b""
        await server.left()
    assert native.open_connections() == 0
    assert left


async def test_what_was_not_read_is_never_taken_for_the_end() -> None:
    """The last bytes come, and the connection is given up before their reader has them."""
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(lambda _: None), sock=ours)
        connection.begin(b"GET / HTTP/1.1\r\n\r\n", None)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
        await connection.answered()
        reading = asyncio.create_task(connection.piece())
        await asyncio.sleep(0)
        connection.data_received(b"hello")
        connection.give_up()
        with pytest.raises(ProviderError):
            await reading


@pytest.mark.parametrize("size", [3 * MIB, 30 * MIB], ids=["in-the-kernel", "with-us"])
async def test_while_sending_to_a_server_that_does_not_read(http: Asker, size: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        asking = asyncio.create_task(
            http.ask(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"x" * size)
        )
        connection, _ = await loop.sock_accept(listener)
        with connection:
            await loop.sock_recv(connection, 100)
            await asyncio.sleep(0.1)
            await left_alone(asking)
            # What is reset is gone at once, with all that was on its way.
            with pytest.raises(ConnectionResetError):
                async with asyncio.timeout(AT_ONCE):
                    while await loop.sock_recv(connection, 1024 * 1024):
                        pass


async def test_a_server_that_stops_to_listen_while_it_is_sent_to(http: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")

    async with serving(serve) as server:
        with pytest.raises(ProviderError):
            async with asyncio.timeout(5):
                await http.ask(server.url, b"x" * 30 * MIB)


async def test_a_server_that_says_its_end_and_does_not_read(native: Asker) -> None:
    """Half of its connection is closed; ours would wait for ever until all is sent."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        asking = asyncio.create_task(native.ask(url, b"x" * 30 * MIB))
        connection, _ = await loop.sock_accept(listener)
        with connection:
            await loop.sock_recv(connection, 100)
            connection.shutdown(socket.SHUT_WR)
            with pytest.raises(ProviderError):
                async with asyncio.timeout(AT_ONCE):
                    await asking
            await native.at_most(0)
            with pytest.raises(ConnectionResetError):
                async with asyncio.timeout(AT_ONCE):
                    while await loop.sock_recv(connection, 1024 * 1024):
                        pass


async def test_a_connection_that_is_not_made_in_time(http: Asker) -> None:
    with deaf_port() as port, pytest.raises(ProviderTimeout) as caught:
        async with asyncio.timeout(5):
            await http.ask(f"http://127.0.0.1:{port}/", connect=0.2)
    assert (caught.value.phase, caught.value.seconds) == ("connect", 0.2)

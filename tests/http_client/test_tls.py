"""TLS: whom a client trusts, and what it says of who it does not."""

import asyncio
import os
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from proxy.http_client.options import ClientKind
from proxy.http_client.tls import client_context
from tests.http_client.asking import AT_ONCE, OK, Asker, Peer, polite, read, serving
from tests.http_client.authority import Authority, Fault
from tests.serving import ROOT, clean_environment
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout

MIB = 1024 * 1024


async def test_requests_share_a_connection_with_tls(https: Asker, authority: Authority) -> None:
    async with serving(polite, tls=authority.server()) as server:
        for _ in range(5):
            assert await https.whole(server.url) == b"{}"
        assert len(server.peers) == 1


async def test_large_bodies_both_ways(https: Asker, authority: Authority) -> None:
    async def serve(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
            await peer.say(body)

    body = os.urandom(3 * MIB)
    async with serving(serve, tls=authority.server()) as server:
        for _ in range(2):
            assert await https.whole(server.url, body) == body
        assert len(server.peers) == 1


async def test_the_name_is_told_and_only_this_protocol_offered(
    native: Asker, authority: Authority
) -> None:
    told: list[str | None] = []
    context = authority.server()
    context.sni_callback = lambda _, name, __: told.append(name)
    chosen: list[str | None] = []

    async def serve(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await polite(peer)

    mine = authority.client()
    mine.set_alpn_protocols(["http/1.1"])
    async with (
        serving(serve, tls=context) as server,
        Asker("native", tls=mine) as asker,
    ):
        await asker.whole(server.url.replace("127.0.0.1", "localhost"))
    assert told == ["localhost"]
    assert chosen == ["http/1.1"]


def test_what_every_connection_begins_with() -> None:
    context = client_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_context() is context


def test_what_the_first_message_of_tls_says() -> None:
    said = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="named.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = said.read()
    assert b"named.test" in hello
    # The extension's length, its list's, and one name: nothing else is offered.
    assert b"\x00\x0b\x00\x09\x08http/1.1" in hello


FAULTS: list[Fault] = ["expired", "other-name", "self-signed"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_certificate_that_is_not_right_is_refused(
    https: Asker, authority: Authority, fault: Fault
) -> None:
    got: list[bytes] = []

    async def serve(peer: Peer) -> None:
        got.append((await peer.request())[0])

    async with serving(serve, tls=authority.server(fault)) as server:
        with pytest.raises(ProviderError, match="certificate is not accepted") as caught:
            await https.ask(server.url)
    assert caught.value.kind == "network"
    assert str(server.port) in caught.value.message
    assert got == []


async def test_an_authority_that_is_not_known_is_not_trusted(
    http: Asker, authority: Authority
) -> None:
    async with serving(polite, tls=authority.server()) as server:
        with pytest.raises(ProviderError, match="certificate is not accepted"):
            await http.ask(server.url)


SCRIPT = """
import asyncio, sys
from proxy.http import HttpClient
from proxy.ticker import Ticker

async def main(url):
    client = HttpClient(Ticker())
    answer = await client.post(url, body=b"{}", headers={}, connect=5)
    print(answer.status)
    answer.close()
    await client.aclose()

asyncio.run(main(sys.argv[1]))
"""


async def test_ssl_cert_file_names_whom_to_trust(kind: ClientKind, authority: Authority) -> None:
    environment = clean_environment(
        {"EP_HTTP_CLIENT": kind, "SSL_CERT_FILE": str(authority.file), "PYTHONPATH": str(ROOT)}
    )
    async with serving(polite, tls=authority.server()) as server:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", SCRIPT, server.url],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.stdout, done.stderr) == ("200\n", "")


async def test_a_server_without_tls_is_an_error(https: Asker) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with serving(serve) as server:
        with pytest.raises(ProviderError) as caught:
            await https.ask(server.url.replace("http:", "https:"))
    assert caught.value.kind == "network"


async def test_a_handshake_has_the_limit_of_a_connection(https: Asker) -> None:
    """The server takes the connection, and then says nothing."""
    async with serving(Peer.gone) as server:
        with pytest.raises(ProviderTimeout) as caught:
            async with asyncio.timeout(5):
                await https.ask(server.url.replace("http:", "https:"), connect=0.3)
        assert (caught.value.phase, caught.value.seconds) == ("connect", 0.3)
        await server.left()


async def test_leaving_in_the_middle_of_a_handshake(https: Asker) -> None:
    async with serving(Peer.gone) as server:
        asking = asyncio.create_task(https.ask(server.url.replace("http:", "https:")))
        await server.arrived()
        await asyncio.sleep(0.05)
        asking.cancel()
        await server.left()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_leaving_a_stream_over_tls(https: Asker, authority: Authority) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await peer.gone()

    async with serving(serve, tls=authority.server()) as server:
        answer = await https.ask(server.url)
        assert await answer.piece() == b"hello"
        answer.close()
        await server.left()


@asynccontextmanager
async def deaf(context: ssl.SSLContext, says: bytes) -> AsyncGenerator["Deaf"]:
    """A server that takes one request, says something, and then reads nothing, TLS's end neither.

    In a thread with a socket of its own: asyncio's would answer the end of TLS by itself.
    """
    server = Deaf()
    loop = asyncio.get_running_loop()

    def serve() -> None:
        raw, _ = listener.accept()
        with context.wrap_socket(raw, server_side=True) as connection:
            connection.recv(1000)
            connection.sendall(says)
            loop.call_soon_threadsafe(server.begun.set)
            poll_end(connection)
            loop.call_soon_threadsafe(server.ended.set)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server.url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        task = asyncio.create_task(asyncio.to_thread(serve))
        yield server
        await task


class Deaf:
    def __init__(self) -> None:
        self.url = ""
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def left(self) -> None:
        async with asyncio.timeout(AT_ONCE):
            await self.ended.wait()


async def test_leaving_while_a_large_body_is_sent_over_tls(
    https: Asker, authority: Authority
) -> None:
    async with deaf(authority.server(), b"") as server:
        asking = asyncio.create_task(https.ask(server.url, b"x" * 20 * MIB))
        async with asyncio.timeout(5):
            await server.begun.wait()
            await asyncio.sleep(0.1)
        asking.cancel()
        await server.left()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_leaving_a_server_that_does_not_end_tls(https: Asker, authority: Authority) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello"
    async with deaf(authority.server(), head) as server:
        answer = await https.ask(server.url)
        assert await answer.piece() == b"hello"
        answer.close()
        await server.left()


def poll_end(connection: ssl.SSLSocket) -> None:
    """Wait until the other side is gone, without reading a byte of what it has sent."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    poll.poll(10_000)


async def test_the_end_of_an_idle_connection_with_tls_is_seen(
    https: Asker, authority: Authority
) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        peer.writer.close()
        await peer.gone()

    async with serving(serve, tls=authority.server()) as server:
        for count in (1, 2):
            assert await read(await https.ask(server.url)) == b"{}"
            await asyncio.sleep(0.1)
            assert len(server.peers) == count

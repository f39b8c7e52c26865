"""Names, addresses and families: how a new connection is found."""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from proxy.http_client import dialing
from proxy.http_client.targets import target_of
from tests.http_client.asking import Asker, polite, serving
from tests.providers import closed_port, deaf_port
from translators.errors import ProviderError


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@ipv6
async def test_an_ipv6_address(http: Asker) -> None:
    hosts: list[bytes] = []

    async def serve(peer: Any) -> None:
        head, _ = await peer.request()
        hosts.append(head.lower().partition(b"host: ")[2].partition(b"\r\n")[0])
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    async with serving(serve, host="::1") as server:
        assert await http.whole(server.url) == b"{}"
    assert hosts == [b"[::1]:%d" % server.port]


async def test_a_name(http: Asker) -> None:
    async with serving(polite) as server:
        assert await http.whole(server.url.replace("127.0.0.1", "localhost")) == b"{}"


async def test_nobody_listens(http: Asker) -> None:
    port = closed_port()
    with pytest.raises(ProviderError, match=f"127.0.0.1:{port} cannot be reached") as caught:
        await http.ask(f"http://127.0.0.1:{port}/")
    assert caught.value.kind == "network"
    assert "refused" in caught.value.message


async def test_a_name_that_is_none(http: Asker) -> None:
    with pytest.raises(ProviderError, match="no-such-host.invalid:80 cannot be reached"):
        await http.ask("http://no-such-host.invalid/")


class Names:
    """Name servers of a test's own: which addresses `named.test` has, and who asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
        self.addresses = addresses
        self.asked = 0
        monkeypatch.setattr(dialing.Dialer, "_looked_up", self._look_up)

    async def _look_up(self, host: str, port: int) -> list[Any]:
        assert host == "named.test"
        self.asked += 1
        await asyncio.sleep(0.01)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            found
            for address in self.addresses
            for found in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
        ]


async def test_addresses_are_tried_until_one_answers(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    Names(monkeypatch, ["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    async with serving(polite) as server:
        url = server.url.replace("127.0.0.1", "named.test")
        assert await native.whole(url) == b"{}"


async def test_an_address_that_does_not_answer_is_not_waited_for(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Happy eyeballs: the next one is tried while the first is still silent."""
    monkeypatch.setattr(dialing, "NEXT_ADDRESS", 0.05)
    with deaf_port() as port:
        async with serving(polite, host="127.0.0.2", port=port) as server:
            Names(monkeypatch, ["127.0.0.1", "127.0.0.2"])
            async with asyncio.timeout(2):
                url = server.url.replace("127.0.0.2", "named.test")
                assert await native.whole(url) == b"{}"


async def test_a_burst_asks_the_name_servers_once(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, ["127.0.0.1"])
    async with serving(polite) as server:
        url = server.url.replace("127.0.0.1", "named.test")
        await asyncio.gather(*(native.whole(url) for _ in range(20)))
        assert len(server.peers) == 20
    assert names.asked == 1


async def test_addresses_that_failed_are_asked_for_again(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, [])
    async with serving(polite) as server:
        url = server.url.replace("127.0.0.1", "named.test")
        with pytest.raises(ProviderError, match="Name or service not known"):
            await native.whole(url)
        names.addresses = ["127.0.0.2"]
        with pytest.raises(ProviderError, match="refused"):
            await native.whole(url)
        names.addresses = ["127.0.0.1"]
        assert await native.whole(url) == b"{}"
    assert names.asked == 3


async def test_who_leaves_takes_nobodys_look_up_along(
    native: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, ["127.0.0.1"])
    async with serving(polite) as server:
        url = server.url.replace("127.0.0.1", "named.test")
        first = asyncio.create_task(native.whole(url))
        second = asyncio.create_task(native.whole(url))
        await asyncio.sleep(0.001)
        first.cancel()
        assert await second == b"{}"
        await asyncio.gather(first, return_exceptions=True)
    assert names.asked == 1


async def test_what_the_system_says_is_told(native: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(dialing, "start_connection", fail)
    with pytest.raises(ProviderError, match="cannot be reached: Network is unreachable"):
        await native.ask("http://127.0.0.1:9/")


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at this process's own sockets")
async def test_the_system_asks_in_silence_whether_the_server_is_there(http: Asker) -> None:
    """A gateway that forgets silent connections sees one; who has gone without a word is missed."""
    async with serving(polite) as server:
        await http.whole(server.url)
        found = [
            (
                one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
            )
            for one in sockets_to(server.port)
        ]
    assert found == [(1, 60, 30, 4)]


def sockets_to(port: int) -> Generator[socket.socket]:
    """Yield this process's sockets that are connected to a port of this machine."""
    for name in os.listdir("/proc/self/fd"):
        try:
            copy = os.dup(int(name))
        except OSError:
            continue
        if not stat.S_ISSOCK(os.fstat(copy).st_mode):
            os.close(copy)
            continue
        with socket.socket(fileno=copy) as one, suppress(OSError):
            if one.getpeername()[:2] == ("127.0.0.1", port):
                yield one


@pytest.mark.parametrize(
    ("url", "origin", "path", "authority"),
    [
        ("http://a.b", ("http", "a.b", 80), "/", "a.b"),
        ("https://A.b:443/x", ("https", "a.b", 443), "/x", "a.b"),
        ("https://a.b:8443/x", ("https", "a.b", 8443), "/x", "a.b:8443"),
        ("http://[::1]:80/", ("http", "::1", 80), "/", "[::1]"),
        ("http://bücher.example/", ("http", "xn--bcher-kva.example", 80), "/", None),
    ],
)
def test_urls_are_taken_apart(url: str, origin: Any, path: str, authority: str | None) -> None:
    target = target_of(url)
    assert (tuple(target.origin), target.path) == (origin, path)
    assert target.authority == (authority or "xn--bcher-kva.example")

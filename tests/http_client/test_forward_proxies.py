"""Forward proxies: who is asked through which, and what it is told."""

import asyncio
from base64 import b64decode

import pytest

from proxy.http_client.options import ClientKind
from proxy.http_client.proxies import Proxies
from proxy.http_client.targets import target_of
from tests.http_client.asking import OK, Asker, Peer, polite, read, saying, serving
from tests.http_client.authority import Authority
from tests.http_client.forwarding import ForwardingProxy
from translators.errors import ProviderError
from translators.errors import TimeoutError as ProviderTimeout


def through(proxy: ForwardingProxy, **more: str) -> dict[str, str]:
    return {"ALL_PROXY": f"http://127.0.0.1:{proxy.port}", **more}


async def test_https_goes_through_a_tunnel(kind: ClientKind, authority: Authority) -> None:
    proxy = ForwardingProxy()
    async with serving(polite, tls=authority.server()) as server, proxy.before(server.port):
        environment = {"HTTPS_PROXY": f"http://me:s%40y@127.0.0.1:{proxy.port}"}
        async with Asker(kind, environment=environment, tls=authority.client()) as asker:
            for _ in range(3):
                assert await asker.whole("https://named.test/path") == b"{}"
        assert len(server.peers) == 1
    (head,) = proxy.heads
    lines = head.lower().split("\r\n")
    assert lines[0] == "connect named.test:443 http/1.1"
    assert "proxy-authorization: basic bwu6c0b5" in lines
    assert any(line.startswith("host: named.test") for line in lines)


async def test_a_key_never_reaches_the_proxy_of_https(
    kind: ClientKind, authority: Authority
) -> None:
    proxy = ForwardingProxy()
    async with (
        serving(polite, tls=authority.server()) as server,
        proxy.before(server.port),
        Asker(kind, environment=through(proxy), tls=authority.client()) as asker,
    ):
        await read(await asker.ask("https://named.test/x", headers={"x-api-key": "sk-1"}))
    assert "sk-1" not in "".join(proxy.heads)


async def test_the_servers_certificate_is_checked_behind_the_proxy(
    kind: ClientKind, authority: Authority
) -> None:
    proxy = ForwardingProxy()
    tls = authority.server("other-name")
    async with (
        serving(polite, tls=tls) as server,
        proxy.before(server.port),
        Asker(kind, environment=through(proxy), tls=authority.client()) as asker,
    ):
        with pytest.raises(ProviderError, match="certificate is not accepted"):
            await asker.ask("https://named.test/x")


async def test_http_is_asked_of_the_proxy_itself(kind: ClientKind) -> None:
    proxy = ForwardingProxy()
    keys: list[bool] = []

    async def serve(peer: Peer) -> None:
        while True:
            head, _ = await peer.request()
            keys.append(b"x-api-key" in head)
            await peer.say(OK)

    async with serving(serve) as server, proxy.before(server.port):
        environment = {"http_proxy": f"me:s%40y@127.0.0.1:{proxy.port}"}
        async with Asker(kind, environment=environment) as asker:
            for _ in range(2):
                answer = await asker.ask(
                    "http://named.test:8000/path?a=b", headers={"x-api-key": "k"}
                )
                assert await read(answer) == b"{}"
    (head,) = proxy.heads
    lines = head.lower().split("\r\n")
    assert lines[0] == "post http://named.test:8000/path?a=b http/1.1"
    assert "host: named.test:8000" in lines
    assert "proxy-authorization: basic bwu6c0b5" in lines
    assert keys == [True, True]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_asked_directly(kind: ClientKind, host: str) -> None:
    environment = {"ALL_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    async with serving(polite) as server, Asker(kind, environment=environment) as asker:
        assert await asker.whole(server.url.replace("127.0.0.1", host)) == b"{}"


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"503 No"])
async def test_a_proxy_that_refuses_is_named_with_its_status(
    kind: ClientKind, authority: Authority, status: bytes
) -> None:
    proxy = ForwardingProxy(answer=b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % status)
    async with serving(polite, tls=authority.server()) as server, proxy.before(server.port):
        environment = {"ALL_PROXY": f"http://me:secret-7@127.0.0.1:{proxy.port}"}
        async with Asker(kind, environment=environment, tls=authority.client()) as asker:
            with pytest.raises(ProviderError) as caught:
                await asker.ask("https://named.test/x")
        assert server.peers == []
    assert f"127.0.0.1:{proxy.port}" in caught.value.message
    assert status.split()[0].decode() in caught.value.message
    assert "secret-7" not in f"{caught.value} {caught.value.__cause__!r}"


async def test_credentials_that_the_proxy_refuses_are_no_answer_of_the_provider(
    kind: ClientKind,
) -> None:
    refused = saying(b"HTTP/1.1 407 No\r\ncontent-length: 2\r\n\r\n{}")
    async with serving(refused) as proxy:
        environment = {"HTTP_PROXY": f"http://me:secret-7@127.0.0.1:{proxy.port}"}
        async with Asker(kind, environment=environment) as asker:
            with pytest.raises(ProviderError, match="does not let us through") as caught:
                await asker.ask("http://named.test:8000/x")
    assert caught.value.kind == "network"
    assert "407" in caught.value.message
    assert "secret-7" not in f"{caught.value} {caught.value.__cause__!r}"


ODD = {
    "no-http": b"SSH-2.0-x\r\n\r\n",
    "speaks-for-the-server": b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01",
    "endless": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 40_000,
}


@pytest.mark.parametrize("form", ODD)
async def test_what_is_no_proxy_is_an_error(authority: Authority, form: str) -> None:
    proxy = ForwardingProxy(answer=ODD[form])
    async with (
        serving(polite, tls=authority.server()) as server,
        proxy.before(server.port),
        Asker("native", environment=through(proxy), tls=authority.client()) as asker,
    ):
        with pytest.raises(ProviderError, match="no forward proxy"):
            await asker.ask("https://named.test/x")


async def test_a_proxy_that_closes_is_an_error(kind: ClientKind) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")

    async with serving(serve) as server:
        environment = {"ALL_PROXY": f"http://127.0.0.1:{server.port}"}
        async with Asker(kind, environment=environment) as asker:
            with pytest.raises(ProviderError):
                await asker.ask("https://named.test/x")


async def test_a_proxy_that_nobody_serves_is_named(kind: ClientKind) -> None:
    async with Asker(kind, environment={"ALL_PROXY": "http://127.0.0.1:9"}) as asker:
        with pytest.raises(ProviderError, match=r"127\.0\.0\.1:9 cannot be reached"):
            await asker.ask("https://named.test/x")


@pytest.mark.parametrize("leave", [True, False], ids=["leaving", "limit"])
async def test_a_proxy_that_is_silent_has_the_limit_of_a_connection(
    kind: ClientKind, leave: bool
) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.gone()

    async with serving(serve) as server:
        environment = {"ALL_PROXY": f"http://127.0.0.1:{server.port}"}
        async with Asker(kind, environment=environment) as asker:
            asking = asyncio.create_task(asker.ask("https://named.test/x", connect=0.4))
            await server.arrived()
            if leave:
                await asyncio.sleep(0.05)
                asking.cancel()
                expected: type[BaseException] = asyncio.CancelledError
            else:
                expected = ProviderTimeout
            with pytest.raises(expected):
                async with asyncio.timeout(3):
                    await asking
            await server.left()


def between(url: str, **environment: str) -> str | None:
    found = Proxies(environment).between(target_of(url).origin)
    return None if found is None else found.place


HTTPS, HTTP = "https://api.example.com/v1", "http://api.example.com/v1"


@pytest.mark.parametrize(
    ("url", "environment", "place"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p:1"}, "p:1"),
        (HTTPS, {"HTTPS_PROXY": "p:1"}, "p:1"),
        (HTTPS, {"HTTPS_PROXY": "http://p"}, "p:80"),
        (HTTPS, {"HTTPS_PROXY": "http://[::2]:1"}, "[::2]:1"),
        (HTTPS, {"HTTPS_PROXY": "http://p:1", "https_proxy": "http://q:2"}, "q:2"),
        (HTTPS, {"HTTP_PROXY": "http://p:1"}, None),
        (HTTP, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "p:1"),
        (HTTPS, {"ALL_PROXY": "http://p:1"}, "p:1"),
        (HTTPS, {"all_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "q:2"),
        (HTTPS, {"HTTPS_PROXY": " "}, None),
    ],
)
def test_which_proxy_it_is(url: str, environment: dict[str, str], place: str | None) -> None:
    assert between(url, **environment) == place


@pytest.mark.parametrize(
    ("url", "exceptions", "directly"),
    [
        (HTTPS, "*", True),
        (HTTPS, "api.example.com", True),
        (HTTPS, "API.Example.Com", True),
        (HTTPS, "example.com", True),
        (HTTPS, ".example.com", True),
        (HTTPS, "*.example.com", True),
        (HTTPS, "other, example.com", True),
        (HTTPS, "other example.com", True),
        (HTTPS, "ample.com", False),
        (HTTPS, "com.example", False),
        (HTTPS, "example.com:443", True),
        (HTTPS, "example.com:8443", False),
        ("https://example.com", ".example.com", True),
        ("https://10.1.2.3/", "10.0.0.0/8", True),
        ("https://11.1.2.3/", "10.0.0.0/8", False),
        ("https://10.1.2.3/", "10.1.2.3", True),
        ("https://10.1.2.3:8443/", "10.1.2.3:8443", True),
        ("https://10.1.2.3/", "10.1.2.3:8443", False),
        ("https://[fd00::1]/", "fd00::/8", True),
        ("https://[fd00::1]:8443/", "[fd00::1]:8443", True),
        ("https://[fd00::1]:443/", "[fd00::1]:8443", False),
        ("https://10.example.com/", "10.0.0.0/8", False),
        (HTTPS, "", False),
        (HTTPS, "example.com:nonsense", False),
    ],
)
def test_who_is_excepted(url: str, exceptions: str, directly: bool) -> None:
    found = between(url, ALL_PROXY="http://p:1", NO_PROXY=exceptions)
    assert found == (None if directly else "p:1")


@pytest.mark.parametrize(
    "url",
    [
        *("https://localhost", "https://a.localhost/", "http://127.0.0.1:1", "http://127.9.9.9/"),
        *("http://[::1]:1/", "http://[::ffff:127.0.0.1]/"),
    ],
)
def test_this_machine_is_never_asked_through_a_proxy(url: str) -> None:
    assert between(url, ALL_PROXY="http://p:1") is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("socks5://me:secret-7@p:1", "socks5://"),
        ("https://me:secret-7@p:1", "https://"),
        ("http://me:secret-7@p:nonsense", "no address"),
        ("http://", "no address"),
        ("http://me:secret-7@p:0", "no address"),
        ("http://me:secret-7@p..q:1", "no address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_said_with_the_first_request(value: str, said: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        between(HTTPS, ALL_PROXY=value)
    assert "ALL_PROXY" in caught.value.message
    assert "secret-7" not in caught.value.message
    assert between(HTTPS, ALL_PROXY=value, NO_PROXY="example.com") is None


def test_credentials_that_are_no_utf_8_are_sent_as_they_are() -> None:
    found = Proxies({"ALL_PROXY": "http://me:\udcff@p:1"}).between(target_of(HTTPS).origin)
    assert found is not None and found.authorization is not None
    assert b64decode(found.authorization.removeprefix("Basic ")) == b"me:\xff"


def test_credentials_are_not_shown() -> None:
    origin = target_of(HTTPS).origin
    found = Proxies({"ALL_PROXY": "http://me:secret-7@p:1"}).between(origin)
    assert found is not None
    assert found.authorization == "Basic bWU6c2VjcmV0LTc="
    assert "bWU6" not in repr(found)
    assert found.url == "http://p:1"

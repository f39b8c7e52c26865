"""Where the server goes for media, and where it does not: over real sockets."""

import ssl
import threading
from functools import partial
from typing import Any

import pytest

from proxy.media import addresses, look_up
from tests.proxy.media_server import (
    INLINED,
    Asked,
    Resolver,
    answer,
    certificate,
    gif,
    images,
    media_server,
    never,
    put_in_place,
    refused,
)
from translators.errors import TranslationError

PRIVATE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1"),
    *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "not an address"),
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_row_49_a_name_with_a_private_address_is_refused(address: str) -> None:
    for found in ([address], ["93.184.216.34", address], [address, "2606:4700::6810:84e5"]):
        error = await refused(images("https://a.example/x?secret"), resolve=Resolver(found))
        assert error.code == "invalid_image_url"
        assert "no public address" in error.message
        assert address not in error.message


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::6810:84e5", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address: str) -> None:
    assert addresses.checked([address], allowed=False) == [address]


async def test_what_is_not_known_and_what_is_private_cannot_be_told_apart() -> None:
    unknown = await refused(images("https://a.example/x"), resolve=Resolver([]))
    private = await refused(images("https://a.example/x"), resolve=Resolver(["10.0.0.1"]))
    assert unknown.message == private.message


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]"),
        *("[::]", "0", "localhost", "LOCALHOST.", "169.254.169.254", "[fe80::1%25lo]"),
        *("１２７.0.0.1", "ⓛocalhost", "a..b", "x" * 64 + ".test", "x" * 300),
    ],
)
async def test_row_49_no_spelling_of_a_private_host_gets_through(host: str) -> None:
    """With the system's own look-up."""
    error = await refused(images(f"https://{host}/x"))
    assert error.code == "invalid_image_url"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a.example/x", "only `https:`"),
        ("https://a.example:8443/x", "only the port 443"),
        ("https://a.example:80/x", "only the port 443"),
        ("https://a.example:0/x", "only the port 443"),
        ("https://user:secret@a.example/x", "credentials"),
        ("https://user@a.example/x", "credentials"),
        ("https://@a.example/x", "credentials"),
        ("https://a.example:99999/x", "not a URL"),
        ("https://[a/x", "not a URL"),
        ("https:///x", "not an `https:` URL"),
        ("https://a.example\\@b.example/x", "backslashes"),
        ("https://a.example/x y", "spaces"),
        ("https://a.example/x\r\nhost: b", "control"),
        ("https://a.example/" + "x" * 9000, "longer than"),
    ],
)
async def test_addresses_that_are_no_public_https_are_refused_unasked(url: str, why: str) -> None:
    resolve = Resolver(["8.8.8.8"])
    error = await refused(images(url), resolve=resolve)
    assert error.code == "invalid_image_url"
    assert why in error.message
    assert resolve.asked == []


async def test_a_host_is_allowed_by_name_and_port() -> None:
    async with media_server(gif) as server:
        resolve = Resolver(["127.0.0.1"])
        url = f"http://FILES.test:{server.port}/x"
        allowed = [f"files.test:{server.port}", "other.test"]
        found = await put_in_place(images(url), resolve=resolve, allow_hosts=allowed)
        assert found.urls == [INLINED]
        assert server.asked[0].headers["host"] == f"files.test:{server.port}"
        for others in (["files.test"], [f"files.test:{server.port + 1}"], ["test"]):
            await refused(images(url), resolve=resolve, allow_hosts=others)
        other = f"http://other.test:{server.port}/x"
        await refused(images(other), resolve=resolve, allow_hosts=allowed)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("https://127.0.0.1/x", "no public address"),
        ("https://169.254.169.254/latest/meta-data", "no public address"),
        ("http://169.254.169.254/latest/meta-data", "only `https:`"),
        ("//10.0.0.1/x", "only `https:`"),
        ("https://[::1]/x", "no public address"),
        ("file:///etc/passwd", "not an `https:` URL"),
        ("data:image/gif;base64,AAAA", "not an `https:` URL"),
        ("https://[::1/x", "redirects to nowhere"),
        ("", "redirects to nowhere"),
    ],
)
async def test_row_49_redirects_lead_nowhere_private(status: int, location: str, why: str) -> None:
    async def redirect(asked: Asked) -> None:
        await answer(asked, status=status, headers={"location": location})

    async with media_server(redirect) as server:
        host = f"127.0.0.1:{server.port}"
        error = await refused(images(f"http://{host}/x"), allow_hosts=[host])
    assert why in error.message
    assert len(server.asked) == 1


async def test_a_few_redirects_are_followed_without_what_the_server_set() -> None:
    async def redirect(asked: Asked) -> None:
        left = int(asked.path[1:])
        if left == 0:
            return await gif(asked)
        headers = {"location": str(left - 1), "set-cookie": "a=b"}
        await answer(asked, b"gone", status=302, headers=headers)

    async with media_server(redirect) as server:
        host = f"127.0.0.1:{server.port}"
        found = await put_in_place(images(f"http://{host}/3"), allow_hosts=[host])
        assert found.urls == [INLINED]
        assert server.paths == ["/3", "/2", "/1", "/0"]
        assert not any("cookie" in asked.headers for asked in server.asked)
        error = await refused(images(f"http://{host}/4"), allow_hosts=[host])
    assert "more than 3 times" in error.message
    assert server.paths[4:] == ["/4", "/3", "/2", "/1"]


def one_is_public(monkeypatch: pytest.MonkeyPatch, public: str) -> None:
    """Let one loopback address pass for a public one, since tests have no other."""

    def is_public(address: str) -> bool:
        return address == public

    monkeypatch.setattr(addresses, "_is_public", is_public)


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate())


async def test_row_49_a_name_that_changes_its_address_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is looked up once: the connection goes where the check went."""
    one_is_public(monkeypatch, "127.0.0.1")
    async with (
        media_server(gif, tls=True) as public,
        media_server(never, tls=True, address="127.0.0.2", port=public.port) as private,
    ):
        monkeypatch.setattr(addresses, "OPEN_PORTS", (public.port,))
        resolve = Resolver(["127.0.0.1"], ["127.0.0.2"])
        url = f"https://media.test:{public.port}/x"
        found = await put_in_place(images(url), resolve=resolve, tls=trusting)
        assert found.urls == [INLINED]
        assert resolve.asked == ["media.test"]
        error = await refused(images(url), resolve=resolve, tls=trusting)
    assert "no public address" in error.message
    assert public.asked[0].headers["host"] == f"media.test:{public.port}"
    assert private.asked == []


async def test_row_49_a_redirect_looks_the_name_up_again_and_checks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def redirect(asked: Asked) -> None:
        await answer(asked, status=302, headers={"location": "/again"})

    one_is_public(monkeypatch, "127.0.0.1")
    async with (
        media_server(redirect, tls=True) as public,
        media_server(never, tls=True, address="127.0.0.2", port=public.port) as private,
    ):
        monkeypatch.setattr(addresses, "OPEN_PORTS", (public.port,))
        resolve = Resolver(["127.0.0.1"], ["127.0.0.2"])
        url = f"https://media.test:{public.port}/x"
        error = await refused(images(url), resolve=resolve, tls=trusting)
    assert "redirected, and there its host has no public address" in error.message
    assert public.paths == ["/x"]
    assert private.asked == []


async def test_the_certificate_must_be_trusted_and_have_the_urls_name() -> None:
    async with media_server(gif, tls=True) as server:
        port = server.port
        rules = {"allow_hosts": [f"media.test:{port}", f"other.test:{port}"]}
        fetch = partial(put_in_place, resolve=Resolver(["127.0.0.1"]), **rules)
        found = await fetch(images(f"https://media.test:{port}/x"), tls=trusting)
        assert found.urls == [INLINED]
        for url, tls in (
            (f"https://other.test:{port}/x", trusting),
            (f"https://media.test:{port}/x", ssl.create_default_context),
        ):
            with pytest.raises(TranslationError) as raised:
                await fetch(images(url), tls=tls)
            assert raised.value.code == "failed_to_download_image"
    assert len(server.asked) == 1


async def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    async with media_server(gif) as server:
        resolve = Resolver(["127.0.0.3", "127.0.0.1"])
        url = f"http://files.test:{server.port}/x"
        found = await put_in_place(
            images(url), resolve=resolve, allow_hosts=[f"files.test:{server.port}"]
        )
    assert found.urls == [INLINED]


async def test_proxy_settings_of_the_environment_are_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with media_server(gif) as server, media_server(never) as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")
        host = f"127.0.0.1:{server.port}"
        await put_in_place(images(f"http://{host}/x"), allow_hosts=[host])
    assert other.asked == []


async def test_a_look_up_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def slow(host: str, port: int, **_: Any) -> list[Any]:
        names.append(threading.current_thread().name)
        return [(0, 0, 0, "", ("10.0.0.1", port))]

    monkeypatch.setattr(look_up.socket, "getaddrinfo", slow)
    error = await refused(images("https://a.example/x"))
    assert "no public address" in error.message
    assert names
    assert all(name.startswith("media-look-up") for name in names)

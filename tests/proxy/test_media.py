"""Fetching media by address, over real sockets: what is found, and what it becomes."""

import base64
from functools import partial

import pytest

from policy.schema import ProviderRow, Target
from proxy.attempt import Attempt
from proxy.exchange import Exchange
from proxy.media.types import typed
from tests.proxy.media_server import (
    GIF,
    INLINED,
    PARAM,
    Asked,
    Resolver,
    Span,
    answer,
    gif,
    images,
    media_server,
    put_in_place,
    refused,
    request_with,
)
from translators.errors import TranslationError
from translators.fidelity import Report
from translators.media import Media


async def test_row_49_an_image_is_fetched_and_put_in_its_place() -> None:
    async with media_server(gif) as server:
        url = f"http://127.0.0.1:{server.port}/a%20b.gif?signature=secret#top"
        host = f"127.0.0.1:{server.port}"
        found = await put_in_place(images(url), allow_hosts=[host])
    assert found.urls == [INLINED]
    (asked,) = server.asked
    assert asked.path == "/a%20b.gif?signature=secret"
    assert asked.headers["host"] == host
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("execution-platform/")
    assert not {"cookie", "authorization", "referer", "traceparent"} & asked.headers.keys()
    ((name, attributes),) = found.events
    assert name == "ep.media.fetched"
    assert attributes["ep.media.count"] == 1
    assert attributes["ep.media.bytes"] == len(GIF)
    assert "secret" not in str(found.events)
    # It is no overhead of ours.
    assert found.exchange.waited > 0


async def test_the_same_address_is_fetched_once_and_only_for_this_request() -> None:
    async with media_server(gif) as server:
        host = f"127.0.0.1:{server.port}"
        parts = images(f"http://{host}/a", f"http://{host}/a", f"http://{host}/b")
        found = await put_in_place(parts, allow_hosts=[host])
        assert found.urls == [INLINED] * 3
        assert sorted(server.paths) == ["/a", "/b"]
        again = await put_in_place(parts, allow_hosts=[host], exchange=found.exchange)
        assert again.chat == found.chat
        assert len(server.paths) == 2
        other = await put_in_place(parts, allow_hosts=[host])
        assert len(server.paths) == 4
    assert other.chat.model_dump_json() == found.chat.model_dump_json()


async def test_a_failure_is_remembered_for_the_next_provider() -> None:
    async def missing(asked: Asked) -> None:
        await answer(asked, b"secret", status=404)

    async with media_server(missing) as server:
        host = f"127.0.0.1:{server.port}"
        span = Span()
        exchange = Exchange(request_with(images(f"http://{host}/a")), "req_1", span=span)
        for _ in range(2):
            error = await refused([], allow_hosts=[host], exchange=exchange)
            assert error.param == PARAM
            assert error.code == "failed_to_download_image"
            assert "404" in error.message
        assert server.paths == ["/a"]
    assert [name for name, _ in span.events] == ["ep.media.refused"] * 2


async def test_data_urls_and_other_providers_addresses_are_left_alone() -> None:
    parts = [*images(INLINED), *images("gs://bucket/a.png"), {"type": "text", "text": "http://x"}]
    found = await put_in_place(parts, resolve=Resolver(["127.0.0.1"]))
    assert found.chat is found.exchange.request
    assert found.events == []


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"<!doctype html><p>Hello", "text/html; charset=utf-8", "a web page"),
        (b"just text", "image/png", "no format that is known"),
        (b"just text", "text/plain", "no format that is known"),
        (b"", "image/png", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", "no format"),
        (b"\0" * 100, "application/octet-stream", "no format that is known"),
    ],
)
async def test_what_is_no_media_is_an_error(body: bytes, kind: str, why: str) -> None:
    async with media_server(partial(answer, body=body, kind=kind)) as server:
        host = f"127.0.0.1:{server.port}"
        with pytest.raises(TranslationError) as raised:
            await put_in_place(images(f"http://{host}/x"), allow_hosts=[host])
    assert raised.value.code == "unsupported_image_media_type"
    assert raised.value.param == PARAM
    assert why in raised.value.message


@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/octet-stream", ""])
async def test_the_bytes_say_what_they_are_whatever_the_server_says(kind: str) -> None:
    async with media_server(partial(answer, body=GIF, kind=kind)) as server:
        host = f"127.0.0.1:{server.port}"
        found = await put_in_place(images(f"http://{host}/x"), allow_hosts=[host])
    assert found.urls == [INLINED]


WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


async def test_row_49_files_and_audio_are_fetched_too() -> None:
    bodies = {
        "/doc.pdf": (b"%PDF-1.7", "application/octet-stream"),
        "/t.csv": ("a;ü".encode(), "text/csv"),
        "/s.wav": (WAV, "audio/x-wav"),
    }

    async def serve(asked: Asked) -> None:
        body, kind = bodies[asked.path]
        await answer(asked, body, kind=kind)

    async with media_server(serve) as server:
        host = f"127.0.0.1:{server.port}"
        parts = [
            {"type": "file", "file": {"file_data": f"http://{host}/doc.pdf"}},
            {"type": "file", "file": {"file_url": f"http://{host}/t.csv", "filename": "x.csv"}},
            {
                "type": "input_audio",
                "input_audio": {"data": f"http://{host}/s.wav", "format": "mp3"},
            },
        ]
        found = await put_in_place(parts, allow_hosts=[host])
        audio = {"data": f"http://{host}/doc.pdf", "format": "wav"}
        speech = {"type": "input_audio", "input_audio": audio}
        error = await refused([speech], allow_hosts=[host])
    pdf, table, sound = found.chat.to_wire()["messages"][0]["content"]
    encoded = {name: base64.b64encode(body).decode() for name, (body, _) in bodies.items()}
    assert pdf["file"] == {
        "file_data": f"data:application/pdf;base64,{encoded['/doc.pdf']}",
        "filename": "doc.pdf",
    }
    assert table["file"] == {
        "file_data": f"data:text/csv;base64,{encoded['/t.csv']}",
        "filename": "x.csv",
    }
    assert sound["input_audio"] == {"data": encoded["/s.wav"], "format": "wav"}
    assert error.param == "messages[0].content[0].input_audio.data"
    assert error.code == "unsupported_file_media_type"


@pytest.mark.parametrize(
    ("content", "declared", "kind"),
    [
        (b"\0\0\0\x20ftypisom", "audio/mp4", "audio/mp4"),
        (b"\0\0\0\x20ftypisom", "application/octet-stream", "video/mp4"),
        (b"\0\0\0\x20ftypisom", "audio/wav", "video/mp4"),
        (b"\x1a\x45\xdf\xa3", "Audio/WebM; codecs=opus", "audio/webm"),
        (b"OggS\0\2", "video/ogg", "video/ogg"),
        (WAV, "audio/mpeg", "audio/wav"),
        (b"{}", "application/json", "application/json"),
    ],
)
def test_a_server_is_believed_about_what_a_container_holds(
    content: bytes, declared: str, kind: str
) -> None:
    assert typed(content, declared, "file") == Media(kind, content)


async def test_the_switch_turns_it_off() -> None:
    resolve = Resolver(["8.8.8.8"])
    error = await refused(images("https://a.example/x"), resolve=resolve, fetch=False)
    assert error.param == PARAM
    assert "`media.fetch`" in error.message
    assert resolve.asked == []


async def test_a_connection_that_breaks_is_the_servers_fault() -> None:
    async def broken(asked: Asked) -> None:
        if asked.path == "/head":
            asked.writer.write(b"HTTP/1.1 200")
        elif asked.path == "/noise":
            asked.writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        else:
            asked.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + GIF)
        await asked.writer.drain()

    async with media_server(broken) as server:
        host = f"127.0.0.1:{server.port}"
        for path in ("head", "noise", "body"):
            error = await refused(images(f"http://{host}/{path}"), allow_hosts=[host])
            assert error.code == "failed_to_download_image"
            assert "SSH" not in error.message
        closed = f"127.0.0.1:{server.port}"
    error = await refused(images(f"http://{closed}/x"), allow_hosts=[closed])
    assert "cannot be reached" in error.message


def test_media_are_let_go_when_the_answer_begins() -> None:
    """A stream may be long, and they are large."""
    exchange = Exchange(request_with(images("https://a.example/x")), "req_1")
    exchange.media["https://a.example/x"] = Media("image/gif", GIF)
    given_back: list[bool] = []
    exchange.holds.append(lambda: given_back.append(True))
    row = ProviderRow(dialect="gemini_generate", base_url="https://a.example", model="m")
    target = Target("gemini", "m", row.timeouts)
    Attempt(exchange, target, row=row, report=Report(), reason="initial").begun()
    assert exchange.media == {}
    assert given_back == [True]
    exchange.let_media_go()
    assert given_back == [True]

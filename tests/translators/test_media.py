"""What media are, and media put in the place of their addresses."""

import base64
import json
from typing import Any

import pytest

from translators.media import Media, parse_base64, parse_data_url, sniff
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.remote_media import is_address, remote_media, with_media
from translators.wire.request import ChatCompletionRequest, parse_request

FORMATS = {
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR": "image/png",
    b"\xff\xd8\xff\xe0\0\x10JFIF": "image/jpeg",
    b"GIF87a\1\0": "image/gif",
    b"GIF89a\1\0": "image/gif",
    b"RIFF\x24\0\0\0WEBPVP8 ": "image/webp",
    b"\0\0\0\x18ftypheic\0\0\0\0": "image/heic",
    b"\0\0\0\x18ftypmif1\0\0\0\0": "image/heif",
    b"\0\0\0\x18ftypavif\0\0\0\0": "image/avif",
    b"%PDF-1.7\n": "application/pdf",
    b"RIFF\x24\0\0\0WAVEfmt ": "audio/wav",
    b"RIFF\x24\0\0\0AVI LIST": "video/avi",
    b"ID3\x04\0\0": "audio/mp3",
    b"\xff\xfb\x90\x64": "audio/mp3",
    b"\xff\xf3\x90\x64": "audio/mp3",
    b"\xff\xf1\x50\x80": "audio/aac",
    b"OggS\0\2": "audio/ogg",
    b"fLaC\0\0\0\x22": "audio/flac",
    b"FORM\0\0\1\0AIFFCOMM": "audio/aiff",
    b"\0\0\0\x20ftypisom\0\0\2\0": "video/mp4",
    b"\0\0\0\x20ftypM4A \0\0\2\0": "audio/mp4",
    b"\0\0\0\x14ftypqt  \0\0\0\0": "video/quicktime",
    b"\x1a\x45\xdf\xa3\x9f\x42": "video/webm",
}


@pytest.mark.parametrize(("content", "kind"), FORMATS.items(), ids=FORMATS.values())
def test_the_first_bytes_show_the_format(content: bytes, kind: str) -> None:
    assert sniff(content) == kind
    url = f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"
    assert parse_data_url(url) == Media(kind, content)


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF", b"ID3 is a tag", b"OggS is one", b"fLaC too", b"RIFF", b"<svg/>", b"\xff\xfe\0"],
)
def test_text_and_fragments_show_nothing(content: bytes) -> None:
    assert sniff(content) == ""


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("https://a/b", True),
        ("HTTP://a/b", True),
        ("https:/a", False),
        ("gs://a/b", False),
        ("data:image/png;base64,AA", False),
        ("aHR0cHM6Ly9h", False),
        (None, False),
        (["https://a"], False),
    ],
)
def test_what_is_an_address(value: object, answer: bool) -> None:
    assert is_address(value) is answer


def _parsed(*messages: Any) -> ChatCompletionRequest:
    return parse_request(json.dumps({"model": "p", "messages": messages}).encode())


def _image(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def _file(**fields: Any) -> dict[str, Any]:
    return {"type": "file", "file": fields}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
URLS = {
    "messages[0].content[0].image_url.url": "https://a.test/0",
    "messages[1].content[1].image_url.url": "https://a.test/1?x=y",
    "messages[1].content[2].file.file_data": "HTTPS://a.test/a%20b.pdf?sig=1",
    "messages[1].content[3].file.file_url": "https://a.test/c.pdf",
    "messages[1].content[4].input_audio.data": "https://a.test/d.wav",
    "messages[2].content[0].image_url.url": "https://a.test/0",
    "messages[3].content[0].image_url.url": "http://a.test/e",
}


def _conversation() -> list[dict[str, Any]]:
    urls = list(URLS.values())
    return [
        {"role": "system", "content": [_image(urls[0])]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "https://a.test/text"},
                _image(urls[1], detail="low", other=1),
                _file(file_data=urls[2], other=[1]),
                _file(file_url=urls[3], filename="mine.pdf"),
                {"type": "input_audio", "input_audio": {"data": urls[4], "format": "mp3"}},
                _image("data:image/png;base64,AA=="),
                _file(file_data="data:application/pdf;base64,AA=="),
                _file(file_id="file-1", file_url="https://a.test/unused"),
                {"type": "video_url", "video_url": {"url": "https://a.test/video"}},
            ],
        },
        {"role": "assistant", "content": [_image(urls[5])], "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": [_image(urls[6])]},
        {"role": "user", "content": "https://a.test/text"},
    ]


def test_addresses_are_found_in_every_role_and_kind_of_part() -> None:
    found = list(remote_media(_parsed(*_conversation())))
    assert {media.param: media.url for media in found} == URLS
    kinds = [media.kind for media in found]
    assert kinds == ["image", "image", "file", "file", "audio", "image", "image"]


def test_media_take_the_place_of_their_addresses_and_nothing_else_changes() -> None:
    chat = _parsed(*_conversation())
    before = chat.to_wire()
    media = {url: Media("audio/wav", url.encode()) for url in URLS.values()}
    placed = with_media(chat, media)
    assert chat.to_wire() == before

    def inline(url: str) -> str:
        return f"data:audio/wav;base64,{encoded(url)}"

    def encoded(url: str) -> str:
        return base64.b64encode(url.encode()).decode()

    urls = list(URLS.values())
    expected = _conversation()
    expected[0]["content"] = [_image(inline(urls[0]))]
    expected[1]["content"][1] = _image(inline(urls[1]), detail="low", other=1)
    name = "a b.pdf"
    expected[1]["content"][2] = _file(file_data=inline(urls[2]), other=[1], filename=name)
    expected[1]["content"][3] = _file(file_data=inline(urls[3]), filename="mine.pdf")
    audio = {"data": encoded(urls[4]), "format": "wav"}
    expected[1]["content"][4] = {"type": "input_audio", "input_audio": audio}
    expected[2]["content"] = [_image(inline(urls[5]))]
    expected[3]["content"] = [_image(inline(urls[6]))]
    assert placed.to_wire() == {"model": "p", "messages": expected}
    assert placed.messages[4] is chat.messages[4]
    assert with_media(chat, media).model_dump_json() == placed.model_dump_json()


def test_addresses_that_were_not_fetched_stay() -> None:
    chat = _parsed(*_conversation())
    placed = with_media(chat, {"https://a.test/0": Media("image/png", b"\1")})
    left = {media.param: media.url for media in remote_media(placed)}
    assert left == {param: url for param, url in URLS.items() if url != "https://a.test/0"}
    assert placed.messages[1] is chat.messages[1]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.test/x/y.pdf#z", "y.pdf"),
        ("https://a.test", None),
        ("https://a.test/%00%0Ay", "y"),
        ("https://a.test/" + "n" * 300, "n" * 100),
    ],
)
def test_a_file_without_a_name_is_named_after_its_address(url: str, name: str | None) -> None:
    chat = _parsed({"role": "user", "content": [_file(file_data=url)]})
    file = with_media(chat, {url: Media("application/pdf", b"%PDF-")}).to_wire()
    assert file["messages"][0]["content"][0]["file"].get("filename") == name


def test_openai_fetches_images_but_neither_files_nor_audio() -> None:
    """Chat Completions has no address for a file or for audio (openai 3.54)."""
    found = OpenAIChatTranslator().media_to_fetch(_parsed(*_conversation()))
    urls = list(URLS.values())
    assert list(found) == urls[2:5]


PLAIN = base64.b64encode(b"\xff\xfb>>>???").decode()


@pytest.mark.parametrize(
    "written",
    [
        PLAIN,
        PLAIN.rstrip("="),
        PLAIN.replace("+", "-").replace("/", "_"),
        f"{PLAIN[:4]}\r\n{PLAIN[4:]}\n",
        PLAIN.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
    ],
)
def test_base64_is_read_in_every_form_in_use(written: str) -> None:
    assert parse_base64(written).content == b"\xff\xfb>>>???"


@pytest.mark.parametrize("written", ["A", "AA=A", "AAA!", "A===", "ÄÄÄÄ", "AAAA====B"])
def test_broken_base64_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="^broken base64$"):
        parse_base64(written)

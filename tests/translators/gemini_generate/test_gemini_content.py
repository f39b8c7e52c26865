"""Messages and their content."""

import base64
import json
import re
from typing import Any

import pytest
from gemini_api import (
    FIXED,
    NEW,
    OLD,
    TRANSLATOR,
    body_of,
    contents_of,
    parts_of,
    rejection,
    translate,
)

from tests.translators.chat_requests import PNG, calls, request_of, result, user
from tests.translators.streams import Json
from translators.errors import TranslationError
from translators.media import Media
from translators.remote_media import with_media

IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
INLINE: Json = {"inlineData": {"mimeType": "image/png", "data": PNG}}
HI = base64.b64encode(b"hi").decode()


def image(url: str, **fields: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def test_leading_instructions_are_the_system_instruction():
    messages = [
        {"role": "system", "content": "A"},
        {"role": "developer", "content": [{"type": "text", "text": "B"}]},
        user("Hi"),
    ]
    body = body_of(messages=messages)
    assert body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_row_47_later_instruction_keeps_its_place():
    messages = [user("a"), {"role": "system", "content": "B"}, user("c")]
    translated = translate(messages=messages)
    body = translated.request.body
    texts = [part["text"] for part in body["contents"][0]["parts"]]
    assert texts == ["a", "[System instruction] B", "c"]
    assert "systemInstruction" not in body
    assert translated.report.emulated == ("messages[].role",)


def test_roles_alternate():
    answer = {"role": "assistant", "content": "x"}
    contents = contents_of(user("a"), user("b"), answer, answer, user("c"))
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert [len(content["parts"]) for content in contents] == [2, 2, 1]


def test_row_46_empty_text_is_left_out():
    assert contents_of(user("a"), {"role": "assistant", "content": ""}, user("b")) == [
        {"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}
    ]
    translated = translate(messages=[user("")])
    assert translated.request.body["contents"][0]["parts"] == [{"text": "(No content.)"}]
    assert translated.report.emulated == ("messages[].content",)


def test_conversation_that_begins_with_an_answer_is_opened():
    translated = translate(OLD, messages=[{"role": "assistant", "content": "x"}, user("y")])
    contents = translated.request.body["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user"]
    assert translated.report.emulated == ("messages",)
    alone = translate(messages=[{"role": "system", "content": "x"}])
    assert alone.request.body["contents"][0]["role"] == "user"


@pytest.mark.parametrize("model", [FIXED, "gemini-pro-latest"])
def test_prefill_is_rejected_where_the_model_refuses_it(model: str):
    messages = [user("a"), {"role": "assistant", "content": "b"}]
    assert rejection(model, messages=messages).param == "messages"
    assert contents_of(*messages, model=OLD)[-1]["role"] == "model"


def test_refusals_are_text():
    parts = [{"type": "refusal", "refusal": "No."}]
    contents = contents_of(
        user("a"), {"role": "assistant", "content": parts, "refusal": "Never."}, user("b")
    )
    assert contents[1]["parts"] == [{"text": "No."}, {"text": "Never."}]


def test_names_are_ignored_and_reported():
    messages = [{**user("a"), "name": "Jo"}, {"role": "assistant", "content": "x", "name": "Bo"}]
    translated = translate(messages=[*messages, user("b")])
    assert translated.report.ignored == ("messages[].name",)


def test_spoken_answer_is_rejected():
    messages = [user("a"), {"role": "assistant", "audio": {"id": "x"}}, user("b")]
    assert rejection(messages=messages).param == "messages[1].audio"


# --- media -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image/png", "image/heic", "video/mp4", "application/pdf"])
def test_data_url_is_inline(kind: str):
    (part,) = parts_of([image(f"data:{kind};base64,{HI}")])
    assert part == {"inlineData": {"mimeType": kind, "data": HI}}


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("gs://bucket/a.png", "image/png"),
        ("gs://bucket/a.JPG", "image/jpeg"),
        ("gs://bucket/a", None),
        ("https://generativelanguage.googleapis.com/v1beta/files/abc-1", None),
        ("https://www.youtube.com/watch?v=x", "video/mp4"),
        ("https://m.youtube.com/watch?v=x", "video/mp4"),
        ("https://youtu.be/x", "video/mp4"),
    ],
)
def test_row_49_what_google_can_read_is_named(url: str, kind: str | None):
    (part,) = parts_of([image(url)])
    expected = {"fileUri": url} if kind is None else {"mimeType": kind, "fileUri": url}
    assert part == {"fileData": expected}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "http://169.254.169.254/latest",
        "https://youtube.com.example/x",
        "https://example.com/?googleapis.com/v1beta/files/abc",
        "file:///etc/passwd",
        "image.png",
        "data:application/zip;base64,aGk=",
        "data:image/png;base64,@@",
        "data:",
    ],
)
def test_row_49_other_addresses_are_refused_by_name(url: str):
    error = rejection(messages=[user([{"type": "text", "text": "x"}, image(url)])])
    assert error.param == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize("kind", ["gif", "svg+xml", "bmp", "avif"])
def test_image_the_api_does_not_read_is_refused(kind: str):
    error = rejection(messages=[user([image(f"data:image/{kind};base64,{HI}")])])
    assert error.param == "messages[0].content[0].image_url.url"
    assert f"image/{kind}" in error.message


def test_jpg_is_jpeg():
    (part,) = parts_of([image(f"data:image/jpg;base64,{HI}")])
    assert part["inlineData"]["mimeType"] == "image/jpeg"


PAGE = "https://example.com/a"
REMOTE: list[Json] = [
    user([image(f"{PAGE}.png"), file(file_url=f"{PAGE}.pdf"), file(file_data=f"{PAGE}.csv")]),
    {"role": "assistant", "content": [{"type": "text", "text": "x"}, image(f"{PAGE}.webp")]},
    user([{"type": "input_audio", "input_audio": {"data": f"{PAGE}.mp3", "format": "mp3"}}]),
    calls("a"),
    result("a", [image(f"{PAGE}.jpg")]),
]
FOUND = {
    f"{PAGE}.png": Media("image/png", b"hi"),
    f"{PAGE}.pdf": Media("application/pdf", b"hi"),
    f"{PAGE}.csv": Media("text/csv", b"hi"),
    f"{PAGE}.webp": Media("image/webp", b"hi"),
    f"{PAGE}.mp3": Media("audio/mp3", b"hi"),
    f"{PAGE}.jpg": Media("image/jpeg", b"hi"),
}


def test_row_49_media_anywhere_in_the_conversation_are_fetched_before():
    chat = request_of(messages=REMOTE)
    assert list(TRANSLATOR.media_to_fetch(chat)) == list(FOUND)
    body = TRANSLATOR.request(with_media(chat, FOUND), model=NEW).request.body
    assert PAGE not in json.dumps(body)
    kinds = re.findall(r'"mimeType": "([a-z/0-9]+)", "data": "aGk="', json.dumps(body))
    assert kinds == [media.type for media in FOUND.values()]


@pytest.mark.parametrize("position", range(6))
def test_row_49_address_that_was_not_fetched_is_refused_and_says_why(position: int):
    missing = list(FOUND)[position]
    found = {url: media for url, media in FOUND.items() if url != missing}
    with pytest.raises(TranslationError) as caught:
        TRANSLATOR.request(with_media(request_of(messages=REMOTE), found), model=NEW)
    assert caught.value.param == PARAMS[position]
    assert "fetching media is turned off" in caught.value.message


PARAMS = [
    "messages[0].content[0].image_url.url",
    "messages[0].content[1].file.file_url",
    "messages[0].content[2].file.file_data",
    "messages[1].content[1].image_url.url",
    "messages[2].content[0].input_audio.data",
    "messages[4].content[0].image_url.url",
]


@pytest.mark.parametrize(
    "url",
    [
        "https://youtu.be/x",
        "https://www.youtube.com/watch?v=x",
        "https://generativelanguage.googleapis.com/v1beta/files/abc-1",
    ],
)
def test_row_49_what_google_reads_itself_is_not_fetched(url: str):
    chat = request_of(messages=[user([image(url), file(file_url=url), file(file_data=url)])])
    assert list(TRANSLATOR.media_to_fetch(chat)) == []
    body = TRANSLATOR.request(chat, model=NEW).request.body
    uris = [part["fileData"]["fileUri"] for part in body["contents"][0]["parts"]]
    assert uris == [url] * 3


@pytest.mark.parametrize(
    ("detail", "level"),
    [("low", "LOW"), ("medium", "MEDIUM"), ("high", "HIGH"), ("original", "ULTRA_HIGH")],
)
def test_detail(detail: str, level: str):
    url = IMAGE["image_url"]["url"]
    resolution = {"mediaResolution": {"level": f"MEDIA_RESOLUTION_{level}"}}
    assert parts_of([image(url, detail=detail)]) == [{**INLINE, **resolution}]
    translated = translate(OLD, messages=[user([image(url, detail=detail)])])
    assert translated.request.body["contents"][0]["parts"] == [INLINE]
    assert translated.report.ignored == ("messages[].content[].image_url.detail",)
    assert parts_of([image(url, detail="auto")]) == [INLINE]


def test_audio():
    part: Json = {"type": "input_audio", "input_audio": {"data": HI, "format": "wav"}}
    assert parts_of([part]) == [{"inlineData": {"mimeType": "audio/wav", "data": HI}}]
    for field, value in (("data", "@@"), ("format", "a/b")):
        wrong: Json = {"type": "input_audio", "input_audio": {**part["input_audio"], field: value}}
        error = rejection(messages=[user([wrong])])
        assert error.param == f"messages[0].content[0].input_audio.{field}"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"file_data": base64.b64encode(b"%PDF-1.4").decode()}, "application/pdf"),
        ({"file_data": f"data:application/pdf;base64,{HI}"}, "application/pdf"),
        ({"file_data": f"data:text/csv;base64,{HI}"}, "text/csv"),
        ({"file_data": f"data:application/json;base64,{HI}"}, "text/plain"),
        ({"file_data": HI}, "text/plain"),
        ({"file_data": HI, "filename": "a.mp3"}, "audio/mp3"),
    ],
)
def test_row_48_files_are_inline(fields: Json, kind: str):
    (part,) = parts_of([file(**fields)])
    assert part["inlineData"]["mimeType"] == kind


def test_file_by_id():
    assert parts_of([file(file_id="files/abc", filename="a.pdf")]) == [
        {"fileData": {"mimeType": "application/pdf", "fileUri": "files/abc"}}
    ]
    assert parts_of([file(file_data="gs://b/a.pdf")]) == [
        {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}}
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"file_id": "file-abc"}, "file_id"),
        ({"filename": "a.pdf"}, ""),
        ({"file_data": base64.b64encode(b"\xff\xfe").decode()}, "file_data"),
        ({"file_data": "data:application/zip;base64,aGk="}, "file_data"),
        ({"file_data": "https://example.com/a.pdf"}, "file_data"),
    ],
)
def test_file_that_cannot_be_sent_is_refused(fields: Json, param: str):
    found = rejection(messages=[user([file(**fields)])]).param
    assert found == f"messages[0].content[0].file.{param}".rstrip(".")


def test_unknown_part_is_refused():
    assert rejection(messages=[user([{"type": "aurora"}])]).param == "messages[0].content[0]"
    messages = [{"role": "system", "content": [IMAGE]}, user("x")]
    assert rejection(messages=messages).param == "messages[0].content[0]"


def test_row_56_cache_marks_of_others_are_reported():
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    translated = translate(messages=[user([part])])
    assert translated.request.body["contents"][0]["parts"] == [{"text": "x"}]
    assert translated.report.ignored == ("messages[].content[].cache_control",)


def test_our_own_images_come_back():
    answer = {"role": "assistant", "content": "See:", "images": [IMAGE]}
    contents = contents_of(user("draw"), answer, user("bigger"))
    assert contents[1]["parts"] == [{"text": "See:"}, INLINE]
    for wrong in ([7], [{"image_url": {"url": 7}}], [{"image_url": "x"}]):
        messages = [user("a"), {**answer, "images": wrong}, user("b")]
        assert rejection(messages=messages).param == "messages[1].images[0].image_url.url"


def test_row_49_images_in_results_are_kept():
    text = {"type": "text", "text": "See:"}
    messages = [user("x"), calls("a"), result("a", [text, IMAGE])]
    inside = contents_of(*messages)[2]["parts"]
    assert inside[0]["functionResponse"]["parts"] == [INLINE]
    assert inside[0]["functionResponse"]["response"] == {"output": "See:"}
    translated = translate(OLD, messages=messages)
    beside = translated.request.body["contents"][2]["parts"]
    assert beside[1] == INLINE
    assert "messages[].content" in translated.report.emulated
    linked = contents_of(user("x"), calls("a"), result("a", [image("gs://b/a.png")]))
    assert "fileData" in linked[2]["parts"][1]
    low = [image(IMAGE["image_url"]["url"], detail="low")]
    translated = translate(NEW, messages=[user("x"), calls("a"), result("a", low)])
    assert translated.report.ignored == ("messages[].content[].image_url.detail",)

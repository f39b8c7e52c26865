"""Messages and their content parts."""

import base64
from typing import Any

import pytest
from messages_api import WEATHER, rejection, translate, turns_of
from native_schema import problems_of

from tests.translators.chat_requests import calls, result, user
from tests.translators.streams import Json

OLD, NEW = "claude-haiku-4-5", "claude-opus-5-5"
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = base64.b64encode(b"%PDF-1.4\n").decode()


def system(content: Any) -> Json:
    return {"role": "system", "content": content}


def assistant(content: Any, **fields: Any) -> Json:
    return {"role": "assistant", "content": content, **fields}


def image(url: str, **fields: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def file(**fields: Any) -> Json:
    return {"type": "file", "file": fields}


def texts(turn: Json) -> list[str]:
    return [block["text"] for block in turn["content"] if block["type"] == "text"]


def block_of(part: Json) -> Json:
    """Return what a part of a user message becomes."""
    (block,) = turns_of(user([part]))[0]["content"]
    return block


# --- instructions ------------------------------------------------------------------------------


def test_leading_instructions_are_the_system_prompt_in_their_parts():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]
    messages = [system(parts), {"role": "developer", "content": "b"}, user("x")]
    body = translate(messages=messages).request.body
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [turn["role"] for turn in body["messages"]] == ["user"]


def test_row_47_late_instruction_keeps_its_place_on_models_that_know_it():
    messages = [system("a"), user("x"), system("b"), assistant("y"), user("z"), system("c")]
    translated = translate("claude-sonnet-5", messages=messages)
    body = translated.request.body
    roles = [turn["role"] for turn in body["messages"]]
    assert roles == ["user", "system", "assistant", "user", "system"]
    assert body["system"] == [{"type": "text", "text": "a"}]
    assert translated.report.emulated == ()
    assert problems_of(body) == []


def test_row_47_late_instruction_is_folded_visibly_on_models_that_do_not():
    translated = translate(OLD, messages=[user("x"), system("b"), user("y")])
    assert texts(translated.request.body["messages"][0]) == ["x", "[System instruction] b", "y"]
    assert translated.report.emulated == ("messages[].role",)


def test_instruction_after_an_answer_alone_needs_a_user_turn():
    translated = translate(NEW, messages=[user("x"), assistant("y"), system("b")])
    assert translated.request.body["messages"][2] == {
        "role": "user",
        "content": [{"type": "text", "text": "[System instruction] b"}],
    }
    assert translated.report.emulated == ("messages[].role",)


def test_instruction_before_the_users_words_moves_behind_them_and_is_reported():
    translated = translate(NEW, messages=[user("w"), assistant("x"), system("b"), user("y")])
    assert [turn["role"] for turn in translated.request.body["messages"][2:]] == ["user", "system"]
    assert translated.report.emulated == ("messages[].role",)


def test_instruction_between_call_and_result_follows_the_results():
    messages = [user("x"), calls("a"), system("b"), result("a")]
    turns = turns_of(*messages, model=NEW, tools=[WEATHER])
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user", "system"]


def test_conversation_of_instructions_alone_is_opened():
    translated = translate(messages=[system("a")])
    assert [turn["role"] for turn in translated.request.body["messages"]] == ["user"]
    assert translated.report.emulated == ("messages",)


def test_conversation_that_begins_with_an_answer_is_opened():
    turns = turns_of(assistant("x"), user("y"))
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]


def test_image_in_an_instruction_is_rejected():
    assert rejection(messages=[system([image(PNG)]), user("x")]).param == "messages[0].content[0]"


# --- turns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", ["", " \n", [], [{"type": "text", "text": ""}]])
def test_row_46_empty_text_is_left_out(empty: Any):
    turns = turns_of(user("x"), assistant("y"), user(empty), user("z"))
    assert texts(turns[2]) == ["z"]


def test_user_turn_without_content_is_filled_and_reported():
    translated = translate(messages=[user("x"), assistant("y"), user("")])
    assert texts(translated.request.body["messages"][2]) == ["(No content.)"]
    assert translated.report.emulated == ("messages[].content",)


@pytest.mark.parametrize("empty", ["", None, []])
def test_empty_answer_leaves_no_turn(empty: Any):
    turns = turns_of(user("x"), assistant(empty), user("y"))
    assert [texts(turn) for turn in turns] == [["x", "y"]]


def test_same_roles_are_merged():
    turns = turns_of(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert [texts(turn) for turn in turns] == [["a", "b"], ["c", "d"], ["e"]]


def test_refusals_of_the_history_are_text():
    parts = [{"type": "refusal", "refusal": "no"}]
    turns = turns_of(
        user("x"), assistant(parts), user("y"), assistant("", refusal="never"), user("z")
    )
    assert (texts(turns[1]), texts(turns[3])) == (["no"], ["never"])


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", NEW])
def test_row_73_prefill_is_rejected_by_models_that_lost_it(model: str):
    error = rejection(model, messages=[user("x"), assistant("The answer is")])
    assert error.param == "messages"
    assert "continue" in error.message


def test_prefill_is_sent_without_white_space_at_its_end():
    translated = translate(OLD, messages=[user("x"), assistant("The answer is \n")])
    assert texts(translated.request.body["messages"][1]) == ["The answer is"]
    assert translated.report.emulated == ("messages[].content",)
    assert texts(turns_of(user("x"), assistant("A "), user("y"))[1]) == ["A "]


def test_names_are_reported():
    messages = [{**user("x"), "name": "jo"}, {**assistant("y"), "name": "bot"}, user("z")]
    assert translate(messages=messages).report.ignored == ("messages[].name",)


def test_spoken_answer_is_rejected():
    message = assistant(None, audio={"id": "audio_1"})
    assert rejection(messages=[user("x"), message, user("y")]).param == "messages[1].audio"


# --- parts -------------------------------------------------------------------------------------


def test_image_by_data_url():
    assert block_of(image(PNG)) == {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
    }


@pytest.mark.parametrize("url", ["https://example.org/a", "HTTP://example.org/a"])
def test_row_49_image_by_url_is_left_to_the_provider(url: str):
    assert block_of(image(url)) == {"type": "image", "source": {"type": "url", "url": url}}


@pytest.mark.parametrize(
    "url",
    [
        "gs://a/b.png",
        "file:///etc/passwd",
        "data:image/tiff;base64,AAAA",
        "data:image/png;base64,?",
    ],
)
def test_image_the_api_does_not_take_is_rejected(url: str):
    error = rejection(messages=[user([image(url)])])
    assert error.param == "messages[0].content[0].image_url.url"


def test_image_detail_is_reported():
    translated = translate(messages=[user([image(PNG, detail="low")])])
    assert translated.report.ignored == ("messages[].content[].image_url.detail",)
    assert translate(messages=[user([image(PNG, detail="auto")])]).report.ignored == ()


@pytest.mark.parametrize(
    "data",
    [f"data:application/pdf;base64,{PDF}", PDF, f"data:application/octet-stream;base64,{PDF}"],
    ids=["data-url", "bare", "untyped"],
)
def test_row_48_pdf_is_a_document(data: str):
    assert block_of(file(file_data=data, filename="a.pdf")) == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        "title": "a.pdf",
    }


@pytest.mark.parametrize(
    "data",
    ["data:text/markdown;charset=utf-8;base64,w7g=", "w7g=", "data:text/plain,%C3%B8", "w7g"],
    ids=["markdown", "bare", "percent", "unpadded"],
)
def test_text_file_is_a_plain_document(data: str):
    source = {"type": "text", "media_type": "text/plain", "data": "ø"}
    assert block_of(file(file_data=data)) == {"type": "document", "source": source}


def test_files_elsewhere():
    url = "https://example.org/a.pdf"
    assert block_of(file(file_data=url))["source"] == {"type": "url", "url": url}
    assert block_of(file(file_id="file_011CN"))["source"] == {
        "type": "file",
        "file_id": "file_011CN",
    }
    assert block_of(file(file_data=PNG))["type"] == "image"


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (file(file_id="file-abc"), "file.file_id"),
        (file(filename="a"), "file"),
        (file(file_data="data:application/zip;base64,UEs="), "file.file_data"),
        (file(file_data="data:text/plain;base64,/w=="), "file.file_data"),
        (file(file_data="not base64!"), "file.file_data"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, ""),
        ({"type": "video_url", "video_url": {"url": "https://example.org"}}, ""),
    ],
    ids=["openai-file", "nothing", "zip", "latin-1", "not-base64", "audio", "video"],
)
def test_part_without_counterpart_is_rejected_by_its_path(part: Json, param: str):
    error = rejection(messages=[user([{"type": "text", "text": "x"}, part])])
    assert error.param == f"messages[0].content[1]{'.' if param else ''}{param}"


def test_row_49_image_in_a_tool_result_is_kept():
    content = [{"type": "text", "text": "see"}, image(PNG)]
    turns = turns_of(user("x"), calls("a"), result("a", content))
    kinds = [block["type"] for block in turns[2]["content"][0]["content"]]
    assert kinds == ["text", "image"]


def test_image_of_the_assistant_is_rejected():
    error = rejection(messages=[user("x"), calls("a"), result("a"), assistant([image(PNG)])])
    assert error.param == "messages[3].content[0]"


# --- caching -----------------------------------------------------------------------------------


def test_row_56_cache_marks_are_passed_on():
    mark = {"type": "ephemeral", "ttl": "1h"}
    messages = [
        system([{"type": "text", "text": "a", "cache_control": mark}]),
        user([{"type": "text", "text": "b", "prompt_cache_breakpoint": {"mode": "explicit"}}]),
        {**calls("c"), "cache_control": mark},
        {**result("c"), "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
    ]
    tools = [{**WEATHER, "cache_control": mark}]
    translated = translate(messages=messages, tools=tools)
    body = translated.request.body
    assert problems_of(body) == []
    # A mark of five minutes may not stand before one of an hour.
    assert body["messages"][0]["content"][0]["cache_control"] == mark
    assert body["messages"][1]["content"][0]["cache_control"] == mark
    assert body["messages"][2]["content"][0]["cache_control"] == mark
    # Five marks: the API takes four, and the first one goes.
    assert body["system"][0]["cache_control"] == mark
    assert "cache_control" not in body["tools"][0]
    assert translated.report.ignored == translated.report.emulated == ("cache_control",)


@pytest.mark.parametrize(
    ("fields", "mark"),
    [
        ({"cache_control": {"type": "ephemeral"}}, {"type": "ephemeral"}),
        ({"prompt_cache_options": {"mode": "implicit"}}, {"type": "ephemeral"}),
        (
            {"prompt_cache_options": {"mode": "implicit", "ttl": "30m"}},
            {"type": "ephemeral", "ttl": "1h"},
        ),
        ({"prompt_cache_options": {"mode": "explicit"}}, None),
        ({"prompt_cache_retention": "24h"}, {"type": "ephemeral", "ttl": "1h"}),
        ({"prompt_cache_retention": "in_memory"}, {"type": "ephemeral"}),
    ],
    ids=["own", "implicit", "implicit-ttl", "explicit", "24h", "in_memory"],
)
def test_cache_options(fields: Json, mark: Json | None):
    translated = translate(**fields)
    assert translated.request.body.get("cache_control") == mark
    assert translated.report.ignored == ()


def test_unknown_fields_inside_messages_are_reported():
    part = {"type": "text", "text": "x", "new": 1}
    messages = [{**user([part]), "weight": 1, "nothing": None}]
    assert translate(messages=messages).report.ignored == (
        "messages[].weight",
        "messages[].content[].new",
    )

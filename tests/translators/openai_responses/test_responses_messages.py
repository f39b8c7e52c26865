"""Requests: the conversation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from responses_api import NEW, OLD, TRANSLATOR, WEATHER, input_of, rejection, translate

from tests.translators.chat_requests import MISFIT_RESULTS, PNG, calls, request_of, result, user
from tests.translators.steps import steps_of
from tests.translators.streams import Json

IMAGE = f"data:image/png;base64,{PNG}"
PDF = "JVBERi0xLjc="


def parts_of(*parts: Json) -> Any:
    return input_of(user(list(parts)))[0]["content"]


# --- content -----------------------------------------------------------------------------------


def test_row_47_instructions_stay_in_their_places():
    messages = [
        {"role": "system", "content": "Be brief."},
        user("Hi"),
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "assistant", "content": "Hello."},
        {"role": "system", "content": "Be quick."},
        user("Go"),
    ]
    items = input_of(*messages, model=OLD)
    assert [item["role"] for item in items] == [message["role"] for message in messages]
    assert items[2]["content"] == [{"type": "input_text", "text": "Be kind."}]
    assert items[4] == messages[4]


def test_row_48_row_49_parts_of_a_users_message():
    mark = {"mode": "explicit"}
    found = parts_of(
        {"type": "text", "text": "See.", "prompt_cache_breakpoint": mark},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": IMAGE, "detail": "high"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:text/plain,hello", "filename": "a.txt"}},
        {"type": "file", "file": {"file_data": "https://x.test/b.pdf", "filename": "b.pdf"}},
        {"type": "file", "file": {"file_data": "aGVsbG8="}},
    )
    pdf = f"data:application/pdf;base64,{PDF}"
    assert found == [
        {"type": "input_text", "text": "See.", "prompt_cache_breakpoint": mark},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": IMAGE, "detail": "high"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_data": pdf, "filename": "file.pdf"},
        {"type": "input_file", "file_data": pdf, "filename": "a.pdf"},
        {
            "type": "input_file",
            "file_data": "data:text/plain;base64,aGVsbG8=",
            "filename": "a.txt",
        },
        {"type": "input_file", "file_url": "https://x.test/b.pdf", "filename": "b.pdf"},
        {
            "type": "input_file",
            "file_data": "data:application/octet-stream;base64,aGVsbG8=",
            "filename": "file.bin",
        },
    ]


def test_row_46_row_57_empty_messages_are_kept():
    items = input_of(user(""), {"role": "assistant", "content": []}, user([]))
    assert [item["content"] for item in items] == ["", "", ""]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, "content[0]"),
        ({"type": "video_url", "video_url": {"url": "x"}}, "content[0]"),
        ({"type": "refusal", "refusal": "No."}, "content[0]"),
        ({"type": "image_url", "image_url": {"url": "gs://a/b.png"}}, "content[0].image_url.url"),
        ({"type": "file", "file": {}}, "content[0].file"),
        ({"type": "file", "file": {"file_data": "x"}}, "content[0].file.file_data"),
    ],
)
def test_part_without_counterpart_is_rejected_by_name(part: Json, param: str):
    assert rejection(messages=[user([part])]).param == f"messages[0].{param}"


def test_instruction_with_an_image_is_rejected():
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    messages = [{"role": "system", "content": [image]}, user("x")]
    assert rejection(messages=messages).param == "messages[0].content[0]"


def test_what_is_not_known_of_a_message_is_reported():
    image = {"url": IMAGE, "tiles": 4}
    content = [{"type": "image_url", "image_url": image, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "user", "name": "ann", "content": content, "priority": 1}]
    assert translate(messages=messages).report.ignored == (
        "messages[].priority",
        "messages[].name",
        "messages[].content[].cache_control",
        "messages[].content[].image_url.tiles",
    )


# --- earlier answers ---------------------------------------------------------------------------


def test_row_98_sources_of_an_earlier_answer_go_without_a_word():
    sources: Json = {"annotations": [{"type": "url_citation"}], "citations": [{"citation": {}}]}
    said: Json = {"role": "assistant", "content": "Fine."}
    translated = translate(OLD, messages=[user("x"), {**said, **sources}, user("y")])
    assert translated.request.body["input"][1] == said
    assert translated.report.ignored == ()


def test_earlier_answer_says_what_it_was_where_the_model_wants_to_know():
    answer = {**calls("a"), "content": "Let me see."}
    messages = [user("x"), answer, result("a"), {"role": "assistant", "content": "Fine."}]
    said = [item for item in input_of(*messages, model=NEW) if item.get("role") == "assistant"]
    assert said == [
        {"role": "assistant", "content": "Let me see.", "phase": "commentary"},
        {"role": "assistant", "content": "Fine.", "phase": "final_answer"},
    ]
    assert all("phase" not in item for item in input_of(*messages, model=OLD))


def test_refusals_and_several_texts():
    message = {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "I "},
            {"type": "text", "text": ""},
            {"type": "refusal", "refusal": "cannot"},
        ],
        "refusal": "No.",
    }
    (_, said, _) = input_of(user("x"), message, user("y"), model=OLD)
    assert said["content"] == [
        {"type": "output_text", "text": "I ", "annotations": []},
        {"type": "refusal", "refusal": "cannot"},
        {"type": "refusal", "refusal": "No."},
    ]
    assert (said["type"], said["role"], said["status"]) == ("message", "assistant", "completed")
    assert said["id"].startswith("msg_")


def test_answer_in_the_last_place_is_taken():
    assert input_of(user("x"), {"role": "assistant", "content": "So"}, model=OLD)[-1] == {
        "role": "assistant",
        "content": "So",
    }


def test_what_an_answer_cannot_hold_is_rejected():
    spoken: Json = {"role": "assistant", "content": None, "audio": {"id": "a"}}
    assert rejection(messages=[user("x"), spoken]).param == "messages[1].audio"
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    shown: Json = {"role": "assistant", "content": [image]}
    assert rejection(messages=[user("x"), shown]).param == "messages[1].content[0]"


# --- calls and results -------------------------------------------------------------------------


def test_row_17_row_18_row_19_calls_and_results():
    image = {"type": "image_url", "image_url": {"url": IMAGE}}
    custom = {"id": "c", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    answer = calls("a", "b", arguments='{"x":1}')
    answer["tool_calls"].append(custom)
    messages = [user("x"), answer, result("b", [image]), user("And?"), result("c"), result("a")]
    call = {"type": "function_call", "name": "get_weather", "arguments": '{"x":1}'}
    assert input_of(*messages, tools=[WEATHER])[1:] == [
        {**call, "call_id": "a"},
        {**call, "call_id": "b"},
        {"type": "custom_tool_call", "call_id": "c", "name": "shell", "input": "ls"},
        {
            "type": "function_call_output",
            "call_id": "b",
            "output": [{"type": "input_image", "image_url": IMAGE, "detail": "auto"}],
        },
        {"type": "custom_tool_call_output", "call_id": "c", "output": "fine"},
        {"type": "function_call_output", "call_id": "a", "output": "fine"},
        {"role": "user", "content": "And?"},
    ]


@pytest.mark.parametrize(
    ("arguments", "sent"), [("", "{}"), (" ", "{}"), ('{"a"', '{"a"'), ("[1]", "[1]")]
)
def test_row_16_arguments_are_sent_as_they_are(arguments: str, sent: str):
    items = input_of(user("x"), calls("a", arguments=arguments), result("a"))
    assert items[1]["arguments"] == sent


def test_row_21_row_100_long_ids_are_mapped_and_stay_apart():
    long = [letter * 80 for letter in "ab"]
    answer = calls(*long)
    answer["tool_calls"][0]["index"] = 0
    messages = [user("x"), answer, *(result(id) for id in long)]
    translated = translate(messages=messages)
    first, second, *results = translated.request.body["input"][1:]
    ids = [first["call_id"], second["call_id"]]
    assert len(set(ids)) == 2
    assert all(len(id) <= 64 for id in ids)
    assert [item["call_id"] for item in results] == ids
    assert input_of(*messages)[1]["call_id"] == ids[0]
    assert translated.report.emulated == ("messages[].tool_calls[].id",)
    kept = "c" * 64
    assert input_of(user("x"), calls(kept), result(kept))[1]["call_id"] == kept


def test_row_20_an_id_that_comes_again_gets_one_of_its_own():
    id = "c" * 64
    turn = [calls(id), result(id)]
    items = input_of(user("x"), *turn, *turn, *turn)
    ids = [item["call_id"] for item in items[1:]]
    assert ids[0::2] == ids[1::2]
    assert len(set(ids)) == 3
    assert all(len(found) <= 64 for found in ids)


def numbered(wanted: list[str]) -> list[str]:
    """Return the ids that calls get, by trying one number after the other."""
    used: list[str] = []
    for plain in wanted:
        id, number = plain, 1
        while id in used:
            number += 1
            id = f"{plain[: 63 - len(str(number))]}_{number}"
        used.append(id)
    return used


IDS = st.sampled_from(
    ["c", "c_2", "c_10", *(f"{'c' * (64 - len(end))}{end}" for end in ("", "a", "b", "_2", "_10"))]
)


@given(st.lists(IDS, min_size=1, max_size=40))
def test_row_20_numbers_are_the_first_that_are_free(ids: list[str]):
    items = input_of(user("x"), calls(*ids), *(result(id) for id in ids))
    assert [item["call_id"] for item in items[1 : len(ids) + 1]] == numbered(ids)


@pytest.mark.parametrize("form", ["one id", "one long id", "one stem", "many turns"])
def test_work_grows_with_the_calls_and_no_faster(form: str):
    def steps(number: int) -> int:
        ids = {
            "one id": ["c"] * number,
            "one long id": ["c" * 64] * number,
            "one stem": [f"{'c' * 58}{i:06}" for i in range(number // 2)] * 2,
            "many turns": [f"c{i}" for i in range(number)],
        }[form]
        turns = [[id] for id in ids] if form == "many turns" else [ids]
        messages = [m for t in turns for m in (calls(*t), *(result(id) for id in t))]
        chat = request_of(messages=[user("x"), *messages])
        return steps_of(lambda: TRANSLATOR.request(chat, model=NEW))

    assert steps(800) < 2.5 * steps(400)


def test_deprecated_calls():
    called = {"role": "assistant", "content": None} | {
        "function_call": {"name": "f", "arguments": ""}
    }
    messages = [user("x"), called, {"role": "function", "name": "f", "content": None}]
    translated = translate(messages=messages, functions=[{"name": "f"}])
    assert translated.request.body["input"][1:] == [
        {"type": "function_call", "call_id": "call_fc_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_fc_1", "output": ""},
    ]
    assert translated.report.ignored == ()


@pytest.mark.parametrize(("messages", "param"), MISFIT_RESULTS)
def test_row_95_results_that_do_not_fit_their_calls_are_rejected(messages: list[Json], param: str):
    assert rejection(messages=messages).param == param


def test_what_is_not_known_of_a_call_is_reported():
    answer = calls("a", provider_specific_fields={"x": 1})
    answer["tool_calls"][0]["function"]["depth"] = 1
    assert translate(messages=[user("x"), answer, result("a")]).report.ignored == (
        "messages[].tool_calls[].provider_specific_fields",
        "messages[].tool_calls[].function.depth",
    )


def test_calls_of_both_forms_in_one_answer():
    both = {**calls("a"), "function_call": {"name": "g", "arguments": "{}"}}
    answers = [result("a"), {"role": "function", "name": "g", "content": "2"}]
    items = input_of(user("x"), both, *answers)
    assert [item["call_id"] for item in items[1:]] == ["a", "call_fc_1", "a", "call_fc_1"]

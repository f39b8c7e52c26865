"""What a compatible server is sent: the client's own request, and the few things that differ."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.fidelity import Report
from translators.openai_chat.request import OpenAIChatOptions
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import HttpRequest, Translated
from translators.wire.request import parse_request

Json = dict[str, Any]

HELLO = {"model": "architect", "messages": [{"role": "user", "content": "Hi"}]}


def translate(model: str = "gpt-4.1", options: Json | None = None, **fields: Any) -> Any:
    translator = OpenAIChatTranslator(OpenAIChatOptions(**(options or {})))
    chat = parse_request(json.dumps({**HELLO, **fields}).encode())
    translated: Translated[HttpRequest] = translator.request(chat, model=model)
    assert translated.request.path == "/chat/completions"
    assert translated.request.headers == {}
    return translated


def sent(model: str = "gpt-4.1", options: Json | None = None, **fields: Any) -> Json:
    return translate(model, options, **fields).request.body


def test_row_74_the_model_is_the_targets_and_the_rest_is_the_clients():
    fields: Json = {
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 3,
        "stop": ["a", " "],
        "seed": 7,
        "logit_bias": {"50256": -100},
        "logprobs": True,
        "top_logprobs": 2,
        "user": "u",
        "metadata": {"k": "v"},
        "response_format": {"type": "json_object"},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "safety_identifier": "s",
        "moderation": {"model": "m"},
    }
    translated = translate("gpt-5.2", **fields)
    assert translated.request.body == {**HELLO, **fields, "model": "gpt-5.2"}
    assert translated.report == Report()


def test_row_54_row_55_row_80_every_field_and_every_unknown_field_is_passed_on():
    fields: Json = {"n": 2, "stop": "x", "top_k": 5, "guided_json": {"a": [1]}, "cache": None}
    assert sent(**fields) == {**HELLO, **fields, "model": "gpt-4.1"}
    assert translate(**fields).report == Report()


def test_row_56_cache_marks_go_where_the_client_sends_them():
    parts = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "user", "content": parts}]
    assert sent(messages=messages)["messages"] == messages


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.none() | st.floats(0, 2),
        "n": st.none() | st.integers(1, 8),
        "stop": st.none() | st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=4),
        "max_tokens": st.integers(1, 99),
        "x_unknown": st.dictionaries(st.text(max_size=3), st.none() | st.booleans(), max_size=2),
        "user": st.none() | st.text(max_size=5),
    },
)


@given(FIELDS)
def test_a_body_is_what_the_client_sent(fields: Json):
    assert sent("gpt-4.1", **fields) == {**HELLO, **fields, "model": "gpt-4.1"}


# the length limit


@pytest.mark.parametrize(
    "model",
    ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2", "gpt-5-mini", "gpt-6-astra",
     "gpt-12", "openai/gpt-5.6", "openai/o3", "ft:gpt-5-mini:acme::x", "azure/eu/gpt-5.2"],
)  # fmt: skip
def test_reasoning_models_get_the_limit_under_its_new_name(model: str):
    body = sent(model, max_tokens=5)
    assert body["max_completion_tokens"] == 5
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    "model",
    ["gpt-4.1", "gpt-4o", "gpt-3.5-turbo", "gpt-35-turbo", "chatgpt-4o-latest", "qwen3", "phi-4",
     "gpt-oss-120b", "mistral/olmo-7b", "llama-3.1-405b", "ft:gpt-4o:acme::x", "proto1"],
)  # fmt: skip
def test_other_models_get_the_limit_as_the_client_named_it(model: str):
    assert sent(model, max_tokens=5)["max_tokens"] == 5
    assert sent(model, max_completion_tokens=5)["max_completion_tokens"] == 5


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("given_as", ["max_tokens", "max_completion_tokens"])
def test_a_row_may_name_the_limit(field: str, given_as: str):
    body = sent("any", {"max_tokens_field": field}, **{given_as: 5})
    assert body == {**HELLO, "model": "any", field: 5}


def test_of_both_names_the_targets_own_counts():
    body = sent("o3", max_tokens=5, max_completion_tokens=7)
    assert body == {**HELLO, "model": "o3", "max_completion_tokens": 7}
    body = sent("o3", max_tokens=5, max_completion_tokens=None)
    assert body["max_completion_tokens"] == 5


def test_row_93_a_schema_goes_as_it_is():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "enum": [1, 2]}}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    assert sent(tools=tools)["tools"] == tools


# streams


def test_row_35_token_counts_are_asked_for_of_a_model_that_reasons_too():
    body = sent("gpt-5.2", stream=True, reasoning_effort="high")
    assert body["stream_options"] == {"include_usage": True}
    assert body["reasoning_effort"] == "high"


def test_row_58_token_counts_are_asked_for_whether_or_not_the_client_did():
    wanted = {"include_usage": True}
    assert sent(stream=True)["stream_options"] == wanted
    assert sent(stream=True, stream_options=None)["stream_options"] == wanted
    assert sent(stream=True, stream_options={"include_usage": False})["stream_options"] == wanted
    body = sent(stream=True, stream_options={"include_obfuscation": False, "x": 1})
    assert body["stream_options"] == {"include_obfuscation": False, "x": 1, "include_usage": True}


def test_a_server_that_refuses_stream_options_is_not_sent_any():
    assert "stream_options" not in sent("any", {"stream_usage": False}, stream=True)


def test_stream_options_without_a_stream_ask_for_nothing():
    assert "stream_options" not in sent(stream_options={"include_usage": True})
    assert "stream_options" not in sent(stream=False, stream_options={"include_usage": True})


# what other providers' answers carry

FOREIGN: Json = {
    "role": "assistant",
    "content": "x",
    "refusal": None,
    "reasoning_content": "hm",
    "reasoning": "hm",
    "reasoning_details": [{"index": 0}],
    "thinking_blocks": [{"type": "thinking"}],
    "provider_specific_fields": {"a": 1},
    "annotations": [{"type": "url_citation"}],
    "citations": [{"start_index": 0, "end_index": 1, "citation": {}}],
    "images": [{"index": 0}],
    "tool_calls": [
        {
            "id": "c",
            "index": 3,
            "type": "function",
            "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "s"}},
            "provider_specific_fields": {"b": 1},
        }
    ],
}
CLEAN = {
    "role": "assistant",
    "content": "x",
    "refusal": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def test_row_98_row_100_keys_of_other_providers_answers_are_stripped_and_reported():
    translated = translate(messages=[*HELLO["messages"], FOREIGN])
    assert translated.request.body["messages"] == [*HELLO["messages"], CLEAN]
    assert translated.report == Report(
        ignored=(
            "messages[].images",
            "messages[].provider_specific_fields",
            "messages[].reasoning",
            "messages[].reasoning_content",
            "messages[].reasoning_details",
            "messages[].thinking_blocks",
            "messages[].tool_calls[].extra_content",
            "messages[].tool_calls[].provider_specific_fields",
        )
    )


def test_row_100_an_index_and_empty_extensions_go_without_a_word():
    call = {"id": "c", "index": 0, "type": "function", "function": {"name": "f"}}
    message = {"role": "assistant", "tool_calls": [call], "reasoning_content": "", "images": []}
    translated = translate(messages=[message])
    del call["index"]
    assert translated.request.body["messages"] == [{"role": "assistant", "tool_calls": [call]}]
    assert translated.report == Report()


OWN_AUDIO = "audio_689d37b918708191a17f6a577df19b56"


@pytest.mark.parametrize("id", [OWN_AUDIO, "audio_1", "audio-0b2f7c1e-9a4d"])
def test_row_98_of_a_spoken_answer_the_id_goes_back_alone(id: str):
    spoken = {"id": id, "data": "UklG", "transcript": "Hi.", "expires_at": 1}
    message = {"role": "assistant", "content": None, "audio": spoken}
    translated = translate(messages=[*HELLO["messages"], message])
    assert translated.request.body["messages"][1] == {**message, "audio": {"id": id}}
    assert translated.report == Report()


@pytest.mark.parametrize(
    ("said", "sent_back"),
    [
        ({"content": "So."}, {"content": "So."}),
        ({"content": None}, {"content": "Hi."}),
        ({}, {"content": "Hi."}),
        ({"content": None, "refusal": "No."}, {"content": None, "refusal": "No."}),
    ],
)
@pytest.mark.parametrize("id", ["audio_x7dZaK-3", "audio_resp-1"])
def test_row_98_a_spoken_answer_of_anothers_is_left_out_and_reported(
    id: str, said: Json, sent_back: Json
):
    spoken = {"id": id, "data": "UklG", "transcript": "Hi.", "expires_at": 1}
    message = {"role": "assistant", **said, "audio": spoken}
    translated = translate(messages=[*HELLO["messages"], message])
    assert translated.request.body["messages"][1] == {"role": "assistant", **sent_back}
    assert translated.report == Report(ignored=("messages[].audio",))
    assert sent("any", {"message_extensions": "forward"}, messages=[message])["messages"] == [
        message
    ]


@pytest.mark.parametrize("transcript", ["", None, 7])
def test_a_spoken_answer_without_words_leaves_a_message_that_openai_takes(transcript: Any):
    spoken = {"id": "audio_x7dZaK", "transcript": transcript}
    message = {"role": "assistant", "content": None, "audio": spoken}
    assert sent(messages=[message])["messages"] == [{"role": "assistant", "content": ""}]


def test_an_answer_of_foreign_keys_alone_leaves_a_message_that_openai_takes():
    message = {"role": "assistant", "content": None, "reasoning_content": "hm"}
    assert sent(messages=[message])["messages"] == [{"role": "assistant", "content": ""}]


def test_a_row_may_have_them_forwarded():
    body = sent("any", {"message_extensions": "forward"}, messages=[FOREIGN])
    assert body["messages"] == [FOREIGN]


def test_messages_of_other_roles_and_unknown_keys_are_left_alone():
    messages = [
        {"role": "user", "content": "x", "images": ["a"], "reasoning": "b"},
        {"role": "assistant", "content": "x", "prefix": True},
    ]
    assert sent(messages=messages)["messages"] == messages


def test_the_clients_request_is_not_changed():
    chat = parse_request(json.dumps({**HELLO, "messages": [FOREIGN], "max_tokens": 5}).encode())
    before = chat.to_wire()
    OpenAIChatTranslator().request(chat, model="o3")
    assert chat.to_wire() == before

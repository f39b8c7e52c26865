"""Requests: the verdict on each field beside the conversation."""

from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from responses_api import NEW, OLD, PLAIN, TRANSLATOR, body_of, rejection, translate

from tests.translators.chat_requests import NEUTRAL, request_of, user
from tests.translators.streams import Json
from translators.openai_responses.fidelity import RULES
from translators.openai_responses.translator import OpenAIResponsesOptions
from translators.wire.request import ChatCompletionRequest

# --- fields ------------------------------------------------------------------------------------


def test_every_field_of_the_request_has_a_verdict():
    assert ChatCompletionRequest.model_fields.keys() <= RULES.keys()
    assert CompletionCreateParamsStreaming.__annotations__.keys() <= RULES.keys()


def test_least_request():
    assert body_of() == {
        "model": NEW,
        "input": [{"role": "user", "content": "Hi"}],
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"a": "b"}),
        ("moderation", {"model": "m", "policy": {"input": {"mode": "block"}}}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_options", {"mode": "explicit", "ttl": "30m"}),
        ("prompt_cache_retention", "24h"),
        ("safety_identifier", "s"),
        ("service_tier", "flex"),
        ("store", True),
        ("user", "u"),
    ],
)
def test_field_that_both_apis_have_is_carried_over(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.request.body == {**body_of(), field: value}
    assert translated.report.ignored == translated.report.emulated == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frequency_penalty", 0.5),
        ("prediction", {"type": "content", "content": "x"}),
        ("presence_penalty", -1),
        ("seed", 1),
        ("not_openai", 1),
    ],
)
def test_row_55_row_80_field_without_counterpart_is_ignored_and_reported(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.report.ignored == (field,)
    assert translated.request.body == body_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name, value in NEUTRAL if name != "service_tier"),
        ("temperature", 1),
        ("top_p", 1.0),
        ("parallel_tool_calls", True),
        ("top_logprobs", 0),
        ("reasoning", None),
    ],
)
def test_neutral_value_is_as_good_as_none(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.report.ignored == translated.report.emulated == ()
    assert translated.request.body == body_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"format": "wav", "voice": "alloy"}),
        ("logit_bias", {"1": 5}),
        ("modalities", ["text", "audio"]),
        ("stop", "END"),
        ("stop", [" "]),
    ],
)
def test_row_55_what_would_change_the_answer_is_rejected_by_name(field: str, value: Any):
    assert rejection(**{field: value}).param == field


def test_row_54_several_answers_take_several_requests():
    translated = translate(n=3)
    assert (translated.choices, translated.report.emulated) == (3, ("n",))
    assert translated.request.body == body_of()
    assert translate().choices == 1


def test_stream_comes_without_padding():
    body = body_of(stream=True, stream_options={"include_usage": True})
    assert (body["stream"], body["stream_options"]) == (True, {"include_obfuscation": False})
    padded = translate(stream=True, stream_options={"include_obfuscation": True})
    assert padded.request.body["stream_options"] == {"include_obfuscation": True}
    # Ours to the client are not padded.
    assert padded.report.ignored == ("stream_options.include_obfuscation",)
    assert "stream_options" not in body_of(stream_options={"include_usage": True})
    odd = translate(stream=True, stream_options={"every": 2})
    assert odd.report.ignored == ("stream_options.every",)


# --- limits, sampling, probabilities ---------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "limit", "ignored", "emulated"),
    [
        ({"max_tokens": 50}, 50, (), ()),
        ({"max_completion_tokens": 16}, 16, (), ()),
        ({"max_completion_tokens": 15}, 16, (), ("max_completion_tokens",)),
        ({"max_tokens": 1}, 16, (), ("max_tokens",)),
        ({"max_tokens": 50, "max_completion_tokens": 60}, 60, ("max_tokens",), ()),
        ({"max_tokens": 60, "max_completion_tokens": 60}, 60, (), ()),
        ({}, None, (), ()),
    ],
)
def test_length_limit(
    fields: Json, limit: int | None, ignored: tuple[str, ...], emulated: tuple[str, ...]
):
    translated = translate(**fields)
    assert translated.request.body.get("max_output_tokens") == limit
    assert (translated.report.ignored, translated.report.emulated) == (ignored, emulated)


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (PLAIN, None, True),
        ("ft:gpt-4.1-mini:org", None, True),
        ("chatgpt-4o-latest", None, True),
        ("gpt-5-chat-latest", None, True),
        ("my-deployment", None, True),
        (OLD, None, False),
        (OLD, "none", False),
        ("o3", None, False),
        ("ft:gpt-5-mini:org", None, False),
        ("openai/gpt-6-astra", None, False),
        ("gpt-5.1", None, False),
        ("gpt-5.1", "none", True),
        (NEW, "none", True),
    ],
)
def test_row_92_sampling_goes_to_the_models_that_take_it(model: str, effort: Any, sent: bool):
    translated = translate(model, temperature=0.3, top_p=0.5, reasoning_effort=effort)
    body = translated.request.body
    assert ({"temperature", "top_p"} <= body.keys()) is sent
    assert translated.report.ignored == (() if sent else ("temperature", "top_p"))


def test_logprobs():
    body = body_of(PLAIN, logprobs=True, top_logprobs=3)
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 3)
    assert body_of(PLAIN, logprobs=True)["top_logprobs"] == 0
    assert body_of(NEW, logprobs=True, reasoning_effort="none")["include"] == [
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
    ]
    for model in (OLD, NEW, "o3"):
        assert rejection(model, logprobs=True).param == "logprobs"
    assert translate(top_logprobs=3).report.ignored == ("top_logprobs",)


# --- reasoning -------------------------------------------------------------------------------


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_effort_is_carried_over(effort: str):
    assert body_of(reasoning_effort=effort)["reasoning"] == {"effort": effort}


def test_row_92_models_that_do_not_reason_are_not_asked_to():
    """ "Unsupported parameter: 'reasoning.effort'", "Encrypted content is not supported"."""
    hard = translate(PLAIN, reasoning_effort="high")
    assert hard.report.ignored == ("reasoning_effort",)
    assert hard.request.body == body_of(PLAIN)
    assert not {"include", "reasoning"} & hard.request.body.keys()
    assert translate(PLAIN, reasoning_effort="none").report.ignored == ()
    assert translate(PLAIN, reasoning={"effort": "low"}).report.ignored == ("reasoning",)


def test_summary_is_asked_for_where_the_operator_or_the_client_wants_it():
    auto = OpenAIResponsesOptions(reasoning_summary="auto")

    def reasoning(model: str = NEW, **fields: Any) -> Any:
        return translate(model, options=auto, **fields).request.body.get("reasoning")

    assert reasoning() == {"summary": "auto"}
    assert reasoning(reasoning_effort="low") == {"effort": "low", "summary": "auto"}
    assert reasoning(reasoning_effort="none") == {"effort": "none"}
    assert reasoning(PLAIN) is None
    assert reasoning(reasoning={"summary": "detailed"}) == {"summary": "detailed"}
    assert body_of(reasoning={"summary": "concise"})["reasoning"] == {"summary": "concise"}


def test_the_apis_own_reasoning_field():
    own = {"effort": "low", "context": "all_turns", "exclude": True, "summary": 7}
    translated = translate(reasoning=own, reasoning_effort="high")
    assert translated.request.body["reasoning"] == {"effort": "high", "context": "all_turns"}
    assert translated.report.ignored == (
        "reasoning.exclude",
        "reasoning.summary",
        "reasoning.effort",
    )
    assert translate(reasoning="much").report.ignored == ("reasoning",)


def test_encrypted_reasoning_can_be_asked_for_by_name():
    def include(model: str, wanted: bool | None) -> Any:
        options = OpenAIResponsesOptions(encrypted_reasoning=wanted)
        return translate(model, options=options).request.body.get("include")

    asked = ["reasoning.encrypted_content"]
    assert [include(OLD, wanted) for wanted in (None, True, False)] == [asked, asked, None]
    assert [include("deployment", wanted) for wanted in (None, True)] == [None, asked]


# --- the answer's form -----------------------------------------------------------------------


def test_row_44_row_45_json_schema_lies_flat():
    schema = {"type": "object", "properties": {"a": {"const": 1}}}
    wanted = {"name": "n", "description": "d", "schema": schema, "strict": True}
    text = body_of(response_format={"type": "json_schema", "json_schema": wanted})["text"]
    assert text == {"format": {"type": "json_schema", **wanted}}


def test_json_schema_is_as_strict_as_it_was():
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert body_of(response_format=form)["text"]["format"]["strict"] is False


def test_json_object_and_verbosity():
    body = body_of(response_format={"type": "json_object"}, verbosity="low")
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}


def test_json_schema_without_its_schema_is_rejected():
    error = rejection(response_format={"type": "json_schema"})
    assert error.param == "response_format.json_schema"


def test_what_is_not_known_of_a_form_is_reported():
    schema: Json = {"name": "n", "schema": {}, "depth": 1}
    form: Json = {"type": "json_schema", "json_schema": schema, "mode": 2}
    assert translate(response_format=form).report.ignored == (
        "response_format.mode",
        "response_format.json_schema.depth",
    )


# --- media -----------------------------------------------------------------------------------


def test_the_api_fetches_media_itself():
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    assert TRANSLATOR.media_to_fetch(request_of(messages=[user([image])])) == ()

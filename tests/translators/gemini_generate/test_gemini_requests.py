"""Requests: the verdict on each field beside the conversation."""

from typing import Any

import pytest
from gemini_api import FIXED, NEW, OLD, WEATHER, body_of, config_of, rejection, translate

from tests.translators.chat_requests import NEUTRAL, chat_of, user
from tests.translators.streams import Json
from translators.gemini_generate.fidelity import RULES
from translators.gemini_generate.translator import GeminiGenerateTranslator
from translators.json_contract import instruction
from translators.protocol import JsonContract
from translators.wire.request import ChatCompletionRequest

SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}}
JSON = "application/json"
SYSTEM: Json = {"role": "system", "content": "S"}
JSON_SCHEMA: Json = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}


def test_every_field_of_the_request_has_a_verdict():
    assert ChatCompletionRequest.model_fields.keys() <= RULES.keys()


@pytest.mark.parametrize(
    ("model", "stream", "path"),
    [
        ("gemini-x", False, "/v1beta/models/gemini-x:generateContent"),
        ("gemini-x", True, "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"),
        ("models/gemini-x", False, "/v1beta/models/gemini-x:generateContent"),
        ("tunedModels/mine", False, "/v1beta/tunedModels/mine:generateContent"),
        ("../x?key=y", False, "/v1beta/models/..%2Fx%3Fkey%3Dy:generateContent"),
    ],
)
def test_path(model: str, stream: bool, path: str):
    assert translate(model, stream=stream).request.path == path


def test_api_version_is_the_rows():
    chat = chat_of({"model": "p", "messages": [{"role": "user", "content": "x"}]})
    translated = GeminiGenerateTranslator(api_version="v1").request(chat, model="g")
    assert translated.request.path == "/v1/models/g:generateContent"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"a": "b"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("prompt_cache_key", "k"),
        ("prompt_cache_options", {"mode": "implicit"}),
        ("prompt_cache_retention", "24h"),
        ("safety_identifier", "x"),
        ("service_tier", "scale"),
        ("store", True),
        ("user", "x"),
        ("verbosity", "low"),
        ("reasoning", {"effort": "high"}),
        ("thinking", {"type": "enabled"}),
        ("top_logprobs", 2),
        ("not_openai", 1),
        ("extra_body", 7),
        ("google", 7),
    ],
)
def test_row_80_field_without_counterpart_is_ignored_and_reported(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.report.ignored == (field,)
    assert translated.request.body == body_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [*NEUTRAL, ("parallel_tool_calls", False), ("safety_settings", [])],
)
@pytest.mark.parametrize("model", [OLD, FIXED])
def test_neutral_value_is_as_good_as_none(field: str, value: Any, model: str):
    translated = translate(model, **{field: value})
    assert translated.report.ignored == translated.report.emulated == ()
    assert translated.request.body == body_of(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"format": "wav", "voice": "alloy"}),
        ("logit_bias", {"1": 1}),
        ("modalities", ["text", "audio"]),
        ("moderation", {"model": "m"}),
        ("safety_settings", {"category": "x"}),
        ("safety_settings", [7]),
        ("cached_content", 7),
        ("stop", ["a", "b", "c", "d", "e", "f"]),
    ],
)
def test_row_55_field_that_changes_the_answer_is_rejected(field: str, value: Any):
    error = rejection(**{field: value})
    assert error.param == field
    assert error.code == "unsupported_parameter"


def test_row_54_n_is_as_many_requests():
    translated = translate(n=3)
    assert (translated.choices, translated.report.emulated) == (3, ("n",))
    assert translated.request.body == body_of()
    assert translate(n=1).choices == translate().choices == 1


def test_generation_config():
    translated = translate(
        OLD,
        temperature=0.2,
        top_p=0.9,
        top_k=5,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        max_completion_tokens=7,
        stop="END",
        seed=3,
        logprobs=True,
        top_logprobs=4,
    )
    assert translated.request.body["generationConfig"] == {
        **{"maxOutputTokens": 7, "stopSequences": ["END"], "seed": 3},
        **{"temperature": 0.2, "topP": 0.9, "topK": 5},
        **{"frequencyPenalty": 0.5, "presencePenalty": -0.5},
        **{"responseLogprobs": True, "logprobs": 4},
    }
    assert translated.report.ignored == translated.report.emulated == ()


def test_row_53_without_a_limit_none_is_sent():
    assert "generationConfig" not in body_of()


@pytest.mark.parametrize(
    ("fields", "limit", "ignored"),
    [
        ({"max_tokens": 5}, 5, ()),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6, ("max_tokens",)),
        ({"max_tokens": 6, "max_completion_tokens": 6}, 6, ()),
    ],
    ids=["older", "both", "same"],
)
def test_limit_of_the_request(fields: Json, limit: int, ignored: tuple[str, ...]):
    translated = translate(**fields)
    assert translated.request.body["generationConfig"] == {"maxOutputTokens": limit}
    assert translated.report.ignored == ignored


def test_empty_stop_is_left_out_and_reported_but_white_space_is_one():
    translated = translate(stop=["\n\n", ""])
    assert translated.request.body["generationConfig"] == {"stopSequences": ["\n\n"]}
    assert translated.report.ignored == ("stop",)


def test_seed_is_folded_into_31_bits():
    translated = translate(seed=2**31 + 5)
    assert translated.request.body["generationConfig"] == {"seed": 5}
    assert translated.report.emulated == ("seed",)
    assert config_of(seed=-7) == {"seed": -7}


@pytest.mark.parametrize(
    "model",
    [
        FIXED,
        "gemini-3.5-flash-lite",
        "gemini-4-pro",
        "gemini-flash-latest",
        "models/gemini-3.8-pro",
    ],
)
def test_row_92_models_with_fixed_sampling_get_none(model: str):
    fields = {"temperature": 0.2, "top_p": 0.5, "top_k": 3}
    fields |= {"frequency_penalty": 0.5, "presence_penalty": 0.5}
    translated = translate(model, **fields)
    assert "generationConfig" not in translated.request.body
    assert set(translated.report.ignored) == fields.keys()
    assert translate(model, temperature=1, top_p=1).report.ignored == ()


@pytest.mark.parametrize("model", [OLD, NEW, "gemini-3.5-flash", "gemma-3-27b-it"])
def test_other_models_keep_their_sampling(model: str):
    assert config_of(model, temperature=1) == {"temperature": 1}


@pytest.mark.parametrize(
    ("tier", "native", "emulated"),
    [
        ("default", "standard", ()),
        ("flex", "flex", ()),
        ("priority", "priority", ()),
        ("fast", "priority", ("service_tier",)),
    ],
)
def test_service_tier(tier: str, native: str, emulated: tuple[str, ...]):
    translated = translate(service_tier=tier)
    assert translated.request.body["serviceTier"] == native
    assert translated.report.emulated == emulated


def test_googles_own_fields():
    settings = [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}]
    thinking = {"include_thoughts": True, "thinking_budget": 100}
    google = {"thinking_config": thinking, "cached_content": "cachedContents/a"}
    for fields in ({"extra_body": {"google": google}}, {"google": google}):
        translated = translate(OLD, safety_settings=settings, **fields)
        body = translated.request.body
        assert body["safetySettings"] == settings
        assert body["cachedContent"] == "cachedContents/a"
        assert body["generationConfig"] == {"thinkingConfig": thinking}
        assert translated.report.ignored == ()
    assert body_of(cached_content="cachedContents/b")["cachedContent"] == "cachedContents/b"
    both = translate(
        google={"thinking_config": {}, "x": 1}, extra_body={"y": 1}, reasoning_effort="low"
    )
    assert both.report.ignored == ("extra_body.y", "google.x", "reasoning_effort")
    assert rejection(google={"thinking_config": 7}).param == "google.thinking_config"


def test_stream_options():
    options = {"include_usage": True, "include_obfuscation": True, "new": 1}
    translated = translate(stream=True, stream_options=options)
    assert translated.report.ignored == (
        "stream_options.include_obfuscation",
        "stream_options.new",
    )


# --- reasoning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "native", "emulated"),
    [
        (NEW, "none", (False, "MINIMAL"), True),
        (NEW, "minimal", (True, "MINIMAL"), False),
        (NEW, "low", (True, "LOW"), False),
        (NEW, "medium", (True, "MEDIUM"), False),
        (NEW, "high", (True, "HIGH"), False),
        (NEW, "xhigh", (True, "HIGH"), True),
        (NEW, "max", (True, "HIGH"), True),
        ("gemini-3-pro-preview", "minimal", (True, "LOW"), True),
        ("gemini-3-pro-preview", "medium", (True, "HIGH"), True),
        ("gemini-3.1-pro-preview", "medium", (True, "MEDIUM"), False),
        ("gemini-3.7-flash", "minimal", (True, "LOW"), True),
        ("gemini-3.7-flash", "none", (False, "LOW"), True),
        (OLD, "none", (False, 0), False),
        (OLD, "minimal", (True, 512), True),
        (OLD, "low", (True, 1024), True),
        (OLD, "medium", (True, 8192), True),
        (OLD, "high", (True, 24576), True),
        (OLD, "max", (True, 24576), True),
        ("gemini-2.5-pro", "none", (False, 128), True),
        ("gemini-2.5-pro", "minimal", (True, 128), True),
    ],
)
def test_reasoning_effort(model: str, effort: str, native: tuple[bool, Any], emulated: bool):
    translated = translate(model, reasoning_effort=effort)
    field = "thinkingBudget" if isinstance(native[1], int) else "thinkingLevel"
    thinking = translated.request.body["generationConfig"]["thinkingConfig"]
    assert thinking == {"includeThoughts": native[0], field: native[1]}
    assert translated.report.emulated == (("reasoning_effort",) if emulated else ())
    assert translated.report.ignored == ()


@pytest.mark.parametrize(
    ("model", "effort", "ignored"),
    [
        ("gemini-2.0-flash", "none", ()),
        ("gemini-2.0-flash", "high", ("reasoning_effort",)),
        ("gemma-3-27b-it", "low", ("reasoning_effort",)),
        (NEW, "quantum", ("reasoning_effort",)),
    ],
)
def test_effort_that_says_nothing_there(model: str, effort: str, ignored: tuple[str, ...]):
    translated = translate(model, reasoning_effort=effort)
    assert "generationConfig" not in translated.request.body
    assert translated.report.ignored == ignored


# --- structured answers ------------------------------------------------------------------------


def test_row_45_structured_answers_are_native():
    assert config_of(response_format={"type": "json_object"}) == {
        "responseMimeType": "application/json"
    }
    translated = translate(response_format=JSON_SCHEMA)
    assert translated.request.body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert translated.report.ignored == translated.report.emulated == ()
    bare = {"type": "json_schema", "json_schema": {"name": "a", "strict": True}}
    assert config_of(response_format=bare) == {"responseMimeType": "application/json"}


def test_description_of_the_format_is_the_schemas():
    wanted = {**JSON_SCHEMA["json_schema"], "description": "Hi."}
    config = config_of(response_format={"type": "json_schema", "json_schema": wanted})
    assert config["responseJsonSchema"]["description"] == "Hi."


JSON_OBJECT: Json = {"type": "json_object"}


@pytest.mark.parametrize(
    ("model", "form", "mime", "schema"),
    [
        ("gemini-2.0-flash", JSON_SCHEMA, True, SCHEMA),
        ("gemma-3-27b-it", JSON_SCHEMA, False, SCHEMA),
        ("gemma-3-27b-it", JSON_OBJECT, False, None),
    ],
)
def test_row_41_what_the_model_cannot_keep_to_is_a_contract(
    model: str, form: Json, mime: bool, schema: Json | None
):
    translated = translate(model, response_format=form, messages=[SYSTEM, user("Hi")])
    body, contract = translated.request.body, translated.contract
    assert body.get("generationConfig", {}) == ({"responseMimeType": JSON} if mime else {})
    assert contract is not None
    assert contract == JsonContract(schema)
    assert body["systemInstruction"]["parts"] == [{"text": "S"}, {"text": instruction(contract)}]
    assert translated.report.emulated == ("response_format",)


@pytest.mark.parametrize("form", [JSON_SCHEMA, JSON_OBJECT])
@pytest.mark.parametrize("tools", [{"tools": [WEATHER]}, {"functions": [WEATHER["function"]]}])
def test_row_42_json_beside_tools_is_a_contract_where_the_model_has_no_such_thing(
    form: Json, tools: Json
):
    translated = translate(OLD, response_format=form, **tools)
    assert "generationConfig" not in translated.request.body
    assert translated.contract == JsonContract(form.get("json_schema", {}).get("schema"))
    assert translated.report.emulated == ("response_format",)
    newer = translate(NEW, response_format=form, **tools)
    assert newer.request.body["generationConfig"]["responseMimeType"] == JSON
    assert newer.contract is None
    assert newer.report.emulated == ()


def test_row_45_schema_that_cannot_be_told_is_a_contract():
    lost = {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": lost}}
    translated = translate(response_format=form)
    assert translated.contract == JsonContract(lost)
    assert translated.request.body["generationConfig"] == {"responseMimeType": JSON}
    assert translate(response_format=JSON_SCHEMA).contract is None

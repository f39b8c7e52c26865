"""Requests: the verdict on each field beside the conversation."""

import hashlib
from typing import Any

import pytest
from messages_api import WEATHER, body_of, rejection, translate
from native_schema import problems_of

from tests.translators.chat_requests import NEUTRAL, calls, result, user
from tests.translators.streams import Json
from translators.anthropic_messages.fidelity import RULES
from translators.wire.request import ChatCompletionRequest

OLD, NEW = "claude-haiku-4-5", "claude-opus-5-5"


# --- fields ------------------------------------------------------------------------------------


def test_every_field_of_the_request_has_a_verdict():
    assert ChatCompletionRequest.model_fields.keys() <= RULES.keys()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frequency_penalty", 0.5),
        ("metadata", {"a": "b"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("presence_penalty", -1),
        ("prompt_cache_key", "k"),
        ("seed", 1),
        ("service_tier", "flex"),
        ("store", True),
        ("verbosity", "low"),
        ("reasoning", {"effort": "high"}),
        ("not_openai", 1),
    ],
)
def test_row_80_field_without_counterpart_is_ignored_and_reported(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.report.ignored == (field,)
    assert translated.request.body == body_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [*NEUTRAL, ("temperature", 1), ("top_p", 1.0), ("parallel_tool_calls", True)],
)
def test_neutral_value_is_as_good_as_none(field: str, value: Any):
    translated = translate(**{field: value})
    assert translated.report.ignored == translated.report.emulated == ()
    assert translated.request.body == body_of()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"format": "wav", "voice": "alloy"}),
        ("logit_bias", {"1": 1}),
        ("logprobs", True),
        ("modalities", ["text", "audio"]),
        ("moderation", {"model": "m"}),
        ("top_logprobs", 2),
    ],
)
def test_row_55_field_that_changes_the_answer_is_rejected(field: str, value: Any):
    error = rejection(**{field: value})
    assert error.param == field
    assert error.code == "unsupported_parameter"


def test_row_54_n_is_asked_for_as_often():
    translated = translate(n=3)
    assert translated.choices == 3
    assert translated.report.emulated == ("n",)
    assert translated.request.body == body_of()
    assert translate().choices == 1


@pytest.mark.parametrize(
    ("model", "ceiling"),
    [
        ("claude-opus-5", 128_000),
        ("claude-sonnet-4-6", 128_000),
        ("claude-haiku-4-5-20251001", 64_000),
        ("claude-opus-4-1-20250805", 32_000),
        ("claude-sonnet-4-20250514", 64_000),
        ("claude-3-5-haiku-latest", 8_192),
        ("claude-3-opus-20240229", 4_096),
        ("anthropic.claude-opus-4-6-v1:0", 128_000),
        ("some-other-model", 32_000),
    ],
)
def test_row_53_without_a_limit_the_model_may_write_as_much_as_it_can(model: str, ceiling: int):
    assert body_of(model)["max_tokens"] == ceiling


@pytest.mark.parametrize(
    ("fields", "limit", "ignored"),
    [
        ({"max_tokens": 5}, 5, ()),
        ({"max_completion_tokens": 6}, 6, ()),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6, ("max_tokens",)),
        ({"max_tokens": 6, "max_completion_tokens": 6}, 6, ()),
        ({"max_tokens": 200_000}, 64_000, ()),
    ],
    ids=["older", "newer", "both", "same", "more than it can"],
)
def test_limit_of_the_request(fields: Json, limit: int, ignored: tuple[str, ...]):
    translated = translate(**fields)
    assert translated.request.body["max_tokens"] == limit
    assert translated.report.ignored == ignored


def test_row_50_stop_of_white_space_is_left_out_and_reported():
    translated = translate(stop=["\n\n", "END", ""])
    assert translated.request.body["stop_sequences"] == ["END"]
    assert translated.report.ignored == ("stop",)
    assert "stop_sequences" not in body_of(stop=" ")
    assert body_of(stop="END")["stop_sequences"] == ["END"]


def test_row_51_temperature_above_one_is_clamped_and_reported():
    translated = translate(OLD, temperature=1.7)
    assert translated.request.body["temperature"] == 1.0
    assert translated.report.emulated == ("temperature",)


def test_row_52_of_temperature_and_top_p_one_is_kept():
    translated = translate(OLD, temperature=0.2, top_p=0.9)
    assert translated.request.body["temperature"] == 0.2
    assert "top_p" not in translated.request.body
    assert translated.report.ignored == ("top_p",)
    assert body_of(OLD, top_p=0.9)["top_p"] == 0.9
    both = body_of("claude-3-5-sonnet-20240620", temperature=0.2, top_p=0.0)
    assert (both["temperature"], both["top_p"]) == (0.2, 0.0)


def test_top_p_of_zero_beside_temperature_is_reported():
    assert translate(OLD, temperature=0.2, top_p=0).report.ignored == ("top_p",)


@pytest.mark.parametrize("model", ["claude-opus-4-7", "claude-sonnet-5", NEW, "claude-nova-9"])
def test_row_92_models_without_sampling_get_none(model: str):
    translated = translate(model, temperature=0.2, top_p=0.5, top_k=3)
    assert not {"temperature", "top_p", "top_k"} & translated.request.body.keys()
    assert set(translated.report.ignored) == {"temperature", "top_p", "top_k"}
    assert translated.request.headers["anthropic-version"] == "2026-10-21"


@pytest.mark.parametrize(
    ("fields", "version"),
    [({}, "2026-10-21"), ({"temperature": 1}, "2026-10-21"), ({"top_k": 5}, "2023-06-01")],
    ids=["none", "default", "top_k"],
)
def test_older_version_is_asked_for_only_with_sampling(fields: Json, version: str):
    assert translate(OLD, **fields).request.headers == {"anthropic-version": version}


def test_compatible_server_gets_the_version_it_knows():
    translated = translate("deepseek-v4", temperature=0.3, top_p=0.5)
    assert translated.request.headers == {"anthropic-version": "2023-06-01"}
    assert translated.report.ignored == ()


def test_user_is_hashed():
    digest = hashlib.sha256(b"jo@example.org").hexdigest()
    translated = translate(user="jo@example.org")
    assert translated.request.body["metadata"] == {"user_id": digest}
    assert translated.report.emulated == ("user",)
    translated = translate(user="x", safety_identifier="jo@example.org")
    assert translated.request.body["metadata"] == {"user_id": digest}
    assert translated.report.emulated == ("safety_identifier",)
    assert translated.report.ignored == ("user",)


@pytest.mark.parametrize(
    ("tier", "native", "emulated"),
    [("default", "standard_only", True), ("priority", None, True), ("fast", None, True)],
)
def test_service_tier(tier: str, native: str | None, emulated: bool):
    translated = translate(service_tier=tier)
    assert translated.request.body.get("service_tier") == native
    assert translated.report.emulated == (("service_tier",) if emulated else ())


# --- reasoning ---------------------------------------------------------------------------------

SHOWN = {"type": "adaptive", "display": "summarized"}
BOUND = {"block_binding": {"prefix_mismatch_behavior": "drop_block"}, **SHOWN}


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "native", "emulated"),
    [
        ("claude-opus-4-7", "high", SHOWN, "high", False),
        ("claude-opus-4-7", "xhigh", SHOWN, "xhigh", False),
        ("claude-opus-4-6", "xhigh", SHOWN, "high", True),
        ("claude-opus-4-6", "max", SHOWN, "max", False),
        ("claude-opus-4-6", "minimal", SHOWN, "low", True),
        ("claude-opus-4-6", "none", {"type": "disabled"}, None, False),
        (NEW, "none", BOUND, "low", True),
        (NEW, None, BOUND, None, False),
        ("anthropic.claude-opus-5-5", None, SHOWN, None, False),
        ("claude-3-5-haiku-latest", "none", None, None, False),
        ("claude-opus-5", None, None, None, False),
        (OLD, "none", None, None, False),
    ],
)
def test_reasoning_effort(
    model: str, effort: str | None, thinking: Json | None, native: str | None, emulated: bool
):
    translated = translate(model, reasoning_effort=effort)
    body = translated.request.body
    assert problems_of(body) == []
    betas = translated.request.headers.get("anthropic-beta")
    assert (betas is not None) is ("block_binding" in (thinking or {}))
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == native
    assert translated.report.emulated == (("reasoning_effort",) if emulated else ())
    assert translated.report.ignored == ()


@pytest.mark.parametrize(
    ("effort", "limit", "budget"),
    [("minimal", 9000, 1024), ("high", 9000, 4096), ("max", 9000, 8999), ("low", 1025, 1024)],
)
def test_reasoning_effort_of_an_older_model_is_a_budget(effort: str, limit: int, budget: int):
    translated = translate(OLD, reasoning_effort=effort, max_tokens=limit)
    assert translated.request.body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert translated.report.emulated == ("reasoning_effort",)
    assert translated.report.ignored == ()


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("claude-3-5-haiku-latest", {}),
        (OLD, {"max_tokens": 1024}),
        (OLD, {"tools": [WEATHER], "tool_choice": "required"}),
        (OLD, {"tools": [WEATHER], "messages": [user("x"), calls("a"), result("a")]}),
    ],
    ids=["cannot think", "no room", "forced", "thoughtless loop"],
)
def test_reasoning_effort_that_cannot_be_is_reported(model: str, fields: Json):
    translated = translate(model, reasoning_effort="high", **fields)
    assert translated.report.ignored == ("reasoning_effort",)
    assert "thinking" not in translated.request.body
    if "tool_choice" in fields:
        assert translated.request.body["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("model", "own", "native", "emulated"),
    [
        ("claude-opus-4-8", {"type": "enabled", "budget_tokens": 2000}, SHOWN, True),
        ("claude-opus-4-6", {"type": "enabled", "budget_tokens": 2000}, None, False),
        (NEW, {"type": "disabled"}, BOUND, True),
        (OLD, {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 4096}, True),
        (OLD, {"type": "disabled"}, None, False),
    ],
)
def test_anthropic_thinking_of_another_generation_is_translated(
    model: str, own: Json, native: Json | None, emulated: bool
):
    translated = translate(model, thinking=own)
    assert translated.request.body["thinking"] == (own if native is None else native)
    assert translated.report.emulated == (("thinking",) if emulated else ())


def test_forced_call_and_thinking_exclude_each_other():
    translated = translate(
        "claude-opus-4-8", reasoning_effort="high", tools=[WEATHER], tool_choice="required"
    )
    assert "thinking" not in translated.request.body
    assert translated.request.body["output_config"] == {"effort": "high"}
    assert translated.report.emulated == ("reasoning_effort",)


def test_sampling_is_not_sent_beside_thinking():
    translated = translate("claude-opus-4-6", reasoning_effort="low", temperature=0.3)
    assert "temperature" not in translated.request.body
    assert translated.report.ignored == ("temperature",)


def test_anthropic_thinking_is_passed_on():
    own = {"type": "enabled", "budget_tokens": 2000}
    translated = translate(OLD, thinking=own, reasoning_effort="high", temperature=0.3)
    assert translated.request.body["thinking"] == own
    assert set(translated.report.ignored) == {"reasoning_effort", "temperature"}
    assert translate(OLD, thinking=7).report.ignored == ("thinking",)
    body = body_of("claude-opus-4-8", thinking={"type": "adaptive"}, reasoning_effort="low")
    assert body["output_config"] == {"effort": "low"}

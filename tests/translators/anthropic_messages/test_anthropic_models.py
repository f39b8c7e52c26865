"""What models accept, by the table and by the API's own word."""

from dataclasses import replace
from typing import Any

import pytest
from anthropic.types import ModelInfo

from proxy.sandbox.anthropic_messages.models import described
from tests.translators.chat_requests import request_of
from tests.translators.streams import Json
from translators.anthropic_messages.models import profile_from_info, profile_of
from translators.anthropic_messages.translator import AnthropicMessagesTranslator

NEW = "claude-opus-5-5"
MODELS = [
    "claude-3-5-haiku-latest",
    "claude-haiku-4-5",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-sonnet-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-fable-5-1",
    "claude-mythos-5-1",
]


@pytest.mark.parametrize("model", MODELS)
def test_what_the_api_says_is_what_the_table_says(model: str):
    info = described(model)
    told = profile_from_info(model, info)
    assert told == profile_of(model)


def supported(**names: bool) -> Json:
    return {name: {"supported": value} for name, value in names.items()}


def test_the_apis_word_counts():
    info: Json = {
        "id": NEW,
        "max_tokens": 9,
        "max_input_tokens": 99,
        "capabilities": {
            "effort": {"supported": True, **supported(low=True, max=False), "xhigh": None},
            "thinking": {
                "supported": True,
                "types": supported(adaptive=True, disabled=True, enabled=True),
            },
            **supported(structured_outputs=False),
            "server_tools": {"supported": True, **supported(web_search=False)},
        },
    }
    told = profile_from_info(NEW, info)
    assert (told.max_tokens, told.max_input_tokens) == (9, 99)
    assert told.efforts == {"low"}
    assert told.budgets and not told.always_thinks and not told.bound_thoughts
    assert not told.structured_outputs and not told.web_search
    # Of these the API says nothing.
    assert not told.forced_tools and told.late_system


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"max_tokens": None, "capabilities": None},
        {"max_tokens": True, "capabilities": {"effort": None, "thinking": 7}},
        {"capabilities": {"thinking": {"types": None}, "server_tools": {"supported": False}}},
    ],
)
def test_the_table_fills_in(info: Any):
    assert profile_from_info(NEW, info) == profile_of(NEW)


def test_model_that_does_not_think_adaptively_has_no_efforts():
    info = {"capabilities": {"thinking": {"types": supported(adaptive=False)}}}
    assert profile_from_info(NEW, info).efforts == frozenset()


def test_what_is_read_is_what_the_sdk_knows():
    assert {"max_tokens", "max_input_tokens", "capabilities"} <= ModelInfo.model_fields.keys()


@pytest.mark.parametrize(
    ("asked", "supported", "native"),
    [
        ("max", "low medium", "medium"),
        ("xhigh", "low medium high max", "high"),
        ("high", "low medium", "medium"),
        ("medium", "low high", "low"),
        ("medium", "high max", "high"),
        ("minimal", "medium high", "medium"),
        ("none", "medium high", "medium"),
        ("low", "low medium", "low"),
        ("max", "low max ultra", "max"),
        ("ultra", "low ultra", "ultra"),
    ],
)
def test_effort_is_the_next_lower_that_the_model_has(asked: str, supported: str, native: str):
    """What a request asks for is never raised, but to the lowest that there is."""
    profile = replace(profile_of(NEW), efforts=frozenset(supported.split()), always_thinks=True)
    translator = AnthropicMessagesTranslator(profiles=lambda _: profile)
    translated = translator.request(request_of(reasoning_effort=asked), model=NEW)
    assert translated.request.body["output_config"]["effort"] == native
    assert translated.report.emulated == (() if native == asked else ("reasoning_effort",))
    told = translator.request(
        request_of(reasoning_effort="max", thinking={"type": "disabled"}), model=NEW
    )
    assert told.request.body["output_config"]["effort"] in supported.split()

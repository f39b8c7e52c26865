"""What models accept, by the table and by the API's own word."""

from typing import Any

import pytest
from anthropic.types import ModelInfo

from proxy.sandbox.anthropic_messages.models import described
from tests.translators.streams import Json
from translators.anthropic_messages.models import profile_from_info, profile_of

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

"""What the CLI is told of a request."""

from typing import Any

import pytest

from translators.claude_agent.fidelity import RULES
from translators.claude_agent.request import profile_by_name
from translators.claude_agent.translator import ClaudeAgentTranslator
from translators.errors import TranslationError
from translators.protocol import Translated
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def translated(model: str = "claude-sonnet-5", **chat: Any) -> Translated[Any]:
    chat = {"model": "architect", "messages": [{"role": "user", "content": "Hi"}], **chat}
    request = ChatCompletionRequest.model_validate(chat)
    return ClaudeAgentTranslator().request(request, model=model)


def test_each_part_has_its_place():
    result = translated(
        messages=[
            {"role": "system", "content": "One."},
            {"role": "developer", "content": "Two."},
            {"role": "user", "content": "Hi"},
        ],
        tools=[TOOL],
        stop="END",
        max_tokens=5,
        stream=True,
    )
    request = result.request
    assert request.model == "claude-sonnet-5"
    assert request.system == ("One.", "Two.")
    assert request.turns == ({"role": "user", "content": [{"type": "text", "text": "Hi"}]},)
    assert request.tools == ("look",)
    assert request.extra == {
        "max_tokens": 5,
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        "stop_sequences": ["END"],
    }
    assert (result.report.ignored, result.report.emulated) == ((), ())


def test_a_later_instruction_is_a_text_of_the_users():
    result = translated(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Ho"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Go on"},
        ],
    )
    assert [turn["role"] for turn in result.request.turns] == ["user", "assistant", "user"]
    assert "messages[].role" in result.report.emulated


@pytest.mark.parametrize("model", ["claude-sonnet-5", "claude-3-5-sonnet-latest", "other-model"])
def test_the_last_turn_is_the_users_whatever_the_model(model: str):
    with pytest.raises(TranslationError):
        translated(
            model,
            messages=[
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "I think"},
            ],
        )


def test_the_web_is_not_searched():
    with pytest.raises(TranslationError) as caught:
        translated(web_search_options={"search_context_size": "low"})
    assert caught.value.param == "web_search_options"
    assert "claude_agent" in caught.value.message


def test_cache_marks_are_the_clis_own():
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "Hi", "cache_control": mark}
    result = translated(
        messages=[
            {"role": "system", "content": [part]},
            {"role": "user", "content": [part]},
            {
                "role": "assistant",
                "content": "Ho",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "look", "arguments": ""}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": [part]},
        ],
        tools=[{**TOOL, "cache_control": mark}],
        cache_control=mark,
    )
    assert "cache_control" not in str(result.request)
    assert "cache_control" in result.report.emulated
    assert translated().report.emulated == ()


def test_thoughts_that_are_bound_need_their_beta():
    assert "thinking-binding" in translated("claude-opus-5-5").request.betas
    assert translated("claude-sonnet-5").request.betas == ""


def test_an_alias_is_the_newest_of_its_family():
    assert profile_by_name("opus").always_thinks
    assert not profile_by_name("sonnet").compatible
    assert profile_by_name("gpt-oss").compatible


def test_several_answers_and_checked_json_are_left_to_the_proxy():
    result = translated(n=3, response_format={"type": "json_object"})
    assert result.choices == 3
    assert result.contract is not None


def test_every_rule_has_a_reason_where_something_is_lost():
    lost = [rule for rule in RULES.values() if rule.verdict in ("ignored", "rejected")]
    assert all(rule.reason for rule in lost)

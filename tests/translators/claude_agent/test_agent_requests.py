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


@pytest.mark.parametrize("options", [{}, {"search_context_size": "low"}])
def test_the_web_is_not_searched(options: Json):
    with pytest.raises(TranslationError) as caught:
        translated(web_search_options=options)
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
    assert result.report.emulated == (
        "cache_control",
        "messages[].content[].cache_control",
        "tools[].cache_control",
    )
    assert translated().report.emulated == ()


def test_a_life_that_the_clis_marks_do_not_have_is_reported():
    mark = {"type": "ephemeral", "ttl": "1h"}
    report = translated(cache_control=mark).report
    assert (report.ignored, report.emulated) == (("cache_control.ttl",), ("cache_control",))
    report = translated(prompt_cache_options={"ttl": "30m"}).report
    assert report.ignored == ("prompt_cache_options.ttl",)
    assert report.emulated == ("prompt_cache_options",)
    assert translated(cache_control={**mark, "ttl": "5m"}).report.ignored == ()
    late = translated(prompt_cache_retention="24h").report
    assert (late.ignored, late.emulated) == (("prompt_cache_retention",), ())


def test_a_tool_of_an_unknown_type_is_refused_whatever_it_holds():
    with pytest.raises(TranslationError) as caught:
        translated(tools=[{"type": "other", "function": {"name": "look"}}])
    assert caught.value.param == "tools[0].type"


def test_more_marks_than_the_api_takes_are_not_missed():
    parts = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 6
    report = translated(messages=[{"role": "user", "content": parts}]).report
    assert report.ignored == ()


IMAGE: Json = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def test_images_that_the_cli_would_change_are_laid_over_its_call():
    messages: list[Json] = [
        {"role": "user", "content": [IMAGE]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And?"},
    ]
    request = translated(messages=messages).request
    *earlier, last = request.extra["messages"]
    assert earlier == list(request.turns[:-1])
    assert last["content"][0].pop("cache_control") == {"type": "ephemeral"}
    assert last == request.turns[-1]


@pytest.mark.parametrize("url", ["https://example.com/a.png", None])
def test_other_turns_are_told_once(url: str | None):
    part = (
        {"type": "image_url", "image_url": {"url": url}} if url else {"type": "text", "text": "x"}
    )
    result = translated(messages=[{"role": "user", "content": [part]}])
    assert "messages" not in result.request.extra


def test_the_turns_are_not_laid_over_several_calls():
    """Each would be the first one again, and the results of tools would be lost."""
    chat = ChatCompletionRequest.model_validate(
        {"model": "architect", "messages": [{"role": "user", "content": [IMAGE]}]}
    )
    request = ClaudeAgentTranslator(runs=True).request(chat, model="claude-sonnet-5").request
    assert "messages" not in request.extra


@pytest.mark.parametrize(
    ("model", "fields", "sent", "ignored"),
    [
        ("claude-sonnet-4-0", {"top_p": 0.5}, {"top_p": 0.5}, ()),
        ("claude-sonnet-4-5", {"top_p": 0.5}, {}, ("top_p",)),
        ("claude-sonnet-4-5", {"top_p": 0.5, "temperature": 1}, {}, ("top_p",)),
        (
            "claude-sonnet-4-5",
            {"top_p": 0.5, "temperature": 0.2},
            {"temperature": 0.2},
            ("top_p",),
        ),
        ("other-model", {"top_p": 0.5}, {"top_p": 0.5}, ()),
    ],
)
def test_top_p_is_sent_where_it_may_stand_beside_the_clis_temperature(
    model: str, fields: Json, sent: Json, ignored: tuple[str, ...]
):
    result = translated(model, **fields)
    extra = result.request.extra
    assert {name: extra[name] for name in ("temperature", "top_p") if name in extra} == sent
    assert result.report.ignored == ignored


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

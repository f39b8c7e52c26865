"""What the CLI was told is in its call, or the first thing that is not is named."""

from typing import Any

import pytest

from translators.claude_agent.request import AgentRequest
from translators.claude_agent.told import difference

Json = dict[str, Any]

USER: Json = {"role": "user", "content": [{"type": "text", "text": "Weather?"}]}
CALLS: Json = {
    "role": "assistant",
    "content": [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
    ],
}
RESULT: Json = {
    "role": "user",
    "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": []}],
}
TOOL: Json = {"name": "weather", "input_schema": {"type": "object"}}
REQUEST = AgentRequest(
    "claude-sonnet-5",
    ("Be brief.", "Be kind."),
    (USER, CALLS, RESULT),
    ("weather",),
    {"max_tokens": 9, "tools": [TOOL], "stop_sequences": ["END"]},
)


def body(**changes: Any) -> Json:
    sent: Json = {
        "model": "claude-sonnet-5",
        "system": [{"type": "text", "text": "Claude agent."}, {"type": "text", "text": "Be brief."}]
        + [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "messages": [USER, CALLS, RESULT],
        "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
        "max_tokens": 9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "x"},
        "stream": True,
    }
    return {**sent, **changes}


def with_input(**given: Any) -> Json:
    text, call = CALLS["content"]
    return {**CALLS, "content": [text, {**call, "input": given}]}


REMINDER: Json = {"role": "system", "content": "<reminder>"}
HINT: Json = {"type": "text", "text": "<reminder>"}

FAITHFUL: dict[str, Json] = {
    "as it was told": body(),
    "one text for the prompt": body(system="Claude agent.\nBe brief.\n\nBe kind."),
    "a reminder behind the turns": body(messages=[USER, CALLS, RESULT, REMINDER]),
    "a reminder within a turn": body(
        messages=[{**USER, "content": [HINT, *USER["content"]]}, CALLS, RESULT]
    ),
    "a turn's only text as such": body(
        messages=[{"role": "user", "content": "Weather?"}, CALLS, RESULT]
    ),
}
UNFAITHFUL: dict[str, tuple[Json, str]] = {
    "model": (body(model="claude-opus-5"), "the model"),
    "prompt": (body(system=[{"type": "text", "text": "Be brief."}]), "the system prompt"),
    "tools": (body(tools=[]), "a tool"),
    "first turn": (body(messages=[CALLS, RESULT]), "turn 0"),
    "order of turns": (body(messages=[USER, RESULT, CALLS]), "turn 1"),
    "arguments": (body(messages=[USER, with_input(city="Rome"), RESULT]), "turn 1"),
    "block": (
        body(messages=[USER, {**CALLS, "content": CALLS["content"][:1]}, RESULT]),
        "turn 1",
    ),
    "order of blocks": (
        body(messages=[USER, {**CALLS, "content": CALLS["content"][::-1]}, RESULT]),
        "turn 1",
    ),
    "last turn": (body(messages=[USER, CALLS]), "turn 2"),
    "a turn too many": (body(messages=[USER, CALLS, RESULT, USER]), "turn 3"),
    "no turns": (body(messages=None), "turn 0"),
    "a parameter": (body(stop_sequences=[]), "`stop_sequences`"),
    "another parameter": (body(max_tokens=32_000), "`max_tokens`"),
    "a changed schema": (body(tools=[{**TOOL, "input_schema": {}}]), "`tools`"),
}


@pytest.mark.parametrize("case", FAITHFUL)
def test_a_call_may_say_more(case: str):
    assert difference(FAITHFUL[case], REQUEST) is None


@pytest.mark.parametrize("case", UNFAITHFUL)
def test_a_call_may_not_say_less(case: str):
    sent, what = UNFAITHFUL[case]
    assert difference(sent, REQUEST) == what


def test_an_alias_is_the_clis_to_resolve():
    alias = AgentRequest("sonnet", (), (USER,), (), {})
    assert difference(body(messages=[USER]), alias) is None


@pytest.mark.parametrize("odd", [None, 1, "text", [1, None], {"a": 1}])
def test_odd_bodies_are_unfaithful_and_no_crash(odd: Any):
    assert difference(body(messages=odd), REQUEST) == "turn 0"
    assert difference(body(tools=odd), REQUEST) == "a tool"
    assert difference(body(system=odd), REQUEST) == "the system prompt"

"""When a provider of OpenAI's two APIs turns to the second one."""

from typing import Any

import pytest

from policy.schema import ProviderRow
from proxy.providers.api_choice import MOST_LEARNED, ApiChoice, Likeness, is_referral
from proxy.providers.openai_chat import create
from translators.errors import ProviderError
from translators.wire.request import ChatCompletionRequest

Json = dict[str, Any]
_OLDER = (
    "Function tools with reasoning_effort are not supported for m in /v1/chat/completions. Please "
    "use /v1/responses instead."
)


@pytest.mark.parametrize(
    ("status", "message", "referred"),
    [
        (400, _OLDER, True),
        (400, "To use function tools, use /v1/responses or set reasoning_effort to 'none'.", True),
        (404, "This model is only supported in v1/responses and not in v1/chat/completions.", True),
        (500, _OLDER, False),
        (400, "Invalid value: '/v1/responses'. Supported values are: 'auto'.", False),
        (400, "Unsupported parameter: 'max_tokens' is not supported with this model.", False),
    ],
)
def test_referrals_are_known_by_status_and_words(status: int, message: str, referred: bool) -> None:
    error = ProviderError(message, kind="invalid", status=status)
    assert is_referral(error) is referred


_MESSAGES: list[tuple[Json, bool]] = [
    (
        {"reasoning_details": [{"type": "reasoning.encrypted", "format": "openai-responses-v1"}]},
        True,
    ),
    ({"reasoning_details": [{"type": "reasoning.text", "format": "anthropic-claude-v1"}]}, False),
    ({"reasoning_details": "x"}, False),
    ({"tool_calls": [{"extra_content": {"openai": {"reasoning_items": [{}]}}}]}, True),
    ({"tool_calls": [{"extra_content": {"google": {"thought_signature": "x"}}}]}, False),
    ({"tool_calls": [{}]}, False),
]


@pytest.mark.parametrize(("message", "begun"), _MESSAGES)
def test_what_responses_has_begun_goes_on_there_at_openai(message: Json, begun: bool) -> None:
    function = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "x", **message}
    if "tool_calls" in message:
        message["tool_calls"] = [{"id": "c1", **function, **call} for call in message["tool_calls"]]
    request = ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "x"}, message]}
    )
    nobody: Any = None
    there = ApiChoice(nobody, nobody, at_openai=True).dialect(request, model="m")
    assert there == ("openai_responses" if begun else "openai_chat")
    assert ApiChoice(nobody, nobody).dialect(request, model="m") == "openai_chat"


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://api.openai.com/v1", True),
        ("https://eu.api.openai.com/v1", True),
        ("https://notapi.openai.com.example.com/v1", False),
        ("https://api.openai.com.example.com/v1", False),
        ("https://xapi.openai.com/v1", False),
        ("http://localhost:11434/v1", False),
    ],
)
def test_openai_is_known_by_its_host(url: str, there: bool) -> None:
    row = ProviderRow(dialect="openai_chat", base_url=url, model="m")
    client: Any = None
    choice = create(row, key=None, client=client)
    assert isinstance(choice, ApiChoice)
    assert choice.at_openai is there


def test_what_is_learned_is_bounded() -> None:
    nobody: Any = None
    choice = ApiChoice(nobody, nobody)
    for number in range(MOST_LEARNED + 5):
        choice.learn(Likeness(str(number), tools=True, effort=None))
    assert len(choice.learned) == MOST_LEARNED
    assert Likeness("4", tools=True, effort=None) not in choice.learned
    assert Likeness("5", tools=True, effort=None) in choice.learned

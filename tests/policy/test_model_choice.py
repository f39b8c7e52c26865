"""A caller's own choice of model."""

import pytest

from policy.decision import decide
from policy.model_choice import with_model
from policy.schema import Policy
from proxy.config import load_policy
from translators.errors import InvalidRequest, NoProvider
from translators.wire.request import ChatCompletionRequest


@pytest.fixture
def policy() -> Policy:
    return load_policy(None, {})


def targets(policy: Policy, persona: str, **unavailable: str) -> list[tuple[str, str]]:
    chat = ChatCompletionRequest.model_validate(
        {"model": persona, "messages": [{"role": "user", "content": "?"}]}
    )
    decision = decide(chat, policy, unavailable)
    return [(target.provider, target.model) for target in decision.targets]


def test_a_model_is_asked_of_every_provider_of_the_persona_that_has_it(policy: Policy) -> None:
    chosen = with_model(policy, "architect", "claude-sonnet-5")
    assert targets(chosen, "architect") == [
        ("claude_agent", "claude-sonnet-5"),
        ("anthropic", "claude-sonnet-5"),
    ]
    assert targets(chosen, "architect", claude_agent="no key") == [("anthropic", "claude-sonnet-5")]


def test_a_provider_can_be_named_with_it(policy: Policy) -> None:
    chosen = with_model(policy, "architect", "openai/gpt-5.2")
    assert targets(chosen, "architect") == [("openai", "gpt-5.2")]


def test_nobody_else_is_asked_when_the_only_one_is_away(policy: Policy) -> None:
    chosen = with_model(policy.replace(default_provider="anthropic"), "architect", "openai/gpt-5.2")
    with pytest.raises(NoProvider):
        targets(chosen, "architect", openai="no key")


@pytest.mark.parametrize(
    "model",
    ["gpt-9", "openai/gpt-9", "local/qwen3", "nobody/gpt-5.2", "openai/", "/", "a/b/c"],
)
def test_what_the_policy_does_not_have_is_refused_with_what_it_has(
    policy: Policy, model: str
) -> None:
    with pytest.raises(InvalidRequest, match="openai/gpt-5.2") as caught:
        with_model(policy, "architect", model)
    assert (caught.value.param, caught.value.status_hint) == ("model", 404)


def test_a_policy_of_direct_models_takes_any_model_of_the_personas_providers(
    policy: Policy,
) -> None:
    direct = policy.replace(allow_direct_models=True)
    assert targets(with_model(direct, "architect", "openai/gpt-9"), "architect") == [
        ("openai", "gpt-9")
    ]
    with pytest.raises(InvalidRequest):
        with_model(direct, "architect", "local/qwen3")


def test_the_rest_of_the_policy_and_of_the_persona_stays(policy: Policy) -> None:
    chosen = with_model(policy, "reviewer", "gpt-5.2")
    assert chosen.personas["architect"] == policy.personas["architect"]
    assert chosen.personas["reviewer"].system_prompt == policy.personas["reviewer"].system_prompt
    assert chosen.personas["reviewer"].prompt is not None

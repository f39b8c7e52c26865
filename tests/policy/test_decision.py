"""Which targets serve a request, what was passed over, and what an error says."""

import dataclasses
from typing import Any

import pytest

from policy.decision import Decision, Rejection, decide, weigh
from policy.schema import Persona, Policy, Preference, ProviderRow, Target, Timeouts
from translators.errors import NoProvider, UnknownPersona
from translators.wire.request import ChatCompletionRequest

LIMITS = Timeouts(first_token=7)


def row(model: str, *capabilities: str, **more: Any) -> ProviderRow:
    return ProviderRow(
        dialect="openai_chat",
        base_url="http://x/v1",
        model=model,
        capabilities=("system_prompts", "streaming", *capabilities),
        timeouts=LIMITS,
        **more,
    )


def policy(**more: Any) -> Policy:
    parts: dict[str, Any] = {
        "providers": {
            "big": row("big-1", "vision", "tool_calling", "json_mode"),
            "small": row(
                "small-1", "tool_calling", models={"small-eye": {"capabilities": ["vision"]}}
            ),
            "spare": row("spare-1", "vision"),
        },
        "personas": {
            "architect": Persona(
                requires=("system_prompts",),
                provider_preferences=(
                    Preference(provider="small"),
                    Preference(provider="big", model="big-2"),
                ),
            ),
            "architect_big": Persona(provider_preferences=(Preference(provider="big"),)),
            "json": Persona(
                provider_preferences=(Preference(provider="small"), Preference(provider="big")),
                parameters={"response_format": {"type": "json_object"}},
            ),
        },
    }
    return Policy(**{**parts, **more})


POLICY = policy()
ALL: dict[str, str | None] = {"big": None, "small": None, "spare": None}
NO_KEY = "no API key: set BIG_KEY"


def chat(model: str = "architect", *content: dict[str, Any], **fields: Any) -> Any:
    messages = [{"role": "user", "content": list(content) or "hello"}]
    return ChatCompletionRequest.model_validate({"model": model, "messages": messages, **fields})


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
SMALL = Target("small", "small-1", LIMITS)
BIG = Target("big", "big-2", LIMITS)


def test_preferences_are_kept_in_order() -> None:
    assert decide(chat(), POLICY, ALL) == Decision(
        persona="architect",
        targets=(SMALL, BIG),
        reason="first preference",
        required={"system_prompts": "the persona requires it"},
        candidates=POLICY.candidates["architect"],
    )


def test_row_74_each_provider_is_asked_for_its_own_model() -> None:
    targets = decide(chat(), POLICY, ALL).targets
    assert [(t.provider, t.model) for t in targets] == [("small", "small-1"), ("big", "big-2")]


def test_a_target_carries_the_rows_time_limits() -> None:
    assert all(target.timeouts is LIMITS for target in decide(chat(), POLICY, ALL).targets)


def test_a_candidate_that_cannot_is_passed_over() -> None:
    decision = decide(chat("architect", IMAGE), POLICY, ALL)
    assert decision.targets == (BIG,)
    assert decision.reason == "the best preference that qualifies"
    assert decision.rejected == (
        Rejection(
            "small",
            "small-1",
            "missing_capabilities",
            ("vision",),
            "it lacks `vision` (messages[0].content[0])",
        ),
    )
    assert decision.required == {
        "system_prompts": "the persona requires it",
        "vision": "messages[0].content[0]",
    }


def test_all_candidates_are_in_the_decision_in_the_order_of_preference() -> None:
    decision = decide(chat("architect", IMAGE), POLICY, ALL)
    assert [one.target for one in decision.candidates] == [SMALL, BIG]


def test_where_nobody_qualifies_the_decision_says_whom_it_considered() -> None:
    decision = weigh(chat(), POLICY, {**ALL, "small": NO_KEY, "big": NO_KEY})
    assert decision.targets == ()
    assert decision.reason == "nobody qualifies"
    assert [one.provider for one in decision.rejected] == ["small", "big"]
    assert [one.target for one in decision.candidates] == [SMALL, BIG]
    assert not decision.gates_set_aside


def test_a_candidate_that_is_not_available_is_passed_over() -> None:
    decision = decide(chat(), POLICY, {**ALL, "big": NO_KEY})
    assert decision.targets == (SMALL,)
    assert decision.reason == "first preference"
    assert decision.rejected == (Rejection("big", "big-2", "unavailable", (), NO_KEY),)


def test_lacking_counts_before_being_unavailable() -> None:
    decision = decide(chat("architect", IMAGE), POLICY, {**ALL, "small": NO_KEY})
    (rejection,) = decision.rejected
    assert rejection.reason == "missing_capabilities"
    assert rejection.detail == f"it lacks `vision` (messages[0].content[0]); {NO_KEY}"


def test_a_models_own_capabilities_count() -> None:
    persona = Persona(provider_preferences=(Preference(provider="small", model="small-eye"),))
    own = policy(personas={"eye": persona})
    assert decide(chat("eye", IMAGE), own, ALL).targets[0].model == "small-eye"
    with pytest.raises(NoProvider, match="it lacks `tool_calling`"):
        decide(chat("eye", tools=[{"type": "function", "function": {"name": "f"}}]), own, ALL)


def test_a_personas_parameters_need_something_too() -> None:
    decision = decide(chat("json"), POLICY, ALL)
    assert decision.targets[0].provider == "big"
    assert decision.required == {"json_mode": "response_format"}
    # … unless the caller says otherwise.
    decision = decide(chat("json", response_format={"type": "text"}), POLICY, ALL)
    assert decision.targets[0].provider == "small"


def test_a_personas_system_prompt_needs_something_too() -> None:
    dull = row("dull-1").model_copy(update={"capabilities": ("streaming",)})
    persona = Persona(provider_preferences=(Preference(provider="dull"),), system_prompt="Be.")
    with pytest.raises(NoProvider, match="lacks `system_prompts` .the persona has a system prompt"):
        decide(chat("p"), policy(providers={"dull": dull}, personas={"p": persona}), {"dull": None})


class TestDefaultProvider:
    def test_it_is_the_last_resort(self) -> None:
        decision = decide(chat(), policy(default_provider="spare"), ALL)
        assert [t.provider for t in decision.targets] == ["small", "big", "spare"]
        assert decision.reason == "first preference"

    def test_it_serves_alone(self) -> None:
        unavailable = {**ALL, "big": NO_KEY, "small": NO_KEY}
        decision = decide(chat(), policy(default_provider="spare"), unavailable)
        assert [t.provider for t in decision.targets] == ["spare"]
        assert decision.reason.startswith("the default provider is the last resort")

    def test_it_must_qualify(self) -> None:
        tools = [{"type": "function", "function": {"name": "f"}}]
        decision = decide(chat(tools=tools), policy(default_provider="spare"), ALL)
        assert [t.provider for t in decision.targets] == ["small", "big"]
        assert [(r.provider, r.missing) for r in decision.rejected] == [
            ("spare", ("tool_calling",))
        ]

    def test_it_is_not_asked_twice(self) -> None:
        decision = decide(chat(), policy(default_provider="big"), ALL)
        assert [t.provider for t in decision.targets] == ["small", "big"]


class TestNoProvider:
    def test_nobody_is_available(self) -> None:
        with pytest.raises(NoProvider) as raised:
            decide(chat(), POLICY, {**ALL, "big": NO_KEY, "small": "it sleeps"})
        assert str(raised.value) == (
            "No provider satisfies requirements for persona 'architect', which are: "
            "system_prompts (the persona requires it). Candidates: `small` (small-1): it sleeps; "
            "`big` (big-2): no API key: set BIG_KEY."
        )
        assert (raised.value.status_hint, raised.value.param) == (503, None)

    def test_nobody_can(self) -> None:
        with pytest.raises(NoProvider) as raised:
            decide(chat("architect", {"type": "text", "text": "x"}, AUDIO), POLICY, ALL)
        assert raised.value.status_hint == 400
        assert raised.value.param == "messages[0].content[1]"
        assert str(raised.value).startswith("No provider satisfies requirements for persona")
        assert str(raised.value).count("it lacks `audio` (messages[0].content[1])") == 2

    def test_one_could_but_is_not_available(self) -> None:
        with pytest.raises(NoProvider) as raised:
            decide(chat("architect", IMAGE), POLICY, {**ALL, "big": NO_KEY})
        assert raised.value.status_hint == 503
        assert raised.value.param is None

    def test_the_fault_may_be_the_personas(self) -> None:
        persona = Persona(requires=("pdf",), provider_preferences=(Preference(provider="big"),))
        with pytest.raises(NoProvider) as raised:
            decide(chat("p"), policy(personas={"p": persona}), ALL)
        assert raised.value.param is None


class TestUnknownPersona:
    @pytest.mark.parametrize("name", ["archtect", "ARCHITECT", "architekt"])
    def test_near_names_are_listed(self, name: str) -> None:
        with pytest.raises(UnknownPersona) as raised:
            decide(chat(name), POLICY, ALL)
        text = str(raised.value)
        assert "`architect`" in text.partition("Did you mean")[2]
        assert f"No provider satisfies requirements for persona '{name}'" in text
        assert "GET /v1/models" in text
        assert raised.value.to_wire()["error"] == {
            "message": text,
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
        assert raised.value.status_hint == 404

    def test_it_is_a_value_error(self) -> None:
        with pytest.raises(ValueError, match="gpt-4"):
            decide(chat("gpt-4"), POLICY, ALL)

    def test_a_long_or_odd_name_is_shortened(self) -> None:
        with pytest.raises(UnknownPersona) as raised:
            decide(chat("x\n\x1b" + "y" * 100_000), POLICY, ALL)
        assert len(str(raised.value)) < 500
        assert str(raised.value).isprintable()


class TestDirectModels:
    def test_they_are_off_by_default(self) -> None:
        with pytest.raises(UnknownPersona, match="allow_direct_models: true"):
            decide(chat("big/big-9"), POLICY, ALL)

    def test_provider_and_model(self) -> None:
        rules = policy(allow_direct_models=True)
        decision = decide(chat("big/org/big-9"), rules, ALL)
        assert decision == Decision(
            persona="big/org/big-9",
            targets=(Target("big", "org/big-9", LIMITS),),
            reason="the model was named directly",
            candidates=(rules.candidate("big", "org/big-9"),),
        )

    @pytest.mark.parametrize("name", ["nobody/x", "big/", "/x", "big"])
    def test_other_names_stay_unknown(self, name: str) -> None:
        with pytest.raises(UnknownPersona):
            decide(chat(name), policy(allow_direct_models=True), ALL)

    def test_the_default_provider_does_not_stand_in(self) -> None:
        own = policy(allow_direct_models=True, default_provider="spare")
        with pytest.raises(NoProvider, match="persona 'big/big-1'") as raised:
            decide(chat("big/big-1"), own, {**ALL, "big": NO_KEY})
        assert raised.value.status_hint == 503


def test_decisions_are_frozen_and_do_not_change_the_request() -> None:
    request = chat("json")
    before = request.model_dump()
    decision = decide(request, POLICY, ALL)
    assert request.model_dump() == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.reason = "x"  # pyright: ignore[reportAttributeAccessIssue]


# Live gates

FAILS = "success_rate is 50 %, not >= 90 %"


def test_a_provider_that_a_gate_holds_back_is_passed_over() -> None:
    decision = decide(chat(), POLICY, ALL, {("small", "small-1"): FAILS})
    assert [target.provider for target in decision.targets] == ["big"]
    assert decision.rejected == (Rejection("small", "small-1", "gate", (), FAILS),)
    assert decision.reason == "the best preference that qualifies"
    assert not decision.gates_set_aside


def test_where_all_that_qualify_are_held_back_they_are_asked_all_the_same() -> None:
    decision = decide(chat(), POLICY, ALL, {("small", "small-1"): FAILS, ("big", "big-2"): FAILS})
    assert [target.provider for target in decision.targets] == ["small", "big"]
    assert decision.rejected == ()
    assert decision.gates_set_aside
    assert "asked all the same" in decision.reason


def test_what_cannot_serve_is_no_way_out_of_a_gate() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
    decision = decide(chat("architect", image), POLICY, ALL, {("big", "big-2"): FAILS})
    assert [target.provider for target in decision.targets] == ["big"]
    assert [(r.provider, r.reason) for r in decision.rejected] == [
        ("small", "missing_capabilities")
    ]
    assert decision.gates_set_aside
    away: dict[str, str | None] = {**ALL, "big": NO_KEY}
    with pytest.raises(NoProvider) as raised:
        decide(chat("architect", image), POLICY, away, {("big", "big-2"): FAILS})
    assert FAILS not in str(raised.value)


def test_the_last_resort_comes_before_those_that_are_held_back() -> None:
    found = decide(
        chat(),
        policy(default_provider="spare"),
        ALL,
        {("small", "small-1"): FAILS, ("big", "big-2"): FAILS},
    )
    assert [target.provider for target in found.targets] == ["spare"]
    assert "last resort" in found.reason
    assert [r.reason for r in found.rejected] == ["gate", "gate"]


@pytest.mark.parametrize("default", [None, "spare", "big"])
@pytest.mark.parametrize("model", ["architect", "architect_big", "json", "small/x"])
@pytest.mark.parametrize("fields", [{}, {"stream": True}, {"n": 2}, {"logprobs": True}])
@pytest.mark.parametrize("missing", [None, "big", "spare"])
def test_who_can_all_serve_is_chosen_as_if_each_was_looked_at(
    default: str | None, model: str, fields: dict[str, Any], missing: str | None
) -> None:
    whole = policy(default_provider=default, allow_direct_models=True)
    availability = {name: NO_KEY if name == missing else None for name in ALL}
    somebody_else = {("nobody", "x"): "it fails"}
    asked = chat(model, **fields)
    assert weigh(asked, whole, availability) == weigh(asked, whole, availability, somebody_else)

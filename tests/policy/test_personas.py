"""What a persona makes of a request."""

from typing import Any

import pytest

from policy.personas import apply
from policy.schema import Persona, Preference
from translators.wire.request import ChatCompletionRequest

PREFERENCES = (Preference(provider="openai"),)
USER = {"role": "user", "content": "hello"}


def persona(**fields: Any) -> Persona:
    return Persona(provider_preferences=PREFERENCES, **fields)


def chat(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "p", "messages": [USER], **fields})


def test_the_system_prompt_comes_first() -> None:
    own = {"role": "system", "content": "mine"}
    made = apply(chat(messages=[own, USER]), persona(system_prompt="theirs"))
    assert made.to_wire()["messages"] == [{"role": "system", "content": "theirs"}, own, USER]


@pytest.mark.parametrize(
    ("parameters", "given", "sent"),
    [
        ({"temperature": 0.3}, {}, {"temperature": 0.3}),
        ({"temperature": 0.3}, {"temperature": 0}, {"temperature": 0}),
        ({"temperature": 0.3}, {"temperature": None}, {"temperature": 0.3}),
        ({"temperature": None}, {}, {}),
        ({"max_completion_tokens": 9}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 9}, {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_tokens": 9}, {"max_completion_tokens": None}, {"max_tokens": 9}),
        ({"stop": ["x"], "seed": 1}, {"seed": 2}, {"stop": ["x"], "seed": 2}),
        (
            {"response_format": {"type": "json_object"}},
            {},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {}},
                }
            },
            {},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {}},
                }
            },
        ),
    ],
)
def test_the_callers_parameters_win(
    parameters: dict[str, Any], given: dict[str, Any], sent: dict[str, Any]
) -> None:
    made = apply(chat(**given), persona(parameters=parameters)).to_wire()
    del made["model"], made["messages"]
    assert {name: value for name, value in made.items() if value is not None} == sent


def test_unknown_fields_of_the_caller_stay() -> None:
    assert apply(chat(top_k=3), persona(system_prompt="x")).to_wire()["top_k"] == 3


def test_the_callers_request_is_not_changed() -> None:
    request = chat()
    before = request.to_wire()
    own = persona(system_prompt="x", parameters={"seed": 1})
    first, second = apply(request, own), apply(request, own)
    assert request.to_wire() == before
    assert first == second
    assert len(second.messages) == 2


def test_without_anything_to_add_nothing_is_made() -> None:
    request = chat()
    assert apply(request, persona()) is request
    assert apply(request, None) is request

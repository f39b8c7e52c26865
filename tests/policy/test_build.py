"""Documents to a policy: merging, defaults, prompts; errors together, and no secret repeated."""

from typing import Any

import pytest

from policy.build import capability_table
from policy.document import parse
from policy.errors import PolicyError
from tests.policy.building import made, persona, provider, refused
from translators.wire.request import ResponseFormat


def test_the_text_of_an_error() -> None:
    (error,) = refused("personas:\n  p:\n    provider_preferences: [opnai]\n")
    assert str(error) == (
        "my.yaml:3: personas.p.provider_preferences[0]: unknown provider `opnai`. "
        "Did you mean `openai`? Known: `anthropic`, `openai`."
    )


def test_all_errors_are_reported_at_once() -> None:
    errors = refused(
        "personas:\n"
        "  a:\n"
        "    provider_preferences: [opnai, antropic]\n"
        "    requires: [visoin]\n"
        "    system_prompt_file: nowhere.md\n"
        "    parameters: {temprature: 1, seed: x, model: y}\n"
        "  b/c: {}\n"
        "providers:\n"
        "  openai: {api_key: x, base_url: y}\n"
    )
    assert [(error.line, error.key) for error in errors] == [
        (3, "personas.a.provider_preferences[0]"),
        (3, "personas.a.provider_preferences[1]"),
        (4, "personas.a.requires[0]"),
        (5, "personas.a.system_prompt_file"),
        (6, "personas.a.parameters.model"),
        (6, "personas.a.parameters.seed"),
        (6, "personas.a.parameters.temprature"),
        (7, "personas.b/c"),
        (9, "providers.openai.api_key"),
        (9, "providers.openai.base_url"),
    ]


def test_an_error_of_a_shipped_row_names_the_shipped_file() -> None:
    (error,) = refused("providers:\n  openai:\n    dialect: anthropic_messages\n    pool: 2\n")
    assert (error.source, error.line, error.key) == ("my.yaml", 4, "providers.openai.pool")


SECRET = "sk-live-4f9a8b7c6d5e4f3a"


@pytest.mark.parametrize(
    "text",
    [
        provider(f"api_key: {SECRET}"),
        provider(f"API_KEY: {SECRET}"),
        provider(f"token: {SECRET}"),
        provider(f"api_key_env: {SECRET}"),
        provider(f"api_key_env: [{SECRET}]"),
        provider(f"headers: {{x-mine: {SECRET}}}"),
        provider(f"headers: {{Authorization: Bearer {SECRET}}}"),
        provider(f"headers: {{X-Other: Bearer {SECRET}}}"),
        provider(f"base_url: https://{SECRET}@x/"),
        provider(f"base_url: https://me:{SECRET}@x/"),
        provider(f"model: {SECRET}"),
        provider(f"dialect: {SECRET}"),
        provider(f"capabilities: [{SECRET}]"),
        persona(f"requires: [{SECRET}]"),
        persona(f"system_prompt: The key is {SECRET}, tell nobody."),
        persona(f"system_prompt_file: {SECRET}"),
        persona(f"parameters: {{user: {SECRET}}}"),
        f"default_provider: {SECRET}\n",
        f"client_keys: [{{name: x, sha256: {SECRET}}}]\n",
        f"client_keys: [{{name: x, key: {SECRET}}}]\n",
        f"personas:\n  p:\n    provider_preferences: [{SECRET}]\n",
    ],
)
def test_a_key_in_the_file_is_refused_and_never_repeated(text: str) -> None:
    errors = refused(text)
    assert any("environment variable" in e.remedy for e in errors)
    for error in errors:
        assert "4f9a8b7c" not in str(error) + repr(error) + str(error.to_wire())


@pytest.mark.parametrize(
    "key", ["AIzaSyA1234567890abcdefghij", "gsk_abcdefghijklmnop", "sk-ant-api03-abcdefgh"]
)
def test_forms_of_keys(key: str) -> None:
    assert key not in str(refused(provider(f"query: {{k: {key}}}")))


@pytest.mark.parametrize("text", ["You know sk-learn well.", "Send `Bearer <token>`.", "task-list"])
def test_prompts_may_speak_of_keys(text: str) -> None:
    assert made(persona(f"system_prompt: '{text}'")).personas["p"].system_prompt == text


class TestMerging:
    def test_personas_alone(self) -> None:
        policy = made("personas:\n  mine:\n    provider_preferences: [openai]\n")
        assert list(policy.personas) == ["mine"]
        assert set(policy.providers) == {"openai", "anthropic"}

    def test_providers_alone(self) -> None:
        policy = made("providers:\n  openai:\n    model: gpt-5-mini\n")
        assert list(policy.personas) == ["architect"]
        row = policy.providers["openai"]
        assert (row.model, row.dialect) == ("gpt-5-mini", "openai_chat")
        assert row.base_url == "https://api.openai.com/v1"
        assert row.api_key_env == ("EP_OPENAI_API_KEY", "OPENAI_API_KEY")

    def test_tables_in_a_row_are_merged(self) -> None:
        limits = made(provider("timeouts: {idle: 9}")).providers["openai"].timeouts
        assert (limits.connect, limits.idle, limits.first_token) == (3.0, 9.0, 120.0)

    def test_a_new_row_is_a_new_provider(self) -> None:
        policy = made(
            "providers:\n  mine: {dialect: openai_chat, base_url: 'http://x/v1', model: m}\n"
        )
        row = policy.providers["mine"]
        assert (row.api_key_env, row.capabilities) == ((), ("streaming",))

    def test_an_empty_file_changes_nothing(self) -> None:
        assert made("") == made("# nothing\n")


class TestCapabilities:
    def test_the_row_wins(self) -> None:
        row = made(provider("capabilities: [system_prompts, tools]")).providers["openai"]
        assert row.capabilities == ("system_prompts", "tool_calling")

    def test_then_the_table(self) -> None:
        assert made("").providers["openai"].capabilities == ("vision", "streaming")

    def test_then_the_least(self) -> None:
        assert made("").providers["anthropic"].capabilities == ("system_prompts", "streaming")

    def test_none_is_none(self) -> None:
        assert made(provider("capabilities: []")).providers["openai"].capabilities == ()

    def test_a_wrong_table(self) -> None:
        with pytest.raises(PolicyError) as raised:
            capability_table(parse("providers:\n  openai: [visoin]\n", "capabilities.yaml"))
        assert str(raised.value) == (
            "capabilities.yaml:2: providers.openai[0]: unknown capability `visoin`. "
            "Did you mean `vision`?"
        )


def test_prompts_are_read() -> None:
    policy = made(persona("system_prompt_file: prompt.md"))
    assert policy.personas["p"].system_prompt == "Be helpful.\n"
    assert policy.personas["p"].system_prompt_file == "prompt.md"


def test_parameters_are_what_a_request_would_hold() -> None:
    text = persona("parameters: {temperature: 1, seed: null, response_format: {type: json_object}}")
    parameters: dict[str, Any] = made(text).personas["p"].parameters
    assert parameters == {"temperature": 1.0, "response_format": ResponseFormat(type="json_object")}


def test_client_keys() -> None:
    key = made(f"client_keys: [{{name: ci, sha256: {'AB' * 32}, personas: [architect]}}]\n")
    assert key.client_keys[0].sha256 == "ab" * 32
    assert key.client_keys[0].personas == ("architect",)
    assert "abab" not in repr(key)


GUIDE = [
    "personas:\n  my_custom_persona:\n    requires: [system_prompts]\n"
    "    provider_preferences: [anthropic, openai]\n",
    "providers:\n  openai:\n"
    "    capabilities: [system_prompts, tool_calling, json_mode, vision, streaming]\n",
]


@pytest.mark.parametrize("text", GUIDE)
def test_blocks_like_the_guides_load(text: str) -> None:
    assert made(text)

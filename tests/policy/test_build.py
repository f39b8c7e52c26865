"""Documents to a policy: every error has its file, line, key and remedy; no secret is repeated."""

from typing import Any

import pytest

from policy.build import CapabilityTable, build, capability_table, merged
from policy.document import parse
from policy.errors import PolicyError
from policy.schema import Policy
from translators.wire.request import ResponseFormat

SHIPPED = """\
providers:
  openai:
    dialect: openai_chat
    base_url: https://api.openai.com/v1/
    api_key_env: [EP_OPENAI_API_KEY, OPENAI_API_KEY]
    model: gpt-5.2
    timeouts: {connect: 3, idle: 20}
  anthropic:
    dialect: anthropic_messages
    base_url: https://api.anthropic.com
    api_key_env: ANTHROPIC_API_KEY
    model: claude-sonnet-5
personas:
  architect:
    provider_preferences: [anthropic, openai]
"""
TABLE = CapabilityTable(
    providers={"openai": ("vision", "streaming")}, dialects={"openai_chat": ("streaming",)}
)


def read(name: str) -> str:
    texts = {"prompt.md": "Be helpful.\n", "empty.md": " \n"}
    if name == "latin.md":
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    if name not in texts:
        raise FileNotFoundError(2, "No such file or directory", name)
    return texts[name]


def made(text: str) -> Policy:
    document = merged(parse(SHIPPED, "shipped.yaml"), parse(text, "my.yaml"))
    return build(document, capabilities=TABLE, read_prompt=read)


def refused(text: str) -> tuple[PolicyError, ...]:
    with pytest.raises(PolicyError) as raised:
        made(text)
    return raised.value.errors


def persona(line: str) -> str:
    return f"personas:\n  p:\n    provider_preferences: [openai]\n    {line}\n"


def provider(line: str) -> str:
    return f"providers:\n  openai:\n    {line}\n"


HASH = "a" * 64

ERRORS: list[tuple[str, int, str, str, str]] = [
    # text, line, key, part of the problem, part of the remedy
    (
        "personas:\n  p:\n    provider_preferences:\n      - anthropic\n      - opnai\n",
        5,
        "personas.p.provider_preferences[1]",
        "unknown provider `opnai`",
        "Did you mean `openai`? Known: `anthropic`, `openai`.",
    ),
    (
        "personas:\n  p:\n    provider_preferences:\n      - {provider: antropic, model: x}\n",
        4,
        "personas.p.provider_preferences[0].provider",
        "unknown provider `antropic`",
        "Did you mean `anthropic`?",
    ),
    (
        "personas:\n  p:\n    provider_preferences: [{provider: openai, mdel: x}]\n",
        3,
        "personas.p.provider_preferences[0].mdel",
        "unknown key `mdel`",
        "Did you mean `model`?",
    ),
    (
        "personas:\n  p:\n    provider_preferences: []\n",
        3,
        "personas.p.provider_preferences",
        "the list is empty",
        "Name at least one provider.",
    ),
    (
        "personas:\n  p:\n    provider_preferences: [openai, openai]\n",
        3,
        "personas.p.provider_preferences[1]",
        "`openai` stands here twice",
        "Remove one.",
    ),
    ("personas:\n  p:\n    requires: []\n", 2, "personas.p", "`provider_preferences`", "Add it."),
    ("personas:\n  p:\n", 2, "personas.p", "must be a valid dictionary", ""),
    ("personas: [architect]\n", 1, "personas", "must be a valid dictionary", ""),
    ("\nproviders: {openai: null}\n", 2, "providers.openai", "must be a valid dictionary", ""),
    (
        persona("requires: [visoin]"),
        4,
        "personas.p.requires[0]",
        "unknown capability `visoin`",
        "Did you mean `vision`?",
    ),
    (
        persona("requires: [flying]"),
        4,
        "personas.p.requires[0]",
        "unknown capability `flying`",
        "The capabilities are `system_prompts`",
    ),
    (persona("requires: vision"), 4, "personas.p.requires", "must be a valid tuple", ""),
    (
        persona("requirs: [vision]"),
        4,
        "personas.p.requirs",
        "unknown key `requirs`",
        "Did you mean `requires`?",
    ),
    (
        persona("system_prompt_file: nowhere.md"),
        4,
        "personas.p.system_prompt_file",
        "cannot read the file `nowhere.md` (No such file or directory)",
        "relative to the folder of the policy file",
    ),
    (persona("system_prompt_file: empty.md"), 4, "personas.p.system_prompt_file", "empty", ""),
    (
        persona("system_prompt_file: latin.md"),
        4,
        "personas.p.system_prompt_file",
        "not UTF-8 text",
        "Save it as UTF-8.",
    ),
    (
        persona("system_prompt_file: prompt.md\n    system_prompt: x"),
        4,
        "personas.p.system_prompt_file",
        "there is a `system_prompt` as well",
        "Keep one of the two.",
    ),
    (persona("system_prompt: ' '"), 4, "personas.p.system_prompt", "is empty", "leave the key"),
    (persona("system_prompt: 7"), 4, "personas.p.system_prompt", "must be a valid string", ""),
    (
        persona("parameters: {temprature: 0.3}"),
        4,
        "personas.p.parameters.temprature",
        "unknown key `temprature`",
        "Did you mean `temperature`?",
    ),
    (
        persona("parameters: {temperature: '0.3'}"),
        4,
        "personas.p.parameters.temperature",
        "must be a valid number",
        "",
    ),
    (persona("parameters: {temperature: 3}"), 4, "personas.p.parameters.temperature", "≤", ""),
    (
        persona("parameters: {response_format: {type: json}}"),
        4,
        "personas.p.parameters.response_format.type",
        "'json_object'",
        "",
    ),
    (
        persona("parameters: {model: gpt-5.2}"),
        4,
        "personas.p.parameters.model",
        "`model` cannot be a default",
        "Name models in `provider_preferences`",
    ),
    (persona("parameters: {messages: []}"), 4, "personas.p.parameters.messages", "default", "sys"),
    (persona("parameters: {stream: true}"), 4, "personas.p.parameters.stream", "default", "caller"),
    (
        "personas:\n  a/b:\n    provider_preferences: [openai]\n",
        2,
        "personas.a/b",
        "this cannot be a name",
        "Use letters, digits",
    ),
    (
        "personas:\n  '':\n    provider_preferences: [openai]\n",
        2,
        "personas.",
        "this cannot be a name",
        "Use letters, digits",
    ),
    (
        "providers:\n  mine:\n    dialect: openai_chat\n",
        2,
        "providers.mine",
        "`base_url` is missing",
        "Add it.",
    ),
    (
        provider("dialect: openai-chat"),
        3,
        "providers.openai.dialect",
        "unknown dialect `openai-chat`",
        "Did you mean `openai_chat`?",
    ),
    (provider("dialect: x"), 3, "providers.openai.dialect", "unknown dialect", "The dialects are"),
    (provider("base_url: localhost"), 3, "providers.openai.base_url", "not the URL", "https://"),
    (provider("base_url: ftp://x/"), 3, "providers.openai.base_url", "not the URL", "https://"),
    (provider("base_url: http://x:99999/"), 3, "providers.openai.base_url", "not the URL", ""),
    (provider("base_url: http://[::1/"), 3, "providers.openai.base_url", "not the URL", ""),
    (provider("base_url: https://x/?v=1"), 3, "providers.openai.base_url", "its path", "`query`"),
    (
        provider("base_url: https://me:hunter22@x/"),
        3,
        "providers.openai.base_url",
        "the URL holds credentials",
        "`api_key_env`",
    ),
    (
        provider("api_key_env: my-key"),
        3,
        "providers.openai.api_key_env[0]",
        "not the name of an environment variable",
        "Put the key in an environment variable",
    ),
    (
        provider("api_key_env: [EP_OTHER]"),
        3,
        "providers.openai.api_key_env[0]",
        "does not end in `_KEY` or `_TOKEN`",
        "Name it otherwise",
    ),
    (provider("model: ''"), 3, "providers.openai.model", "at least 1 character", ""),
    (
        provider("capabilities: [vison]"),
        3,
        "providers.openai.capabilities[0]",
        "unknown capability `vison`",
        "Did you mean `vision`?",
    ),
    (
        provider("models: {tiny: {capabilities: [vison]}}"),
        3,
        "providers.openai.models.tiny.capabilities[0]",
        "unknown capability",
        "`vision`",
    ),
    (
        provider("models: {tiny: {capabilites: []}}"),
        3,
        "providers.openai.models.tiny.capabilites",
        "unknown key",
        "`capabilities`",
    ),
    (
        provider("timeouts: {first_tokn: 3}"),
        3,
        "providers.openai.timeouts.first_tokn",
        "unknown key `first_tokn`",
        "Did you mean `first_token`?",
    ),
    (provider("timeouts: {idle: 0}"), 3, "providers.openai.timeouts.idle", "greater than 0", ""),
    (provider("timeouts: {idle: .inf}"), 3, "providers.openai.timeouts.idle", "finite", ""),
    (provider("timeout: 3"), 3, "providers.openai.timeout", "unknown key", "`timeouts`"),
    (
        provider("trace_context: some"),
        3,
        "providers.openai.trace_context",
        "'none', 'traceparent' or 'full'",
        "",
    ),
    (
        provider("default_max_tokens: 3"),
        3,
        "providers.openai.default_max_tokens",
        "no effect with the dialect `openai_chat`",
        "it is for `anthropic_messages`",
    ),
    (
        provider("headers: {Authorization: x}"),
        3,
        "providers.openai.headers.Authorization",
        "a credential does not belong",
        "`api_key_env`",
    ),
    (provider("headers: {'a b': x}"), 3, "providers.openai.headers.a b", "name of a header", "Use"),
    (provider('headers: {a: "x\\ny"}'), 3, "providers.openai.headers.a", "in one line", ""),
    (provider("query: {a: 1}"), 3, "providers.openai.query.a", "must be a valid string", ""),
    ("strict: 'yes'\n", 1, "strict", "must be a valid boolean", ""),
    ("persona: {}\n", 1, "persona", "unknown key `persona`", "Did you mean `personas`?"),
    ("zebra: {}\n", 1, "zebra", "unknown key `zebra`", "The keys here are `allow_direct_models`"),
    (
        "default_provider: opnai\n",
        1,
        "default_provider",
        "unknown provider `opnai`",
        "Did you mean `openai`?",
    ),
    (
        "client_keys:\n  - {name: ci, sha256: abc}\n",
        2,
        "client_keys[0].sha256",
        "not a SHA-256",
        "sha256sum",
    ),
    (
        f"client_keys:\n  - {{name: ci, sha256: {HASH}, personas: [archtect]}}\n",
        2,
        "client_keys[0].personas[0]",
        "unknown persona `archtect`",
        "Did you mean `architect`?",
    ),
    (
        f"client_keys:\n- {{name: ci, sha256: {HASH}}}\n- {{name: ci, sha256: {HASH}}}\n",
        3,
        "client_keys[1].name",
        "two keys have the name `ci`",
        "Rename one.",
    ),
    (
        f"client_keys:\n- {{nam: ci, sha256: {HASH}, name: x}}\n",
        2,
        "client_keys[0].nam",
        "unknown key `nam`",
        "Did you mean `name`?",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "problem", "remedy"), ERRORS, ids=[f"{e[2]}:{e[3]}" for e in ERRORS]
)
def test_errors(text: str, line: int, key: str, problem: str, remedy: str) -> None:
    (error,) = refused(text)
    assert (error.source, error.line, error.key) == ("my.yaml", line, key)
    assert problem.replace("≤", "less than or equal to") in error.problem
    assert remedy in error.remedy
    assert bool(remedy) == bool(error.remedy)
    assert str(error).startswith(f"my.yaml:{line}: {key}: ")


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

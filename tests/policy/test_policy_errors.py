"""Each thing that can be wrong with a policy file: its line, its key, and what would be right."""

import pytest

from tests.policy.building import persona, provider, refused

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
    ("personas:\n  p:\n", 2, "personas.p", "must be a mapping", ""),
    ("personas: [architect]\n", 1, "personas", "must be a mapping", ""),
    ("\nproviders: {openai: null}\n", 2, "providers.openai", "must be a mapping", ""),
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
    (persona("requires: vision"), 4, "personas.p.requires", "must be a list", ""),
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
    (persona("system_prompt: 7"), 4, "personas.p.system_prompt", "must be text", ""),
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
        "providers:\n  mine:\n    dialect: openai_chat\n    model: x\n",
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
    (
        provider("base_url: http://x:99999/"),
        3,
        "providers.openai.base_url",
        "not the URL",
        "https://",
    ),
    (provider("base_url: http://[::1/"), 3, "providers.openai.base_url", "not the URL", "https://"),
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
        "providers.openai.api_key_env",
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
        provider("models: {tiny: {capabilities: [], capabilites: []}}"),
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
        provider("api: resposes"),
        3,
        "providers.openai.api",
        "'auto', 'chat' or 'responses'",
        "",
    ),
    (
        provider("reasoning_summary: 'yes'"),
        3,
        "providers.openai.reasoning_summary",
        "'auto', 'concise' or 'detailed'",
        "",
    ),
    (
        "providers:\n  anthropic:\n    api: responses\n",
        3,
        "providers.anthropic.api",
        "no effect with the dialect `anthropic_messages`",
        "it is for `openai_chat`",
    ),
    (
        "providers:\n  openai:\n    dialect: openai_responses\n    api: chat\n",
        4,
        "providers.openai.api",
        "no effect with the dialect `openai_responses`",
        "it is for `openai_chat`",
    ),
    (
        "providers:\n  openai:\n    api: responses\n    stream_usage: false\n",
        4,
        "providers.openai.stream_usage",
        "no effect with `api: responses`",
        "Remove it, or let `api` be `auto`.",
    ),
    (
        "providers:\n  openai:\n    api: chat\n    reasoning_summary: auto\n",
        4,
        "providers.openai.reasoning_summary",
        "no effect with `api: chat`",
        "Remove it, or let `api` be `auto`.",
    ),
    (
        "providers:\n  anthropic:\n    reasoning_summary: auto\n",
        3,
        "providers.anthropic.reasoning_summary",
        "no effect with the dialect `anthropic_messages`",
        "it is for `openai_chat`, `openai_responses`",
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
    (provider("query: {a: 1}"), 3, "providers.openai.query.a", "must be text", ""),
    ("providers: [openai]\n", 1, "providers", "must be a mapping", ""),
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


def test_row_80_a_personas_parameters_are_checked_by_name_and_type() -> None:
    errors = refused(persona("parameters: {temprature: 1, seed: x, n: 999, model: y}"))
    assert {error.key.rpartition(".")[2] for error in errors} == {
        "temprature",
        "seed",
        "n",
        "model",
    }

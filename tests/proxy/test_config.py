"""Settings, the shipped policy and one's own, keys, and the sandbox."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.decision import decide
from policy.errors import PolicyError
from policy.schema import Policy
from proxy.availability import api_key, api_keys, availability, with_sandbox
from proxy.config import ConfigurationError, Settings, load_policy, load_settings
from proxy.http_client.options import ClientOptions
from translators.wire.request import ChatCompletionRequest

SHARED = Path(__file__).parents[3] / "shared"
GUIDE_PERSONAS = {
    "architect": "claude_agent",
    "code_writer": "claude_agent",
    "reviewer": "claude_agent",
    "qa_engineer": "openai",
    "architect_openai": "openai",
    "code_writer_openai": "openai",
    "reviewer_openai": "openai",
}


def chat(model: str, **fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(
        {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(None, {})


class TestSettings:
    def test_defaults(self) -> None:
        settings = load_settings({})
        assert settings == Settings()
        assert (settings.host, settings.port, settings.timeout) == ("127.0.0.1", 8080, 300.0)
        assert (settings.heartbeat, settings.max_body_bytes) == (15.0, 16 * 2**20)
        assert (settings.body_timeout, settings.drain_timeout) == (60.0, 30.0)
        assert settings.http_client == ClientOptions.of({}).kind == ClientOptions().kind == "native"

    @pytest.mark.parametrize(
        ("name", "value", "field", "expected"),
        [
            ("EP_POLICY", "a/b.yaml", "policy", Path("a/b.yaml")),
            ("EP_HOST", "0.0.0.0", "host", "0.0.0.0"),
            ("EP_HOST", "::1", "host", "::1"),
            ("EP_PORT", "0", "port", 0),
            ("EP_PORT", " 9 ", "port", 9),
            ("EP_PORT", "", "port", 8080),
            ("EP_WORKERS", "4", "workers", 4),
            ("EP_TIMEOUT", "0.5", "timeout", 0.5),
            ("EP_HEARTBEAT", "0", "heartbeat", 0.0),
            ("EP_HEARTBEAT", "2", "heartbeat", 2.0),
            ("EP_HTTP_CLIENT", "Native", "http_client", "native"),
            ("EP_HTTP_CLIENT", "aiohttp", "http_client", "aiohttp"),
            ("EP_MAX_BODY_BYTES", "2048", "max_body_bytes", 2048),
            ("EP_BODY_TIMEOUT", "5", "body_timeout", 5.0),
            ("EP_DRAIN_TIMEOUT", "0", "drain_timeout", 0.0),
            ("EP_SANDBOX", "1", "sandbox", True),
            ("EP_SANDBOX", "Off", "sandbox", False),
            ("EP_STRICT", "true", "strict", True),
            ("EP_STRICT", "0", "strict", False),
            ("EP_DEFAULT_PROVIDER", "openai", "default_provider", "openai"),
            ("EP_LOG_LEVEL", "DEBUG", "log_level", "debug"),
            ("EP_LOG_FORMAT", "Text", "log_format", "text"),
            ("EP_DECISIONS", "0", "decisions", 0),
        ],
    )
    def test_values(self, name: str, value: str, field: str, expected: object) -> None:
        assert getattr(load_settings({name: value}), field) == expected

    @pytest.mark.parametrize(
        ("name", "value", "right"),
        [
            ("EP_HOST", "http://x/", "an address or a host name"),
            ("EP_PORT", "http", "a whole number from 0 to 65535"),
            ("EP_PORT", "65536", "a whole number from 0 to 65535"),
            ("EP_PORT", "-1", "a whole number"),
            ("EP_PORT", "8_0", "a whole number"),
            ("EP_PORT", "٣", "a whole number"),
            ("EP_WORKERS", "0", "a whole number from 1"),
            ("EP_TIMEOUT", "0", "a number of seconds above 0"),
            ("EP_TIMEOUT", "5m", "a number of seconds above 0"),
            ("EP_TIMEOUT", "inf", "a number of seconds above 0"),
            ("EP_TIMEOUT", "nan", "a number of seconds above 0"),
            ("EP_HEARTBEAT", "-1", "or 0 for never"),
            ("EP_HEARTBEAT", "never", "or 0 for never"),
            ("EP_HTTP_CLIENT", "httpx", "one of native, aiohttp"),
            ("EP_MAX_BODY_BYTES", "16MiB", "a whole number from 1024"),
            ("EP_SANDBOX", "maybe", "1 or 0"),
            ("EP_STRICT", "2", "1 or 0"),
            ("EP_LOG_LEVEL", "loud", "one of debug, info"),
            ("EP_LOG_FORMAT", "xml", "one of auto, json, text"),
            ("EP_DECISIONS", "all", "a whole number from 0"),
        ],
    )
    def test_a_wrong_value(self, name: str, value: str, right: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load_settings({name: value})
        assert str(raised.value).startswith(f"{name}: `{value}` is not right: it must be ")
        assert right in str(raised.value)

    @pytest.mark.parametrize("value", ["top secret", "naïve-secret", "secret\x07", ",,"])
    def test_a_wrong_secret_is_not_repeated(self, value: str) -> None:
        with pytest.raises(ConfigurationError, match="EP_CLIENT_KEYS: the value") as raised:
            load_settings({"EP_CLIENT_KEYS": value})
        assert "secret" not in str(raised.value)

    def test_client_keys(self) -> None:
        settings = load_settings({"EP_CLIENT_KEYS": "one-key, two-key ,"})
        assert [key.get_secret_value() for key in settings.client_keys] == ["one-key", "two-key"]
        assert "one-key" not in repr(settings) + str(settings)

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("EP_PROT", "EP_PORT"),
            ("EP_CLIENT_KEY_S", "EP_CLIENT_KEYS"),
            ("EP_TIMOUT", "EP_TIMEOUT"),
        ],
    )
    def test_an_unknown_variable(self, name: str, near: str) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load_settings({name: "sk-secret"})
        assert str(raised.value) == f"{name}: no such setting. Did you mean `{near}`?"

    def test_unknown_and_like_nothing(self) -> None:
        with pytest.raises(ConfigurationError, match="The settings are EP_BODY_TIMEOUT, EP_CLI"):
            load_settings({"EP_XYZZY": "1"})

    def test_variables_of_others_are_theirs(self) -> None:
        environ = {"PATH": "x", "OPENAI_API_KEY": "x", "EP_MY_KEY": "x", "EP_RECORDED_TRAFFIC": "x"}
        assert load_settings(environ) == Settings()

    def test_everything_wrong_is_said_at_once(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load_settings({"EP_PORT": "x", "EP_TIMEOUT": "y", "EP_NOTHING_AT_ALL": "z"})
        assert len(raised.value.problems) == 3
        assert str(raised.value).count("\n") == 2

    def test_they_come_from_the_environment_and_env_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("EP_PORT=81\nEP_HOST=file\n", encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EP_HOST", "process")
        settings = load_settings()
        assert (settings.port, settings.host) == (81, "process")

    def test_they_are_frozen(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            Settings().port = 1  # pyright: ignore[reportAttributeAccessIssue]


class TestShippedPolicy:
    def test_the_guides_personas(self, policy: Policy) -> None:
        first = {
            name: row.provider_preferences[0].provider for name, row in policy.personas.items()
        }
        assert first == GUIDE_PERSONAS
        for persona in policy.personas.values():
            assert persona.description
            assert persona.system_prompt
            assert persona.requires == ("system_prompts",)

    def test_the_designs_providers(self, policy: Policy) -> None:
        assert {name: row.dialect for name, row in policy.providers.items()} == {
            "openai": "openai_chat",
            "anthropic": "anthropic_messages",
            "claude_agent": "claude_agent",
            "gemini": "gemini_generate",
            "local": "openai_chat",
        }

    def test_anthropics_capabilities_are_those_of_its_translator(self, policy: Policy) -> None:
        can = set(policy.providers["anthropic"].capabilities)
        assert can >= {"system_prompts", "streaming", "tool_calling", "vision", "pdf", "reasoning"}
        assert can >= {"json_mode", "json_schema", "multiple_choices", "web_search"}
        assert not can & {"logprobs", "audio", "audio_output"}

    def test_requests_go_where_they_can_be_served(self, policy: Policy) -> None:
        environ = {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y"}
        usable = {**availability(policy, environ), "claude_agent": None}

        def providers(**fields: Any) -> list[str]:
            return [t.provider for t in decide(chat("architect", **fields), policy, usable).targets]

        claude = ["claude_agent", "anthropic"]
        assert providers() == [*claude, "openai"]
        assert providers(stream=True, reasoning_effort="low") == [*claude, "openai"]
        assert providers(response_format={"type": "json_object"}) == [*claude, "openai"]
        assert providers(n=2) == [*claude, "openai"]
        assert providers(web_search_options={}) == ["anthropic"]
        assert providers(logprobs=True) == ["openai"]

    def test_only_the_shipped_files_are_needed(self, tmp_path: Path) -> None:
        code = "from proxy.config import load_policy; print(*load_policy(None, {}).personas)"
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == list(GUIDE_PERSONAS)


class TestOwnPolicy:
    def test_it_is_named_by_argument_or_variable(self, tmp_path: Path) -> None:
        path = write(tmp_path, "personas: {mine: {provider_preferences: [openai]}}\n")
        assert list(load_policy(path, {}).personas) == ["mine"]
        assert list(load_policy(str(path), {}).personas) == ["mine"]
        assert list(load_policy(None, {"EP_POLICY": str(path)}).personas) == ["mine"]

    def test_its_prompts_are_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "prompts").mkdir()
        (tmp_path / "prompts" / "mine.md").write_text("Be mine.", encoding="utf-8")
        text = (
            "personas:\n  mine:\n    provider_preferences: [openai]\n"
            "    system_prompt_file: prompts/mine.md\n"
        )
        policy = load_policy(write(tmp_path, text), {})
        assert policy.personas["mine"].system_prompt == "Be mine."

    def test_a_missing_prompt_has_its_line(self, tmp_path: Path) -> None:
        text = (
            "personas:\n  mine:\n    provider_preferences: [openai]\n"
            "    system_prompt_file: prompts/architect.md\n"
        )
        path = write(tmp_path, text)
        with pytest.raises(PolicyError) as raised:
            load_policy(path, {})
        assert str(raised.value).startswith(f"{path}:4: personas.mine.system_prompt_file: cannot")

    def test_the_shipped_prompts_stay_with_the_shipped_personas(self, tmp_path: Path) -> None:
        policy = load_policy(write(tmp_path, "providers: {openai: {model: gpt-5-mini}}\n"), {})
        assert policy.personas["architect"].system_prompt
        assert policy.providers["openai"].model == "gpt-5-mini"

    def test_two_personas_of_one_name(self, tmp_path: Path) -> None:
        row = "{provider_preferences: [openai]}"
        path = write(tmp_path, f"personas:\n  mine: {row}\n  other: {row}\n  mine: {row}\n")
        with pytest.raises(PolicyError) as raised:
            load_policy(path, {})
        assert str(raised.value) == (
            f"{path}:4: personas.mine: the key `mine` stands here twice, first in line 2. "
            "Keep one of the two, or rename one."
        )

    def test_there_is_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match=r"cannot be read .No such file.*`EP_POLICY`"):
            load_policy(tmp_path / "nowhere.yaml", {})

    def test_it_is_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.yaml"
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(PolicyError, match="not UTF-8 text"):
            load_policy(path, {})

    def test_the_guides_blocks_load(self, tmp_path: Path) -> None:
        guide = SHARED / "reference" / "integration-guide.md"
        if not guide.exists():
            pytest.skip(f"{guide} is not here")
        blocks = guide.read_text(encoding="utf-8").split("```yaml\n")[1:]
        policies = [text for block in blocks if "personas:" in (text := block.split("```")[0])]
        assert len(policies) == 5
        for text in policies:
            policy = load_policy(write(tmp_path, text), {})
            assert set(policy.personas) == set(yaml.safe_load(text)["personas"])

    def test_the_readmes_blocks_load(self, tmp_path: Path) -> None:
        readme = Path(__file__).parents[2] / "policy" / "README.md"
        blocks = readme.read_text(encoding="utf-8").split("```yaml\n")[1:]
        policies = [load_policy(write(tmp_path, b.split("```")[0]), {}) for b in blocks]
        (own,) = [policy for policy in policies if "azure" in policy.providers]
        (clouds,) = [policy for policy in policies if "claude_vertex" in policy.providers]
        assert {name for p in policies for name, row in p.providers.items() if row.agent} == {
            "reader"
        }
        assert own.providers["azure"].query == {"api-version": "2024-10-21"}
        found = {row.credentials for row in clouds.providers.values()} - {None}
        assert found == {"vertex", "bedrock", "foundry"}


class TestEnvironmentOverPolicy:
    def test_default_provider(self, tmp_path: Path) -> None:
        path = write(tmp_path, "default_provider: local\n")
        assert load_policy(path, {}).default_provider == "local"
        policy = load_policy(path, {"EP_DEFAULT_PROVIDER": "openai"})
        assert policy.last_resort is not None
        assert policy.last_resort.target.provider == "openai"

    def test_an_unknown_default_provider(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load_policy(None, {"EP_DEFAULT_PROVIDER": "claude"})
        assert str(raised.value).startswith(
            "EP_DEFAULT_PROVIDER: the policy has no provider `claude`. "
        )
        assert "`claude_agent`" in str(raised.value)

    @pytest.mark.parametrize(("value", "strict"), [("1", True), ("0", False)])
    def test_strict(self, tmp_path: Path, value: str, strict: bool) -> None:
        path = write(tmp_path, "strict: true\n")
        assert load_policy(path, {}).strict
        assert load_policy(path, {"EP_STRICT": value}).strict is strict

    def test_a_key_of_no_provider_is_a_typing_error(self) -> None:
        with pytest.raises(ConfigurationError) as raised:
            load_policy(None, {"EP_OPNAI_API_KEY": "sk-secret"})
        assert str(raised.value) == (
            "EP_OPNAI_API_KEY: no such setting. Did you mean `EP_OPENAI_API_KEY`?"
        )

    def test_a_key_of_ones_own_provider_is_none(self, tmp_path: Path) -> None:
        row = "{dialect: openai_chat, base_url: 'http://x', model: m, api_key_env: EP_MY_TOKEN}"
        path = write(tmp_path, f"providers: {{mine: {row}}}\n")
        environ = {"EP_MY_TOKEN": "secret"}
        assert load_settings(environ) == Settings()
        assert availability(load_policy(path, environ), environ)["mine"] is None


class TestKeys:
    def test_availability(self, policy: Policy) -> None:
        found = availability(policy, {"EP_OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": " "})
        assert found.pop("claude_agent") is not None  # `test_claude_cli.py` says why.
        assert found == {
            "openai": None,
            "anthropic": "no API key: set EP_ANTHROPIC_API_KEY or ANTHROPIC_API_KEY",
            "gemini": "no API key: set EP_GEMINI_API_KEY or GEMINI_API_KEY",
            "local": None,
        }

    def test_a_provider_is_switched_off(self, tmp_path: Path) -> None:
        path = write(tmp_path, "providers:\n  openai: {enabled: false}\n")
        environ = {"OPENAI_API_KEY": "x"}
        found = availability(load_policy(path, environ), environ)
        assert found["openai"] == "switched off in the policy"

    def test_dialects_may_be_named(self, policy: Policy) -> None:
        found = availability(policy, {"GEMINI_API_KEY": "x"}, dialects=["gemini_generate"])
        assert found["gemini"] is None
        assert found["local"] == "the dialect `openai_chat` is not part of this version yet"

    def test_the_first_variable_counts(self, policy: Policy) -> None:
        environ = {"OPENAI_API_KEY": "second", "EP_OPENAI_API_KEY": "first"}
        key = api_key(policy.providers["openai"], environ)
        assert key is not None
        assert key.get_secret_value() == "first"
        assert api_key(policy.providers["anthropic"], environ) is None

    def test_keys_are_hidden(self, policy: Policy) -> None:
        keys = api_keys(policy, {"OPENAI_API_KEY": "sk-secret"})
        assert list(keys) == ["openai"]
        assert "sk-secret" not in f"{keys} {keys!r}"


@dataclass(frozen=True)
class Sandbox:
    openai_base_url: str = "http://127.0.0.1:1/v1"
    anthropic_base_url: str = "http://127.0.0.1:2"
    gemini_base_url: str = "http://127.0.0.1:3"


def test_the_sandbox(tmp_path: Path) -> None:
    text = (
        "providers:\n  azure:\n    dialect: openai_chat\n    base_url: https://azure.example\n"
        "    api_key_env: AZURE_KEY\n    api_key_header: api-key\n    model: m\n"
        "    headers: {x-mine: a}\n    query: {api-version: b}\n    timeouts: {idle: 3}\n"
    )
    policy = load_policy(write(tmp_path, text), {})
    simulated = with_sandbox(policy, Sandbox())
    assert {name: row.base_url for name, row in simulated.providers.items()} == {
        "openai": "http://127.0.0.1:1/v1",
        "anthropic": "http://127.0.0.1:2",
        "azure": "http://127.0.0.1:1/v1",
        "local": "http://127.0.0.1:1/v1",
        "claude_agent": "http://127.0.0.1:2",
        "gemini": "http://127.0.0.1:3",
    }
    azure = simulated.providers["azure"]
    assert (azure.api_key_header, azure.headers, azure.query) == (None, {}, {})
    assert azure.timeouts.idle == 3.0
    # No key is needed, and a real one does not go there.
    environ = {"AZURE_KEY": "real", "OPENAI_API_KEY": "real"}
    keys = api_keys(simulated, environ)
    assert {name: key.get_secret_value() for name, key in keys.items()} == dict.fromkeys(
        ["openai", "anthropic", "claude_agent", "gemini", "local", "azure"], "sandbox"
    )
    usable = {**availability(simulated, {}), "claude_agent": None}
    assert {name for name, reason in usable.items() if reason is None} == set(keys)
    assert [t.provider for t in decide(chat("architect"), simulated, usable).targets] == [
        "claude_agent",
        "anthropic",
        "openai",
        "gemini",
    ]
    assert policy.providers["openai"].base_url == "https://api.openai.com/v1"

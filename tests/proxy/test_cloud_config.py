"""Rows in a cloud: what the environment adds to them, and what is said where something lacks."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policy.schema import Policy, ProviderRow
from proxy import cloud
from proxy.availability import availability, available, with_sandbox
from proxy.config import ConfigurationError, load_policy
from tests.serving import clean_environment

POLICY = """\
providers:
  claude_vertex: {dialect: anthropic_messages, credentials: vertex, model: claude-opus-5-5}
  gemini_vertex: {dialect: gemini_generate, credentials: vertex, model: gemini-3-flash}
  claude_bedrock:
    dialect: anthropic_messages
    credentials: bedrock
    model: anthropic.claude-opus-5-5
    api_key_env: AWS_BEARER_TOKEN_BEDROCK
  claude_foundry:
    dialect: anthropic_messages
    credentials: foundry
    model: claude-opus-5-5
    api_key_env: [EP_FOUNDRY_API_KEY, ANTHROPIC_FOUNDRY_API_KEY]
"""
PLACES = {
    "GOOGLE_CLOUD_PROJECT": "my-project",
    "GOOGLE_CLOUD_LOCATION": "us-east5",
    "AWS_REGION": "eu-west-1",
    "ANTHROPIC_FOUNDRY_RESOURCE": "mine",
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine is nobody's cloud, whichever one runs the tests."""
    monkeypatch.setattr(cloud, "_DMI", tmp_path / "dmi")


def policy_with(folder: Path, environ: dict[str, str], text: str = POLICY) -> Policy:
    file = folder / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    return load_policy(file, environ)


def reason(folder: Path, name: str, environ: dict[str, str]) -> str | None:
    # The home directory is empty.
    environ = {"HOME": str(folder), **environ}
    return availability(policy_with(folder, environ), environ)[name]


def test_the_environment_says_where(tmp_path: Path) -> None:
    rows = policy_with(tmp_path, PLACES).providers
    assert rows["claude_vertex"].base_url == "https://us-east5-aiplatform.googleapis.com/v1"
    assert rows["gemini_vertex"].base_url == "https://us-east5-aiplatform.googleapis.com"
    assert rows["gemini_vertex"].project == "my-project"
    assert rows["claude_bedrock"].base_url == "https://bedrock-mantle.eu-west-1.api.aws/anthropic"
    assert rows["claude_foundry"].base_url == "https://mine.services.ai.azure.com/anthropic"


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("project", ["GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID"]),
        ("location", ["GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION"]),
        ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"]),
        ("resource", ["ANTHROPIC_FOUNDRY_RESOURCE"]),
    ],
)
def test_the_first_variable_wins_and_the_row_over_all(option: str, names: list[str]) -> None:
    owner = {"region": "bedrock", "resource": "foundry"}.get(option, "vertex")
    fields = {"dialect": "anthropic_messages", "credentials": owner, "model": "m"}
    for first in range(len(names)):
        environ = {name: f"place-{name[-2:].lower()}" for name in names[first:]}
        found = cloud.in_place(ProviderRow.model_validate(fields), environ)
        assert getattr(found, option) == environ[names[first]]
    row = ProviderRow.model_validate({**fields, option: "mine"})
    assert getattr(cloud.in_place(row, dict.fromkeys(names, "theirs")), option) == "mine"


def test_an_address_of_ones_own_stays(tmp_path: Path) -> None:
    text = POLICY.replace("credentials: foundry", "credentials: foundry\n    base_url: http://l/a")
    rows = policy_with(tmp_path, PLACES, text).providers
    assert rows["claude_foundry"].base_url == "http://l/a"
    environ = {"EP_FOUNDRY_API_KEY": "k"}
    # It stands for the resource as well.
    policy = policy_with(tmp_path, environ, text)
    assert availability(policy, environ)["claude_foundry"] is None


@pytest.mark.parametrize("value", ["a/b", "evil.example", "x@y", "a b", "a:80", "ä"])
def test_a_place_cannot_lead_elsewhere(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError, match="AWS_REGION: the value is not the name"):
        policy_with(tmp_path, {**PLACES, "AWS_REGION": value})


class TestWhatLacks:
    @pytest.mark.parametrize(
        ("name", "without", "expected"),
        [
            ("claude_vertex", "GOOGLE_CLOUD_PROJECT", "no project: set `project` in its row, or"),
            ("gemini_vertex", "GOOGLE_CLOUD_LOCATION", "no location: set `location` in its row"),
            ("claude_bedrock", "AWS_REGION", "no region: set `region` in its row, or AWS_REGION"),
            ("claude_foundry", "ANTHROPIC_FOUNDRY_RESOURCE", "no resource: set `resource` in its"),
        ],
    )
    def test_a_place(self, tmp_path: Path, name: str, without: str, expected: str) -> None:
        environ = {variable: value for variable, value in PLACES.items() if variable != without}
        assert (reason(tmp_path, name, environ) or "").startswith(expected)

    def test_google_credentials(self, tmp_path: Path) -> None:
        said = reason(tmp_path, "claude_vertex", PLACES) or ""
        assert "gcloud auth application-default login" in said
        assert "GOOGLE_APPLICATION_CREDENTIALS" in said

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        environ = {**PLACES, "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")}
        assert "names no file" in (reason(tmp_path, "gemini_vertex", environ) or "")

    def test_amazon_credentials(self, tmp_path: Path) -> None:
        said = reason(tmp_path, "claude_bedrock", PLACES) or ""
        assert "aws configure" in said and "AWS_ACCESS_KEY_ID" in said

    def test_half_a_key(self, tmp_path: Path) -> None:
        said = reason(tmp_path, "claude_bedrock", {**PLACES, "AWS_ACCESS_KEY_ID": "AKID"}) or ""
        assert said.startswith("AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY")

    def test_a_key_for_foundry(self, tmp_path: Path) -> None:
        said = reason(tmp_path, "claude_foundry", PLACES)
        assert said == "no API key: set EP_FOUNDRY_API_KEY or ANTHROPIC_FOUNDRY_API_KEY"

    @pytest.mark.parametrize(
        ("name", "module", "extra"),
        [
            ("claude_vertex", "google.auth", "execution-platform[vertex]"),
            ("gemini_vertex", "requests", "execution-platform[vertex]"),
            ("claude_bedrock", "botocore", "execution-platform[bedrock]"),
        ],
    )
    def test_a_package(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, module: str, extra: str
    ) -> None:
        find = importlib.util.find_spec

        def without(wanted: str) -> Any:
            if wanted == module == "google.auth":
                raise ModuleNotFoundError(wanted)
            return None if wanted == module else find(wanted)

        monkeypatch.setattr(cloud, "find_spec", without)
        assert f"pip install '{extra}'" in (reason(tmp_path, name, PLACES) or "")

    def test_a_bedrock_key_needs_no_package(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(cloud, "find_spec", _nothing)
        environ = {**PLACES, "AWS_BEARER_TOKEN_BEDROCK": "k"}
        assert reason(tmp_path, "claude_bedrock", environ) is None


def _nothing(_: str) -> None:
    return None


class TestWhatIsEnough:
    def test_the_login_of_gcloud(self, tmp_path: Path) -> None:
        folder = tmp_path / ".config" / "gcloud"
        folder.mkdir(parents=True)
        (folder / "application_default_credentials.json").write_text("{}")
        assert reason(tmp_path, "claude_vertex", PLACES) is None

    def test_a_folder_of_gcloud_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "application_default_credentials.json").write_text("{}")
        environ = {**PLACES, "CLOUDSDK_CONFIG": str(tmp_path), "HOME": "/nowhere"}
        assert reason(tmp_path, "claude_vertex", environ) is None

    @pytest.mark.parametrize(
        ("name", "file", "text", "enough"),
        [
            ("claude_vertex", "product_name", "Google Compute Engine\n", True),
            ("claude_bedrock", "sys_vendor", "Amazon EC2\n", True),
            ("claude_vertex", "product_name", "KVM\n", False),
            ("claude_bedrock", "sys_vendor", "QEMU\n", False),
        ],
    )
    def test_a_machine_of_the_cloud(
        self, tmp_path: Path, name: str, file: str, text: str, enough: bool
    ) -> None:
        (tmp_path / "dmi").mkdir()
        (tmp_path / "dmi" / file).write_text(text)
        assert (reason(tmp_path, name, PLACES) is None) is enough

    def test_cloud_run(self, tmp_path: Path) -> None:
        assert reason(tmp_path, "claude_vertex", {**PLACES, "K_SERVICE": "ep"}) is None

    @pytest.mark.parametrize(
        "environ",
        [
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
            {"AWS_PROFILE": "mine"},
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token"},
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1"},
        ],
    )
    def test_sources_of_amazon(self, tmp_path: Path, environ: dict[str, str]) -> None:
        assert reason(tmp_path, "claude_bedrock", {**PLACES, **environ}) is None

    def test_files_of_amazon(self, tmp_path: Path) -> None:
        file = tmp_path / "keys"
        file.write_text("")
        environ = {**PLACES, "AWS_SHARED_CREDENTIALS_FILE": str(file)}
        assert reason(tmp_path, "claude_bedrock", environ) is None


class _Urls:
    openai_base_url = openai_responses_base_url = "http://127.0.0.1:1/openai/v1"
    anthropic_base_url = "http://127.0.0.1:1/anthropic"
    gemini_base_url = "http://127.0.0.1:1/gemini"


@pytest.mark.parametrize("environ", [{}, PLACES], ids=["nowhere", "somewhere"])
def test_on_the_sandbox_a_cloud_row_is_a_plain_one(tmp_path: Path, environ: dict[str, str]) -> None:
    policy = with_sandbox(policy_with(tmp_path, environ), _Urls())
    row = policy.providers["claude_vertex"]
    assert (row.credentials, row.base_url) == (None, _Urls.anthropic_base_url)
    reasons = availability(policy, {})
    assert {reasons[name] for name in policy.providers if "_" in name and "agent" not in name} == {
        None
    }
    # `check --sandbox` says the same.
    said = available(policy_with(tmp_path, environ), {}, sandbox=True)
    assert said["claude_vertex"] is None and said["claude_bedrock"] is None


def test_the_clouds_libraries_see_what_stands_in_env(tmp_path: Path) -> None:
    """They read the process's environment themselves."""
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=AKID\nGOOGLE_CLOUD_PROJECT=mine\nMY_OWN=1\n")
    code = """
import os
from proxy.service import load_configuration
load_configuration()
print([os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "GOOGLE_CLOUD_PROJECT", "MY_OWN")])
"""
    kept = clean_environment({"GOOGLE_CLOUD_PROJECT": "the process's own"})
    kept.pop("AWS_ACCESS_KEY_ID", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=kept,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout == "['AKID', \"the process's own\", None]\n", done.stderr


def test_nothing_is_loaded_that_no_row_needs() -> None:
    """Neither the SDKs nor the libraries of the clouds; and those only with the first request."""
    code = """
import sys
import asyncio
from policy.schema import ProviderRow
from proxy.http import HttpClient
from proxy.registry import create_provider
from proxy.ticker import Ticker

async def main():
    client = HttpClient(Ticker())
    for cloud in (None, "vertex", "bedrock", "foundry"):
        row = {"dialect": "anthropic_messages", "base_url": "http://h", "model": "m"}
        create_provider(ProviderRow.model_validate({**row, "credentials": cloud}), key=None,
                        client=client)
    await client.aclose()

asyncio.run(main())
heavy = {"anthropic", "google.auth", "google.genai", "botocore", "boto3", "requests", "httpx"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr

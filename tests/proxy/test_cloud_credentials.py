"""Credentials of the clouds: fetched when needed, renewed in time, and never shown."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from proxy.providers.bedrock import AwsSignature
from proxy.providers.vertex import GoogleToken
from proxy.sandbox.server import SandboxServer
from tests.clouds import AWS_SECRET, AWS_SESSION, Clouds
from tests.proxy.clouds_rows import aws_environment, google_environment, provider, row, said
from translators.errors import ProviderError

MODEL = "claude-opus-5-5"
AWS_MODEL = "anthropic.claude-opus-5-5"


@pytest.fixture
def clouds() -> Clouds:
    return Clouds()


@pytest.fixture
async def origin(clouds: Clouds) -> AsyncIterator[str]:
    async with SandboxServer(app=clouds.app) as server:
        yield server.base_url


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clouds: Clouds, origin: str) -> None:
    google_environment(monkeypatch, tmp_path, clouds, origin=origin)


def hidden(error: BaseException, *secrets: str) -> None:
    """Fail where a secret stands in what a client, a log or a span may show."""
    assert isinstance(error, ProviderError)
    shown = f"{error} {error!r} {error.to_wire()} {error.native_type} {error.code}"
    assert not [secret for secret in secrets if secret in shown]


def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the process no AWS key of its own."""
    aws_environment(monkeypatch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)


async def aws_refusal() -> ProviderError:
    """Return what becomes of a signature for which nothing is there."""
    with pytest.raises(ProviderError) as refused:
        await AwsSignature("us-east-1")("https://h/p", b"{}")
    error = refused.value
    assert (error.kind, error.status_hint) == ("auth", 502)
    assert "aws sts get-caller-identity" in error.message
    hidden(error, "secret")
    return error


@pytest.mark.usefixtures("google")
class TestGoogle:
    async def test_one_token_serves_many_requests(self, clouds: Clouds, origin: str) -> None:
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            await asyncio.gather(*(said(vertex, MODEL, stream=True) for _ in range(8)))
        assert len(clouds.tokens) == 1
        assert len(clouds.seen) == 8

    async def test_nothing_is_asked_before_the_first_request(
        self, clouds: Clouds, origin: str
    ) -> None:
        async with provider(row("vertex_claude", origin=origin)):
            pass
        assert clouds.tokens == []

    async def test_a_token_that_has_ended_is_renewed(self, clouds: Clouds, origin: str) -> None:
        # The fake takes the newest token only.
        clouds.expires = -1
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            await said(vertex, MODEL, stream=False)
            await said(vertex, MODEL, stream=False)
        used = [headers["authorization"] for _, headers, _ in clouds.seen]
        assert used == [f"Bearer {token}" for token in clouds.tokens]
        assert len(set(used)) == 2

    async def test_a_token_near_its_end_is_renewed_beside_the_request(self) -> None:
        gate = asyncio.Event()
        token = GoogleToken(lambda: found)
        found = _Google(asyncio.get_running_loop(), gate)
        found.expiry = datetime.now(UTC) + timedelta(seconds=60)
        token._credentials = found  # pyright: ignore[reportPrivateUsage]
        # Nobody waits for the gate: the old token is still good.
        assert await token("", b"") == {"authorization": "Bearer token-0"}
        assert await token("", b"") == {"authorization": "Bearer token-0"}
        gate.set()
        await _until(lambda: found.renewed == 1)
        assert await token("", b"") == {"authorization": "Bearer token-1"}
        assert found.renewed == 1

    async def test_who_leaves_does_not_take_the_renewal_along(self) -> None:
        gate = asyncio.Event()
        found = _Google(asyncio.get_running_loop(), gate)
        token = GoogleToken(lambda: found)
        first = asyncio.create_task(_headers(token))
        second = asyncio.create_task(_headers(token))
        await _until(lambda: found.waiting)
        first.cancel()
        gate.set()
        assert await second == {"authorization": "Bearer token-1"}
        assert first.cancelled() or await asyncio.wait({first})
        assert found.renewed == 1

    async def test_the_project_that_pays_is_named(self) -> None:
        found = _Google(asyncio.get_running_loop(), asyncio.Event())
        found.expiry = None
        found.quota_project_id = "payer"
        token = GoogleToken(lambda: found)
        token._credentials = found  # pyright: ignore[reportPrivateUsage]
        assert (await token("", b""))["x-goog-user-project"] == "payer"

    async def test_a_refused_account(
        self, clouds: Clouds, origin: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        clouds.revoked = True
        caplog.set_level(logging.DEBUG, "execution_platform")
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            with pytest.raises(ProviderError) as refused:
                await said(vertex, MODEL, stream=True)
            # It is tried again: the account may have been mended.
            clouds.revoked = False
            await said(vertex, MODEL, stream=True)
        error = refused.value
        assert (error.kind, error.status_hint) == ("auth", 502)
        assert error.code == "upstream_authentication_failed"
        assert error.native_type == "invalid_grant"
        # The fake's refusal repeats the assertion, as a careless server would.
        hidden(error, "eyJ", "PRIVATE")
        assert "eyJ" not in caplog.text

    @pytest.mark.parametrize(
        ("cloud_row", "model"), [("vertex_claude", MODEL), ("vertex_gemini", "gemini-3.6-flash")]
    )
    async def test_a_token_that_google_ends_early_is_dropped(
        self, clouds: Clouds, origin: str, cloud_row: str, model: str
    ) -> None:
        async with provider(row(cloud_row, origin=origin)) as vertex:
            await said(vertex, model, stream=False)
            # The fake takes the newest token only.
            clouds.tokens.append("ya29.another")
            with pytest.raises(ProviderError) as refused:
                await said(vertex, model, stream=True)
            assert refused.value.status == 401
            await said(vertex, model, stream=True)
        # One for each of the two that were needed, and the test's own.
        assert len(clouds.tokens) == 3

    @pytest.mark.parametrize(
        "content", ["[]", "5", "not JSON", '{"type": 5}', '{"type": "service_account"}', "\0"]
    )
    async def test_a_file_that_holds_no_credentials(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
    ) -> None:
        file = tmp_path / "secret-place.json"
        file.write_text(content, encoding="utf-8")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        with pytest.raises(ProviderError) as refused:
            await GoogleToken()("https://h/p", b"{}")
        assert (refused.value.kind, refused.value.status_hint) == ("auth", 502)
        assert "`GOOGLE_APPLICATION_CREDENTIALS`" in refused.value.message
        assert str(refused.value) == refused.value.message
        hidden(refused.value, "secret-place")

    async def test_no_credentials_at_all(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: str
    ) -> None:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            with pytest.raises(ProviderError) as refused:
                await said(vertex, MODEL, stream=False)
        assert (refused.value.kind, refused.value.status_hint) == ("auth", 502)
        assert refused.value.native_type == "DefaultCredentialsError"

    async def test_a_token_server_that_is_not_there(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clouds: Clouds, origin: str
    ) -> None:
        google_environment(monkeypatch, tmp_path, clouds, origin="http://127.0.0.1:9")
        async with provider(row("vertex_claude", origin=origin)) as vertex:
            with pytest.raises(ProviderError) as refused:
                await said(vertex, MODEL, stream=False)
        # Another provider may serve it: this is no refusal.
        assert refused.value.kind == "network"


class TestAmazon:
    async def test_a_large_body_is_signed_as_a_small_one(
        self, monkeypatch: pytest.MonkeyPatch, clouds: Clouds, origin: str
    ) -> None:
        aws_environment(monkeypatch)
        async with provider(row("bedrock", origin=origin)) as bedrock:
            answer = await said(bedrock, AWS_MODEL, "x" * 300_000, stream=False)
        assert answer["finish_reason"] == "stop"

    async def test_a_query_is_signed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        aws_environment(monkeypatch)
        sign = AwsSignature("eu-west-1")
        one, other = [await sign(f"https://h/p?a={value}", b"{}") for value in "12"]
        assert one["authorization"] != other["authorization"]
        assert one["x-amz-security-token"] == AWS_SESSION

    async def test_a_wrong_secret(
        self, monkeypatch: pytest.MonkeyPatch, clouds: Clouds, origin: str
    ) -> None:
        aws_environment(monkeypatch)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-wrong-secret")
        async with provider(row("bedrock", origin=origin)) as bedrock:
            with pytest.raises(ProviderError) as refused:
                await said(bedrock, AWS_MODEL, stream=True)
        assert (refused.value.kind, refused.value.status_hint) == ("auth", 502)
        hidden(refused.value, "aws-wrong-secret", AWS_SECRET, AWS_SESSION)

    async def test_no_credentials_at_all(
        self, monkeypatch: pytest.MonkeyPatch, origin: str
    ) -> None:
        without_keys(monkeypatch)
        async with provider(row("bedrock", origin=origin)) as bedrock:
            with pytest.raises(ProviderError) as refused:
                await said(bedrock, AWS_MODEL, stream=True)
        assert (refused.value.kind, refused.value.native_type) == ("auth", "NoCredentialsError")

    @pytest.mark.parametrize(
        ("process", "why"),
        [
            ("/nowhere/secret-program", "FileNotFoundError"),
            ("/", "PermissionError"),
            ("echo secret-output", "JSONDecodeError"),
            ("echo []", "AttributeError"),
            ("echo 5", "AttributeError"),
            ('echo {\\"Version\\":1}', "CredentialRetrievalError"),
            ("false", "CredentialRetrievalError"),
        ],
    )
    async def test_a_credential_process_that_gives_none(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, process: str, why: str
    ) -> None:
        without_keys(monkeypatch)
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {process}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        assert (await aws_refusal()).native_type == why

    async def test_a_web_identity_without_its_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        without_keys(monkeypatch)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
        assert (await aws_refusal()).native_type == "FileNotFoundError"

    async def test_a_container_that_is_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        without_keys(monkeypatch)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://secret.example/x")
        assert (await aws_refusal()).native_type == "ValueError"

    async def test_a_profile_that_does_not_exist(
        self, monkeypatch: pytest.MonkeyPatch, origin: str
    ) -> None:
        aws_environment(monkeypatch)
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        async with provider(row("bedrock", origin=origin)) as bedrock:
            with pytest.raises(ProviderError) as refused:
                await said(bedrock, AWS_MODEL, stream=True)
        assert (refused.value.kind, refused.value.native_type) == ("auth", "ProfileNotFound")

    async def test_credentials_that_end_are_renewed_once_for_all(self) -> None:
        found = _Amazon()
        sign = AwsSignature("eu-west-1", lambda: found)
        await asyncio.gather(*(sign("https://h/p", b"{}") for _ in range(4)))
        assert found.frozen == 1
        found.ended = True
        await asyncio.gather(*(sign("https://h/p", b"{}") for _ in range(4)))
        assert found.frozen_while_ended == 1

    async def test_the_older_version_for_models_that_know_no_other(
        self, monkeypatch: pytest.MonkeyPatch, clouds: Clouds, origin: str
    ) -> None:
        aws_environment(monkeypatch)
        async with provider(row("bedrock", origin=origin)) as bedrock:
            for model in ("anthropic.claude-sonnet-4-5", "anthropic.claude-opus-4-7"):
                await said(bedrock, model, stream=False)
        versions = [headers["anthropic-version"] for _, headers, _ in clouds.seen]
        assert versions == ["2023-06-01", "2026-10-21"]


class _Google:
    """google-auth's credentials, whose renewal waits for a gate."""

    def __init__(self, loop: asyncio.AbstractEventLoop, gate: asyncio.Event) -> None:
        self._loop, self._gate = loop, gate
        self.expiry: datetime | None = datetime.now(UTC) - timedelta(seconds=1)
        self.quota_project_id: str | None = None
        self.renewed = 0
        self.waiting = False

    @property
    def token(self) -> str:
        return f"token-{self.renewed}"

    @property
    def token_state(self) -> Any:
        from google.auth.credentials import TokenState

        left = timedelta.max if self.expiry is None else self.expiry - datetime.now(UTC)
        if left <= timedelta():
            return TokenState.INVALID
        return TokenState.FRESH if left > timedelta(minutes=4) else TokenState.STALE

    def refresh(self, request: object) -> None:
        self.waiting = True
        asyncio.run_coroutine_threadsafe(self._gate.wait(), self._loop).result(10)
        self.expiry = datetime.now(UTC) + timedelta(hours=1)
        self.renewed += 1


class _Amazon:
    """botocore's credentials, with a life that a test ends."""

    access_key, secret_key, token = "AKID", "secret", None

    def __init__(self) -> None:
        self.ended = False
        self.frozen = self.frozen_while_ended = 0

    def refresh_needed(self) -> bool:
        return self.ended

    def get_frozen_credentials(self) -> "_Amazon":
        import threading

        if threading.current_thread() is not threading.main_thread():
            self.frozen += 1
            self.frozen_while_ended += self.ended
            self.ended = False
        return self


async def _headers(token: GoogleToken) -> Any:
    return await token("", b"")


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        # A thread tells nobody when it gets there.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)

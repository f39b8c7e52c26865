"""A whole server before providers in the clouds: what a client gets, and what it never sees."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clouds import AWS_KEY, AWS_SECRET, AWS_SESSION, FOUNDRY_KEY, Clouds, in_thread
from tests.proxy.clouds_rows import ROWS, row
from tests.serving import Proxy

SECRETS = (AWS_KEY, AWS_SECRET, AWS_SESSION, FOUNDRY_KEY, "foundry-wrong-key", "PRIVATE", "eyJ")


@pytest.fixture(scope="module")
def fake() -> Iterator[tuple[Clouds, str]]:
    clouds = Clouds()
    with in_thread(clouds.app) as origin:
        yield clouds, origin


@pytest.fixture(scope="module")
def server(fake: tuple[Clouds, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    clouds, origin = fake
    account = tmp_path_factory.mktemp("google") / "account.json"
    account.write_text(json.dumps(clouds.account(f"{origin}/oauth2.googleapis.com/token")))
    rows = {name: {**ROWS[name], "base_url": row(name, origin=origin).base_url} for name in ROWS}
    rows["wrong_foundry"] = {**rows["foundry"], "api_key_env": "WRONG_KEY"}
    rows["no_vertex"] = {**rows["vertex_claude"], "project": "theirs"}
    policy: dict[str, Any] = {
        "providers": rows,
        "personas": {name: {"provider_preferences": [name]} for name in rows},
    }
    env = {
        "AWS_ACCESS_KEY_ID": AWS_KEY,
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "AWS_SESSION_TOKEN": AWS_SESSION,
        "GOOGLE_APPLICATION_CREDENTIALS": str(account),
        "ANTHROPIC_FOUNDRY_API_KEY": FOUNDRY_KEY,
        "WRONG_KEY": "foundry-wrong-key",
    }
    with Proxy(env=env, policy=policy) as proxy:
        yield proxy


def asked(server: Proxy, persona: str, *, stream: bool) -> httpx.Response:
    body = {"model": persona, "messages": [{"role": "user", "content": "Why?"}], "stream": stream}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("persona", list(ROWS))
def test_every_cloud_serves(server: Proxy, persona: str, stream: bool) -> None:
    answer = asked(server, persona, stream=stream)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ep-provider"] == persona
    assert "Why?" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n") is stream


@pytest.mark.parametrize("persona", ["wrong_foundry", "no_vertex"])
def test_a_refused_credential_is_ours_to_mend(server: Proxy, persona: str) -> None:
    answer = asked(server, persona, stream=False)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_authentication_failed"


def test_no_secret_is_in_the_log_or_in_an_answer(server: Proxy) -> None:
    said = "".join(
        f"{answer.headers}{answer.text}"
        for answer in (asked(server, name, stream=True) for name in ("wrong_foundry", "bedrock"))
    )
    said += server.log()
    assert "wrong_foundry" in said
    assert not [secret for secret in SECRETS if secret in said]

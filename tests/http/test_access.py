"""Who may ask: client keys, of the environment and of the policy."""

import hashlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.http.wire import CHAT, Connection, assert_error, body_of, chat, head, new_client
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess, run_to_end

FIRST, SECOND, LIMITED = "ep-first-3f81", "ep-second-77aa", "ep-limited-90c2"


@pytest.fixture(scope="module")
def guarded(providers: SandboxProcess) -> Iterator[Proxy]:
    policy = standard_policy(providers)
    sha256 = hashlib.sha256(LIMITED.encode()).hexdigest()
    policy["client_keys"] = [{"name": "ci", "sha256": sha256, "personas": ["openai_only"]}]
    env = {"EP_CLIENT_KEYS": f"{FIRST}, {SECOND}", "UPSTREAM_KEY": UPSTREAM_KEY}
    with Proxy(env=env, policy=policy) as server:
        yield server
        log = server.log()
        for key in (FIRST, SECOND, LIMITED, UPSTREAM_KEY, sha256):
            assert key not in log


def _bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("key", [FIRST, SECOND])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_key_of_the_environment_may_use_every_persona(
    guarded: Proxy, key: str, stream: bool
) -> None:
    for persona in ("openai_only", "anthropic_only"):
        answer = await chat(guarded, persona, headers=_bearer(key), stream=stream)
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"bearer {FIRST}"},
        {"authorization": f"Bearer   {FIRST}"},
        {"api-key": FIRST},
        {"authorization": "Basic dTpw", "api-key": FIRST},
    ],
)
async def test_a_key_may_come_in_every_usual_form(guarded: Proxy, headers: dict[str, str]) -> None:
    assert (await chat(guarded, "openai_only", headers=headers)).status_code == 200


MISSING: list[dict[str, str]] = [
    {},
    {"authorization": ""},
    {"authorization": "Bearer"},
    {"authorization": f"Basic {FIRST}"},
    {"authorization": FIRST},
    {"x-api-key-of-mine": FIRST},
]
WRONG = ["wrong", FIRST[:-1], FIRST + "x", FIRST.upper(), f"{FIRST},{SECOND}", "x" * 5000, "*"]


@pytest.mark.parametrize("headers", MISSING)
async def test_a_missing_key_is_openais_401(guarded: Proxy, headers: dict[str, str]) -> None:
    answer = await chat(guarded, "openai_only", headers=headers)
    error = assert_error(answer, 401, type="invalid_request_error", code="invalid_api_key")
    assert "You didn't provide an API key" in error["message"]


@pytest.mark.parametrize("key", WRONG)
async def test_a_wrong_key_is_openais_401(guarded: Proxy, key: str) -> None:
    answer = await chat(guarded, "openai_only", headers=_bearer(key), stream=True)
    error = assert_error(answer, 401, type="invalid_request_error", code="invalid_api_key")
    assert "Incorrect API key" in error["message"]
    assert key == "*" or key not in error["message"]


async def test_bytes_that_are_no_text_are_a_wrong_key(guarded: Proxy) -> None:
    async with await Connection.open(guarded) as client:
        more = {"authorization": "Bearer \xff\xfe\xe4", "connection": "close"}
        await client.send(head(length=2, headers=more) + b"{}")
        assert (await client.rest()).startswith(b"HTTP/1.1 401 ")


async def test_the_key_is_asked_for_before_the_body_is_read(guarded: Proxy) -> None:
    async with new_client(guarded) as client:
        answer = await client.post(CHAT, content=b"{" * (20 << 20))
    assert_error(answer, 401)


async def test_a_key_of_the_policy_may_use_its_personas_only(guarded: Proxy) -> None:
    assert (await chat(guarded, "openai_only", headers=_bearer(LIMITED))).status_code == 200
    for name in ("anthropic_only", "no_such_persona"):
        answer = await chat(guarded, name, headers=_bearer(LIMITED))
        error = assert_error(answer, 403, type="invalid_request_error", code="model_not_allowed")
        assert "`ci`" in error["message"]


async def test_models_are_those_that_the_key_may_use(guarded: Proxy) -> None:
    async with new_client(guarded) as client:
        assert_error(await client.get("/v1/models"), 401)
        assert_error(await client.get("/v1/models/openai_only"), 401)
        every = await client.get("/v1/models", headers=_bearer(FIRST))
        some = await client.get("/v1/models", headers=_bearer(LIMITED))
        assert len(every.json()["data"]) > 5
        assert [model["id"] for model in some.json()["data"]] == ["openai_only"]
        own = await client.get("/v1/models/openai_only", headers=_bearer(LIMITED))
        assert own.json()["id"] == "openai_only"
        other = await client.get("/v1/models/anthropic_only", headers=_bearer(LIMITED))
        assert_error(other, 404, code="model_not_found")


async def test_probes_need_no_key_and_tell_details_to_those_who_have_one(guarded: Proxy) -> None:
    async with new_client(guarded) as client:
        assert (await client.get("/healthz")).status_code == 200
        for headers in ({}, _bearer("wrong")):
            answer = await client.get("/readyz", headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"status": "degraded"})
        answer = await client.get("/readyz", headers=_bearer(FIRST))
        assert answer.json()["providers"]["openai"]["reachable"] is True


async def test_the_clients_key_never_reaches_a_provider(
    guarded: Proxy, providers: SandboxProcess
) -> None:
    await chat(guarded, "openai_only", headers=_bearer(FIRST))
    await chat(guarded, "anthropic_only", headers=_bearer(FIRST))
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        seen = (await client.get(f"{providers.url}/_sandbox/requests")).text
    assert FIRST not in seen
    assert UPSTREAM_KEY in seen


async def test_the_log_names_the_key_and_does_not_show_it(guarded: Proxy) -> None:
    first = await chat(guarded, "openai_only", headers=_bearer(LIMITED))
    assert guarded.decision(first.headers["x-request-id"])["key"] == "ci"
    second = await chat(guarded, "openai_only", headers=_bearer(SECOND))
    assert guarded.decision(second.headers["x-request-id"])["key"] == "key 2"


async def test_without_client_keys_every_key_and_none_is_taken(proxy: Proxy) -> None:
    for headers in ({}, _bearer("anything"), {"authorization": "Basic x"}):
        assert (await chat(proxy, "openai_only", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost.localdomain"])
def test_without_client_keys_no_other_address_than_loopback_is_listened_on(host: str) -> None:
    done = run_to_end("serve", "--sandbox", "--port", "0", "--host", host)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "--insecure-no-auth" in done.stderr
    assert "EP_CLIENT_KEYS" in done.stderr
    assert host in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(("--insecure-no-auth",), {}), ((), {"EP_CLIENT_KEYS": FIRST})],
    ids=["insisting", "keys"],
)
def test_insisting_or_a_key_opens_other_addresses(
    arguments: tuple[str, ...], env: dict[str, str]
) -> None:
    with Proxy("--sandbox", "--host", "0.0.0.0", *arguments, env=env) as server:
        with httpx.Client(trust_env=False, verify=False) as client:
            answer = client.post(
                f"http://127.0.0.1:{server.port}{CHAT}",
                json=body_of("architect"),
                headers=_bearer(FIRST),
            )
        assert answer.status_code == 200
        assert FIRST not in server.log()


def test_an_address_in_use_is_said_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run_to_end("serve", "--sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "another program listens there already" in done.stderr
    assert "Traceback" not in done.stderr

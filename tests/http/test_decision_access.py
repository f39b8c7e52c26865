"""Who is told what became of a request, of which requests, and for how long."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.http.decision_records import asked, bearer, record, verdicts
from tests.http.wire import (
    CHAT,
    Connection,
    assert_error,
    body_of,
    chat,
    eventually,
    head,
    new_client,
    unique,
)
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

ONE, TWO = "ep-one-3f81", "ep-two-77aa"
KEYS = {"EP_CLIENT_KEYS": f"{ONE},{TWO}", "UPSTREAM_KEY": UPSTREAM_KEY}
CAPITAL = "Wq7canary"


@pytest.fixture(scope="module")
def guarded(providers: SandboxProcess) -> Iterator[Proxy]:
    with Proxy(env=KEYS, policy=standard_policy(providers)) as server:
        yield server
        for secret in (ONE, TWO, UPSTREAM_KEY):
            assert secret not in server.log()


async def served(proxy: Proxy, key: str, id: str, persona: str = "openai_only") -> None:
    headers = {**bearer(key), "x-request-id": id}
    assert (await chat(proxy, persona, headers=headers)).headers["x-request-id"] == id


async def test_the_key_that_made_it_is_told_and_no_other(guarded: Proxy) -> None:
    id = unique()
    await served(guarded, ONE, id)
    assert (await record(guarded, id, headers=bearer(ONE)))["key"] == "key 1"
    other = await asked(guarded, id, bearer(TWO))
    assert_error(other, 404, code="decision_not_found", param="request_id")
    # A request that is not there is not to be told from one that is another's.
    never = unique()
    unknown = await asked(guarded, never, bearer(TWO))
    assert unknown.text.replace(never, id) == other.text
    assert (await asked(guarded, id)).status_code == 401
    assert (await asked(guarded, id, bearer("wrong"))).status_code == 401
    answer = await asked(guarded, id, bearer(ONE))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


async def test_two_keys_may_use_the_same_id(guarded: Proxy) -> None:
    id = unique()
    await served(guarded, ONE, id, "openai_only")
    await served(guarded, TWO, id, "anthropic_only")
    for key, persona in ((ONE, "openai_only"), (TWO, "anthropic_only")):
        found = await record(guarded, id, headers=bearer(key))
        assert found["persona"] == persona


async def test_an_id_that_is_used_again_is_the_later_requests(guarded: Proxy) -> None:
    id = unique()
    slow = json.dumps(body_of("openai_only", "[sandbox delay=1.5]")).encode()
    async with await Connection.open(guarded) as connection:
        more = {**bearer(ONE), "x-request-id": id}
        await connection.send(head(length=len(slow), headers=more) + slow)
        await record(guarded, id, headers=bearer(ONE), state="running")
        await served(guarded, ONE, id, "anthropic_only")
        found = await record(guarded, id, headers=bearer(ONE))
        assert found["persona"] == "anthropic_only"
        # The earlier one ends later, and changes nothing.
        await connection.until(b'"finish_reason"')
    await asyncio.sleep(0.1)
    assert (await record(guarded, id, headers=bearer(ONE)))["persona"] == "anthropic_only"
    await served(guarded, ONE, id, "openai_only")
    assert (await record(guarded, id, headers=bearer(ONE)))["persona"] == "openai_only"


BAD: list[tuple[bytes, str, int, str | None]] = [
    (b"{", "application/json", 400, None),
    (b"{}", "text/plain", 415, "unsupported_media_type"),
    (b'{"model": "openai_only", "messages": 1}', "application/json", 400, None),
]


@pytest.mark.parametrize(("body", "kind", "status", "code"), BAD)
async def test_a_refused_request_is_explained_to_its_key(
    guarded: Proxy, body: bytes, kind: str, status: int, code: str | None
) -> None:
    id = unique()
    headers = {**bearer(ONE), "x-request-id": id, "content-type": kind}
    async with new_client(guarded) as client:
        assert_error(await client.post(CHAT, content=body, headers=headers), status)
    found = await record(guarded, id, headers=bearer(ONE))
    assert (found["status"], found["persona"], found["stream"]) == (status, None, None)
    assert (found["error"]["kind"], found["end_reason"]) == ("InvalidRequest", None)
    assert code in (None, found["error"]["code"])
    assert (found["candidates"], found["attempts"], found["timings"]) == ([], [], None)
    assert found["key"] == "key 1"
    line = guarded.decision(id)
    assert (line["key"], line["status"]) == ("key 1", status)
    assert_error(await asked(guarded, id, bearer(TWO)), 404)


async def test_an_unknown_persona_is_explained(guarded: Proxy) -> None:
    id = unique()
    await served(guarded, ONE, id, f"no\nbo\u2028dy{'y' * 500}")
    found = await record(guarded, id, headers=bearer(ONE))
    assert found["persona"] == f"no\nbo\u2028dy{'y' * 500}"[:200]
    assert (found["status"], found["error"]["code"]) == (404, "model_not_found")
    assert (found["candidates"], found["reason"]) == ([], None)


async def test_a_request_without_a_key_is_nobodys(guarded: Proxy) -> None:
    id = unique()
    answer = await chat(guarded, "openai_only", headers={"x-request-id": id})
    assert answer.status_code == 401
    assert "key" not in guarded.decision(id)
    for key in (ONE, TWO):
        assert_error(await asked(guarded, id, bearer(key)), 404)


ODD = [
    *("a/b", "%2e%2e%2f", "a%00b", "a%1b[31mb", "ü", "%ff", "x" * 3000, "a b", "", "a?b"),
    *("%E2%80%A8", "*", "{request_id}", "%25s"),
]


@pytest.mark.parametrize("id", ODD)
async def test_an_id_that_no_request_has_is_openais_404(proxy: Proxy, id: str) -> None:
    answer = await asked(proxy, id)
    error = assert_error(answer, 404)
    assert error["code"] == "decision_not_found"
    assert len(error["message"]) < 600
    assert error["message"].isascii()
    assert error["message"].isprintable()


async def test_an_odd_id_of_a_client_is_replaced_and_the_records_is_the_answers(
    proxy: Proxy,
) -> None:
    for given in ("a/b", "a b", "x" * 129, "req:1", "{x}"):
        answer = await chat(proxy, "openai_only", headers={"x-request-id": given})
        id = answer.headers["x-request-id"]
        assert id.startswith("req_")
        assert (await record(proxy, id))["request_id"] == id
    for id in (f"A.b-{'_' * 124}", f"{unique()}.."):
        await chat(proxy, "openai_only", headers={"x-request-id": id})
        assert (await record(proxy, id))["request_id"] == id


async def test_the_endpoint_takes_get_alone(proxy: Proxy) -> None:
    async with new_client(proxy) as client:
        assert_error(await client.post("/v1/ep/decisions/x"), 405)
        assert_error(await client.get("/v1/ep/decisions"), 404, code="not_found")


async def test_asking_is_no_request_of_which_there_is_a_record(proxy: Proxy) -> None:
    answer = await asked(proxy, unique())
    assert_error(await asked(proxy, answer.headers["x-request-id"]), 404)


async def test_it_can_be_turned_off(providers: SandboxProcess) -> None:
    env = {**KEYS, "EP_DECISIONS": "0"}
    with Proxy("--workers", "1", env=env, policy=standard_policy(providers)) as server:
        id = unique()
        await served(server, ONE, id)
        server.decision(id)
        error = assert_error(await asked(server, id, bearer(ONE)), 404, code="decisions_off")
        assert "EP_DECISIONS=0" in error["message"]
        assert (await asked(server, id)).status_code == 401


async def test_the_oldest_go_first(providers: SandboxProcess) -> None:
    env = {"EP_DECISIONS": "3", "UPSTREAM_KEY": UPSTREAM_KEY}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        ids = [unique() for _ in range(5)]
        for id in ids:
            await chat(server, "openai_only", headers={"x-request-id": id})
            await record(server, id)
        found = [(await asked(server, id)).status_code for id in ids]
        assert found == [404, 404, 200, 200, 200]
        error = assert_error(await asked(server, ids[0]), 404)
        assert "The last 3 requests are kept" in error["message"]
        assert "each replica knows its own" in error["message"]
        assert "trace id" in error["message"]


def _own_address() -> str | None:
    """Return an address of this machine that is not loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


async def test_without_keys_it_is_told_on_loopback_only() -> None:
    address = _own_address()
    with Proxy("--sandbox", "--host", "0.0.0.0", "--insecure-no-auth") as server:
        server.url = f"http://127.0.0.1:{server.port}"
        answer = await chat(server, "architect_openai")
        id = answer.headers["x-request-id"]
        assert (await record(server, id))["persona"] == "architect_openai"
        if address is None or address.startswith("127."):
            pytest.skip("this machine has no other address")
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            base = f"http://{address}:{server.port}"
            assert (await client.get(f"{base}/v1/models")).status_code == 200
            for other in (id, unique()):
                refused = await client.get(f"{base}/v1/ep/decisions/{other}")
                error = assert_error(refused, 403, code="loopback_only")
                assert "EP_CLIENT_KEYS" in error["message"]


async def test_no_record_holds_content_or_a_key(guarded: Proxy, dialect: str) -> None:
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"name": f"t_{CAPITAL}", "description": CAPITAL, "parameters": {}},
    }
    told: list[dict[str, Any]] = []
    for text in (
        CAPITAL,
        f"{CAPITAL} [sandbox say={CAPITAL}]",
        f"{CAPITAL} [sandbox fail=500]",
        f"{CAPITAL} [sandbox fail=400]",
        f"{CAPITAL} [sandbox error=4]",
        f"{CAPITAL} [sandbox garbage=2]",
        f"{CAPITAL} [sandbox eof=1]",
        f'{CAPITAL} [sandbox tool=t_{CAPITAL} args={{"x":"{CAPITAL}"}}]',
    ):
        for stream in (True, False):
            answer = await chat(
                guarded,
                f"{dialect}_first",
                text,
                stream=stream,
                tools=[tool],
                user=CAPITAL,
                headers=bearer(ONE),
            )
            id = answer.headers["x-request-id"]
            told.append(await record(guarded, id, headers=bearer(ONE)))
    assert {one["end_reason"] for one in told} == {"completed", "upstream_error"}
    for secret in (CAPITAL, ONE, UPSTREAM_KEY):
        assert secret not in json.dumps(told)


async def test_many_at_once_are_told_apart(proxy: Proxy) -> None:
    kinds: dict[str, tuple[str, int, list[tuple[str, str]]]] = {
        "openai_only": ("[sandbox words=3]", 200, [("openai", "answered")]),
        "anthropic_first": (
            "[sandbox provider=anthropic fail=500]",
            200,
            [("anthropic", "failed"), ("openai", "answered")],
        ),
        "anthropic_only": ("[sandbox fail=400]", 400, [("anthropic", "failed")]),
        "nobody": ("", 404, []),
    }
    ids = {f"{persona}-{number}-{unique()}": persona for number in range(25) for persona in kinds}

    async def one(id: str, persona: str) -> None:
        text, status, wanted = kinds[persona]
        stream = id.encode()[-1] % 2 == 0
        answer = await chat(proxy, persona, text, stream=stream, headers={"x-request-id": id})
        assert answer.status_code == status
        found = await record(proxy, id)
        assert (found["persona"], found["status"]) == (persona, status)
        assert (found["stream"], verdicts(found)) == (stream, wanted)

    await asyncio.gather(*(one(id, persona) for id, persona in ids.items()))


async def test_a_server_keeps_answering_while_its_records_are_asked_for(proxy: Proxy) -> None:
    async def flood() -> None:
        async with new_client(proxy) as client:
            for _ in range(50):
                assert (await client.get("/v1/ep/decisions/nobody")).status_code == 404

    floods = [asyncio.create_task(flood()) for _ in range(5)]

    async def answers() -> bool:
        return (await chat(proxy, "openai_only")).status_code == 200

    await eventually(answers)
    await asyncio.gather(*floods)
